"""Around every request: ids, the log line, metrics, headers for safety, and the one top handler."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect

from uncrop.errors import InternalError
from uncrop.server.errors import error_response
from uncrop.server.exchange import CLIENT_LEFT, CLIENT_LEFT_STATUS, STOPPED, attach, begin_exchange
from uncrop.server.openapi import RUNNING_PATH
from uncrop.server.wire import rate_headers
from uncrop.service.service import stopping
from uncrop.service.tasks import CallerLeft
from uncrop.telemetry.spans import UNTRACED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from uncrop.model import UncropResult
    from uncrop.server.cors import CrossOrigin
    from uncrop.server.exchange import Exchange
    from uncrop.server.metrics import Metrics
    from uncrop.telemetry.spans import Span, Tracer

_log = structlog.stdlib.get_logger("uncrop.server")

# Routes that are asked every few seconds, by machines and by the page.
POLLED = frozenset({"/livez", "/readyz", RUNNING_PATH})
# A route that needs another value sets it itself, as the page does; these fill the gaps.
SAFE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-store",
}
# They are asked for every few seconds and tell nothing that a trace would.
_UNTRACED_PATHS = frozenset({"/livez", "/readyz", "/metrics"})


class ExchangeMiddleware:
    """Keeps the notes of each request and acts on them at its end.

    Plain ASGI: Starlette's ``BaseHTTPMiddleware`` would run the request in a cancel scope of its own, which ends work
    that must be finished.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: Metrics,
        cross_origin: CrossOrigin,
        tracer: Tracer = UNTRACED,
        leaving: Callable[[], bool] = lambda: False,
    ) -> None:
        self._app = app
        self._leaving = leaving
        self._tracer = tracer
        self._metrics = metrics
        self._cross_origin = cross_origin

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; other kinds of ASGI traffic pass through."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = begin_exchange(scope)
        attach(scope, exchange)
        ids = {"trace_id": exchange.trace_id, "request_id": exchange.request_id}
        tracer = UNTRACED if scope["path"] in _UNTRACED_PATHS else self._tracer
        told = {"http.request.method": scope["method"], "uncrop.trace_id": exchange.trace_id}
        with (
            structlog.contextvars.bound_contextvars(**ids),
            tracer.span("request", told, kind="server", headers=Headers(scope=scope)) as span,
            exchange.holds,
        ):
            try:
                dress = _dressing(
                    send, exchange, self._cross_origin.headers(Headers(scope=scope)), leaving=self._leaving
                )
                await self._answer(scope, _listening(receive, exchange), dress, exchange)
            finally:
                self._report(scope, exchange, span)

    async def _answer(self, scope: Scope, receive: Receive, send: Send, exchange: Exchange) -> None:
        try:
            answer = self._cross_origin.preflight(scope["method"], Headers(scope=scope)) or self._app
            await answer(scope, receive, send)
        except (ClientDisconnect, CallerLeft):
            exchange.outcome = CLIENT_LEFT
        except asyncio.CancelledError:
            # The server's time for stopping is over. It alone cancels this task, and waits for nothing that it does.
            refusal = stopping()
            exchange.fail(refusal)
            exchange.outcome = STOPPED
            if exchange.status is None:
                await error_response(refusal, trace_id=exchange.trace_id)(scope, receive, send)
        except Exception as error:  # noqa: BLE001 (this is the one top handler)
            await _log.aexception("unexpected error", exc_info=error)
            failure = InternalError()
            exchange.fail(failure)
            if exchange.status is None:
                await error_response(failure, trace_id=exchange.trace_id)(scope, receive, send)

    def _report(self, scope: Scope, exchange: Exchange, span: Span) -> None:
        if exchange.status is None:
            # Nothing was answered: the client left.
            exchange.status, exchange.outcome = CLIENT_LEFT_STATUS, CLIENT_LEFT
        seconds = time.monotonic() - exchange.run.arrived
        route = getattr(scope.get("route"), "path", "unmatched")
        _note(span, exchange, exchange.status, route)
        facts = dict(_facts(exchange))
        level = _level(route, exchange.status)
        level(
            "request",
            method=scope["method"],
            route=route,
            status=exchange.status,
            outcome=exchange.outcome,
            milliseconds=round(seconds * 1000, 1),
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
            **facts,
        )
        self._metrics.request(
            route=route,
            method=scope["method"],
            status=exchange.status,
            outcome=exchange.outcome,
            seconds=seconds,
            bytes_in=exchange.bytes_in,
            bytes_out=exchange.bytes_out,
        )


def _note(span: Span, exchange: Exchange, status: int, route: str) -> None:
    """Let a request's span say how it ended, as the log line does."""
    span.rename(route)
    span.note({"http.route": route, "http.response.status_code": status, "uncrop.outcome": exchange.outcome})
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        span.fail(exchange.outcome)


def _level(route: str, status: int) -> Callable[..., None]:
    """Return how loud a request's line is: what went well and is asked all the time is for debuggers alone."""
    if status >= 500:
        return _log.warning
    return _log.debug if route in POLLED and status < 400 else _log.info


def _facts(exchange: Exchange) -> Iterator[tuple[str, object]]:
    """Yield what is known about the picture and who asked; never a key, a prompt or a pixel."""
    if exchange.run.caller is not None:
        yield "organization", exchange.run.caller.organization_id
        yield "key", exchange.run.caller.key_id
    if exchange.reason is not None:
        yield "reason", exchange.reason
    if exchange.cause is not None:
        yield "cause", exchange.cause
    if exchange.run.provider is not None:
        yield "provider", exchange.run.provider
    if exchange.run.replayed:
        yield "replayed", True
    if exchange.run.tried:
        yield "tried", list(exchange.run.tried)
    if stages := {stage.name: round(stage.milliseconds, 1) for stage in exchange.run.stages}:
        yield "stages", stages
    if exchange.run.billed_calls:
        yield "billed_calls", exchange.run.billed_calls
    if (made := exchange.run.made) is not None:
        pictures = [dict(_facts_of(picture.result)) for picture in made.pictures]
        if made.asked == 1:
            yield from pictures[0].items()
        else:
            providers = [picture.result.facts.provider for picture in made.pictures]
            yield (
                "pictures",
                [{"provider": name, **known} for name, known in zip(providers, pictures, strict=True)],
            )
            yield "failures", [error.code for error in made.failures]


def _facts_of(result: UncropResult) -> Iterator[tuple[str, object]]:
    facts = result.facts
    yield "size", f"{result.width}x{result.height}"
    yield "provider_request_id", facts.request_id
    yield "model", facts.model
    yield "credits", facts.credits_consumed
    yield "tokens", None if facts.usage is None else facts.usage.total_tokens
    yield "warnings", list(result.warnings)
    difference = result.repaint_difference
    yield "repaint_difference", None if difference is None else round(difference, 2)


def _listening(receive: Receive, exchange: Exchange) -> Receive:
    """Count the body's bytes, and note whether all of it was read."""

    async def listen() -> Message:
        message = await receive()
        if message["type"] == "http.request":
            exchange.bytes_in += len(message.get("body", b""))
            exchange.body_unread = message.get("more_body", False)
        return message

    return listen


def _dressing(send: Send, exchange: Exchange, cross_origin: Mapping[str, str], *, leaving: Callable[[], bool]) -> Send:
    """Add the headers that every answer has, and count its bytes."""

    async def dress(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            message.setdefault("headers", [])
            headers = MutableHeaders(scope=message)
            for name, value in cross_origin.items():
                # What the answer itself varies by stays said.
                headers.add_vary_header(value) if name == "Vary" else headers.update({name: value})
            _add_headers(headers, exchange)
            if leaving():
                # A proxy that keeps connections must not send a request into one that is closed in this moment.
                headers["Connection"] = "close"
        else:
            exchange.bytes_out += len(message.get("body", b""))
        await send(message)

    return dress


def _add_headers(headers: MutableHeaders, exchange: Exchange) -> None:
    headers["X-Request-Id"] = exchange.request_id
    for name, value in SAFE_HEADERS.items():
        headers.setdefault(name, value)
    if exchange.run.rate is not None:
        headers.update(rate_headers(exchange.run.rate))
    if exchange.body_unread:
        # What is left of the body would be taken for the next request, so there is none on this connection.
        headers["Connection"] = "close"

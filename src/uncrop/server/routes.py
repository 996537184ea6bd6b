"""The routes: each translates, calls, and translates back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncrop.capacity.fair_queue import NOBODY
from uncrop.model import Answer
from uncrop.server.exchange import exchange_of
from uncrop.server.form import read_form
from uncrop.server.http_errors import NotReady
from uncrop.server.keyed import asked_under, from_answer, key_of
from uncrop.server.metrics import MEDIA_TYPE
from uncrop.server.pictures_wire import to_pictures_response
from uncrop.server.quote_wire import quotes_response, to_quote
from uncrop.server.wire import credentials, to_request
from uncrop.service.once import Asked
from uncrop.service.quote import ALL, AUTO
from uncrop.service.running import not_running

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.types import Receive

    from uncrop.capacity.bodies import Share
    from uncrop.model import UncropResult
    from uncrop.server.exchange import Exchange
    from uncrop.server.form import BodyLimits, FormItem
    from uncrop.server.metrics import Metrics
    from uncrop.service.quote import QuoteRequest
    from uncrop.service.report import RunReport
    from uncrop.service.running import RunningRequest
    from uncrop.service.service import Service


class Routes:
    """The handlers, and what they need.

    Parameters
    ----------
    service
        Open; closed by whoever opened it.
    metrics, limits
        The server's own parts.
    """

    def __init__(self, service: Service, *, metrics: Metrics, limits: BodyLimits) -> None:
        self._service = service
        self._metrics = metrics
        self.limits = limits

    async def uncrop(self, request: Request) -> Response:
        """Extend an image: who asks, how often, what, and then the work."""
        exchange, share, read_body = self.body(request)

        async def read() -> Asked:
            key = key_of(request)  # before the body, as all that is cheap to refuse
            form = await read_body()
            asked = to_request(form)
            if key is None:
                return Asked(request=asked)
            return await asked_under(key, form, asked, request=request, exchange=exchange, make_room=share.become)

        made = await self._service.extend(
            credentials(request.headers),
            read,
            lambda: _left(request.receive),
            report=exchange.run,
            finished=self._metrics.picture,
            request_id=exchange.own_id,
        )
        if isinstance(made, Answer):
            share.become(len(made.body))
            return from_answer(made)
        response = to_pictures_response(made, ",".join(request.headers.getlist("accept")))
        share.become(sum(_bytes_held(picture.result, response) for picture in made.pictures) + len(response.body))
        return response

    async def quote(self, request: Request) -> Response:
        """Tell what an image would take: who asks, how often, what; nobody is called."""
        exchange, _, read_body = self.body(request)

        async def read() -> QuoteRequest:
            return to_quote(await read_body())

        quotes = await self._service.quote(credentials(request.headers), read, report=exchange.run)
        return quotes_response(quotes, one=exchange.run.provider not in {ALL, AUTO})

    async def running(self, request: Request) -> Response:
        """Tell how far one of the caller's requests is, by its id."""
        request_id = request.path_params["request_id"]
        running = await self._look_up(request)
        return JSONResponse(not_running(request_id) if running is None else running.to_json())

    async def cancel(self, request: Request) -> Response:
        """End one of the caller's requests, by its id; where it is not being worked on, there is nothing to end."""
        running = await self._look_up(request)
        if running is not None:
            running.cancel()
        return await self.running(request)

    async def _look_up(self, request: Request) -> RunningRequest | None:
        report = exchange_of(request.scope).run
        return await self._service.look_up(
            credentials(request.headers), request.path_params["request_id"], report=report
        )

    async def providers(self, _request: Request) -> Response:
        """List the providers: what each takes, and whether it is configured."""
        return JSONResponse({"providers": [entry.to_json() for entry in self._service.providers()]})

    async def livez(self, _request: Request) -> Response:
        """Say that the process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Say whether requests can be served: the database with its migrations, and the engine, compiled and warm."""
        if self._service.leaving:
            raise NotReady("The server is stopping")
        checks = (await self._service.readiness()).checks()
        if not all(checks.values()):
            raise NotReady(details={"checks": checks})
        return JSONResponse({"status": "ready", "checks": checks})

    async def metrics(self, _request: Request) -> Response:
        """Tell Prometheus."""
        return Response(self._metrics.render(), media_type=MEDIA_TYPE)

    def body(self, request: Request) -> tuple[Exchange, Share, Callable[[], Awaitable[list[FormItem]]]]:
        """Return the request's notes, its share of the memory for bodies, and what reads its form."""
        exchange = exchange_of(request.scope)
        share = exchange.holds.enter_context(self._service.capacity.bodies.share())

        async def read() -> list[FormItem]:
            share.owner = _owner(exchange.run)
            return await read_form(request.headers, request.receive, self.limits, share)

        return exchange, share, read


def _owner(report: RunReport) -> str:
    return NOBODY if report.caller is None else report.caller.organization_id or NOBODY


def _bytes_held(result: UncropResult, response: Response) -> int:
    """Return the bytes that a picture takes beside an answer, until that has been sent; none where it is the answer."""
    if result.image is response.body:
        return 0
    return len(result.image) + len(result.confidence_map or b"")


async def _left(receive: Receive) -> None:
    """Return when the client has gone; its body has been read."""
    while (await receive())["type"] != "http.disconnect":
        pass

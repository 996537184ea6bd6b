"""Puts the HTTP API together around an open service."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI
from starlette.exceptions import HTTPException

from uncrop.errors import InternalError, UncropError
from uncrop.server import openapi
from uncrop.server.errors import error_response, from_framework
from uncrop.server.exchange import exchange_of
from uncrop.server.form import BodyLimits
from uncrop.server.metrics import Metrics
from uncrop.server.middleware import ExchangeMiddleware
from uncrop.server.pages import add_page
from uncrop.server.routes import Routes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request
    from starlette.responses import Response

    from uncrop.service.service import Service

_log = structlog.stdlib.get_logger("uncrop.server")


def create_app(service: Service, *, limits: BodyLimits | None = None) -> FastAPI:
    """Return the HTTP API of a service.

    Parameters
    ----------
    service
        Open, and closed by whoever opened it, after the app has shut down.
    limits
        What a request's body may be; by default the built-in sizes, and the time of the settings.
    """
    metrics = Metrics(capacity=service.capacity.figures, breakers=service.registry.breakers)
    limits = limits or BodyLimits(total_s=service.settings.body_timeout_s)
    routes = Routes(service, metrics=metrics, limits=limits)
    app = FastAPI(
        title=openapi.TITLE,
        docs_url=None,  # both would load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # a redirect would repeat whatever Host the client made up
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=partial(_lifespan, service),
    )
    app.add_middleware(ExchangeMiddleware, metrics=metrics)
    app.add_exception_handler(UncropError, _refuse)  # type: ignore[arg-type]
    app.add_exception_handler(HTTPException, _refuse_for_framework)  # type: ignore[arg-type]
    _add_routes(app, routes)
    app.openapi = partial(openapi.document, limits=routes.limits, providers=service.registry.names())  # type: ignore[method-assign]
    return app


def _add_routes(app: FastAPI, routes: Routes) -> None:
    for path in openapi.UNCROP_PATHS:
        app.add_api_route(path, routes.uncrop, methods=["POST"])
    app.add_api_route("/api/v1/providers", routes.providers, methods=["GET"])
    for path, handler in (("/livez", routes.livez), ("/readyz", routes.readyz), ("/metrics", routes.metrics)):
        app.add_api_route(path, handler, methods=["GET"])
    add_page(app)


@asynccontextmanager
async def _lifespan(service: Service, _app: FastAPI) -> AsyncIterator[None]:
    yield
    await service.drain()


async def _refuse(request: Request, error: UncropError) -> Response:
    exchange = exchange_of(request.scope)
    exchange.fail(error)
    if isinstance(error, InternalError):
        # Ours to mend, so the log gets all of it.
        _log.error("internal error", exc_info=error)
    return error_response(error, trace_id=exchange.trace_id)


async def _refuse_for_framework(request: Request, error: HTTPException) -> Response:
    refusal = from_framework(error)
    exchange = exchange_of(request.scope)
    exchange.fail(refusal)
    return error_response(refusal, trace_id=exchange.trace_id, headers=error.headers)

"""Puts the HTTP API together around an open service."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.responses import Response
from starlette.routing import Route

from uncrop.errors import InternalError, UncropError
from uncrop.server import openapi, openapi_jobs
from uncrop.server.admin_routes import AdminRoutes
from uncrop.server.cors import CrossOrigin
from uncrop.server.errors import MEDIA_TYPE, error_response, from_framework
from uncrop.server.exchange import exchange_of
from uncrop.server.form import BodyLimits
from uncrop.server.job_routes import JobRoutes
from uncrop.server.jobs_wire import JOBS_PATH
from uncrop.server.metrics import Metrics
from uncrop.server.middleware import ExchangeMiddleware
from uncrop.server.openapi_headers import header_components
from uncrop.server.pages import page_routes
from uncrop.server.paths import one_route_a_path
from uncrop.server.routes import Routes
from uncrop.server.webhook_routes import WebhookRoutes

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from starlette.requests import Request

    from uncrop.jobs.background import BackgroundJobs
    from uncrop.service.service import Service

_log = structlog.stdlib.get_logger("uncrop.server")


def create_app(service: Service, *, limits: BodyLimits | None = None, jobs: BackgroundJobs | None = None) -> Starlette:
    """Return the HTTP API of a service.

    Parameters
    ----------
    service
        Open, and closed by whoever opened it, after the app has shut down.
    limits
        What a request's body may be; by default the built-in sizes, and the time of the settings.
    jobs
        Those of the service, where this server takes any.
    """
    metrics = Metrics(
        capacity=service.capacity.figures,
        breakers=service.registry.breakers,
        counts_alone=lambda: service.rates.is_alone,
    )
    limits = limits or BodyLimits(total_s=service.settings.body_timeout_s)
    routes = Routes(service, metrics=metrics, limits=limits)
    if jobs is not None:
        jobs.worker.ended = metrics.picture
    cross_origin = CrossOrigin(service.settings.allowed_origins, header_components())
    document = openapi.document(limits=limits, providers=service.registry.facts())
    app = Starlette(
        routes=[
            *_operations(routes),
            *AdminRoutes(service, limits=limits).routes(),
            *_job_operations(JobRoutes(jobs, routes)),
            *WebhookRoutes(service, jobs, limits=limits).routes(),
            *page_routes(),
            _document_route(document),
        ],
        middleware=[
            Middleware(
                ExchangeMiddleware,
                metrics=metrics,
                cross_origin=cross_origin,
                tracer=service.tracer,
                leaving=lambda: service.leaving,
            )
        ],
        exception_handlers={UncropError: _refuse, HTTPException: _refuse_for_framework},  # type: ignore[dict-item]
        lifespan=partial(_lifespan, service),
    )
    app.state.service = service  # for the server, which tells it to stop
    app.router.redirect_slashes = False  # a redirect would repeat whatever Host the client made up
    return app


def _operations(routes: Routes) -> list[Route]:
    """Return the routes that the document describes; where GET is, Starlette lets HEAD be too."""
    return [
        *(Route(path, routes.uncrop, methods=["POST"]) for path in openapi.UNCROP_PATHS),
        Route(openapi.QUOTE_PATH, routes.quote, methods=["POST"]),
        Route(openapi.PROVIDERS_PATH, routes.providers),
        Route(openapi.RUNNING_PATH, routes.running),
        Route(openapi.CANCEL_PATH, routes.cancel, methods=["POST"]),
        Route("/livez", routes.livez),
        Route("/readyz", routes.readyz),
        Route("/metrics", routes.metrics),
    ]


def _job_operations(routes: JobRoutes) -> list[Route]:
    return one_route_a_path(
        {
            JOBS_PATH: {"GET": routes.page, "POST": routes.submit},
            openapi_jobs.JOB_PATH: {"GET": routes.show, "DELETE": routes.cancel},
            openapi_jobs.RESULT_PATH: {"GET": routes.result},
        }
    )


def _document_route(document: openapi.Json) -> Route:
    # It cannot change while the server runs, so it is written once.
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()

    async def serve(_request: Request) -> Response:
        return Response(text, media_type=MEDIA_TYPE)

    return Route(openapi.ADDRESS, serve)


@asynccontextmanager
async def _lifespan(service: Service, _app: Starlette) -> AsyncIterator[None]:
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
    return error_response(refusal, trace_id=exchange.trace_id, headers=_in_order(error.headers or {}))


def _in_order(headers: Mapping[str, str]) -> dict[str, str]:
    # Starlette joins the methods of a set, so that their order changes from start to start.
    return {name: ", ".join(sorted(value.split(", "))) if name == "Allow" else value for name, value in headers.items()}

"""The routes: each translates, calls, and translates back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from uncrop import engine
from uncrop.errors import InternalError, NotReady, UncropError
from uncrop.providers.base import Flight
from uncrop.server.exchange import exchange_of
from uncrop.server.form import read_form
from uncrop.server.metrics import MEDIA_TYPE
from uncrop.server.wire import credentials, to_request, to_response
from uncrop.uncropper import Stopwatch

if TYPE_CHECKING:
    from uncrop.bootstrap import Service
    from uncrop.model import Caller, UncropRequest, UncropResult
    from uncrop.server.budget import BodyBudget
    from uncrop.server.disconnect import Works
    from uncrop.server.exchange import Exchange
    from uncrop.server.form import BodyLimits
    from uncrop.server.metrics import Metrics

_log = structlog.stdlib.get_logger("uncrop.server")


class Routes:
    """The handlers, and what they need.

    Parameters
    ----------
    service
        Open; closed by whoever opened it.
    metrics, works, budget, limits
        The server's own parts.
    """

    def __init__(
        self, service: Service, *, metrics: Metrics, works: Works, budget: BodyBudget, limits: BodyLimits
    ) -> None:
        self._service = service
        self._metrics = metrics
        self._works = works
        self._budget = budget
        self.limits = limits
        self._providers = frozenset(service.registry.names())
        self._compiled = False

    async def uncrop(self, request: Request) -> Response:
        """Extend an image: who asks, how often, what, and then the work."""
        exchange = exchange_of(request.scope)
        caller = await self._service.authenticator.authenticate(credentials(request.headers))
        exchange.caller = caller
        exchange.rate = await self._service.rates.hit(caller.organization_id or "")
        with self._budget.share() as share:
            wanted = to_request(await read_form(request.headers, request.receive, self.limits, share))
            flight = Flight()
            work = self._make(wanted, caller, flight, exchange)
            return to_response(await self._works.attend(work, flight, request.receive))

    async def livez(self, _request: Request) -> Response:
        """Say that the process answers."""
        return JSONResponse({"status": "ok"})

    async def readyz(self, _request: Request) -> Response:
        """Say whether requests can be served: the database with its migrations, and the engine, compiled and warm."""
        engine_works = self._engine_is_compiled() and not self._service.runner.warming
        checks = {"database": await self._database_answers(), "engine": engine_works}
        if not all(checks.values()):
            raise NotReady(details={"checks": checks})
        return JSONResponse({"status": "ready", "checks": checks})

    async def metrics(self, _request: Request) -> Response:
        """Tell Prometheus."""
        return Response(self._metrics.render(), media_type=MEDIA_TYPE)

    async def _make(self, wanted: UncropRequest, caller: Caller, flight: Flight, exchange: Exchange) -> UncropResult:
        """Make the picture and report on it, whether or not the client is still there."""
        watch = Stopwatch()
        outcome = "CANCELLED"
        exchange.provider = wanted.provider if wanted.provider in self._providers else "unknown"
        exchange.stages = watch.stages
        try:
            result = await self._service.uncropper.run(wanted, caller, flight=flight, watch=watch)
        except UncropError as error:
            outcome = error.code
            raise
        else:
            exchange.facts, outcome = result.facts, "OK"
            return result
        finally:
            self._metrics.picture(provider=exchange.provider, outcome=outcome, stages=watch.stages)
            if flight.abandoned:
                _log.info("the client left", provider=exchange.provider, outcome=outcome, sent=flight.sent)

    async def _database_answers(self) -> bool:
        try:
            await self._service.store.ping()
        except InternalError as error:
            _log.warning("database not ready", reason=error.system_message)
            return False
        return True

    def _engine_is_compiled(self) -> bool:
        # Once compiled, kernels stay; looking means reading all of the engine's sources.
        self._compiled = self._compiled or engine.is_compiled(self._service.settings.kernel_cache)
        return self._compiled

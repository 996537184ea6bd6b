"""The service: everything that fronts share, open, with the one function that they call."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio
import structlog

from uncrop.capacity.fair_queue import NOBODY
from uncrop.errors import ServerBusy, UncropError
from uncrop.providers.commitment import Commitment
from uncrop.service.provider_list import ProviderEntry, entries_of
from uncrop.service.readiness import Readiness, ReadinessChecks
from uncrop.service.report import RunReport
from uncrop.service.tasks import BackgroundTasks
from uncrop.uncropper import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from typing import Any

    from uncrop.admission.callers import Authenticator
    from uncrop.admission.rate_limits import RateLimiter
    from uncrop.capacity.capacity import Capacity
    from uncrop.model import Caller, UncropRequest, UncropResult
    from uncrop.providers.registry import Registry
    from uncrop.settings import Settings
    from uncrop.store.database import Store
    from uncrop.uncropper import Uncropper
    from uncrop.workers.engine_runner import ProcessRunner

_log = structlog.stdlib.get_logger("uncrop.service")


def stopping() -> ServerBusy:
    """Return what is told to those who are not served any more."""
    return ServerBusy("The server is stopping; try again later")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Everything that a front needs, open; closed by whoever opened it."""

    settings: Settings
    uncropper: Uncropper
    authenticator: Authenticator
    rates: RateLimiter
    store: Store
    registry: Registry
    capacity: Capacity
    runner: ProcessRunner
    tasks: BackgroundTasks = field(default_factory=BackgroundTasks)
    readiness_checks: ReadinessChecks = field(default_factory=ReadinessChecks)

    async def extend(
        self,
        keys: Sequence[str],
        read: Callable[[], Awaitable[UncropRequest]],
        left: Callable[[], Coroutine[Any, Any, None]],
        *,
        report: RunReport,
        finished: Callable[[RunReport, str], None],
    ) -> UncropResult:
        """Take one request from its credentials to its picture.

        Parameters
        ----------
        keys
            The credentials sent, in the order in which they count.
        read
            Reads what is asked; called once it is known who asks and that it is not too often.
        left
            Returns when the one who asked has left.
        report
            Filled in on the way, however it ends.
        finished
            Told the report and ``OK``, ``CANCELLED`` or the error's code when the work has ended, also after the one
            who asked has left.

        Raises
        ------
        UncropError
            Whatever it was, nothing is held any more.
        CallerLeft
        """
        caller = await self.authenticator.authenticate(keys)
        report.caller = caller
        report.rate = await self.rates.hit(caller.organization_id or "")
        # Whoever would be refused for want of a place need not send the body first.
        self.capacity.slots.check(caller.organization_id or NOBODY)
        request = await read()
        commitment = Commitment()
        return await self.tasks.attend(self._make(request, caller, commitment, report, finished), commitment, left())

    async def readiness(self) -> Readiness:
        """Tell whether requests can be served."""
        return await self.readiness_checks.look(self.store, self.runner, self.settings.kernel_cache)

    def providers(self) -> list[ProviderEntry]:
        """Return what can be told to anybody about each provider; never a secret."""
        return entries_of(self.registry)

    @property
    def stopping(self) -> bool:
        """Whether ``stop`` has been called."""
        return self.capacity.closed

    def stop(self) -> None:
        """Begin to stop: who waits for a turn, and who comes, is refused; what is worked on goes on."""
        self.capacity.close(stopping)

    def abandon(self) -> None:
        """End all work at once, billed or not."""
        self.tasks.cancel()

    async def drain(self) -> None:
        """Wait for the work that goes on without anybody who waits."""
        await self.tasks.drain()

    def _admit_by(self, report: RunReport) -> float:
        """Return when a request has waited for as long as a provider may take, counted from its first byte."""
        return anyio.current_time() + self.settings.provider_timeout_s - (time.monotonic() - report.arrived)

    async def _make(
        self,
        request: UncropRequest,
        caller: Caller,
        commitment: Commitment,
        report: RunReport,
        finished: Callable[[RunReport, str], None],
    ) -> UncropResult:
        """Make the picture and report on it, whether or not somebody still waits."""
        stopwatch = Stopwatch()
        outcome = "CANCELLED"
        report.provider = request.provider if request.provider in self.registry.names() else "unknown"
        report.stages = stopwatch.stages
        try:
            result = await self.uncropper.run(
                request, caller, commitment=commitment, stopwatch=stopwatch, admit_by=self._admit_by(report)
            )
        except UncropError as error:
            outcome = error.code
            raise
        else:
            report.result, outcome = result, "OK"
            return result
        finally:
            report.billed_calls = commitment.billed_calls
            finished(report, outcome)
            if commitment.abandoned:
                why = "the server is stopping" if self.stopping else "the client left"
                _log.info(why, provider=report.provider, outcome=outcome, sent=commitment.sent)

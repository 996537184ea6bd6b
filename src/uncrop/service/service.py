"""The service: everything that fronts share, open, with the one function that they call."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from uncrop.admission.admission import check_organization
from uncrop.capacity.fair_queue import NOBODY
from uncrop.errors import RequestCancelled, ServerBusy, UncropError
from uncrop.service.durations import Durations
from uncrop.service.pictures import Pictures, Work
from uncrop.service.provider_list import ProviderEntry, entries_of
from uncrop.service.quote import ALL, AUTO, makers_for, quote
from uncrop.service.readiness import Readiness, ReadinessChecks
from uncrop.service.report import RunEnd, RunReport
from uncrop.service.running import RunningRequests
from uncrop.service.tasks import BackgroundTasks, CallerLeft
from uncrop.telemetry.spans import UNTRACED
from uncrop.workers.decoding.decoder import INLINE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from typing import Any

    from uncrop.admission.callers import Authenticator
    from uncrop.admission.rate_limits import RateLimiter
    from uncrop.capacity.capacity import Capacity
    from uncrop.model import Caller, UncropRequest
    from uncrop.providers.registry import Registry
    from uncrop.service.pictures import MadePictures
    from uncrop.service.quote import Quote, QuoteRequest
    from uncrop.service.running import RunningRequest
    from uncrop.settings import Settings
    from uncrop.store.database import Store
    from uncrop.telemetry.spans import Tracer
    from uncrop.uncropper import Uncropper
    from uncrop.workers.decoding.decoder import Decoder
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
    decoder: Decoder = INLINE
    tasks: BackgroundTasks = field(default_factory=BackgroundTasks)
    running: RunningRequests = field(default_factory=RunningRequests)
    durations: Durations = field(default_factory=Durations)
    tracer: Tracer = UNTRACED
    readiness_checks: ReadinessChecks = field(default_factory=ReadinessChecks)

    async def extend(
        self,
        keys: Sequence[str],
        read: Callable[[], Awaitable[UncropRequest]],
        left: Callable[[], Coroutine[Any, Any, None]],
        *,
        report: RunReport,
        finished: Callable[[RunEnd], None],
        request_id: str = "",
    ) -> MadePictures:
        """Take one request from its credentials to its pictures.

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
            Told whenever a provider's work has ended, also after the one who asked has left.
        request_id
            Under which the caller may ask how far it is, and end it; empty: nobody will.

        Raises
        ------
        UncropError
            Whatever it was, nothing is held any more.
        RequestCancelled
            The caller has ended it by its id. As when one leaves, work that may be billed goes on by itself.
        CallerLeft
        """
        caller = await self._recognize(keys, report)
        # Whoever would be refused for want of a place need not send the body first.
        self.capacity.slots.check(caller.organization_id or NOBODY)
        with self.running.note(caller, request_id) as running:
            request = await read()
            work = self._make(request, caller, running, report, finished)
            try:
                return await self.tasks.attend(work, running.commitment, running.unwanted(left()))
            except CallerLeft as error:
                if not running.cancelled:
                    raise
                raise RequestCancelled(details={"calls_billed": running.commitment.billed_calls}) from error

    async def look_up(self, keys: Sequence[str], request_id: str) -> RunningRequest | None:
        """Return the caller's request that is being worked on, by its id, if it is; asking does not count as a request.

        Raises
        ------
        AuthenticationError
        """
        return self.running.find(await self.authenticator.authenticate(keys), request_id)

    async def quote(
        self, keys: Sequence[str], read: Callable[[], Awaitable[QuoteRequest]], *, report: RunReport
    ) -> tuple[Quote, ...]:
        """Tell what a picture would take, of the named provider or of all; nobody is called, and no picture is counted.

        Parameters
        ----------
        keys, read, report
            As for the picture itself.

        Raises
        ------
        UncropError
            The key or its organization is refused, it is too often, or nobody could make what is asked.
        """
        caller = await self._recognize(keys, report)
        wanted = await read()
        report.provider = self._told(wanted.request.provider)
        makers = makers_for(wanted.request.provider, self.registry, self.settings.auto_names)
        ask = partial(quote, durations=self.durations, max_output_pixels=self.settings.max_output_pixels)
        # In a thread of its own: a hostile header takes a third of a second to read.
        quotes = await to_thread.run_sync(ask, wanted, makers)
        check_organization(wanted.request, caller)
        return quotes

    async def readiness(self) -> Readiness:
        """Tell whether requests can be served."""
        return await self.readiness_checks.look(self.store, self.runner, self.settings.kernel_cache, self.decoder)

    def providers(self) -> list[ProviderEntry]:
        """Return what can be told to anybody about each provider; never a secret."""
        return entries_of(self.registry)

    @property
    def pictures(self) -> Pictures:
        """What makes the pictures."""
        return Pictures(
            uncropper=self.uncropper,
            registry=self.registry,
            auto=self.settings.auto_names,
            durations=self.durations,
            max_output_pixels=self.settings.max_output_pixels,
            tracer=self.tracer,
        )

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

    async def _recognize(self, keys: Sequence[str], report: RunReport) -> Caller:
        """Find out who asks, and count the request.

        Raises
        ------
        AuthenticationError
        RateLimitExceeded
        """
        caller = await self.authenticator.authenticate(keys)
        report.caller = caller
        report.rate = await self.rates.hit(caller.organization_id or "")
        return caller

    def _told(self, provider: str) -> str:
        """Return a provider's name as it may be told in log and metrics, where no client may add names."""
        return provider if provider in {*self.registry.names(), ALL, AUTO} else "unknown"

    def _admit_by(self, report: RunReport) -> float:
        """Return when a request has waited for as long as a provider may take, counted from its first byte."""
        return anyio.current_time() + self.settings.provider_timeout_s - (time.monotonic() - report.arrived)

    async def _make(
        self,
        request: UncropRequest,
        caller: Caller,
        running: RunningRequest,
        report: RunReport,
        finished: Callable[[RunEnd], None],
    ) -> MadePictures:
        """Make the picture and report on it, whether or not somebody still waits."""
        outcomes: list[str] = []
        commitment = running.commitment

        def ended(end: RunEnd) -> None:
            report.provider, report.stages = self._told(end.provider), end.stages
            report.billed_calls = commitment.billed_calls
            outcomes.append(end.outcome)
            finished(replace(end, provider=report.provider))

        work = Work(
            caller=caller,
            commitment=commitment,
            # A provider is asked how far it is only where somebody may want to know.
            progress_of=running.progress_of if running.request_id else None,
            begins=running.begin,
            admit_by=self._admit_by(report),
            ended=ended,
        )
        report.provider = self._told(request.provider)
        outcome = "CANCELLED"
        try:
            made = await self.pictures.make(request, work)
        except UncropError as error:
            report.tried, outcome = (error.details or {}).get("tried", ()), error.code
            raise
        else:
            report.made, outcome = made, "OK"
            report.tried = [attempt.to_json() for picture in made.pictures for attempt in picture.tried]
            return made
        finally:
            if not outcomes:
                # For ``auto``, nobody could even be asked.
                ended(RunEnd(provider=request.provider, outcome=outcome))
            if commitment.abandoned:
                why = "the server is stopping" if self.stopping else "the client left"
                _log.info(why, provider=report.provider, outcome=outcome, sent=commitment.sent)

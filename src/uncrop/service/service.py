"""The service: everything that fronts share, open, with the one function that they call."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import structlog
from anyio import to_thread

from uncrop.admission.admission import check_organization
from uncrop.admission.at_once import RequestsAtOnce
from uncrop.admission.callers import check_scope, network_of
from uncrop.admission.recent import RecentCallers
from uncrop.capacity.fair_queue import NOBODY
from uncrop.errors import AuthenticationError, AuthenticationRequired, RequestCancelled, ServerBusy, UncropError
from uncrop.model import Answer
from uncrop.model.policies import NO_LIMIT
from uncrop.service.administration import Administration
from uncrop.service.durations import Durations
from uncrop.service.once import Once
from uncrop.service.pictures import Pictures, Work
from uncrop.service.provider_list import ProviderEntry, entries_of
from uncrop.service.quote import ALL, AUTO, makers_for, quote
from uncrop.service.readiness import Readiness, ReadinessChecks
from uncrop.service.report import RunEnd, RunReport
from uncrop.service.running import RunningRequests
from uncrop.service.tasks import BackgroundTasks, CallerLeft, while_there
from uncrop.telemetry.spans import UNTRACED
from uncrop.workers.decoding.decoder import INLINE

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence
    from typing import Any

    from uncrop.admission.callers import Authenticator
    from uncrop.admission.idempotency import Idempotency
    from uncrop.admission.rate_limits import RateLimiter
    from uncrop.capacity.capacity import Capacity
    from uncrop.errors import RateLimitState
    from uncrop.ledger.ledger import Ledger
    from uncrop.model import Caller, Scope, UncropRequest
    from uncrop.providers.registry import Registry
    from uncrop.service.once import Asked
    from uncrop.service.pictures import MadePictures
    from uncrop.service.quote import Quote, QuoteRequest
    from uncrop.service.running import RunningRequest
    from uncrop.settings import Settings
    from uncrop.store.database import Store
    from uncrop.telemetry.spans import Tracer
    from uncrop.uncropper import Uncropper
    from uncrop.workers.decoding.decoder import Decoder
    from uncrop.workers.engine_runner import WarmRunner

_log = structlog.stdlib.get_logger("uncrop.service")


def stopping() -> ServerBusy:
    """Return what is told to those who are not served any more."""
    return ServerBusy("The server is stopping; try again later")


@dataclass(frozen=True, kw_only=True, slots=True)
class Service:
    """Everything that a front needs, open; closed by whoever opened it.

    ``idempotency`` is ``None`` where no answers are kept; then keys of requests are passed over.
    """

    settings: Settings
    uncropper: Uncropper
    authenticator: Authenticator
    rates: RateLimiter
    store: Store
    registry: Registry
    capacity: Capacity
    ledger: Ledger
    runner: WarmRunner
    decoder: Decoder = INLINE
    tasks: BackgroundTasks = field(default_factory=BackgroundTasks)
    running: RunningRequests = field(default_factory=RunningRequests)
    at_once: RequestsAtOnce = field(default_factory=RequestsAtOnce)
    recent: RecentCallers = field(default_factory=RecentCallers)
    durations: Durations = field(default_factory=Durations)
    tracer: Tracer = UNTRACED
    readiness_checks: ReadinessChecks = field(default_factory=ReadinessChecks)
    idempotency: Idempotency | None = None
    _leaving: threading.Event = field(default_factory=threading.Event)

    async def extend(
        self,
        keys: Sequence[str],
        read: Callable[[], Awaitable[Asked]],
        left: Callable[[], Coroutine[Any, Any, None]],
        *,
        report: RunReport,
        finished: Callable[[RunEnd], None],
        request_id: str = "",
    ) -> MadePictures | Answer:
        """Take one request from its credentials to its pictures, or, under a key, to its answer.

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
        IdempotencyInProgress, IdempotencyMismatch, IdempotencyOutcomeUnknown, ResultNotKept
            The key is bound to another request, or to one that has no answer.
        CallerLeft
        """
        await self._refuse_early(keys, report)
        caller = await self.admit(keys, report, "images:write")
        owner = caller.organization_id or NOBODY
        with self.at_once.take(caller) as place, self.running.note(caller, request_id) as running:
            # Whoever would be refused for want of a place need not send the body first.
            self.capacity.slots.check(owner)
            asked = await read()
            with self.capacity.slots.expect(owner) as running.asks_for_turn:
                once = await self._begin(caller, asked)
                if isinstance(once, Answer):
                    report.replayed = True
                    return once
                work = self._carry_out(asked.request, caller, running, report, finished, once)
                try:
                    return await self.tasks.attend(place.held_for(work), running.commitment, running.unwanted(left()))
                except CallerLeft as error:
                    if not running.cancelled:
                        raise
                    raise RequestCancelled(details={"calls_billed": running.commitment.billed_calls}) from error

    async def look_up(self, keys: Sequence[str], request_id: str, *, report: RunReport) -> RunningRequest | None:
        """Return the caller's request that is being worked on, by its id, if it is; asking does not count as a request.

        Raises
        ------
        AuthenticationError
        ScopeMissing
        """
        return self.running.find(await self.identify(keys, report, "images:write"), request_id)

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
        caller = await self.admit(keys, report, "images:write")
        wanted = await read()
        report.provider = self.told(wanted.request.provider)
        makers = makers_for(wanted.request.provider, self.registry, self.settings.auto_names, caller.provider_keys)
        ask = partial(quote, durations=self.durations, max_output_pixels=self.settings.max_output_pixels, caller=caller)
        # In a thread of its own: a hostile header takes a third of a second to read.
        quotes = await to_thread.run_sync(ask, wanted, makers)
        check_organization(wanted.request, caller)
        return quotes

    async def recognize(self, keys: Sequence[str], report: RunReport) -> Caller:
        """Find out who asks for something else than pictures, and count that apart from requests for pictures.

        Raises
        ------
        AuthenticationError
        RateLimitExceeded
        """
        caller = await self._authenticate(keys, report)
        # A page that looks at the books all day must not keep its organization from making pictures.
        report.rate = await self.rates.hit(f"administration {caller.organization_id}")
        return caller

    @property
    def administration(self) -> Administration:
        """What can be done with organizations and keys."""
        return Administration(store=self.store, rows=self.settings.rows)

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

    @property
    def leaving(self) -> bool:
        """Whether ``leave`` or ``stop`` has been called."""
        return self._leaving.is_set() or self.stopping

    def leave(self) -> None:
        """Say that the service will stop soon: all that comes until then is still taken."""
        self._leaving.set()

    def stop(self) -> None:
        """Begin to stop: who waits for a turn, and who comes, is refused; what is worked on goes on."""
        self.capacity.close(stopping)

    def abandon(self) -> None:
        """End all work at once, billed or not."""
        self.tasks.cancel()

    async def drain(self) -> None:
        """Wait for the work that goes on without anybody who waits."""
        await self.tasks.drain()

    async def admit(self, keys: Sequence[str], report: RunReport, scope: Scope) -> Caller:
        """Find out who asks, count the request, and look whether the key may be used for it.

        Raises
        ------
        AuthenticationError
        RateLimitExceeded
        ScopeMissing
        """
        caller = await self._authenticate(keys, report)
        await self._count(caller, report, scope)
        return caller

    async def _count(self, caller: Caller, report: RunReport, scope: Scope) -> None:
        report.rate = await self._hit(caller)
        check_scope(caller, scope)

    async def _refuse_early(self, keys: Sequence[str], report: RunReport) -> None:
        """Refuse a request that finds no place, where its caller was known a moment ago, without asking the database.

        What is told and counted is what would be told and counted otherwise; only that a key was refused since then is
        told when there is a place again.

        Raises
        ------
        ServerBusy
        RateLimitExceeded
        ScopeMissing
        """
        caller = self.recent.find(keys)
        if caller is None:
            return
        try:
            self.capacity.slots.check(caller.organization_id or NOBODY)
        except ServerBusy:
            report.caller = caller
            await self._count(caller, report, "images:write")
            with self.at_once.take(caller):
                raise

    async def _hit(self, caller: Caller) -> RateLimitState | None:
        """Count a request of an organization, and of its key where that has a limit; return the scarcer state."""
        organization_id = caller.organization_id or ""
        states: list[RateLimitState] = []
        if caller.policy.requests_per_minute != NO_LIMIT:
            states.append(await self.rates.hit(organization_id, caller.policy.requests_per_minute))
        if per_minute := caller.key_policy.requests_per_minute:
            states.append(await self.rates.hit_key(organization_id, caller.key_id or "", per_minute))
        return min(states, key=lambda state: state.remaining, default=None)

    async def identify(self, keys: Sequence[str], report: RunReport, scope: Scope) -> Caller:
        """Find out who asks for something that does not count as a request, and look whether the key may.

        Raises
        ------
        AuthenticationError
        RateLimitExceeded
            Too many refused keys came from this address.
        ScopeMissing
        """
        caller = await self._authenticate(keys, report)
        check_scope(caller, scope)
        return caller

    async def _authenticate(self, keys: Sequence[str], report: RunReport) -> Caller:
        """Find out who asks.

        Keys that are refused are counted by address, as many as an organization may send requests; what is sent beyond
        is told so, whatever it is. A valid key is never refused for it: behind a proxy, all come from one address.

        Raises
        ------
        AuthenticationError
        RateLimitExceeded
        CallerLeft
            Meanwhile.
        """
        try:
            with while_there(report.left):
                caller = await self.authenticator.authenticate(keys)
        except AuthenticationRequired:
            raise
        except AuthenticationError:
            await self.rates.hit(f"address {network_of(report.address)}")
            raise
        report.caller = caller
        self.recent.note(keys, caller)
        return caller

    async def _begin(self, caller: Caller, asked: Asked) -> Once | Answer | None:
        """Return what was answered before, or what carries a request out once; ``None`` for one without a key."""
        repeatable = asked.repeatable
        if repeatable is None or self.idempotency is None:
            return None
        found = await self.idempotency.begin(
            caller, repeatable.key, repeatable.fingerprint, make_room=repeatable.make_room
        )
        return found if isinstance(found, Answer) else Once(self.idempotency, found, repeatable)

    def told(self, provider: str) -> str:
        """Return a provider's name as it may be told in log and metrics, where no client may add names."""
        return provider if provider in {*self.registry.names(), ALL, AUTO} else "unknown"

    def _admit_by(self, report: RunReport) -> float:
        """Return when a request has waited for as long as a provider may take, counted from its first byte."""
        return anyio.current_time() + self.settings.provider_timeout_s - (time.monotonic() - report.arrived)

    async def _carry_out(
        self,
        request: UncropRequest,
        caller: Caller,
        running: RunningRequest,
        report: RunReport,
        finished: Callable[[RunEnd], None],
        once: Once | None,
    ) -> MadePictures | Answer:
        work = self._make(request, caller, running, report, finished, once)
        return await (work if once is None else once.see_through(work, running.commitment))

    async def _make(
        self,
        request: UncropRequest,
        caller: Caller,
        running: RunningRequest,
        report: RunReport,
        finished: Callable[[RunEnd], None],
        once: Once | None,
    ) -> MadePictures:
        """Make the picture and report on it, whether or not somebody still waits."""
        outcomes: list[str] = []
        commitment = running.commitment

        def ended(end: RunEnd) -> None:
            report.provider, report.stages = self.told(end.provider), end.stages
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
            claim=None if once is None else once.claim,
            keep=None if once is None else once.keep,
        )
        report.provider = self.told(request.provider)
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

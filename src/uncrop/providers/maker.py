"""A provider at work: its conversation is held, step by step, with the transport and the engine's workers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from inspect import GEN_RUNNING, getgeneratorstate
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from uncrop.capacity.pixel_memory import finishing_bytes
from uncrop.errors import (
    InternalError,
    InvalidRequest,
    ProviderAuthenticationFailed,
    ProviderFault,
    ProviderQuotaExhausted,
    ProviderTimeout,
    UncropError,
)
from uncrop.imaging.cost import cost_of
from uncrop.placement.likeness import check_belongs
from uncrop.providers.conversation import Answer, Call, Extend, Unpack, Unpacked, Wait
from uncrop.providers.side_calls import cancel, report
from uncrop.providers.steps import Steps
from uncrop.providers.transport.addresses import Addresses
from uncrop.providers.transport.breaker import Breaker
from uncrop.workers.decoding.decoder import INLINE
from uncrop.workers.watched import watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from uncrop.capacity.unpacking import UnpackPlace
    from uncrop.model import Fill, Plan, Progress, ProviderFacts, Task
    from uncrop.providers.base import Provider
    from uncrop.providers.commitment import Commitment
    from uncrop.providers.conversation import Conversation, Step
    from uncrop.providers.steps import Finish
    from uncrop.providers.transport.breaker import Watch
    from uncrop.providers.transport.sender import Send
    from uncrop.workers.decoding.decoder import Decoder
    from uncrop.workers.engine_runner import EngineRunner

T = TypeVar("T")
CANCEL_S, EXAMINE_S = 5.0, 30.0
# Of these it is not told by whom: the provider behind may have made the picture all the same.
GATEWAYS = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.GATEWAY_TIMEOUT})
# With these a provider refuses a call for want of a valid key, of credits, or of patience, before it makes anything.
UNBILLED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.PAYMENT_REQUIRED, HTTPStatus.TOO_MANY_REQUESTS})
OWN_KEY_REFUSED = "The provider refused the organization's own key, or its account has no credits left"
TOO_LATE = "The provider did not answer within the deadline"


@dataclass(frozen=True, kw_only=True, slots=True)
class MakerContext:
    """What all makers share.

    Attributes
    ----------
    send
        Sends one call.
    engine
        Where the local engine computes.
    timeout_s
        Seconds for all calls of one picture, from the moment the first begins.
    clock
        Monotonic seconds.
    sleep
        Waits for so many seconds.
    threads
        How many steps are worked out at once.
    decoder
        Decodes the providers' pictures.
    """

    send: Send
    engine: EngineRunner
    timeout_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(2))
    decoder: Decoder = INLINE


@dataclass(frozen=True, kw_only=True, slots=True)
class Between:
    """What is done between two calls of one picture.

    Attributes
    ----------
    finish
        Puts what is known back into what a call made, and matches the two.
    """

    finish: Finish


class Maker:
    """One provider with all that it needs to make pictures.

    Attributes
    ----------
    breaker
        ``None`` for a provider that computes on this machine.
    """

    def __init__(self, provider: Provider, context: MakerContext, *, own_key: bool = False) -> None:
        self._provider = provider
        self._own_key = own_key
        self._context = context
        self._addresses = Addresses.of(provider.facts, provider.settings.base_url)
        here = provider.facts.computes_here
        self.breaker = None if here else Breaker(provider.facts.name, clock=context.clock)

    @property
    def facts(self) -> ProviderFacts:
        """The row of facts about this provider, as it is configured."""
        return self._provider.facts

    def check_configured(self) -> None:
        """Raise ``ProviderNotConfigured`` when a setting is missing without which no call can be made."""
        self._provider.check_configured()

    def check_well(self) -> None:
        """Raise ``ProviderUnavailable`` while the provider is given a pause, so that no call would be let through."""
        if self.breaker is not None:
            self.breaker.check()

    async def examine(self) -> tuple[str, ...] | None:
        """Return a line for each thing that the provider's server lacks; ``None`` where it is not asked.

        Raises
        ------
        UncropError
            The provider is not configured, or its server did not tell in time.
        """
        examination = self._provider.examine()
        if examination is None:
            return None
        self._provider.check_configured()
        try:
            with anyio.fail_after(EXAMINE_S):
                call = next(examination)
                while True:
                    call = examination.send(await self._context.send(call, self._addresses, None))
        except StopIteration as end:
            missing: tuple[str, ...] = end.value
            return missing
        except TimeoutError as error:
            raise ProviderTimeout(system_message=TOO_LATE) from error

    async def fill(
        self,
        task: Task,
        commitment: Commitment,
        *,
        progress: Progress | None = None,
        place: UnpackPlace | None = None,
        between: Between | None = None,
    ) -> Fill:
        """Make the pixels of the task's canvas, by all the calls of its plan, within one deadline.

        Parameters
        ----------
        task
            What to make.
        commitment
            Told before anything is sent that may be billed.
        progress
            Told how far the work is, in any thread; what it raises ends the work.
        place
            Where an answer waits for its turn to be unpacked.
        between
            What is done between the calls of a plan that is more than one direct call.

        Raises
        ------
        UncropError
            Where a call was billed before the one that failed, with ``calls_billed`` in its details.
        """
        run = _Run(self._provider, self._context, self._addresses, commitment, progress, place)
        if self.breaker is None:
            return await run.make(task, between)
        try:
            with self.breaker.watch() as watch:
                return await run.make(task, between, watch)
        except UncropError as error:
            error.details = {"provider": self.facts.name, **run.billed(), **(error.details or {})}
            if self._own_key and isinstance(error, ProviderAuthenticationFailed | ProviderQuotaExhausted):
                # It is for the organization to act, not for whoever runs this server.
                error.message, error.details["key"] = OWN_KEY_REFUSED, "organization"
            raise


class _Run:
    """The conversations of one picture, each held to its end: one, but for the calls of a plan."""

    def __init__(
        self,
        provider: Provider,
        context: MakerContext,
        addresses: Addresses,
        commitment: Commitment,
        progress: Progress | None,
        place: UnpackPlace | None,
    ) -> None:
        self._provider = provider
        self._context = context
        self._addresses = addresses
        self._commitment = commitment
        self._progress = progress
        self._place = place
        self._deadline: float | None = None
        self._last_status = self._submit_status = 0
        self._calls, self._calls_made = 1, 0
        self._finishing = 0

    def billed(self) -> dict[str, int]:
        """Return, where a call was made before the one that failed, how many may have been billed."""
        return {"calls_billed": self._commitment.billed_calls} if self._calls_made and self._commitment.sent else {}

    async def make(self, task: Task, between: Between | None, watch: Watch | None = None) -> Fill:
        """Make a picture by the calls of its plan; without one, or where it is direct, by one conversation."""
        plan = task.job.plan
        self._finishing = finishing_bytes(task.job)
        if plan is None or plan.direct:
            return await self.hold(task, watch)
        if between is None:
            raise InternalError(system_message="A plan of several calls needs to know what is done between them")
        return await self._make_by(plan, task, between, watch)

    async def _make_by(self, plan: Plan, task: Task, between: Between, watch: Watch | None) -> Fill:
        self._calls = len(plan.calls)
        steps = Steps(task, plan, between.finish)
        for call in plan.calls:
            if self._calls_made:
                self._commitment.check_next()
            asked = await self._in_thread(steps.task_of, call)
            made = await self.hold(asked, watch)
            await self._in_thread(steps.take, call, made)
            if self._place is not None and call is not plan.calls[-1]:
                self._place.let_go()
            self._calls_made += 1
        return steps.fill()

    async def hold(self, task: Task, watch: Watch | None = None) -> Fill:
        """Do what the provider says until it returns its pixels."""
        self._commitment.check()
        self._provider.check_configured()
        conversation, before = self._provider.converse(task), self._commitment.billed_calls
        self._submit_status = 0
        try:
            reply: object = None
            step: Step | Fill | None = None
            while True:
                step = await self._next(conversation, reply, step)
                if not isinstance(step, Call | Wait | Extend | Unpack):
                    self._note_made(step, before)
                    before = self._commitment.billed_calls
                    await self._in_thread(check_belongs, task, step)
                    return step
                reply = await self._do(step)
        except UncropError as error:
            self._note_failed(error, before)
            # The provider is well; the request, the key or the account is not.
            if watch is not None and self._is_refusal(error):
                watch.excuse()
            raise
        finally:
            # Work that is ended while the provider thinks does not wait for it; its thread lets go of it later.
            if getgeneratorstate(conversation) != GEN_RUNNING:
                conversation.close()

    def _note_made(self, made: Fill, before: int) -> None:
        """Note what the conversation's calls cost: the provider's words are about all of them together."""
        for number in range(self._commitment.billed_calls - before):
            if number:
                self._commitment.note_failure(charged=False)
            else:
                self._commitment.note_cost(made.facts)

    def _note_failed(self, error: UncropError, before: int) -> None:
        """Note whether the conversation's calls are billed; where that is not known, it stays in doubt."""
        charged = self._is_charged(error)
        if charged is not None:
            for number in range(self._commitment.billed_calls - before):
                self._commitment.note_failure(charged=charged and not number)

    def _is_charged(self, error: UncropError) -> bool | None:
        """Tell whether a failure is billed: whoever tells that there is no picture does not bill for one.

        A submit that was not answered may be, and so may one whose picture did not come, or was none.
        """
        if error.charged is not None:
            return error.charged
        status = self._submit_status
        if status >= HTTPStatus.BAD_REQUEST:
            return None if status in GATEWAYS else False
        return False if status and not isinstance(error, ProviderFault) else None

    async def _next(self, conversation: Conversation, reply: object, last: Step | Fill | None) -> Step | Fill:
        """Let the provider go on from its last step; work that is ended meanwhile is ended there as well."""
        try:
            return await self._in_thread(_resume, conversation, reply)
        except anyio.get_cancelled_exc_class():
            if isinstance(last, Call | Wait):
                await self._cancel(last)
            raise

    def _is_refusal(self, error: UncropError) -> bool:
        """Tell whether the last answer refused, by its status, or by what it said with any other."""
        told_by_status = HTTPStatus.BAD_REQUEST <= self._last_status < HTTPStatus.INTERNAL_SERVER_ERROR
        return told_by_status or (self._last_status > 0 and not isinstance(error, ProviderFault))

    async def _do(self, step: Step) -> object:
        if isinstance(step, Unpack):
            return await self._unpack(step)
        if isinstance(step, Extend):
            return await self._context.engine.extend(
                step.photo,
                step.sides,
                seed=step.seed,
                quality=step.quality,
                confidence_map=step.confidence_map,
                is_variation=step.is_variation,
                progress=None if self._progress is None else self._tell,
            )
        try:
            with anyio.fail_after(self._seconds_left()):
                reply = await (self._send(step) if isinstance(step, Call) else self._wait(step))
        except TimeoutError as error:
            await self._cancel(step)
            raise ProviderTimeout(system_message=TOO_LATE) from error
        except UncropError:
            raise
        except (anyio.get_cancelled_exc_class(), Exception):  # the last: whoever watches the progress wants no more
            await self._cancel(step)
            raise
        if self._place is not None and isinstance(step, Call) and step.holds_picture and _is_ok(reply):
            await self._place.take()
        return reply

    async def _unpack(self, step: Unpack) -> Unpacked | InvalidRequest:
        if self._place is not None:
            cost = cost_of(step.file)
            await self._place.hold(cost.peak_bytes + cost.pixel_bytes + self._finishing)
        return await self._in_thread(_unpack, self._context.decoder, step)

    async def _send(self, call: Call) -> Answer:
        self._last_status = 0
        commitment = self._commitment if self._provider.facts.bills else None

        async def send() -> Answer:
            return await self._context.send(call, self._addresses, commitment)

        poll = call.progress
        if poll is None or self._progress is None:
            answer = await send()
        else:
            answer = await watched(send, lambda: report(poll, self._ask, self._context.sleep, self._tell))
        if call.kind == "submit":
            self._submit_status = answer.status
            if commitment is not None and answer.status in UNBILLED:
                await commitment.take_back()
        # No key goes along with a download: whatever is wrong with its address is the provider's fault.
        self._last_status = 0 if call.kind == "download" else answer.status
        return answer

    async def _ask(self, call: Call) -> Answer:
        """Send a call beside the one that makes the picture."""
        return await self._context.send(call, self._addresses, None)

    async def _wait(self, pause: Wait) -> None:
        if pause.fraction is not None:
            self._tell(pause.fraction, pause.step)
        await self._context.sleep(max(0.0, pause.seconds))

    def _tell(self, fraction: float, step: str) -> None:
        """Tell how far the picture is, of which each call is an equal share."""
        if self._progress is not None:
            self._progress((self._calls_made + fraction) / self._calls, step)

    async def _cancel(self, step: Call | Wait) -> None:
        """Tell the provider to stop, where it can be told; whether it did changes nothing for us."""
        if step.on_cancel is None:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(CANCEL_S):
            await cancel(step.on_cancel, self._ask)

    def _seconds_left(self) -> float:
        now = anyio.current_time()
        if self._deadline is None:
            self._deadline = now + self._context.timeout_s
        return max(0.0, self._deadline - now)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await to_thread.run_sync(function, *arguments, limiter=self._context.threads)


def _resume(conversation: Conversation, reply: object) -> Step | Fill:
    """Let the provider go on, up to its next step or its end."""
    try:
        return conversation.send(reply)
    except StopIteration as end:
        fill: Fill = end.value
        return fill


def _unpack(decoder: Decoder, step: Unpack) -> Unpacked | InvalidRequest:
    """Decode a picture, or return what is wrong with it, which the provider puts into its own words."""
    try:
        colours, alpha = decoder.answer(step.file, step.photo)
    except InvalidRequest as error:
        return error
    return Unpacked(colours=colours, alpha=alpha)


def _is_ok(reply: object) -> bool:
    return isinstance(reply, Answer) and reply.status == HTTPStatus.OK

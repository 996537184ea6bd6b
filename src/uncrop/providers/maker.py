"""A provider at work: its conversation is held, step by step, with the transport and the engine's workers."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from inspect import GEN_RUNNING, getgeneratorstate
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from uncrop.errors import ProviderTimeout, UncropError
from uncrop.providers.conversation import Answer, Call, Extend, Wait
from uncrop.providers.side_calls import cancel
from uncrop.providers.transport.addresses import Addresses
from uncrop.providers.transport.breaker import Breaker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from uncrop.capacity.unpacking import UnpackPlace
    from uncrop.model import Fill, Progress, ProviderFacts, Task
    from uncrop.providers.base import Provider
    from uncrop.providers.commitment import Commitment
    from uncrop.providers.conversation import Conversation, Step
    from uncrop.providers.transport.breaker import Watch
    from uncrop.providers.transport.sender import Send
    from uncrop.workers.engine_runner import EngineRunner

T = TypeVar("T")
CANCEL_S, EXAMINE_S = 5.0, 30.0
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
    """

    send: Send
    engine: EngineRunner
    timeout_s: float
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(2))


class Maker:
    """One provider with all that it needs to make pictures.

    Attributes
    ----------
    breaker
        ``None`` for a provider that computes on this machine.
    """

    def __init__(self, provider: Provider, context: MakerContext) -> None:
        self._provider = provider
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
    ) -> Fill:
        """Make the pixels of the task's canvas.

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

        Raises
        ------
        UncropError
        """
        run = _Run(self._provider, self._context, self._addresses, commitment, progress, place)
        if self.breaker is None:
            return await run.hold(task)
        try:
            with self.breaker.watch() as watch:
                return await run.hold(task, watch)
        except UncropError as error:
            error.details = {"provider": self.facts.name, **(error.details or {})}
            raise


class _Run:
    """One conversation, held to its end."""

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
        self._last_status = 0

    async def hold(self, task: Task, watch: Watch | None = None) -> Fill:
        """Do what the provider says until it returns its pixels."""
        self._commitment.check()
        self._provider.check_configured()
        conversation = self._provider.converse(task)
        try:
            reply: object = None
            step: Step | Fill | None = None
            while True:
                step = await self._next(conversation, reply, step)
                if not isinstance(step, Call | Wait | Extend):
                    return step
                reply = await self._do(step)
        except UncropError:
            # The provider is well; the request, the key or the account is not.
            if watch is not None and HTTPStatus.BAD_REQUEST <= self._last_status < HTTPStatus.INTERNAL_SERVER_ERROR:
                watch.excuse()
            raise
        finally:
            # Work that is ended while the provider thinks does not wait for it; its thread lets go of it later.
            if getgeneratorstate(conversation) != GEN_RUNNING:
                conversation.close()

    async def _next(self, conversation: Conversation, reply: object, last: Step | Fill | None) -> Step | Fill:
        """Let the provider go on from its last step; work that is ended meanwhile is ended there as well."""
        try:
            return await self._in_thread(_resume, conversation, reply)
        except anyio.get_cancelled_exc_class():
            if isinstance(last, Call | Wait):
                await self._cancel(last)
            raise

    async def _do(self, step: Step) -> object:
        if isinstance(step, Extend):
            return await self._context.engine.extend(
                step.photo,
                step.sides,
                seed=step.seed,
                quality=step.quality,
                confidence_map=step.confidence_map,
                progress=self._progress,
            )
        try:
            with anyio.fail_after(self._seconds_left()):
                reply = await (self._send(step) if isinstance(step, Call) else self._wait(step))
        except TimeoutError as error:
            await self._cancel(step)
            raise ProviderTimeout(system_message=TOO_LATE) from error
        except anyio.get_cancelled_exc_class():
            await self._cancel(step)
            raise
        if self._place is not None and isinstance(step, Call) and step.holds_picture and _is_ok(reply):
            await self._place.take()
        return reply

    async def _send(self, call: Call) -> Answer:
        self._last_status = 0
        answer = await self._context.send(
            call, self._addresses, self._commitment if self._provider.facts.bills else None
        )
        # No key goes along with a download: whatever is wrong with its address is the provider's fault.
        self._last_status = 0 if call.kind == "download" else answer.status
        return answer

    async def _wait(self, pause: Wait) -> None:
        if self._progress is not None and pause.fraction is not None:
            self._progress(pause.fraction, pause.step)
        await self._context.sleep(max(0.0, pause.seconds))

    async def _cancel(self, step: Call | Wait) -> None:
        """Tell the provider to stop, where it can be told; whether it did changes nothing for us."""
        if step.on_cancel is None:
            return
        with anyio.CancelScope(shield=True), anyio.move_on_after(CANCEL_S):
            await cancel(step.on_cancel, self._ask)

    async def _ask(self, call: Call) -> Answer:
        """Send a call beside the one that makes the picture."""
        return await self._context.send(call, self._addresses, None)

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


def _is_ok(reply: object) -> bool:
    return isinstance(reply, Answer) and reply.status == HTTPStatus.OK

"""Works on messages: each is signed and sent, and what came of it is written down, whatever happens in between."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

import anyio
import structlog

from uncrop.errors import ServerBusy
from uncrop.store.deliveries import Next, Sent
from uncrop.webhooks.schedule import next_of
from uncrop.webhooks.sending import Outcome
from uncrop.webhooks.signing import signed_headers

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import timedelta

    from uncrop.store.deliveries import Adding, Deliveries, Due
    from uncrop.webhooks.sending import Send

# What is sent when this process shall end has so long for its answer; then it is somebody else's.
GRACE_S = 5.0
AFTER_STOP_S = 5.0  # before which a message that was handed back is not sent again

T = TypeVar("T")
_log = structlog.stdlib.get_logger("uncrop.webhooks")


class _GivenUp(Exception):
    """Nothing more may be done for the message by this process."""


def entry_of(delivery_id: str, round_number: int) -> str:
    """Return how a message's entry in the queue is called, which no other round of it is."""
    return f"{delivery_id}:{round_number}"


def entries_of(delivery_id: str, round_number: int) -> tuple[str, ...]:
    """Return what all its entries up to a round were called."""
    return tuple(entry_of(delivery_id, each) for each in range(round_number + 1))


@dataclass(kw_only=True)
class Deliverer:
    """Sends the messages of one queue.

    Attributes
    ----------
    deliveries
        What is kept of them.
    send
        Sends one.
    adding
        Adds one to the queue again.
    keep
        For how long what is known of one is kept once it has ended.
    stopping
        Whether this process shall end.
    sleep, draw
        Wait for so many seconds; a number from 0 to 1, at random.
    """

    deliveries: Deliveries
    send: Send
    adding: Adding
    keep: timedelta
    stopping: Callable[[], bool]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    draw: Callable[[], float] = random.random
    _sending: set[anyio.CancelScope] = field(default_factory=set)
    _open: set[asyncio.Event] = field(default_factory=set)

    async def run(self, entry: str) -> None:
        """Send a message once, by its entry in the queue; raises nothing."""
        ended = asyncio.Event()
        self._open.add(ended)
        delivery_id, _, round_number = entry.partition(":")
        try:
            with suppress(_GivenUp):
                due = await self._patiently(lambda: self.deliveries.take(delivery_id, int(round_number)))
                if due is not None:
                    await self._attend(due)
        finally:
            self._open.discard(ended)
            ended.set()

    def stop(self) -> None:
        """Let what is being sent come to its end soon."""
        for scope in self._sending:
            scope.deadline = min(scope.deadline, anyio.current_time() + GRACE_S)

    async def drain(self) -> None:
        """Wait for what is being sent."""
        while self._open:
            await next(iter(self._open)).wait()

    async def _patiently(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do something, again and again while the database cannot be used."""
        while True:
            try:
                return await work()
            except ServerBusy as error:
                if self.stopping():
                    _log.error("a message was left as it is", reason=error.system_message)
                    raise _GivenUp from error
                await self.sleep(error.retry_after or 1)

    async def _attend(self, due: Due) -> None:
        outcome = None if self.stopping() else await self._outcome(due)
        if outcome is None:
            await self._patiently(
                lambda: self.deliveries.hand_back(due.delivery, wait_s=AFTER_STOP_S, adding=self.adding)
            )
            return
        after = next_of(outcome.sent.failure, due.delivery.tries + 1, asked_s=outcome.asked_s, draw=self.draw)
        await self._patiently(lambda: self._record(due, outcome.sent, after))

    async def _outcome(self, due: Due) -> Outcome | None:
        """Return what came of sending a message; ``None``: this process ends before that is known."""
        if not due.enabled:
            return Outcome(sent=Sent(failure="disabled", attempted=False))
        if not due.secrets:
            return Outcome(sent=Sent(failure="secret"))
        headers = signed_headers(due.delivery.id, due.at, due.payload, due.secrets)
        with anyio.CancelScope() as scope:
            self._sending.add(scope)
            try:
                return await self.send(due.url, headers, due.payload)
            finally:
                self._sending.discard(scope)
        return None

    async def _record(self, due: Due, sent: Sent, after: Next) -> None:
        disabled = await self.deliveries.record(due, sent, after, keep=self.keep, adding=self.adding)
        delivery = due.delivery
        if disabled is False:
            _log.info("a late answer was passed over: the message is another's by now", message=delivery.id)
            return
        if after.state == "failed":
            _log.warning("a message was not taken", message=delivery.id, webhook=delivery.webhook_id, why=sent.failure)
        if disabled is not None:
            _log.warning("a webhook was disabled", webhook=delivery.webhook_id, reason=disabled)

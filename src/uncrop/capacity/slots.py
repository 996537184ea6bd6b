"""Slots: how many requests are worked on at once, and how many may wait."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from uncrop.errors import ServerBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Slots:
    """A bounded number of slots and of places to wait for one; first come, first served.

    Parameters
    ----------
    max_running
        Slots.
    max_waiting
        Places in the queue; 0: whoever finds no slot is refused.
    retry_after
        Seconds after which those refused are told to come back.

    Raises
    ------
    ValueError
        There is no slot, or less than no place.
    """

    def __init__(self, max_running: int, max_waiting: int, *, retry_after: float = 5) -> None:
        if max_running < 1 or max_waiting < 0:
            raise ValueError("at least one slot and no fewer than zero places are needed")
        self.max_running = max_running
        self.max_waiting = max_waiting
        self._retry_after = retry_after
        self._running = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @property
    def running(self) -> int:
        """How many slots are held."""
        return self._running

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return len(self._queue)

    @asynccontextmanager
    async def hold(self) -> AsyncIterator[None]:
        """Hold a slot; wait for it if there is a place in the queue.

        Raises
        ------
        ServerBusy
            At once, when all slots and all places are taken.
        """
        await self._take()
        try:
            yield
        finally:
            self._give_back()

    async def _take(self) -> None:
        # A free slot while somebody waits is impossible: it is passed on in the moment it is given back.
        if self._running < self.max_running:
            self._running += 1
            return
        if len(self._queue) >= self.max_waiting:
            raise ServerBusy(retry_after=self._retry_after)
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except (asyncio.CancelledError, GeneratorExit):
            if turn.done() and not turn.cancelled():
                # The slot was passed on to us in the same moment in which we were told to stop.
                self._give_back()
            else:
                turn.cancel()
                # It may have been skipped, and so taken out, before we ran again.
                with suppress(ValueError):
                    self._queue.remove(turn)
            raise

    def _give_back(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._running -= 1

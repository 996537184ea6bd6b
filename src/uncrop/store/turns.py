"""Turns on a few connections, in the order in which they are asked for."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

# So often a waiting one looks up before it says that nothing moves: a time in which this process itself was held up, by
# a machine that has too much to do, is one look and not all of them.
LOOKS = 5


class NoTurnError(Exception):
    """Nobody gives a turn back."""


class Turns:
    """Gives out turns, and tells a long queue from one that stands still.

    A burst of hundreds of requests waits for as long as the database needs for them, each a little later than the one
    before. Only where no turn comes back at all is the database to blame.

    Parameters
    ----------
    number
        How many have a turn at once.
    stands_still_s
        Seconds without a turn that came back after which whoever waits is told.
    """

    def __init__(self, number: int, *, stands_still_s: float) -> None:
        self._free = asyncio.Semaphore(number)
        self._look_every_s = stands_still_s / LOOKS
        self._came_back = 0
        self._waiting: set[asyncio.Task[Any] | None] = set()

    def is_waiting(self, task: asyncio.Task[Any]) -> bool:
        """Tell whether a task waits for its turn."""
        return task in self._waiting

    @asynccontextmanager
    async def take(self) -> AsyncIterator[None]:
        """Wait for a turn, and give it back at the end.

        Raises
        ------
        NoTurnError
        """
        await self._wait()
        try:
            yield
        finally:
            self._came_back += 1
            self._free.release()

    async def _wait(self) -> None:
        if not self._free.locked():
            await self._free.acquire()  # at once
            return
        # A task keeps its place in the queue while we look up.
        waiting = asyncio.ensure_future(self._free.acquire())
        looks, seen = 0, self._came_back
        task = asyncio.current_task()
        self._waiting.add(task)
        try:
            while not (await asyncio.wait([waiting], timeout=self._look_every_s))[0]:
                looks = looks + 1 if seen == self._came_back else 0
                seen = self._came_back
                if looks == LOOKS:
                    raise NoTurnError
        except BaseException:
            if waiting.done() and not waiting.cancelled():
                self._free.release()
            waiting.cancel()
            raise
        finally:
            self._waiting.discard(task)

"""Files that wait to be unpacked.

A picture's pixels take ten times the room of its file. Answers wait as files, therefore, until those before them have
been finished and encoded; and whatever is decoded waits until there is memory for its decoder.
"""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import anyio

from uncrop.capacity.fair_queue import NOBODY, FairQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

UNPACKING_BYTES = 400_000_000


class Unpacking:
    """Lets only so many answers be unpacked at once; first come, first served.

    Parameters
    ----------
    places
        How many.
    max_bytes
        What decoders of photos, masks and answers, and finishing answers, may take together. A file that needs more is
        unpacked while no other one is.
    """

    def __init__(self, places: int, *, max_bytes: int = UNPACKING_BYTES) -> None:
        self.limiter = anyio.CapacityLimiter(places)
        self._all = max_bytes
        self._memory = FairQueue(max_bytes)

    @property
    def taken(self) -> int:
        """How many places are taken."""
        return self.limiter.borrowed_tokens

    @contextmanager
    def place(self) -> Iterator[UnpackPlace]:
        """Give a place to be taken later; it is given back at the end, if it was."""
        place = UnpackPlace(self)
        try:
            yield place
        finally:
            place.give_back()

    @asynccontextmanager
    async def memory(self, size: int) -> AsyncIterator[None]:
        """Hold the memory that decoding takes, for as long as the context lasts."""
        taken = await self.take(size)
        try:
            yield
        finally:
            self.give_back(taken)

    async def take(self, size: int) -> int:
        """Take the memory that unpacking a file takes, once it is there; return how much ``give_back`` gets.

        Whoever has it waits for no other memory, so that it comes free again.
        """
        taken = min(size, self._all)
        await self._memory.take(NOBODY, taken)
        return taken

    def give_back(self, taken: int) -> None:
        """Give memory back."""
        self._memory.give_back(NOBODY, taken)


class UnpackPlace:
    """One picture's place."""

    def __init__(self, unpacking: Unpacking) -> None:
        self._unpacking = unpacking
        self._limiter = unpacking.limiter
        self._taken = False
        self._memory = 0

    async def hold(self, size: int) -> None:
        """Hold the memory that unpacking an answer takes, in place of what the answer before it took."""
        self.let_go()
        self._memory = await self._unpacking.take(size)

    async def take(self) -> None:
        """Wait for the place; once taken, it stays so."""
        if not self._taken:
            await self._limiter.acquire_on_behalf_of(self)
            self._taken = True

    def give_back(self) -> None:
        """Make room for the next one; does nothing for a place that was never taken."""
        self.let_go()
        if self._taken:
            self._limiter.release_on_behalf_of(self)
            self._taken = False

    def let_go(self) -> None:
        """Give the memory back and keep the place, between two calls of one picture."""
        taken, self._memory = self._memory, 0
        if taken:
            self._unpacking.give_back(taken)

"""Slots: how many requests are worked on at once, and how many may wait."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from uncrop.capacity.fair_queue import NOBODY, FairQueue

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from uncrop.errors import UncropError

# An organization that has slots may not take the last eighth of them: work may be long, and another one's first
# request should not have to wait for its end.
KEPT_SHARE = 8


class Slots:
    """A bounded number of slots and of places to wait for one, shared by organizations as ``FairQueue`` says.

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
        self._queue = FairQueue(
            max_running, kept=max_running // KEPT_SHARE, max_waiting=max_waiting, retry_after=retry_after
        )

    @property
    def running(self) -> int:
        """How many slots are held."""
        return self._queue.held

    @property
    def waiting(self) -> int:
        """How many wait for a slot."""
        return self._queue.waiting

    @property
    def closed(self) -> bool:
        """Whether all who come are refused."""
        return self._queue.closed

    @asynccontextmanager
    async def hold(self, owner: str = NOBODY) -> AsyncIterator[None]:
        """Hold a slot; wait for it if there is a place in the queue.

        Raises
        ------
        ServerBusy
            At once, when all slots and all places are taken and no organization has more places than this one; later,
            when its place was needed for an organization that has fewer.
        """
        async with self._queue.hold(owner, 1):
            yield

    def check(self, owner: str) -> None:
        """Refuse an organization whose next request would find neither a slot nor a place.

        Raises
        ------
        ServerBusy
        """
        self._queue.check(owner)

    @contextmanager
    def expect(self, owner: str) -> Iterator[Callable[[], None]]:
        """Look as ``check`` does, and count a request that will ask for a slot until the yielded function is called.

        Raises
        ------
        ServerBusy
        """
        with self._queue.expect(owner) as asks:
            yield asks

    def close(self, refusal: Callable[[], UncropError]) -> None:
        """Refuse all who wait, and all who come."""
        self._queue.close(refusal)

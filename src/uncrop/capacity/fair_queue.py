"""A bounded amount of something, handed out so that no owner can starve another.

An owner is an organization. Whoever waits is served owner by owner: the one who holds least first, of equals the one
whose last turn is longest ago, and within an owner first come, first served. One owner alone may have almost everything
and wait in every place; as soon as others come, each is due an equal share. What is held is not taken away, so a small
part is kept for owners who hold nothing yet.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.errors import ServerBusy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from uncrop.errors import UncropError

NOBODY = ""
"""The owner of what belongs to no organization, on the command line and in Python; nothing is kept from it."""


@dataclass(eq=False, slots=True)
class _Waiter:
    amount: int
    turn: asyncio.Future[None]


class FairQueue:
    """Hands out parts of a total; each is held until it is given back.

    Parameters
    ----------
    total
        All there is, at least 1.
    kept
        How much of it an organization that already holds something may not take, so that another finds it.
    max_waiting
        Places to wait in, all owners together; ``None``: as many as come. When all are taken, an owner who has fewer
        of them than another displaces the last one of the owner who has most.
    retry_after
        Seconds after which those refused are told to come back.
    """

    def __init__(self, total: int, *, kept: int = 0, max_waiting: int | None = None, retry_after: float = 5) -> None:
        self._total = total
        self._kept = kept
        self._max_waiting = max_waiting
        self._retry_after = retry_after
        self._free = total
        self._held: Counter[str] = Counter()
        self._expected: Counter[str] = Counter()
        self._waiting: dict[str, deque[_Waiter]] = {}
        self._last_turn: dict[str, int] = {}
        self._turns = 0
        self._closed: Callable[[], UncropError] | None = None

    @property
    def held(self) -> int:
        """How much is held."""
        return self._total - self._free

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(map(len, self._waiting.values()))

    @property
    def closed(self) -> bool:
        """Whether all who come are refused."""
        return self._closed is not None

    @asynccontextmanager
    async def hold(self, owner: str, amount: int) -> AsyncIterator[None]:
        """Hold a part; see ``take``."""
        await self.take(owner, amount)
        try:
            yield
        finally:
            self.give_back(owner, amount)

    def check(self, owner: str) -> None:
        """Refuse an owner who would find nothing free and no place to wait in.

        Raises
        ------
        ServerBusy
        """
        if self._closed is not None:
            raise self._closed()
        expected = self._expected.total()
        has = self._held[owner] + self._expected[owner]
        finds_a_part = self._free > expected and not self._is_capped(owner, has, 1)
        if not finds_a_part and self._is_full(expected) and self._greediest(owner, more=1) == owner:
            raise self._busy()

    @contextmanager
    def expect(self, owner: str) -> Iterator[Callable[[], None]]:
        """Look as ``check`` does, and count an owner who will ask for a part as one who has.

        Between the look and the asking lies work. Where nobody counted who is on the way, a crowd that finds the last
        place free would all do that work, and all but one would be refused behind it.

        Yields
        ------
        Callable
            To be called when the part is asked for; ends what the block does at its end.

        Raises
        ------
        ServerBusy
        """
        self.check(owner)
        self._expected[owner] += 1
        is_expected = True

        def asks() -> None:
            nonlocal is_expected
            if is_expected:
                is_expected = False
                self._expected[owner] -= 1
                if not self._expected[owner]:
                    del self._expected[owner]

        try:
            yield asks
        finally:
            asks()

    async def take(self, owner: str, amount: int) -> None:
        """Take a part, once it is this owner's turn; ``give_back`` must follow.

        Raises
        ------
        ServerBusy
            At once when there is neither a part nor a place to wait in, and later when the place was needed for an
            owner who has fewer; whatever ``close`` was told, once it has been called.
        """
        if self._closed is not None:
            raise self._closed()
        waiter = _Waiter(amount, asyncio.get_running_loop().create_future())
        self._waiting.setdefault(owner, deque()).append(waiter)
        self._serve()
        if waiter.turn.done():
            return
        try:
            self._make_place(owner)
            await waiter.turn
        except BaseException:
            if waiter.turn.done() and not waiter.turn.cancelled() and waiter.turn.exception() is None:
                # It was given in the same moment in which we were told to stop.
                self.give_back(owner, amount)
            else:
                waiter.turn.cancel()
                self._forget(owner, waiter)
                # Whoever stood behind may need less and fit now.
                self._serve()
            raise

    def give_back(self, owner: str, amount: int) -> None:
        """Give a part back, and pass it on to those whose turn it is."""
        self._free += amount
        self._held[owner] -= amount
        self._serve()
        self._tidy(owner)

    def close(self, refusal: Callable[[], UncropError]) -> None:
        """Refuse all who wait, and all who come; what is held stays so."""
        self._closed = refusal
        waiters = [waiter for queue in self._waiting.values() for waiter in queue]
        self._waiting.clear()
        for waiter in waiters:
            with suppress(asyncio.InvalidStateError):  # told to stop in the same moment
                waiter.turn.set_exception(refusal())

    # --- whose turn it is ---

    def _serve(self) -> None:
        while candidates := self._candidates():
            owner = min(candidates, key=lambda each: (self._held[each], self._last_turn.get(each, 0)))
            waiter = self._waiting[owner][0]
            if waiter.amount > self._free:
                # Nobody overtakes the one whose turn it is: a large part would be waited for for ever.
                return
            self._forget(owner, waiter)
            self._free -= waiter.amount
            self._held[owner] += waiter.amount
            self._turns += 1
            self._last_turn[owner] = self._turns
            waiter.turn.set_result(None)

    def _candidates(self) -> list[str]:
        """Return the owners with somebody who still waits and may be served."""
        for owner, queue in list(self._waiting.items()):
            while queue and queue[0].turn.done():
                # It was told to stop, and has not run since.
                self._forget(owner, queue[0])
        return [
            owner
            for owner, queue in self._waiting.items()
            if not self._is_capped(owner, self._held[owner], queue[0].amount)
        ]

    def _is_capped(self, owner: str, has: int, amount: int) -> bool:
        return owner != NOBODY and has > 0 and has + amount > self._total - self._kept

    # --- places ---

    def _is_full(self, expected: int) -> bool:
        """Tell whether no place is left when those have come who are expected."""
        return self._max_waiting is not None and self.waiting + max(0, expected - self._free) >= self._max_waiting

    def _make_place(self, newcomer: str) -> None:
        if self._max_waiting is None or self.waiting <= self._max_waiting:
            return
        greediest = self._greediest(newcomer, more=0)
        if greediest == newcomer:
            raise self._busy()
        last = self._waiting[greediest][-1]
        self._forget(greediest, last)
        with suppress(asyncio.InvalidStateError):  # told to stop in the same moment
            last.turn.set_exception(self._busy())

    def _greediest(self, newcomer: str, *, more: int) -> str:
        """Return who has most places, when the newcomer has some more than now; of equals the newcomer.

        Who is only expected counts for a look alone, since there is nothing yet to displace.
        """
        places = {owner: len(queue) for owner, queue in self._waiting.items()}
        places[newcomer] = places.get(newcomer, 0) + more
        if more:
            for owner, expected in self._expected.items():
                places[owner] = places.get(owner, 0) + expected
        return max(places, key=lambda owner: (places[owner], owner == newcomer))

    def _busy(self) -> ServerBusy:
        return ServerBusy(retry_after=self._retry_after)

    # --- notes ---

    def _forget(self, owner: str, waiter: _Waiter) -> None:
        queue = self._waiting.get(owner, deque())
        # It may have been taken out before: skipped, displaced, or refused with all others.
        with suppress(ValueError):
            queue.remove(waiter)
        if not queue:
            self._waiting.pop(owner, None)
        self._tidy(owner)

    def _tidy(self, owner: str) -> None:
        if self._held[owner] == 0:
            del self._held[owner]
            if owner not in self._waiting:
                self._last_turn.pop(owner, None)

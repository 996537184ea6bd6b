"""The memory that bodies may take together, of requests and of answers that are being sent."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

from uncrop.capacity.fair_queue import NOBODY
from uncrop.errors import ServerBusy

if TYPE_CHECKING:
    from collections.abc import Iterator

# One organization may not take the last eighth: with the built-in sizes, the largest body fits there.
KEPT_SHARE = 8


class BodyBudget:
    """Bounds the bytes of all bodies that are held at once.

    Slots bound how many pictures are worked on; this bounds what piles up before a slot is asked for, and, since an
    answer counts until its last byte has been taken, what piles up behind it.

    Parameters
    ----------
    max_bytes
        How much may be held.
    retry_after
        Seconds after which those refused are told to come back.
    """

    def __init__(self, max_bytes: int, *, retry_after: float = 5) -> None:
        self.max_bytes = max_bytes
        self._retry_after = retry_after
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """How many bytes are held."""
        return self._held.total()

    @contextmanager
    def share(self, owner: str = NOBODY) -> Iterator[Share]:
        """Hold a share that grows with its body and is given back whole.

        Parameters
        ----------
        owner
            The organization whose body it is, where that is known already.
        """
        share = Share(self, owner)
        try:
            yield share
        finally:
            self.change(share.owner, -share.size)

    def take(self, owner: str, size: int) -> None:
        """Take ``size`` bytes.

        Raises
        ------
        ServerBusy
            They are not left, or what is left is for others.
        """
        own = self.max_bytes - (0 if owner == NOBODY else self.max_bytes // KEPT_SHARE)
        if self.held + size > self.max_bytes or self._held[owner] + size > own:
            raise ServerBusy(retry_after=self._retry_after)
        self.change(owner, size)

    def change(self, owner: str, size: int) -> None:
        """Note that so many bytes more are held, or fewer, whether or not they are left."""
        self._held[owner] += size
        if not self._held[owner]:
            del self._held[owner]


class Share:
    """One body's part of the budget.

    Attributes
    ----------
    owner
        The organization whose body it is; may be set as long as the share is empty.
    size
        Bytes.
    """

    def __init__(self, budget: BodyBudget, owner: str) -> None:
        self._budget = budget
        self.owner = owner
        self.size = 0

    def grow(self, size: int) -> None:
        """Take ``size`` bytes more; see ``BodyBudget.take``."""
        self._budget.take(self.owner, size)
        self.size += size

    def become(self, size: int) -> None:
        """Stand for an answer of so many bytes, instead of the body that was asked with.

        An answer is never refused: it may have been paid. It leaves less for the bodies that come.
        """
        self._budget.change(self.owner, size - self.size)
        self.size = size

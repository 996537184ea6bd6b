"""The memory that request bodies may take together."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from uncrop.errors import ServerBusy

if TYPE_CHECKING:
    from collections.abc import Iterator


class BodyBudget:
    """Bounds the bytes of all bodies that are held at once.

    Slots bound how many pictures are worked on; this bounds what piles up before a slot is asked for.

    Parameters
    ----------
    max_bytes
        How much may be held.
    retry_after
        Seconds after which those refused are told to come back.
    """

    def __init__(self, max_bytes: int, *, retry_after: float = 5) -> None:
        self.max_bytes = max_bytes
        self.held = 0
        self._retry_after = retry_after

    @contextmanager
    def share(self) -> Iterator[Share]:
        """Hold a share that grows with its body and is given back whole."""
        share = Share(self)
        try:
            yield share
        finally:
            self.held -= share.size

    def take(self, size: int) -> None:
        """Take ``size`` bytes.

        Raises
        ------
        ServerBusy
            They are not left.
        """
        if self.held + size > self.max_bytes:
            raise ServerBusy(retry_after=self._retry_after)
        self.held += size


class Share:
    """One body's part of the budget, in bytes."""

    def __init__(self, budget: BodyBudget) -> None:
        self._budget = budget
        self.size = 0

    def grow(self, size: int) -> None:
        """Take ``size`` bytes more; see ``BodyBudget.take``."""
        self._budget.take(size)
        self.size += size

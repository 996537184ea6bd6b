"""What the rest may know about the queue."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

if TYPE_CHECKING:
    from uncrop.store.jobs import Also

Run: TypeAlias = Callable[[str], Coroutine[Any, Any, None]]
"""Works on one entry of a queue, by its id, in the event loop that the queue was opened in. It raises nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class QueueWork:
    """What a process does with a queue.

    Attributes
    ----------
    run
        Works on an entry.
    at_once
        On how many it works at a time.
    of_each_partition
        How many of them may belong to one partition; ``None``: the queue has none.
    """

    run: Run
    at_once: int
    of_each_partition: int | None = None


class Queue(Protocol):
    """A queue of ids that survives every process.

    An entry whose worker dies is run again by whoever takes the dead one's place. What must not be done twice is for
    the one that runs to see to.
    """

    def adding(self, entry_id: str, *, round_number: int = 0, delay_s: float = 0, partition: str | None = None) -> Also:
        """Return what adds an entry within a transaction of the store's.

        Parameters
        ----------
        entry_id
            What is run.
        round_number
            An entry is added once a round, however often it is tried.
        delay_s
            Seconds before which it is not run.
        partition
            Of a queue that runs few of each partition at a time: which one it belongs to.
        """

    async def forget(self, entry_ids: tuple[str, ...], *, rounds: int) -> None:
        """Delete what the queue has noted about entries that have ended, of all their rounds."""

    async def waiting(self, beginning: str) -> frozenset[str]:
        """Return the ids of entries that are in the queue or worked on and whose ids begin so; once each."""

    async def forget_all(self, beginning: str) -> None:
        """Delete what the queue has noted about all entries whose ids begin so, but those that are not ended."""

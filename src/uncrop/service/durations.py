"""How long pictures took here, by provider: a running median, in memory."""

from __future__ import annotations

from collections import defaultdict, deque
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uncrop.model import StageTime

KEPT = 32  # pictures of each provider
WAITING = "admission"  # the stage in which a picture waits for its turn, which says nothing about its provider


class Durations:
    """Remembers how long the last pictures of each provider took, without the wait for their turn.

    Parameters
    ----------
    kept
        Pictures of each provider that are remembered.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self._seconds: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=kept))

    def add(self, provider: str, stages: Iterable[StageTime]) -> None:
        """Note a picture that was made; ``provider`` must be a name of the registry."""
        milliseconds = sum(stage.milliseconds for stage in stages if stage.name != WAITING)
        self._seconds[provider].append(milliseconds / 1000)

    def expected(self, provider: str) -> float | None:
        """Return the median in seconds; ``None`` where no picture was made yet."""
        seconds = self._seconds.get(provider)
        return None if seconds is None else median(seconds)

"""Memory for the library ``limits``: the moments of each key's latest hits, by a clock that is passed in.

The library's own memory starts a task at every hit that visits every key in a thread: 0.6 ms of processor time a hit
with one key, 18 ms with a thousand (measured with limits 5.8.0). Here a hit costs a few microseconds however many keys
there are. Its clock is also the wall clock, which may be set back; a monotonic one cannot.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from limits.aio.storage import MemoryStorage

if TYPE_CHECKING:
    from collections.abc import Callable


class WindowStorage(MemoryStorage):
    """Moments of hits, for the library's moving window.

    Parameters
    ----------
    clock
        Seconds since any fixed moment.
    """

    # A scheme of its own: the library keeps a table of them, and the parent's must stay the parent's.
    STORAGE_SCHEME = ["async+uncrop-window"]  # noqa: RUF012 - declared so by the library

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock
        self._hits: dict[str, deque[float]] = {}
        self._swept_at = clock()

    @property
    def is_alone(self) -> bool | None:
        """Whether this process counts by itself what others should count too; ``None`` where it always does."""
        return None

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note a hit unless that makes more than ``limit`` in the last ``expiry`` seconds.

        Nothing is awaited between looking and noting, so no number of concurrent hits passes the limit.
        """
        now = self._clock()
        self.sweep(now, expiry)
        hits = self._current(key, now - expiry)
        if len(hits) + amount > limit:
            return False
        hits.extend([now] * amount)
        self._hits[key] = hits
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - unused
        """Return the moment of the oldest hit that still counts, or now, and how many count."""
        now = self._clock()
        hits = self._current(key, now - expiry)
        return (hits[0] if hits else now), len(hits)

    def _current(self, key: str, horizon: float) -> deque[float]:
        hits = self._hits.get(key, deque())
        while hits and hits[0] <= horizon:
            hits.popleft()
        return hits

    def sweep(self, now: float, expiry: int) -> None:
        """Forget what fell silent, once in so many seconds."""
        # Keys that fell silent would stay for ever; a look at all of them once a window is cheap.
        if now - self._swept_at < expiry:
            return
        self._swept_at = now
        self._hits = {key: hits for key, hits in self._hits.items() if hits and hits[-1] > now - expiry}

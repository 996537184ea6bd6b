"""Hits that several servers count together, and what each does alone while their counter is away."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol, TypeVar

import structlog

from uncrop.admission.window import WindowStorage

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

T = TypeVar("T")

# So long a request waits at most, once, before it is counted by this process alone.
LIMIT_S = 0.25
RETRY_EVERY_S = 1.0
# The time is spent in so many looks. One that ends late by half is none: this process was held up itself, and may have
# had no moment to read an answer that has long been there. Held up all along, it looks so often and no more.
LOOKS = 5
LATE = 1.5
LOOKS_AT_MOST = 20
ANSWERS_AT_ONCE = 8

_log = structlog.stdlib.get_logger("uncrop.admission")


class HitCounter(Protocol):
    """Where hits are counted together: ``uncrop.admission.redis_hits.RedisHits``."""

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note a hit unless that makes more than ``limit`` in the last ``expiry`` seconds."""

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the moment of the oldest hit that still counts, or now, and how many count."""

    async def try_out(self) -> None:
        """Raise an error where no hit could be noted."""


class SharedWindow(WindowStorage):
    """Counts hits with a counter that other servers share, and in this process alone whenever that counter is away.

    What this process has admitted it remembers in any case. So a window that is full of its own hits is refused without
    asking, and so is one that was found full, until its oldest hit no longer counts. When the counter goes away or
    comes back empty, this process still admits no more than the limit; several servers together may, each up to it.

    Parameters
    ----------
    counter
        Counts for all servers; its moments are on ``clock``.
    clock
        Seconds since any fixed moment, never set back.
    errors
        What ``counter`` raises when it is away.
    told
        Returns in a word what such an error says.
    limit_s
        Seconds that one question may take, but for those in which this process was held up itself.
    retry_every_s
        Seconds from one look whether the counter is back to the next.
    """

    STORAGE_SCHEME = ["async+uncrop-shared-window"]  # noqa: RUF012 - declared so by the library

    def __init__(
        self,
        counter: HitCounter,
        *,
        clock: Callable[[], float],
        errors: tuple[type[Exception], ...],
        told: Callable[[BaseException], str],
        limit_s: float = LIMIT_S,
        retry_every_s: float = RETRY_EVERY_S,
    ) -> None:
        super().__init__(clock)
        self._counter = counter
        self._errors = errors
        self._told = told
        self._limit_s = limit_s
        self._retry_every_s = retry_every_s
        self._free = asyncio.Semaphore(ANSWERS_AT_ONCE)
        # Of windows that were found full: the oldest hit, and when it no longer counts.
        self._full: dict[str, tuple[float, float]] = {}
        self._away_since: float | None = None
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def is_alone(self) -> bool | None:
        """Whether this process counts by itself, since the counter is away."""
        return self._away_since is not None

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Note a hit unless that makes more than ``limit`` in the last ``expiry`` seconds."""
        if self._known_full(key, limit, self._clock(), expiry) is not None:
            return False
        # Noted before it is asked about, so that those that are being asked about count too: however many there are,
        # and whatever the counter has forgotten, this process admits no more than the limit.
        await super().acquire_entry(key, limit, expiry, amount)
        if await self._ask(lambda: self._counter.acquire_entry(key, limit, expiry, amount)) is False:
            self._take_back(key, amount)
            return False
        return True

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        """Return the moment of the oldest hit that still counts, or now, and how many count."""
        known = self._known_full(key, limit, self._clock(), expiry)
        if known is not None:
            return known, limit
        found = await self._ask(lambda: self._counter.get_moving_window(key, limit, expiry))
        if found is None:
            return await super().get_moving_window(key, limit, expiry)
        oldest, count = found
        if count >= limit:
            self._full[key] = (oldest, oldest + expiry)
        return found

    async def close(self) -> None:
        """End what is still being asked."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _known_full(self, key: str, limit: int, now: float, expiry: int) -> float | None:
        """Return the oldest hit of a window that has no room, as far as that is known here."""
        hits = self._current(key, now - expiry)
        if len(hits) >= limit:
            return hits[-limit]
        oldest, until = self._full.get(key, (0.0, 0.0))
        if now < until:
            return oldest
        self._full.pop(key, None)
        return None

    def _take_back(self, key: str, amount: int) -> None:
        """Forget the latest hits of a key; which of several goes is all the same, since they are a moment apart."""
        hits = self._hits.get(key, ())
        for _ in range(min(amount, len(hits))):
            self._hits[key].pop()

    def sweep(self, now: float, expiry: int) -> None:
        """Forget what fell silent, once in so many seconds."""
        if now - self._swept_at >= expiry:
            self._full = {key: found for key, found in self._full.items() if now < found[1]}
        super().sweep(now, expiry)

    async def _ask(self, question: Callable[[], Coroutine[Any, Any, T]]) -> T | None:
        """Ask the counter; ``None`` where it is away.

        A question that was not answered in time may have been understood all the same: then its hit is counted twice,
        here and there, which refuses one too many rather than one too few.
        """
        async with self._free:
            if self._away_since is not None:
                return None
            task = self._start(question())
            try:
                if await self._is_answered(task):
                    return await task
                self._lose("no answer in time")
            except self._errors as error:
                self._lose(self._told(error))
            finally:
                task.cancel()
        return None

    async def _is_answered(self, task: asyncio.Task[Any]) -> bool:
        """Wait for an answer as long as one may take, by the time in which this process could have read it."""
        now = asyncio.get_running_loop().time
        look_s = self._limit_s / LOOKS
        left = LOOKS
        for _ in range(LOOKS_AT_MOST):
            began = now()
            done, _ = await asyncio.wait([task], timeout=look_s)
            if done:
                return True
            left -= now() - began < look_s * LATE
            if left == 0:
                break
        return False

    def _lose(self, reason: str) -> None:
        if self._away_since is None:
            self._away_since = self._clock()
            self._full.clear()
            _log.error("rate limits are counted by this process alone: Redis is away", reason=reason)
            self._start(self._wait_for_return())

    async def _wait_for_return(self) -> None:
        """Look every now and then whether the counter is back; no request waits for that."""
        lost = self._away_since or 0.0
        while True:
            await asyncio.sleep(self._retry_every_s)
            task = self._start(self._counter.try_out())
            try:
                if not await self._is_answered(task):
                    continue
                await task
            except self._errors:
                continue
            finally:
                task.cancel()
            self._away_since = None
            _log.warning("rate limits are counted in Redis again", away_s=round(self._clock() - lost, 1))
            return

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # seen: whoever asked has been told

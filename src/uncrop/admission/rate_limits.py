"""Rate limits: at most N requests in any 60 seconds, by organization, and by organization and provider."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter

from uncrop.admission.window import WindowStorage
from uncrop.errors import RateLimitExceeded

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERYTHING = "all"


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimitState:
    """Where an organization stands, for the ``X-RateLimit-*`` headers.

    ``reset`` is the second, in Unix time and rounded up, at which the oldest request that counts no longer does; now
    if none counts.
    """

    limit: int
    remaining: int
    reset: int


class RateLimiter:
    """Counts requests in memory, each process for itself.

    Whatever becomes of a request later, it has been counted. Only a request that this limit itself refuses does not
    prolong the waiting, so that ``retry_after`` stays true for those who come back too early.

    Parameters
    ----------
    per_minute
        Requests of an organization in any 60 seconds, all providers together.
    clock
        Seconds since any fixed moment, never set back.
    wall_clock
        Seconds in Unix time, to tell when a limit resets.

    Raises
    ------
    ValueError
        ``per_minute`` is below 1.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if per_minute < 1:
            raise ValueError("per_minute must be at least 1")
        self._limit = RateLimitItemPerMinute(per_minute)
        self._clock = clock
        self._wall_clock = wall_clock
        self._window = MovingWindowRateLimiter(WindowStorage(clock))

    async def hit(self, organization_id: str) -> RateLimitState:
        """Count a request of the organization.

        Raises
        ------
        RateLimitExceeded
            The limit is reached; ``state`` still answers.
        """
        await self._count(self._limit, organization_id, _EVERYTHING, {})
        return await self.state(organization_id)

    async def state(self, organization_id: str) -> RateLimitState:
        """Return where the organization stands, without counting anything."""
        stats = await self._window.get_window_stats(self._limit, organization_id, _EVERYTHING)
        reset = self._wall_clock()
        if stats.remaining < self._limit.amount:
            reset += stats.reset_time - self._clock()
        return RateLimitState(limit=self._limit.amount, remaining=stats.remaining, reset=math.ceil(reset))

    async def hit_provider(self, organization_id: str, provider: str, per_minute: int) -> None:
        """Count a request of the organization to one provider, which has a limit of its own.

        Raises
        ------
        RateLimitExceeded
            The provider's limit is reached; ``details`` names it.
        """
        await self._count(
            RateLimitItemPerMinute(per_minute), organization_id, f"provider:{provider}", {"provider": provider}
        )

    async def _count(
        self, limit: RateLimitItemPerMinute, organization_id: str, what: str, facts: dict[str, str]
    ) -> None:
        if await self._window.hit(limit, organization_id, what):
            return
        stats = await self._window.get_window_stats(limit, organization_id, what)
        raise RateLimitExceeded(
            details={"limit": limit.amount, "window_seconds": limit.get_expiry(), **facts},
            retry_after=stats.reset_time - self._clock(),
        )

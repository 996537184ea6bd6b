"""Rate limits: at most N requests in any 60 seconds, by organization, and by organization and provider."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from limits import RateLimitItemPerMinute
from limits.aio.strategies import MovingWindowRateLimiter

from uncrop.admission.window import WindowStorage
from uncrop.errors import RateLimitExceeded, RateLimitState

if TYPE_CHECKING:
    from collections.abc import Callable

_EVERYTHING = "all"


class RateLimiter:
    """Counts requests, in this process's memory or where other servers count them too.

    Whatever becomes of a request later, it has been counted. Only a request that this limit itself refuses does not
    prolong the waiting, so that ``retry_after`` stays true for those who come back too early.

    Parameters
    ----------
    per_minute
        Requests of an organization in any 60 seconds, all providers together.
    window
        Where hits are noted, on ``clock``; by default in memory.
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
        window: WindowStorage | None = None,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if per_minute < 1:
            raise ValueError("per_minute must be at least 1")
        self._limit = RateLimitItemPerMinute(per_minute)
        self._clock = clock
        self._wall_clock = wall_clock
        self._storage = window or WindowStorage(clock)
        self._window = MovingWindowRateLimiter(self._storage)

    @property
    def is_alone(self) -> bool | None:
        """Whether this process counts by itself what others should count too; ``None`` where it always does."""
        return self._storage.is_alone

    async def hit(self, organization_id: str, per_minute: int | None = None) -> RateLimitState:
        """Count a request of the organization.

        Parameters
        ----------
        per_minute
            A limit of its own, in place of the one for all.

        Raises
        ------
        RateLimitExceeded
            The limit is reached.
        """
        limit = self._limit if per_minute is None else RateLimitItemPerMinute(per_minute)
        return await self._count(limit, organization_id, _EVERYTHING, {})

    async def hit_key(self, organization_id: str, key_id: str, per_minute: int) -> RateLimitState:
        """Count a request with a key that has a limit of its own.

        Raises
        ------
        RateLimitExceeded
            The key's limit is reached.
        """
        return await self._count(RateLimitItemPerMinute(per_minute), organization_id, f"key:{key_id}", {"scope": "key"})

    async def state(self, organization_id: str) -> RateLimitState:
        """Return where the organization stands, without counting anything."""
        return (await self._look(self._limit, organization_id, _EVERYTHING))[0]

    async def hit_provider(self, organization_id: str, provider: str, per_minute: int) -> RateLimitState:
        """Count a request of the organization to one provider, which has a limit of its own.

        Raises
        ------
        RateLimitExceeded
            The provider's limit is reached; ``details`` names it.
        """
        return await self._count(
            RateLimitItemPerMinute(per_minute), organization_id, f"provider:{provider}", {"provider": provider}
        )

    async def _count(
        self, limit: RateLimitItemPerMinute, organization_id: str, what: str, facts: dict[str, str]
    ) -> RateLimitState:
        admitted = await self._window.hit(limit, organization_id, what)
        state, wait = await self._look(limit, organization_id, what)
        if not admitted:
            raise RateLimitExceeded(
                details={"limit": limit.amount, "window_seconds": limit.get_expiry(), **facts},
                retry_after=wait,
                state=state,
            )
        return state

    async def _look(
        self, limit: RateLimitItemPerMinute, organization_id: str, what: str
    ) -> tuple[RateLimitState, float]:
        """Return where the organization stands with one limit, and the seconds until that changes."""
        stats = await self._window.get_window_stats(limit, organization_id, what)
        wait = stats.reset_time - self._clock() if stats.remaining < limit.amount else 0
        reset = math.ceil(self._wall_clock() + wait)
        return RateLimitState(limit=limit.amount, remaining=stats.remaining, reset=reset), wait

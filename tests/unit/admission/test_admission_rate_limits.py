from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.admission.rate_limits import RateLimiter
from uncrop.errors import RateLimitExceeded, RateLimitState


@dataclass
class Clocks:
    """A monotonic clock that began at some other time than Unix time."""

    monotonic: float = 1000.0
    unix: float = 1_800_000_000.0

    def advance(self, seconds: float) -> None:
        self.monotonic += seconds
        self.unix += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def limiter(clocks: Clocks, per_minute: int = 3) -> RateLimiter:
    return RateLimiter(per_minute, clock=lambda: clocks.monotonic, wall_clock=lambda: clocks.unix)


async def test_the_state_is_told_with_every_hit(clocks: Clocks) -> None:
    rates = limiter(clocks)

    assert await rates.state("org_a") == RateLimitState(limit=3, remaining=3, reset=1_800_000_000)
    assert await rates.hit("org_a") == RateLimitState(limit=3, remaining=2, reset=1_800_000_060)
    clocks.advance(10.25)
    assert await rates.hit("org_a") == RateLimitState(limit=3, remaining=1, reset=1_800_000_060)
    clocks.advance(49.75)
    assert await rates.hit("org_a") == RateLimitState(limit=3, remaining=1, reset=1_800_000_071)
    clocks.advance(60)
    assert await rates.state("org_a") == RateLimitState(limit=3, remaining=3, reset=1_800_000_120)


async def test_one_more_than_the_limit_is_refused(clocks: Clocks) -> None:
    rates = limiter(clocks)
    for _ in range(3):
        await rates.hit("org_a")
        clocks.advance(1)

    with pytest.raises(RateLimitExceeded) as caught:
        await rates.hit("org_a")
    assert caught.value.retry_after == 57
    assert caught.value.details == {"limit": 3, "window_seconds": 60}
    assert caught.value.message == "Too many requests; try again later"
    assert caught.value.state == RateLimitState(limit=3, remaining=0, reset=1_800_000_060)
    assert await rates.state("org_a") == RateLimitState(limit=3, remaining=0, reset=1_800_000_060)


async def test_coming_back_when_told_to_is_enough_however_often_one_came_early(clocks: Clocks) -> None:
    rates = limiter(clocks, 1)
    await rates.hit("org_a")
    for _ in range(100):
        with pytest.raises(RateLimitExceeded) as caught:
            await rates.hit("org_a")
    assert caught.value.retry_after == 60
    clocks.advance(59.999)
    with pytest.raises(RateLimitExceeded) as caught:
        await rates.hit("org_a")
    assert caught.value.retry_after == pytest.approx(0.001)
    clocks.advance(0.001)
    await rates.hit("org_a")


async def test_organizations_are_counted_apart(clocks: Clocks) -> None:
    rates = limiter(clocks, 1)
    await rates.hit("org_a")
    await rates.hit("org_b")

    with pytest.raises(RateLimitExceeded):
        await rates.hit("org_a")


async def test_64_at_once_get_exactly_the_limit(clocks: Clocks) -> None:
    rates = limiter(clocks, 60)

    outcomes = await asyncio.gather(*(rates.hit("org_a") for _ in range(64)), return_exceptions=True)

    assert sum(isinstance(outcome, RateLimitState) for outcome in outcomes) == 60
    assert sum(isinstance(outcome, RateLimitExceeded) for outcome in outcomes) == 4


async def test_a_provider_has_a_limit_of_its_own(clocks: Clocks) -> None:
    rates = limiter(clocks)
    alone = await rates.hit_provider("org_a", "clipdrop", 1)
    assert alone == RateLimitState(limit=1, remaining=0, reset=1_800_000_060)
    await rates.hit_provider("org_a", "openai", 1)
    await rates.hit_provider("org_b", "clipdrop", 1)
    clocks.advance(15)

    with pytest.raises(RateLimitExceeded) as caught:
        await rates.hit_provider("org_a", "clipdrop", 1)
    assert caught.value.details == {"limit": 1, "window_seconds": 60, "provider": "clipdrop"}
    assert caught.value.retry_after == 45
    assert caught.value.state == RateLimitState(limit=1, remaining=0, reset=1_800_000_060)
    # The two counts are apart: neither uses up the other.
    assert (await rates.state("org_a")).remaining == 3


async def test_a_provider_called_like_the_total_is_still_counted_apart(clocks: Clocks) -> None:
    rates = limiter(clocks, 1)
    await rates.hit_provider("org_a", "all", 1)

    assert (await rates.hit("org_a")).remaining == 0


async def test_silent_organizations_are_forgotten(clocks: Clocks) -> None:
    rates = limiter(clocks)
    for number in range(100):
        await rates.hit(f"org_{number}")
    clocks.advance(30)
    await rates.hit("org_late")
    clocks.advance(31)
    assert (await rates.state("org_0")).remaining == 3  # empties what is remembered of it
    await rates.hit("org_new")

    remembered = rates._window.storage._hits
    assert {key.split("/")[1] for key in remembered} == {"org_late", "org_new"}
    assert (await rates.state("org_late")).remaining == 2


async def test_a_wall_clock_that_is_set_back_frees_and_blocks_nobody(clocks: Clocks) -> None:
    rates = limiter(clocks, 1)
    await rates.hit("org_a")
    clocks.unix -= 3600
    clocks.advance(30)

    with pytest.raises(RateLimitExceeded) as caught:
        await rates.hit("org_a")
    assert caught.value.retry_after == 30
    assert (await rates.state("org_a")).reset == 1_800_000_060 - 3600
    clocks.advance(30)
    await rates.hit("org_a")


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.lists(st.floats(0, 40, allow_nan=False), max_size=40))
def test_no_minute_ever_holds_more_than_the_limit(per_minute: int, pauses: list[float]) -> None:
    async def run() -> None:
        clocks = Clocks()
        rates = limiter(clocks, per_minute)
        admitted: list[float] = []
        for pause in pauses:
            clocks.advance(pause)
            recent = [moment for moment in admitted if moment > clocks.monotonic - 60]
            if len(recent) < per_minute:
                assert (await rates.hit("org_a")).remaining == per_minute - len(recent) - 1
                admitted.append(clocks.monotonic)
            else:
                with pytest.raises(RateLimitExceeded) as caught:
                    await rates.hit("org_a")
                assert caught.value.retry_after == recent[0] + 60 - clocks.monotonic

    asyncio.run(run())


async def test_the_librarys_own_memory_is_left_as_it_was() -> None:
    from limits.aio.storage import MemoryStorage
    from limits.storage import storage_from_string

    assert type(storage_from_string("async+memory://")) is MemoryStorage


@pytest.mark.parametrize("per_minute", [0, -1])
def test_a_limit_below_one_is_a_mistake(per_minute: int) -> None:
    with pytest.raises(ValueError, match="per_minute must be at least 1"):
        RateLimiter(per_minute)


async def test_the_real_clocks_are_the_default() -> None:
    before = int(time.time())

    state = await RateLimiter(5).hit("org_a")

    assert state.limit == 5
    assert state.reset >= before


async def test_own_limits_of_organizations_and_keys() -> None:
    rates = RateLimiter(1)
    assert [(await rates.hit("org_a", 2)).remaining for _ in range(2)] == [1, 0]
    with pytest.raises(RateLimitExceeded):
        await rates.hit("org_a", 2)
    assert (await rates.hit_key("org_a", "one", 1)).remaining == 0
    with pytest.raises(RateLimitExceeded) as caught:
        await rates.hit_key("org_a", "one", 1)
    assert caught.value.details == {"limit": 1, "window_seconds": 60, "scope": "key"}
    assert (await rates.hit_key("org_a", "two", 1)).remaining == 0

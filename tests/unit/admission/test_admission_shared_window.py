"""A window that servers share, over a counter that goes away, hangs, comes back and comes back empty."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.admission import shared_window
from uncrop.admission.rate_limits import RateLimiter
from uncrop.admission.shared_window import SharedWindow
from uncrop.admission.window import WindowStorage
from uncrop.errors import RateLimitExceeded
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MINUTE = 60


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


class AwayError(Exception):
    """The counter is away."""


@dataclass
class Counter:
    """Counts as Redis does; is away, hangs, or takes its time when told to."""

    clock: Clock
    away: bool = False
    hangs: bool = False
    asked: list[str] = field(default_factory=list)
    hits: WindowStorage = None  # type: ignore[assignment]

    def __post_init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.hits = WindowStorage(self.clock)

    async def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        await self._answer("hit")
        return await self.hits.acquire_entry(key, limit, expiry, amount)

    async def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:
        await self._answer("look")
        return await self.hits.get_moving_window(key, limit, expiry)

    async def try_out(self) -> None:
        await self._answer("try")

    async def _answer(self, question: str) -> None:
        self.asked.append(question)
        await asyncio.sleep(0)
        if self.hangs:
            await asyncio.Event().wait()
        if self.away:
            raise AwayError("gone")


@dataclass
class Replicas:
    """Some servers that share one counter."""

    clock: Clock = field(default_factory=Clock)
    counter: Counter = None  # type: ignore[assignment]
    windows: list[SharedWindow] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.counter = Counter(self.clock)

    def add(self) -> SharedWindow:
        self.windows.append(
            SharedWindow(
                self.counter,
                clock=self.clock,
                errors=(AwayError,),
                told=str,
                limit_s=0.05,
                retry_every_s=0.005,
            )
        )
        return self.windows[-1]

    def limiter(self, per_minute: int = 3) -> RateLimiter:
        return RateLimiter(per_minute, window=self.add(), clock=self.clock, wall_clock=self.clock)


@asynccontextmanager
async def replicas() -> AsyncIterator[Replicas]:
    group = Replicas()
    try:
        yield group
    finally:
        for window in group.windows:
            await window.close()


async def admitted(limiter: RateLimiter, tries: int) -> int:
    outcomes = await asyncio.gather(*(limiter.hit("org_a") for _ in range(tries)), return_exceptions=True)
    assert all(isinstance(each, RateLimitExceeded) for each in outcomes if isinstance(each, BaseException))
    return sum(not isinstance(each, BaseException) for each in outcomes)


async def is_back(limiter: RateLimiter) -> None:
    await until(lambda: limiter.is_alone is False)


async def test_servers_count_together() -> None:
    async with replicas() as group:
        one, other = group.limiter(), group.limiter()
        assert (await one.hit("org_a")).remaining == 2
        assert (await other.hit("org_a")).remaining == 1
        assert (await one.hit("org_a")).remaining == 0
        for limiter in (one, other):
            with pytest.raises(RateLimitExceeded) as caught:
                await limiter.hit("org_a")
            assert caught.value.retry_after == MINUTE
        group.clock.now += MINUTE
        assert await admitted(other, 5) == 3


async def test_many_at_once_on_two_servers_get_exactly_the_limit() -> None:
    async with replicas() as group:
        one, other = group.limiter(60), group.limiter(60)
        assert sum(await asyncio.gather(admitted(one, 250), admitted(other, 250))) == 60


async def test_counters_of_their_own_admit_more() -> None:
    """The negative control: the same two servers without what they share."""
    clock = Clock()
    one, other = (RateLimiter(60, clock=clock, wall_clock=clock) for _ in range(2))
    assert sum(await asyncio.gather(admitted(one, 250), admitted(other, 250))) == 120


async def test_a_flood_is_refused_without_asking() -> None:
    async with replicas() as group:
        one, other = group.limiter(), group.limiter()
        assert await admitted(one, 3) == 3
        group.counter.asked.clear()
        assert await admitted(one, 50) == 0  # full of its own
        assert group.counter.asked == []
        assert await admitted(other, 1) == 0  # asks once, since it cannot know
        assert group.counter.asked == ["hit", "look"]
        group.counter.asked.clear()
        assert await admitted(other, 50) == 0
        assert (await other.state("org_a")).remaining == 0
        assert group.counter.asked == []
        group.clock.now += MINUTE
        assert await admitted(other, 5) == 3


async def test_away_it_counts_alone_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    async with replicas() as group:
        limiter = group.limiter()
        assert limiter.is_alone is False
        assert await admitted(limiter, 1) == 1
        group.counter.away = True
        assert (await limiter.state("org_a")).remaining == 2  # what it admitted before counts
        assert limiter.is_alone is True
        assert await admitted(limiter, 50) == 2
        assert (await limiter.hit("org_b")).remaining == 2
        told = [record for record in caplog.records if "by this process alone" in record.getMessage()]
        assert [(record.levelname, '"reason": "gone"' in record.getMessage()) for record in told] == [("ERROR", True)]


async def test_no_request_waits_for_a_counter_that_is_known_to_be_away() -> None:
    async with replicas() as group:
        limiter = group.limiter(100)
        group.counter.away = True
        await limiter.hit("org_a")
        group.counter.asked.clear()
        assert await admitted(limiter, 20) == 20
        assert set(group.counter.asked) <= {"try"}


async def test_back_again_it_counts_together_again(caplog: pytest.LogCaptureFixture) -> None:
    async with replicas() as group:
        one, other = group.limiter(), group.limiter()
        group.counter.away = True
        assert await admitted(one, 1) == 1
        group.counter.away = False
        await is_back(one)
        assert sum("counted in Redis again" in record.getMessage() for record in caplog.records) == 1
        assert await admitted(other, 2) == 2
        assert (await one.state("org_a")).remaining == 1
        # A second outage is told again.
        group.counter.away = True
        await one.state("org_a")
        assert sum("by this process alone" in record.getMessage() for record in caplog.records) == 2


@pytest.mark.parametrize("trouble", ["away", "hangs"])
async def test_it_stays_away_as_long_as_it_refuses_or_is_silent(trouble: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_window, "LOOKS_AT_MOST", 1)  # ten milliseconds
    async with replicas() as group:
        limiter = group.limiter()
        setattr(group.counter, trouble, True)
        await limiter.hit("org_a")
        group.counter.asked.clear()
        await until(lambda: len(group.counter.asked) >= 3)
        assert set(group.counter.asked) == {"try"}
        assert limiter.is_alone is True
        setattr(group.counter, trouble, False)
        await is_back(limiter)


async def test_a_counter_that_comes_back_empty_lets_no_server_have_its_limit_twice() -> None:
    async with replicas() as group:
        limiter = group.limiter()
        assert await admitted(limiter, 2) == 2
        group.counter.forget()
        assert await admitted(limiter, 5) == 1
        group.counter.away = True
        await limiter.hit("org_b")
        group.counter.forget()
        group.counter.away = False
        await is_back(limiter)
        assert await admitted(limiter, 5) == 0


async def test_one_that_hangs_holds_nobody_for_long(caplog: pytest.LogCaptureFixture) -> None:
    async with replicas() as group:
        limiter = group.limiter(100)
        group.counter.hangs = True
        async with asyncio.timeout(60):
            assert await admitted(limiter, 200) == 100
        assert group.counter.asked.count("hit") == shared_window.ANSWERS_AT_ONCE  # all others were spared
        assert '"reason": "no answer in time"' in caplog.text
        group.counter.hangs = False
        await is_back(limiter)


async def test_a_moment_in_which_the_process_is_held_up_is_not_its_fault() -> None:
    async with replicas() as group:
        limiter = group.limiter()
        hitting = asyncio.ensure_future(limiter.hit("org_a"))
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 - the loop stands still for twice the limit
        await hitting
        assert limiter.is_alone is False


@pytest.mark.parametrize(("at_most", "alone"), [(shared_window.LOOKS_AT_MOST, False), (shared_window.LOOKS, True)])
async def test_nor_is_a_process_that_is_held_up_again_and_again(
    monkeypatch: pytest.MonkeyPatch, at_most: int, alone: bool
) -> None:
    """An answer of ten steps, and before each the loop stands still; the control gives up as if that were the answer's.

    Such a process counts alone though nothing is wrong, and then two servers admit twice the limit.
    """
    monkeypatch.setattr(shared_window, "LOOKS_AT_MOST", at_most)
    async with replicas() as group:
        limiter = group.limiter()

        async def answer(_question: str) -> None:
            for _ in range(10):
                await asyncio.sleep(0)
                time.sleep(0.03)  # noqa: ASYNC251 - the loop stands still for three looks
                await asyncio.sleep(0)

        monkeypatch.setattr(group.counter, "_answer", answer)
        await limiter.hit("org_a")
        assert limiter.is_alone is alone


async def test_a_request_that_is_told_to_stop_leaves_no_question_behind() -> None:
    async with replicas() as group:
        limiter = group.limiter()
        group.counter.hangs = True
        hitting = asyncio.ensure_future(limiter.hit("org_a"))
        await until(lambda: group.counter.asked)
        hitting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hitting
        assert limiter.is_alone is False
        group.counter.hangs = False
        assert (await limiter.hit("org_a")).remaining == 2


async def test_a_mistake_of_the_counter_is_no_outage() -> None:
    async with replicas() as group:
        limiter = group.limiter()

        async def broken(*_: Any) -> bool:
            raise ZeroDivisionError

        group.counter.acquire_entry = broken  # type: ignore[method-assign]
        with pytest.raises(ZeroDivisionError):
            await limiter.hit("org_a")
        assert limiter.is_alone is False


async def test_silent_organizations_are_forgotten() -> None:
    async with replicas() as group:
        one, other = group.limiter(1), group.limiter(1)
        for number in range(50):
            await one.hit(f"org_{number}")
            with pytest.raises(RateLimitExceeded):
                await other.hit(f"org_{number}")
        assert len(group.windows[1]._full) == 50
        group.clock.now += MINUTE + 1
        await one.hit("org_late")
        await other.hit("org_other")
        assert {key.split("/")[1] for key in group.windows[0]._hits} == {"org_late"}
        assert group.windows[1]._full == {}


def test_one_in_memory_is_never_alone() -> None:
    assert RateLimiter(3).is_alone is None

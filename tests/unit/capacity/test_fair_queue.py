"""Organizations that share, in virtual work: nothing here takes time."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.capacity.bodies import BodyBudget
from uncrop.capacity.fair_queue import NOBODY, FairQueue
from uncrop.capacity.pixel_memory import PixelMemory
from uncrop.capacity.slots import Slots
from uncrop.errors import ServerBusy
from uncrop.server.http_errors import NotReady


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


class Work:
    """A piece of work that takes a part, and holds it until it is told to leave."""

    def __init__(self, queue: FairQueue, owner: str, amount: int, served: list[str]) -> None:
        self._queue = queue
        self._amount = amount
        self._served = served
        self.owner = owner
        self.leave = asyncio.Event()
        self.task = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        async with self._queue.hold(self.owner, self._amount):
            self._served.append(self.owner)
            await self.leave.wait()

    @property
    def refused(self) -> bool:
        return self.task.done() and isinstance(self.task.exception(), ServerBusy)


class House:
    """A queue, and who was served in which order."""

    def __init__(self, total: int, **options: int) -> None:
        self.queue = FairQueue(total, **options)
        self.served: list[str] = []
        self.works: list[Work] = []

    async def come(self, owner: str, times: int = 1, *, amount: int = 1) -> list[Work]:
        new = [Work(self.queue, owner, amount, self.served) for _ in range(times)]
        self.works.extend(new)
        await settle()
        return new


async def test_a_flood_of_one_leaves_the_next_slot_to_another() -> None:
    house = House(4, max_waiting=64)
    flood = await house.come("a", 4 + 64)
    assert (house.queue.held, house.queue.waiting) == (4, 64)
    (neighbour,) = await house.come("b")
    assert not neighbour.refused
    flood[0].leave.set()
    await settle()
    assert house.served == ["a"] * 4 + ["b"]


async def test_who_has_fewer_places_takes_one_of_those_who_have_most_and_the_last_who_came_must_go() -> None:
    house = House(1, max_waiting=4)
    flood = await house.come("a", 5)
    await house.come("b")
    assert [work.refused for work in flood] == [False] * 4 + [True]
    await house.come("b")
    assert [work.refused for work in flood] == [False] * 3 + [True] * 2
    # Now both have two: who comes next is refused, whoever it is.
    (third,) = await house.come("b")
    (another,) = await house.come("a")
    assert (third.refused, another.refused, house.queue.waiting) == (True, True, 4)
    (newcomer,) = await house.come("c")
    assert not newcomer.refused
    assert house.queue.waiting == 4


async def test_one_alone_has_every_place_and_is_refused_at_once_beyond_them() -> None:
    house = House(2, max_waiting=3)
    works = await house.come("a", 6)
    assert [work.refused for work in works] == [False] * 5 + [True]


async def test_those_who_wait_are_served_in_turn() -> None:
    house = House(1, max_waiting=20)
    await house.come("a", 5)
    await house.come("b", 2)
    await house.come("c", 1)
    for _ in range(7):
        running = next(work for work in house.works if not work.leave.is_set() and work.owner == house.served[-1])
        running.leave.set()
        await settle()
    assert house.served == ["a", "b", "c", "a", "b", "a", "a", "a"]


async def test_the_next_slot_goes_to_who_holds_fewest() -> None:
    house = House(4, max_waiting=20)
    long = await house.come("a", 4)
    await house.come("b", 2)
    await house.come("a", 2)
    for work in long[:2]:
        work.leave.set()
        await settle()
    # Turn by turn would have given the second one to a, who still holds two.
    assert house.served == ["a", "a", "a", "a", "b", "b"]


async def test_a_part_is_kept_for_those_who_hold_nothing() -> None:
    house = House(8, kept=2, max_waiting=9)
    await house.come("a", 9)
    assert (house.queue.held, house.queue.waiting) == (6, 3)
    await house.come("b", 1)
    await house.come("c", 1)
    assert house.served == ["a"] * 6 + ["b", "c"]
    await house.come("d", 1)
    assert (house.queue.held, house.queue.waiting) == (8, 4)


async def test_who_holds_nothing_may_take_all_and_nothing_is_kept_from_nobody() -> None:
    house = House(8, kept=2)
    (large,) = await house.come("a", amount=8)
    assert house.queue.held == 8
    large.leave.set()
    await settle()
    await house.come(NOBODY, 8)
    assert house.queue.held == 8


async def test_a_large_part_is_not_overtaken_for_ever_by_small_ones_of_others() -> None:
    house = House(10)
    first = await house.come("a", 4, amount=2)
    (large,) = await house.come("b", amount=9)
    await house.come("a", 3, amount=2)
    await house.come("c", 3, amount=2)
    for work in first:
        work.leave.set()
        await settle()
    assert not large.leave.is_set()
    assert house.served == ["a"] * 4 + ["b"]


async def test_a_check_refuses_just_those_who_would_be_refused() -> None:
    house = House(1, max_waiting=2)
    house.queue.check("a")
    await house.come("a", 3)
    with pytest.raises(ServerBusy) as caught:
        house.queue.check("a")
    assert caught.value.retry_after == 5
    house.queue.check("b")
    await house.come("b")
    with pytest.raises(ServerBusy):
        house.queue.check("b")


async def test_who_is_expected_counts_as_one_who_has_come() -> None:
    house = House(1, max_waiting=1)
    with house.queue.expect("a") as asks, house.queue.expect("a"):
        with pytest.raises(ServerBusy):
            house.queue.check("a")
        with house.queue.expect("b"), pytest.raises(ServerBusy):  # b has fewer, and is let in; then both have as many
            house.queue.check("a")
        asks()
        asks()  # a picture more of the same request
        house.queue.check("a")
        await house.come("a", 2)
        with pytest.raises(ServerBusy):
            house.queue.check("a")
        house.queue.check("b")
    assert house.queue._expected == {}


async def test_of_what_is_kept_for_others_nothing_is_promised() -> None:
    queue = FairQueue(2, kept=1, max_waiting=0)
    with queue.expect("a"):
        with pytest.raises(ServerBusy):
            queue.check("a")
        queue.check("b")
        queue.check(NOBODY)
    queue.check("a")


async def test_a_place_that_somebody_is_expected_for_is_there_when_that_one_comes() -> None:
    house = House(1, max_waiting=1)
    await house.come("a")
    with house.queue.expect("b") as asks:
        with pytest.raises(ServerBusy):
            house.queue.check("a")
        asks()
        (second,) = await house.come("b")
    assert not second.refused


async def test_a_closed_queue_refuses_those_who_wait_and_those_who_come_and_takes_back_what_is_held() -> None:
    house = House(1, max_waiting=9)
    holder, waiting = await house.come("a", 2)
    house.queue.close(lambda: NotReady("The server is stopping"))
    await settle()
    assert isinstance(waiting.task.exception(), NotReady)
    (late,) = await house.come("b")
    assert isinstance(late.task.exception(), NotReady)
    with pytest.raises(NotReady):
        house.queue.check("c")
    holder.leave.set()
    await settle()
    assert (house.queue.held, house.queue.waiting) == (0, 0)


async def test_who_has_given_up_a_moment_before_is_not_refused_as_well() -> None:
    house = House(1, max_waiting=9)
    _holder, waiting = await house.come("a", 2)
    waiting.task.cancel()
    house.queue.close(lambda: NotReady("The server is stopping"))
    await settle()
    assert waiting.task.cancelled()
    assert house.queue.waiting == 0


async def test_a_waiting_coroutine_that_is_thrown_away_leaves_its_place() -> None:
    queue = FairQueue(1, max_waiting=1)
    async with queue.hold(NOBODY, 1):
        waiting = queue.take(NOBODY, 1)
        waiting.send(None)
        assert queue.waiting == 1
        waiting.close()
        assert queue.waiting == 0
    assert queue.held == 0


async def test_the_place_of_who_has_given_up_a_moment_before_is_given_away() -> None:
    house = House(1, max_waiting=2)
    holder, first, last = await house.come("a", 3)
    newcomer = Work(house.queue, "b", 1, house.served)
    last.task.cancel()  # it leaves only after the newcomer has come
    await settle()
    assert last.task.cancelled()
    assert not newcomer.task.done()
    for work in (holder, first, newcomer):
        work.leave.set()
        await settle()
    assert sorted(house.served) == ["a", "a", "b"]
    assert (house.queue.held, house.queue.waiting) == (0, 0)


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 6), st.integers(0, 3), st.integers(0, 5), st.integers(0, 2**32))
def test_no_course_of_events_leaks_exceeds_or_leaves_something_idle(
    total: int, kept: int, max_waiting: int, seed: int
) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        queue, held = FairQueue(total, kept=min(kept, total - 1), max_waiting=max_waiting), Counter[str]()

        async def work(owner: str, amount: int, steps: int) -> None:
            async with queue.hold(owner, amount):
                held[owner] += amount
                assert held.total() <= total
                try:
                    for _ in range(steps):
                        await asyncio.sleep(0)
                finally:
                    held[owner] -= amount

        tasks = [
            asyncio.ensure_future(work(chance.choice("abc"), chance.randint(0, total), chance.randrange(6)))
            for _ in range(20)
        ]
        for _ in range(60):
            assert queue.held <= total
            assert queue.waiting <= max_waiting
            if queue.waiting:
                assert queue.held or any(task.cancelling() for task in tasks), "nothing is held, and somebody waits"
            if chance.random() < 0.3:
                chance.choice(tasks).cancel()
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, asyncio.CancelledError | ServerBusy) for outcome in outcomes)
        assert (queue.held, queue.waiting, held.total()) == (0, 0, 0)
        # Nothing is remembered of those who came: no number of organizations makes it grow.
        assert (queue._held, queue._waiting, queue._last_turn) == ({}, {}, {})

    asyncio.run(run())


async def test_slots_and_memory_share_by_organization() -> None:
    slots, memory = Slots(16, 9), PixelMemory(160)
    stop = asyncio.Event()

    async def work(owner: str) -> None:
        async with slots.hold(owner), memory.hold(10, owner):
            await stop.wait()

    async with asyncio.TaskGroup() as tasks:
        for owner in ["a"] * 20 + ["b"]:
            tasks.create_task(work(owner))
        await settle()
        assert (slots.running, slots.waiting) == (15, 6)  # two slots are kept from a, and b has one of them
        assert memory.held == 150
        stop.set()


def test_an_organization_cannot_fill_the_memory_for_bodies() -> None:
    budget = BodyBudget(80)
    with budget.share("a") as one, budget.share("a") as more, budget.share("b") as other:
        one.grow(40)
        more.grow(30)
        with pytest.raises(ServerBusy):
            more.grow(1)
        other.grow(10)
        with pytest.raises(ServerBusy):
            other.grow(1)
        assert budget.held == 80
    assert budget.held == 0
    with budget.share() as all_of_it:
        all_of_it.grow(80)


def test_an_answer_takes_the_place_of_its_body_in_the_memory_and_is_never_refused() -> None:
    budget = BodyBudget(80)
    with budget.share() as share:
        share.owner = "a"
        share.grow(40)
        share.become(100)
        assert (share.size, budget.held) == (100, 100)
        with budget.share("b") as other, pytest.raises(ServerBusy):
            other.grow(1)
        share.become(10)
        assert budget.held == 10
    assert budget.held == 0

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.capacity.slots import Slots
from uncrop.errors import ServerBusy


async def settle() -> None:
    """Let every task that can run do so."""
    for _ in range(20):
        await asyncio.sleep(0)


class Worker:
    """A task that holds a slot until it is told to leave."""

    def __init__(self, slots: Slots, served: list[int] | None = None, number: int = 0) -> None:
        self._slots = slots
        self._served = [] if served is None else served
        self._number = number
        self.leave = asyncio.Event()
        self.task = asyncio.ensure_future(self._work())

    async def _work(self) -> None:
        async with self._slots.hold():
            self._served.append(self._number)
            await self.leave.wait()


async def test_a_free_slot_is_had_at_once() -> None:
    slots = Slots(2, 0)
    async with slots.hold():
        async with slots.hold():
            assert (slots.running, slots.waiting) == (2, 0)
        assert slots.running == 1
    assert slots.running == 0


async def test_without_places_to_wait_the_refusal_comes_at_once() -> None:
    slots = Slots(1, 0, retry_after=7)
    async with slots.hold():
        with pytest.raises(ServerBusy) as caught:
            async with slots.hold():
                pytest.fail("held a slot that does not exist")
        assert caught.value.retry_after == 7
        assert slots.running == 1
    async with slots.hold():
        pass


async def test_places_are_bounded() -> None:
    slots = Slots(1, 2)
    workers = [Worker(slots) for _ in range(3)]
    await settle()
    assert (slots.running, slots.waiting) == (1, 2)

    with pytest.raises(ServerBusy) as caught:
        async with slots.hold():
            pytest.fail("held a slot that does not exist")
    assert caught.value.retry_after == 5

    for worker in workers:
        worker.leave.set()
    await asyncio.gather(*(worker.task for worker in workers))
    assert (slots.running, slots.waiting) == (0, 0)


async def test_first_come_first_served() -> None:
    slots, served = Slots(2, 20), list[int]()
    workers = [Worker(slots, served, number) for number in range(12)]
    await settle()
    for worker in workers:
        worker.leave.set()
        await settle()
    assert served == list(range(12))


async def test_nobody_overtakes_whoever_was_just_called() -> None:
    slots, served = Slots(1, 5), list[int]()
    first, second = Worker(slots, served, 1), Worker(slots, served, 2)
    await settle()
    first.leave.set()
    await first.task
    # The slot has been passed on to the second, who has not run yet; a third must not find it free.
    assert slots.running == 1
    third = Worker(slots, served, 3)
    await settle()
    assert served == [1, 2]
    second.leave.set()
    third.leave.set()
    await asyncio.gather(second.task, third.task)
    assert (served, slots.running) == ([1, 2, 3], 0)


async def test_an_error_gives_the_slot_back() -> None:
    slots = Slots(1, 0)
    with pytest.raises(RuntimeError, match="failed"):
        async with slots.hold():
            raise RuntimeError("failed")
    assert slots.running == 0


async def test_whoever_stops_waiting_frees_the_place() -> None:
    slots = Slots(1, 1)
    holder, waiter = Worker(slots), Worker(slots)
    await settle()
    waiter.task.cancel()
    with suppress(asyncio.CancelledError):
        await waiter.task
    assert (slots.running, slots.waiting) == (1, 0)
    holder.leave.set()
    await holder.task
    assert slots.running == 0


async def test_a_slot_passed_to_someone_who_stops_is_passed_on() -> None:
    slots = Slots(1, 2)
    holding = slots.hold()
    await holding.__aenter__()
    stopped, next_one = Worker(slots), Worker(slots)
    await settle()
    await holding.__aexit__(None, None, None)
    stopped.task.cancel()  # it was given the slot and has not run since
    await settle()
    assert stopped.task.cancelled()
    assert (slots.running, slots.waiting) == (1, 0)
    next_one.leave.set()
    await next_one.task
    assert slots.running == 0


async def test_a_slot_given_back_in_the_moment_of_stopping_skips_the_stopped() -> None:
    slots = Slots(1, 2)
    holding = slots.hold()
    await holding.__aenter__()
    stopped, next_one = Worker(slots), Worker(slots)
    await settle()
    stopped.task.cancel()
    await holding.__aexit__(None, None, None)  # before the stopped one has run again
    assert (slots.running, slots.waiting) == (1, 0)
    await settle()
    assert stopped.task.cancelled()
    next_one.leave.set()
    await next_one.task
    assert slots.running == 0


async def test_a_cancel_scope_leaks_nothing() -> None:
    slots = Slots(1, 1)
    async with slots.hold():
        with anyio.move_on_after(0):
            async with slots.hold():
                pytest.fail("held a slot that does not exist")
        assert (slots.running, slots.waiting) == (1, 0)
    with anyio.CancelScope() as scope:
        async with slots.hold():
            scope.cancel()
            await anyio.lowlevel.checkpoint()
    assert slots.running == 0


@pytest.mark.parametrize("steps", range(12))
async def test_stopping_after_any_number_of_steps_leaks_nothing(steps: int) -> None:
    for victim in range(4):
        slots = Slots(2, 4)
        workers = [Worker(slots) for _ in range(4)]
        for number in range(steps):
            await asyncio.sleep(0)
            if number == 3:
                workers[0].leave.set()
        workers[victim].task.cancel()
        for worker in workers:
            worker.leave.set()
        await asyncio.wait([worker.task for worker in workers])
        assert (slots.running, slots.waiting) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3), st.integers(0, 4), st.integers(0, 2**32))
def test_no_course_of_events_leaks_or_exceeds(max_running: int, max_waiting: int, seed: int) -> None:
    async def run() -> None:
        chance = random.Random(seed)
        slots, held, refused = Slots(max_running, max_waiting), 0, 0

        async def work(steps: int) -> None:
            nonlocal held, refused
            try:
                async with slots.hold():
                    held += 1
                    assert held <= max_running
                    try:
                        for _ in range(steps):
                            await asyncio.sleep(0)
                    finally:
                        held -= 1
            except ServerBusy:
                refused += 1

        tasks = [asyncio.ensure_future(work(chance.randrange(6))) for _ in range(12)]
        for _ in range(40):
            assert slots.waiting <= max_waiting
            assert slots.running <= max_running
            if chance.random() < 0.4:
                chance.choice(tasks).cancel()
            await asyncio.sleep(0)
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(outcome is None or isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
        assert (slots.running, slots.waiting, held) == (0, 0, 0)

    asyncio.run(run())


@pytest.mark.parametrize(("max_running", "max_waiting"), [(0, 1), (-1, 0), (1, -1)])
def test_impossible_numbers_are_refused(max_running: int, max_waiting: int) -> None:
    with pytest.raises(ValueError, match="at least one slot and no fewer than zero places are needed"):
        Slots(max_running, max_waiting)

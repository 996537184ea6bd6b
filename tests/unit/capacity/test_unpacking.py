"""Places for answers to be unpacked."""

from __future__ import annotations

import asyncio

import anyio

from uncrop.capacity.capacity import THREADS, Capacity
from uncrop.capacity.pixel_memory import PixelMemory
from uncrop.capacity.slots import Slots
from uncrop.capacity.unpacking import Unpacking


async def test_only_as_many_are_unpacked_at_once_as_there_are_places() -> None:
    unpacking = Unpacking(2)
    with unpacking.place() as first, unpacking.place() as second, unpacking.place() as third:
        await first.take()
        await second.take()
        await second.take()  # twice is once
        waiting = asyncio.create_task(third.take())
        await anyio.wait_all_tasks_blocked()
        assert not waiting.done()
        first.give_back()
        first.give_back()
        await waiting
        assert unpacking.taken == 2
    assert unpacking.taken == 0


async def test_one_that_is_cancelled_while_it_waits_holds_nothing() -> None:
    unpacking = Unpacking(1)
    with unpacking.place() as first:
        await first.take()
        with unpacking.place() as second:
            waiting = asyncio.create_task(second.take())
            await anyio.wait_all_tasks_blocked()
            waiting.cancel()
            await asyncio.wait([waiting])
        assert unpacking.taken == 1
    assert unpacking.taken == 0


def test_a_place_that_was_never_taken_is_given_back_for_nothing() -> None:
    unpacking = Unpacking(1)
    with unpacking.place():
        pass
    assert unpacking.taken == 0


async def test_one_object_tells_how_much_is_in_use() -> None:
    capacity = Capacity(slots=Slots(2, 1), memory=PixelMemory(1000))
    assert capacity.figures() == dict.fromkeys(
        ("running", "waiting", "engine", "pixel_bytes", "body_bytes", "threads", "unpacking"), 0
    )
    assert capacity.memory is not None
    with capacity.bodies.share() as share, capacity.unpacking.place() as place:
        share.grow(10)
        await place.take()
        async with capacity.slots.hold(), capacity.memory.hold(300), capacity.threads:
            assert capacity.figures() == {
                "running": 1,
                "waiting": 0,
                "engine": 0,
                "pixel_bytes": 300,
                "body_bytes": 10,
                "threads": 1,
                "unpacking": 1,
            }
    assert Capacity(slots=Slots(2, 1)).figures()["pixel_bytes"] == 0
    assert capacity.threads.total_tokens == THREADS


async def test_decoders_wait_for_memory_and_one_that_needs_all_is_alone() -> None:
    unpacking = Unpacking(3, max_bytes=100)
    with unpacking.place() as first, unpacking.place() as second:
        await first.hold(70)
        waiting = asyncio.create_task(second.hold(1000))
        await anyio.wait_all_tasks_blocked()
        assert not waiting.done()
        first.let_go()
        await waiting
        # In place of what it had: it never waits for itself.
        await second.hold(60)
        async with unpacking.memory(40):
            pass
    async with unpacking.memory(100):
        pass

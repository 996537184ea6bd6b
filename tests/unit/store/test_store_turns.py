"""A queue that is long and moves is waited in; one that stands still is told."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.store.database import open_store
from uncrop.store.turns import NoTurnError, Turns
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sqlalchemy.ext.asyncio import AsyncConnection


async def test_turns_come_in_order_and_no_more_at_once_than_there_are() -> None:
    turns, order, at_once = Turns(2, stands_still_s=60), [], []
    active = 0

    async def work(number: int) -> None:
        nonlocal active
        async with turns.take():
            active += 1
            at_once.append(active)
            order.append(number)
            await asyncio.sleep(0)
            active -= 1

    await asyncio.gather(*(work(number) for number in range(20)))
    assert order == list(range(20))
    assert max(at_once) == 2


async def test_a_queue_that_stands_still_is_told() -> None:
    turns = Turns(1, stands_still_s=0.02)
    async with turns.take():
        with pytest.raises(NoTurnError):
            async with turns.take():
                pytest.fail("two have the one turn")
    async with turns.take():
        pass


async def test_a_queue_that_moves_is_waited_in_for_longer() -> None:
    turns = Turns(1, stands_still_s=0.2)
    done: list[int] = []

    async def work(number: int) -> None:
        async with turns.take():
            await asyncio.sleep(0.05)  # those behind look up meanwhile
            done.append(number)

    await asyncio.gather(*(work(number) for number in range(8)))
    assert done == list(range(8))  # the last has waited for 0.35 s


async def test_a_process_that_was_held_up_itself_blames_nobody() -> None:
    turns = Turns(1, stands_still_s=0.05)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(turns.take())
        waiting = asyncio.ensure_future(turns._wait())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        time.sleep(0.1)  # noqa: ASYNC251 - the loop stands still for twice as long
        await asyncio.sleep(0)
        await stack.aclose()
    await waiting


@pytest.mark.parametrize("gives_back_first", [False, True])
async def test_one_who_stops_waiting_takes_no_turn_along(gives_back_first: bool) -> None:
    turns = Turns(1, stands_still_s=60)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(turns.take())
        waiting = [asyncio.ensure_future(turns._wait()) for _ in range(2)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        if gives_back_first:
            await stack.aclose()
        waiting[0].cancel()
        await asyncio.wait([waiting[0]])
    await until(waiting[1].done)
    turns._free.release()
    async with turns.take():
        assert turns._free.locked()
    assert not turns._free.locked()


async def test_a_read_that_nobody_waits_for_any_more_leaves_the_queue(sqlite_url: str, pepper: bytes) -> None:
    """Thousands may come and leave at once; those who stay wait for nobody who has left."""
    held, go_on = asyncio.Event(), asyncio.Event()
    begun: list[int] = []

    async def hold(_connection: AsyncConnection) -> None:
        held.set()
        await go_on.wait()

    def noting(number: int) -> Callable[[AsyncConnection], Coroutine[Any, Any, None]]:
        async def work(_connection: AsyncConnection) -> None:
            begun.append(number)

        return work

    async with open_store(sqlite_url, pepper=pepper) as store:
        transactions = store._transactions
        holding = asyncio.create_task(transactions.read(hold))
        await held.wait()
        waiting = [asyncio.create_task(transactions.read(noting(number))) for number in range(3)]
        writing = asyncio.create_task(transactions.write(noting(3)))
        await until(lambda: len(transactions._turns._waiting) == 4)
        for task in (holding, waiting[0], waiting[2], writing):
            task.cancel()
        await until(lambda: len(transactions._turns._waiting) == 2)
        go_on.set()
        await waiting[1]
        await store.drain()
    # What writes is seen through, and so is what had begun.
    assert begun == [1, 3]

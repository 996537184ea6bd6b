from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from batch_bench import FakeQueue
from uncrop import settings as configuration
from uncrop.batch.callers import caller_of
from uncrop.batch.opening import ENDING_TRIES, OpenBatches, open_batches
from uncrop.batch.patience import Patience
from uncrop.batch.run import Run
from uncrop.bootstrap import open_service
from uncrop.errors import SettingsError
from uncrop.model.batches import PhotoEnding
from uncrop.model.claims import hold_id, hold_ids
from uncrop.store.books import NewHold
from uncrop.workers.decoding.decoder import INLINE

if TYPE_CHECKING:
    from pathlib import Path

    from batch_bench import Bench
    from uncrop.store.batches import Sums


def run_of(bench: Bench, told: list[Sums] | None = None, **changes: Any) -> Run:
    opened = OpenBatches(
        queue=bench.queue,
        billed=FakeQueue(),
        worker=bench.worker(),
        patience=Patience(stopping=bench.stopped.is_set, sleep=bench.sleep),
    )
    values: dict[str, Any] = {
        "batches": bench.store.batches,
        "opened": opened,
        "batch": bench.batch,
        "tell": (told if told is not None else []).append,
        "interrupted": asyncio.Event(),
        "look_every_s": 0.001,
    }
    return Run(**{**values, **changes})


async def work(bench: Bench, *, lose: int = 0) -> None:
    """Do what is in the queue as it comes; the first few entries are lost."""
    done = 0
    while True:
        while len(bench.queue.added) > done:
            entry, _ = bench.queue.added[done]
            done += 1
            if done > lose:
                await bench.worker().run(bench.queue, entry)
        await asyncio.sleep(0.001)


async def state(bench: Bench) -> str:
    batch = await bench.store.batches.find(bench.batch.id)
    assert batch is not None
    return batch.state


async def test_a_batch_is_seen_through(bench: Bench) -> None:
    await bench.plan(3)
    told: list[Sums] = []
    working = asyncio.create_task(work(bench))
    run = run_of(bench, told, max_usd_micro=7)
    assert await run.see_through() is True
    working.cancel()
    assert (await state(bench), told[-1].states) == ("ended", {"done": 3})
    assert bench.queue.forgotten == [f"{bench.batch.id}-"]
    batch = await bench.store.batches.find(bench.batch.id)
    assert batch is not None
    assert batch.max_usd_micro == 7


async def test_an_interrupted_batch_is_nobodys_work(bench: Bench) -> None:
    await bench.plan(3)
    interrupted = asyncio.Event()
    interrupted.set()
    assert await run_of(bench, interrupted=interrupted).see_through() is False
    assert await state(bench) == "stopped"


async def test_an_interrupted_batch_is_not_put_into_the_queue(bench: Bench) -> None:
    await bench.plan(3)
    interrupted = asyncio.Event()
    interrupted.set()
    await run_of(bench, interrupted=interrupted)._fill_queue()
    assert len(bench.queue.added) == 1, "by the plan of the test alone"


async def test_what_is_in_the_queue_already_is_not_put_there_again(bench: Bench) -> None:
    await bench.plan(2)
    bench.queue.alive = {f"{bench.batch.id}-1"}
    run = run_of(bench)
    await run._fill_queue()
    assert len(bench.queue.added) == 1
    bench.queue.alive = set()
    await run._fill_queue()
    assert bench.queue.added[1:] == [(f"{bench.batch.id}-2", 0)]


async def test_what_was_lost_is_put_into_the_queue_again(bench: Bench) -> None:
    await bench.plan(2)
    working = asyncio.create_task(work(bench, lose=2))
    assert await run_of(bench, stands_still_s=0.0).see_through() is True
    working.cancel()
    assert await state(bench) == "ended"
    assert len(bench.queue.added) >= 3


async def test_it_is_not_looked_for_before_it_stands_still(bench: Bench) -> None:
    await bench.plan(1)
    looks = 0

    def tell(_sums: Sums) -> None:
        nonlocal looks
        looks += 1
        if looks == 5:
            interrupted.set()

    interrupted = asyncio.Event()
    await run_of(bench, tell=tell, interrupted=interrupted, stands_still_s=60.0).see_through()
    assert len(bench.queue.added) == 2, "by the plan of the test, and by the run"


async def test_a_queue_that_cannot_be_filled_ends_the_run(bench: Bench) -> None:
    await bench.plan(1)

    async def fail(_beginning: str) -> frozenset[str]:
        raise ZeroDivisionError

    bench.queue.waiting = fail  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        await run_of(bench, stands_still_s=0.0).see_through()


async def test_a_real_queue_brings_chunks_to_a_worker(bench: Bench, tmp_path: Path) -> None:
    """By DBOS on the bench's own database; photos are ended without being made."""
    await bench.plan(3, photo=None)
    configured = configuration.load(_env_file=None, data_dir=tmp_path, jobs_at_once=1, clipdrop_api_key="key")
    async with (
        open_service(configured, decoder=INLINE, serves=False) as service,
        open_batches(service, lost=lambda: None) as opened,
    ):
        run = run_of(bench, opened=opened)
        assert await run.see_through() is True
        assert await opened.waiting(bench.batch) == frozenset()
        caller = await caller_of(service.store, "org_a")
        assert (caller.organization_id, caller.provider_keys.may_use_servers) == ("org_a", True)
        assert opened.worker.facts_of("clipdrop").name == "clipdrop"
        claim = "c" * 32
        new = {"organization_id": "org_a", "key_id": None, "provider": "clipdrop", "calls": 1, "postings": ()}
        await service.store.books.open(NewHold(id=hold_id(claim, 0), **new))
        held = replace(await bench.photo(), claim_id=claim)
        assert not await bench.store.batches.is_settled(held)
        await opened.worker.close_holds(hold_ids(claim))
        assert await bench.store.batches.is_settled(held)
    assert [(await bench.photo(number)).state for number in (1, 2, 3)] == ["failed"] * 3


async def test_entries_wait_until_they_are_worked_on(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uncrop.jobs.dbos._LISTED_AT_A_TIME", 1)  # the entry and a page without one
    configured = configuration.load(_env_file=None, data_dir=tmp_path)
    async with (
        open_service(configured, decoder=INLINE, serves=False) as service,
        open_batches(service, at_once=1, lost=lambda: None) as opened,
    ):
        waiting = asyncio.Event()

        async def hold(_batch_id: str, _chunk: int) -> tuple[int, ...]:
            await waiting.wait()
            return ()

        object.__setattr__(opened.worker.photos, "open_numbers", hold)
        add = partial(
            service.store.batches.put_into_chunks, bench.batch, size=1, adding=partial(opened.adding, bench.batch)
        )
        await bench.plan(1)
        await bench.store.batches.forget_chunks(bench.batch, frozenset())
        assert await add() == 1
        assert await opened.waiting(bench.batch) == frozenset({2})
        waiting.set()
        await opened.worker.drain()
        await opened.forget(bench.batch)
        photo = await bench.store.batch_photos.begin(bench.batch.id, 1)
        assert photo is not None
        await bench.store.batch_photos.end(photo, PhotoEnding(state="done"))


async def test_entries_that_end_a_moment_later_are_waited_for_a_while(bench: Bench) -> None:
    opened = run_of(bench).opened
    bench.queue.alive = {f"{bench.batch.id}-1"}
    await opened.forget(bench.batch)
    assert len(bench.waits) == ENDING_TRIES, "not for ever: it may be one of a worker that is gone for good"
    bench.queue.alive.clear()
    await opened.forget(bench.batch)
    assert len(bench.waits) == ENDING_TRIES
    assert bench.queue.forgotten == [f"{bench.batch.id}-"] * 2


async def test_without_the_packages_it_is_told(bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "uncrop.jobs.dbos", None)
    configured = configuration.load(_env_file=None, data_dir=tmp_path)
    async with open_service(configured, decoder=INLINE, serves=False) as service:
        with pytest.raises(SettingsError, match=r"uncrop\[jobs\]"):
            async with open_batches(service, lost=lambda: None):
                pass

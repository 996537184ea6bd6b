"""Jobs in work count among the requests that an organization or a key may have at once."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Never

import pytest

from job_bench import KEEP, MADE, Bench
from uncrop.errors import InvalidApiKey, RateLimitExceeded
from uncrop.jobs.worker import LONGEST_TURN_S, Worker
from uncrop.model import Caller, Policy, UncropRequest

if TYPE_CHECKING:
    from uncrop.service.pictures import MadePictures, Work

LIMITED = Policy(requests_at_once=1)


async def code(bench: Bench, job_id: str) -> tuple[str, str | None]:
    job = await bench.job(job_id)
    return job.state, None if job.error is None else json.loads(job.error)["code"]


@dataclass
class Turns:
    """A worker whose organization may have one request at once, and its pictures, which are made when they are let."""

    bench: Bench
    worker: Worker
    made: asyncio.Event
    begun: asyncio.Event

    @classmethod
    def of(cls, bench: Bench) -> Turns:
        made, begun = asyncio.Event(), asyncio.Event()

        async def work(_request: UncropRequest, _work: Work) -> MadePictures:
            begun.set()
            await made.wait()
            return MADE

        async def caller_of(key_id: str) -> Caller:
            return Caller(organization_id="org_a", key_id=key_id, policy=LIMITED)

        bench.pictures.action = work
        return cls(bench=bench, worker=bench.worker(caller_of=caller_of), made=made, begun=begun)


async def test_a_job_in_work_counts_and_the_next_one_waits_for_its_turn(bench: Bench) -> None:
    turns = Turns.of(bench)
    first, second = await bench.submit(), await bench.submit()
    running = asyncio.create_task(turns.worker.run(first))
    await turns.begun.wait()
    with pytest.raises(RateLimitExceeded):
        turns.worker.at_once.take(Caller(organization_id="org_a", policy=LIMITED)).__enter__()
    del bench.queue.added[:]
    for _ in range(8):
        await turns.worker.run(second)
    waits = [wait for _, _, wait in bench.queue.added]
    # Each time it is another entry of the queue; no worker has died over it, and its caller sees it wait.
    assert [number for _, number, _ in bench.queue.added] == list(range(1, 9))
    assert waits == [1, 2, 4, 8, 16, 32, LONGEST_TURN_S, LONGEST_TURN_S]
    job = await bench.job(second)
    assert (job.state, job.deaths, job.started_at) == ("queued", 0, None)
    turns.made.set()
    await running
    await turns.worker.run(second)
    assert [await code(bench, each) for each in (first, second)] == [("done", None)] * 2
    assert not turns.worker.at_once._counts


async def test_a_job_waits_for_the_turn_that_a_request_has(bench: Bench) -> None:
    turns = Turns.of(bench)
    job_id = await bench.submit()
    turns.made.set()
    with turns.worker.at_once.take(Caller(organization_id="org_a", policy=LIMITED)):
        await turns.worker.run(job_id)
        assert (await bench.job(job_id)).state == "queued"
    await turns.worker.run(job_id)
    assert await code(bench, job_id) == ("done", None)


async def test_what_is_only_to_be_ended_waits_for_no_turn(bench: Bench) -> None:
    turns = Turns.of(bench)
    sent, unwanted, ended, gone = [await bench.submit() for _ in range(4)]
    for each in (sent, unwanted):
        assert await bench.store.jobs.begin(each) is not None
    await bench.store.jobs.mark_sent(sent, 1)
    for each in (unwanted, ended):
        await bench.store.jobs.cancel("org_a", each, keep=KEEP)
    with turns.worker.at_once.take(Caller(organization_id="org_a", policy=LIMITED)):
        for each in (sent, unwanted, ended, "job_that_is_not_there"):
            await turns.worker.run(each)
        # Its key is gone.
        await bench.worker(caller_of=nobody, at_once=turns.worker.at_once).run(gone)
    assert [await code(bench, each) for each in (sent, unwanted, ended, gone)] == [
        ("unknown", "JOB_OUTCOME_UNKNOWN"),
        ("cancelled", "JOB_CANCELLED"),
        ("cancelled", None),
        ("failed", "INVALID_API_KEY"),
    ]


async def nobody(_key_id: str) -> Never:
    raise InvalidApiKey

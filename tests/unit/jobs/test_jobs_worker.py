from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

import pytest

from job_bench import MADE, Bench
from uncrop.errors import (
    ContentRejected,
    InternalError,
    ProviderRateLimited,
    ServerBusy,
    UncropError,
)
from uncrop.jobs.answers import unpack
from uncrop.jobs.files import MASK
from uncrop.jobs.requests import to_text
from uncrop.jobs.worker import LONGEST_WAIT_S, MOST_TRIES
from uncrop.model import UncropRequest

if TYPE_CHECKING:
    from uncrop.service.pictures import MadePictures, Work


async def code(bench: Bench, job_id: str) -> tuple[str, str | None]:
    job = await bench.job(job_id)
    return job.state, None if job.error is None else json.loads(job.error)["code"]


async def forever() -> Never:
    await asyncio.Event().wait()
    raise AssertionError


async def test_a_job_is_made_and_kept_as_the_api_answers(bench: Bench) -> None:
    job_id = await bench.submit(accept="image/*")
    await bench.worker().run(job_id)
    job = await bench.job(job_id)
    assert (job.state, job.attempt, job.error, job.expires_at is not None) == ("done", 1, None, True)
    data = await bench.files.read(job_id, "result-1")
    assert len(data) == job.result_bytes
    answer = unpack(data)
    assert (answer.media_type, answer.headers, answer.body) == (
        "image/jpeg",
        {"X-Accept": "image/*"},
        b"\xff\xd8 a picture",
    )
    (request,), (work,) = bench.pictures.requests, bench.pictures.works
    assert (request.image, request.mask, request.sides.left, request.organization_id) == (b"photo", None, 8, "org_a")
    assert (work.caller.organization_id, work.caller.key_id) == ("org_a", bench.key_id)


async def test_a_mask_comes_along(bench: Bench) -> None:
    request = UncropRequest(provider="openai", image=b"", mask=b"mask")
    job_id = await bench.submit(request=to_text(request))
    await bench.files.write(job_id, MASK, b"mask")
    await bench.worker().run(job_id)
    assert bench.pictures.requests[0].mask == b"mask"


async def test_an_error_is_kept_with_all_that_its_answer_says(bench: Bench) -> None:
    async def refuse(_request: UncropRequest, _work: Work) -> MadePictures:
        raise ContentRejected(details={"provider": "openai"})

    bench.pictures.action = refuse
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    job = await bench.job(job_id)
    assert (job.state, job.result_bytes) == ("failed", None)
    said = json.loads(job.error or "")
    assert (said["code"], said["status"], said["details"]) == ("CONTENT_REJECTED", 422, {"provider": "openai"})
    assert bench.waits == []


@pytest.mark.parametrize("error", [ZeroDivisionError("secret"), InternalError("secret")])
async def test_of_a_fault_of_our_own_only_that_is_kept(
    bench: Bench, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(_request: UncropRequest, _work: Work) -> MadePictures:
        raise error

    bench.pictures.action = fail
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    job = await bench.job(job_id)
    assert await code(bench, job_id) == ("failed", "INTERNAL_ERROR")
    assert "secret" not in (job.error or "")


async def test_what_may_pass_is_tried_again_and_waited_for(bench: Bench) -> None:
    errors: list[UncropError] = [ServerBusy(), ProviderRateLimited(), ProviderRateLimited(retry_after=3600)]

    async def pass_by(_request: UncropRequest, _work: Work) -> MadePictures:
        if errors:
            raise errors.pop(0)
        return MADE

    bench.pictures.action = pass_by
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    assert await code(bench, job_id) == ("done", None)
    assert bench.waits == [5, 60, LONGEST_WAIT_S]


async def test_it_is_not_tried_for_ever(bench: Bench) -> None:
    async def limit(_request: UncropRequest, _work: Work) -> MadePictures:
        raise ProviderRateLimited

    bench.pictures.action = limit
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    assert await code(bench, job_id) == ("failed", "PROVIDER_RATE_LIMITED")
    assert len(bench.pictures.requests) == MOST_TRIES


async def test_what_may_have_been_billed_is_never_tried_again(bench: Bench) -> None:
    async def send(_request: UncropRequest, work: Work) -> MadePictures:
        await work.commitment.commit()
        raise ProviderRateLimited

    bench.pictures.action = send
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    assert await code(bench, job_id) == ("failed", "PROVIDER_RATE_LIMITED")
    assert len(bench.pictures.requests) == 1
    assert (await bench.job(job_id)).calls_sent == 1


async def test_what_was_refused_unbilled_may_be_tried_again(bench: Bench) -> None:
    async def refused_once(_request: UncropRequest, work: Work) -> MadePictures:
        await work.commitment.commit()
        if len(bench.pictures.requests) == 1:
            await work.commitment.take_back()
            work.commitment.note_failure(charged=False)
            raise ProviderRateLimited
        work.commitment.note_cost(MADE.pictures[0].result.facts)
        return MADE

    bench.pictures.action = refused_once
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    assert await code(bench, job_id) == ("done", None)
    assert (await bench.job(job_id)).calls_sent == 1


async def test_the_mark_stands_in_the_row_before_the_call_is_sent(bench: Bench) -> None:
    sent: list[int] = []

    async def send(_request: UncropRequest, work: Work) -> MadePictures:
        branch = work.commitment.branch()
        await branch.commit()
        sent.append((await bench.job(job_id)).calls_sent)
        return MADE

    bench.pictures.action = send
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    assert sent == [1]


async def test_a_job_whose_worker_died_before_the_call_is_made_by_the_next(bench: Bench) -> None:
    job_id = await bench.submit()
    await bench.store.jobs.begin(job_id)
    await bench.worker().run(job_id)
    job = await bench.job(job_id)
    assert (job.state, job.attempt) == ("done", 2)


async def test_a_job_whose_worker_died_after_it_is_unknown(bench: Bench) -> None:
    job_id = await bench.submit()
    await bench.store.jobs.begin(job_id)
    await bench.store.jobs.mark_sent(job_id, 1)
    await bench.worker().run(job_id)
    assert await code(bench, job_id) == ("unknown", "JOB_OUTCOME_UNKNOWN")
    assert bench.pictures.requests == []


async def test_a_job_that_ends_its_workers_is_given_up(bench: Bench) -> None:
    job_id = await bench.submit()
    for _ in range(2):
        await bench.store.jobs.begin(job_id)
    await bench.worker().run(job_id)
    assert await code(bench, job_id) == ("failed", "JOB_ABANDONED")
    assert bench.pictures.requests == []


async def test_nothing_is_done_for_a_job_that_has_ended_or_never_was(bench: Bench) -> None:
    job_id = await bench.submit()
    worker = bench.worker()
    await worker.run(job_id)
    await worker.run(job_id)
    await worker.run("job_unknown")
    assert len(bench.pictures.requests) == 1


async def test_a_cancelled_job_is_not_begun(bench: Bench) -> None:
    job_id = await bench.submit()
    await bench.store.jobs.cancel("org_a", job_id, keep=bench.worker().keep)
    await bench.worker().run(job_id)
    assert bench.pictures.requests == []


async def test_a_job_that_was_cancelled_while_its_worker_died_ends(bench: Bench) -> None:
    job_id = await bench.submit()
    await bench.store.jobs.begin(job_id)
    await bench.store.jobs.cancel("org_a", job_id, keep=bench.worker().keep)
    await bench.worker().run(job_id)
    assert await code(bench, job_id) == ("cancelled", "JOB_CANCELLED")


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_running_job_ends_when_it_is_cancelled_here_or_elsewhere(bench: Bench, elsewhere: bool) -> None:
    begun = asyncio.Event()

    async def work(_request: UncropRequest, _work: Work) -> MadePictures:
        begun.set()
        await forever()

    bench.pictures.action = work
    job_id = await bench.submit()
    worker = bench.worker() if elsewhere else bench.worker(tell_every_s=300)
    running = asyncio.create_task(worker.run(job_id))
    await begun.wait()
    await bench.store.jobs.cancel("org_a", job_id, keep=worker.keep)
    if not elsewhere:
        worker.cancel(job_id)
        worker.cancel("job_of_nobody")
    await running
    assert await code(bench, job_id) == ("cancelled", "JOB_CANCELLED")


async def test_a_cancelled_job_that_may_have_been_billed_is_seen_through(bench: Bench) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def work(_request: UncropRequest, work: Work) -> MadePictures:
        await work.commitment.commit()
        begun.set()
        await cancelled.wait()
        await asyncio.sleep(0.05)
        return MADE

    bench.pictures.action = work
    job_id = await bench.submit()
    worker = bench.worker()
    running = asyncio.create_task(worker.run(job_id))
    await begun.wait()
    await bench.store.jobs.cancel("org_a", job_id, keep=worker.keep)
    worker.cancel(job_id)
    cancelled.set()
    await running
    assert await code(bench, job_id) == ("done", None)


async def test_progress_is_told_while_it_is_made(bench: Bench) -> None:
    seen: list[tuple[str | None, float | None]] = []

    async def work(_request: UncropRequest, work: Work) -> MadePictures:
        work.begins("provider")
        assert work.progress_of is not None
        work.progress_of(0)(0.5, "growing")
        while not seen or seen[-1][1] is None:
            job = await bench.job(job_id)
            seen.append((job.stage, job.fraction))
            await asyncio.sleep(0)
        return MADE

    bench.pictures.action = work
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    assert seen[-1] == ("provider", 0.5)


async def test_a_stopping_worker_begins_nothing(bench: Bench) -> None:
    job_id = await bench.submit()
    bench.stopping = True
    await bench.worker().run(job_id)
    await bench.worker().run("job_unknown")
    job = await bench.job(job_id)
    assert (job.state, job.deaths, bench.queue.added[1:]) == ("queued", 0, [(job_id, 1, 5.0)])
    assert bench.pictures.requests == []


async def test_a_stopping_worker_hands_back_what_has_sent_nothing(bench: Bench) -> None:
    async def work(_request: UncropRequest, _work: Work) -> MadePictures:
        bench.stopping = True
        await forever()

    bench.pictures.action = work
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    job = await bench.job(job_id)
    assert (job.state, job.attempt, job.deaths, bench.queue.added[1:]) == ("queued", 2, 0, [(job_id, 2, 5.0)])


async def test_what_a_stopping_server_has_no_turn_for_is_handed_back(bench: Bench) -> None:
    async def work(_request: UncropRequest, _work: Work) -> MadePictures:
        bench.stopping = True
        raise ServerBusy("The server is stopping")

    bench.pictures.action = work
    job_id = await bench.submit()
    await bench.worker(tell_every_s=300).run(job_id)
    assert (await bench.job(job_id)).state == "queued"


async def test_a_stopping_worker_sees_through_what_may_have_been_billed(bench: Bench) -> None:
    async def work(_request: UncropRequest, work: Work) -> MadePictures:
        await work.commitment.commit()
        bench.stopping = True
        await asyncio.sleep(0.05)
        return MADE

    bench.pictures.action = work
    job_id = await bench.submit()
    worker = bench.worker()
    running = asyncio.create_task(worker.run(job_id))
    await asyncio.sleep(0)
    await worker.drain()
    assert running.done()
    assert await code(bench, job_id) == ("done", None)


@pytest.mark.parametrize("sent", [False, True])
async def test_work_that_is_ended_at_once_is_handed_back_or_unknown(bench: Bench, sent: bool) -> None:
    begun = asyncio.Event()

    async def work(_request: UncropRequest, work: Work) -> MadePictures:
        if sent:
            await work.commitment.commit()
        begun.set()
        await forever()

    bench.pictures.action = work
    job_id = await bench.submit()
    running = asyncio.create_task(bench.worker().run(job_id))
    await begun.wait()
    bench.tasks[0].cancel()
    await running
    assert await code(bench, job_id) == (("unknown", "JOB_OUTCOME_UNKNOWN") if sent else ("queued", None))


async def test_a_worker_that_was_given_up_for_dead_sends_nothing_and_its_result_is_refused(bench: Bench) -> None:
    async def work(_request: UncropRequest, work: Work) -> MadePictures:
        # It froze; another process began the job.
        await bench.store.jobs.begin(job_id)
        with pytest.raises(ServerBusy, match="busy"):
            await work.commitment.commit()
        assert work.commitment.billed_calls == 0
        return MADE

    bench.pictures.action = work
    job_id = await bench.submit()
    await bench.worker(tell_every_s=300).run(job_id)
    job = await bench.job(job_id)
    assert (job.state, job.attempt, job.result_bytes) == ("running", 2, None)


async def test_a_worker_that_was_given_up_for_dead_ends_its_work_when_it_notices(bench: Bench) -> None:
    async def work(_request: UncropRequest, _work: Work) -> MadePictures:
        await bench.store.jobs.begin(job_id)
        await forever()

    bench.pictures.action = work
    job_id = await bench.submit()
    await bench.worker().run(job_id)
    job = await bench.job(job_id)
    assert (job.state, job.attempt, len(bench.queue.added)) == ("running", 2, 1)


class Failing:
    """Fails so often with what the database says when it is away, then does what it should."""

    def __init__(self, inner: Any, times: int) -> None:
        self._inner = inner
        self._left = times

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def _or_fail(self, name: str, *arguments: Any, **named: Any) -> Any:
        if self._left:
            self._left -= 1
            raise ServerBusy(retry_after=2)
        return await getattr(self._inner, name)(*arguments, **named)


class FailingBegin(Failing):
    async def begin(self, job_id: str) -> Any:
        return await self._or_fail("begin", job_id)


class FailingEnd(Failing):
    async def end(self, *arguments: Any, **named: Any) -> Any:
        return await self._or_fail("end", *arguments, **named)


class FailingTell(Failing):
    told = asyncio.Event()

    async def tell(self, *arguments: Any, **named: Any) -> Any:
        found = await self._or_fail("tell", *arguments, **named)
        self.told.set()
        return found


@pytest.mark.parametrize("failing", [FailingBegin, FailingEnd])
async def test_a_database_that_is_away_is_waited_for(bench: Bench, failing: type[Failing]) -> None:
    job_id = await bench.submit()
    await bench.worker(jobs=failing(bench.store.jobs, 2)).run(job_id)
    assert await code(bench, job_id) == ("done", None)
    assert bench.waits == [2, 2]


async def test_without_the_database_nobody_learns_how_far_it_is_and_it_goes_on(bench: Bench) -> None:
    async def work(_request: UncropRequest, _work: Work) -> MadePictures:
        await jobs.told.wait()
        return MADE

    jobs = FailingTell(bench.store.jobs, 2)
    jobs.told = asyncio.Event()
    bench.pictures.action = work
    job_id = await bench.submit()
    await bench.worker(jobs=jobs).run(job_id)
    assert await code(bench, job_id) == ("done", None)


async def test_a_stopping_worker_does_not_wait_for_the_database(bench: Bench) -> None:
    async def work(_request: UncropRequest, _work: Work) -> MadePictures:
        bench.stopping = True
        return MADE

    bench.pictures.action = work
    job_id = await bench.submit()
    await bench.worker(jobs=FailingEnd(bench.store.jobs, 99)).run(job_id)
    assert (await bench.job(job_id)).state == "running"


async def test_a_picture_that_cannot_be_kept_now_is_kept_later(bench: Bench, tmp_path: Path) -> None:
    def render(made: MadePictures, accept: str) -> Any:
        folder.rename(tmp_path / "away")
        folder.write_bytes(b"")
        return real(made, accept)

    async def sleep(_seconds: float) -> None:
        folder.unlink(missing_ok=True)
        if (tmp_path / "away").exists():
            (tmp_path / "away").rename(folder)

    folder, real = tmp_path / "objects" / "jobs", bench.worker().render
    job_id = await bench.submit()
    await bench.worker(render=render, sleep=sleep).run(job_id)
    assert await code(bench, job_id) == ("done", None)


async def test_a_picture_that_cannot_be_kept_before_the_end_is_lost_and_said(bench: Bench, tmp_path: Path) -> None:
    def render(made: MadePictures, accept: str) -> Any:
        folder.rename(tmp_path / "away")
        folder.write_bytes(b"")
        bench.stopping = True
        return real(made, accept)

    folder, real = tmp_path / "objects" / "jobs", bench.worker().render
    job_id = await bench.submit()
    await bench.worker(render=render, tell_every_s=300).run(job_id)
    assert await code(bench, job_id) == ("failed", "SERVER_BUSY")

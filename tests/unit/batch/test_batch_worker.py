from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Never

import pytest

from batch_bench import IMAGE, made, raising, sending, why
from uncrop.batch.calls import PhotoCalls
from uncrop.batch.worker import LONGEST_WAIT_S, MOST_DEATHS, MOST_TRIES
from uncrop.errors import (
    ContentRejected,
    InvalidFieldValue,
    ProviderRateLimited,
    ServerBusy,
    UncropError,
    UsageLimitExceeded,
)
from uncrop.jobs.requests import to_text
from uncrop.model import UncropRequest
from uncrop.model.batches import BatchPhoto, PhotoEnding
from uncrop.model.claims import hold_id
from uncrop.store.books import NewHold
from uncrop.testing.pictures import photo_png

if TYPE_CHECKING:
    from batch_bench import Bench
    from uncrop.service.pictures import MadePictures, Work


async def test_a_photo_is_made_and_all_that_is_known_of_it_is_kept(bench: Bench) -> None:
    await bench.plan(3)
    await bench.run()
    assert bench.written() == {f"{number}.jpg": IMAGE for number in (1, 2, 3)}
    photo = await bench.photo()
    assert (photo.state, photo.provider, photo.width, photo.height, photo.seed, photo.calls, photo.usd_micro) == (
        *("done", "clipdrop", 3, 2, 42),
        *(0, 0),
    )
    assert (photo.sha256, photo.bytes) == (hashlib.sha256(IMAGE).hexdigest(), len(IMAGE))
    assert photo.milliseconds is not None
    request = bench.pictures.requests[0]
    assert (request.image, request.organization_id, request.sides.left) == (b"photo", "org_a", 8)
    assert (await bench.photo()).claim_id is not None, "by which its hold is found in the books"


async def test_so_many_are_worked_on_at_once(bench: Bench) -> None:
    running = most = 0
    two = asyncio.Barrier(2)

    async def count(_request: UncropRequest, _work: Work) -> MadePictures:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await two.wait()  # one alone would wait for ever
        running -= 1
        return made()

    bench.pictures.action = count
    await bench.plan(6)
    await bench.run()
    assert most == 2
    assert (await bench.store.batches.sums(bench.batch)).states == {"done": 6}


async def test_the_row_is_ended_though_the_books_could_not_be_written(bench: Bench) -> None:
    bench.pictures.booked = False
    await bench.plan()
    await bench.run()
    assert ((await bench.photo()).state, bench.written()) == ("done", {"1.jpg": IMAGE})


async def test_an_error_is_kept_and_leaves_the_others_alone(bench: Bench) -> None:
    bench.pictures.action = raising(ContentRejected())
    await bench.plan(2)
    await bench.run()
    assert sorted([(await bench.photo(number)).state for number in (1, 2)]) == ["done", "failed"]
    failed = next(each for each in [await bench.photo(1), await bench.photo(2)] if each.state == "failed")
    assert (why(failed.error), failed.calls, failed.usd_micro) == ("CONTENT_REJECTED", 0, 0)
    assert len(bench.written()) == 1


async def test_of_a_fault_of_our_own_only_that_is_kept(bench: Bench) -> None:
    bench.pictures.action = raising(ZeroDivisionError("secret"))
    await bench.plan()
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, why(photo.error)) == ("failed", "INTERNAL_ERROR")
    assert "secret" not in (photo.error or "")


async def test_a_photo_that_cannot_be_read_is_told(bench: Bench) -> None:
    await bench.plan(photo=None)
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, why(photo.error)) == ("failed", "INVALID_IMAGE")
    assert "no such file" in (photo.error or "")


@pytest.mark.parametrize(("asked", "state"), [("4:3", "skipped"), ("16:9", "failed")])
async def test_one_that_has_the_ratio_already_is_skipped(bench: Bench, asked: str, state: str) -> None:
    bench.pictures.action = raising(InvalidFieldValue("No"))
    request = UncropRequest(provider="clipdrop", image=b"", aspect_ratio=asked)
    await bench.plan(photo=photo_png(64, 48), request=to_text(request))
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, why(photo.error)) == (state, "AS_WANTED" if state == "skipped" else "INVALID_FIELD_VALUE")


async def test_what_may_pass_is_tried_again_and_waited_for(bench: Bench) -> None:
    bench.pictures.action = raising(ServerBusy(), ProviderRateLimited(), ProviderRateLimited(retry_after=3600))
    await bench.plan()
    await bench.run()
    assert (await bench.photo()).state == "done"
    assert bench.waits == [5, 60, LONGEST_WAIT_S]


async def test_it_is_not_tried_for_ever(bench: Bench) -> None:
    bench.pictures.action = raising(*[ProviderRateLimited() for _ in range(MOST_TRIES)])
    await bench.plan()
    await bench.run()
    assert why((await bench.photo()).error) == "PROVIDER_RATE_LIMITED"


async def test_a_limit_of_the_day_is_not_waited_for(bench: Bench) -> None:
    bench.pictures.action = raising(UsageLimitExceeded())
    await bench.plan()
    await bench.run()
    assert (why((await bench.photo()).error), bench.waits) == ("USAGE_LIMIT_EXCEEDED", [])


# --- calls that may be billed -----------------------------------------------------------------------------------------


async def test_what_a_picture_has_cost_is_kept(bench: Bench) -> None:
    bench.pictures.action = sending()
    await bench.plan(billed=True)
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, photo.calls_sent, photo.calls) == ("done", 1, 1)
    batch = await bench.store.batches.find(bench.batch.id)
    assert batch is not None
    assert photo.usd_micro == batch.usd_micro == 50_000


@pytest.mark.parametrize(
    ("charged", "state", "usd"), [(True, "failed", 70_000), (False, "failed", 0), (None, "unknown", 0)]
)
async def test_a_call_that_made_nothing(bench: Bench, charged: bool | None, state: str, usd: int) -> None:
    bench.pictures.action = sending(ProviderRateLimited(), charged=charged)
    await bench.plan(billed=True)
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, photo.calls, photo.usd_micro, why(photo.error)) == (state, 1, usd, "PROVIDER_RATE_LIMITED")
    assert len(bench.pictures.requests) == 1, "what was sent is not tried again"


async def test_what_was_refused_unbilled_may_be_tried_again(bench: Bench) -> None:
    async def refused_once(request: UncropRequest, work: Work) -> MadePictures:
        if len(bench.pictures.requests) == 1:
            await work.commitment.commit()
            await work.commitment.take_back()
            raise ProviderRateLimited
        return await sending()(request, work)

    bench.pictures.action = refused_once
    await bench.plan(billed=True)
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, photo.calls, photo.calls_sent) == ("done", 1, 1)


async def test_no_call_is_sent_without_money(bench: Bench) -> None:
    bench.pictures.action = sending()
    await bench.plan(3, billed=True)
    await bench.store.batches.open(bench.batch.id, max_usd_micro=100_000)
    for chunk in (1, 2, 3):
        await bench.run(chunk=chunk)
    assert [(await bench.photo(number)).state for number in (1, 2, 3)] == ["done", "failed", "failed"]
    assert why((await bench.photo(3)).error) == "USAGE_LIMIT_EXCEEDED"


@pytest.mark.parametrize(
    ("obstacle", "error", "taken"), [("money", UsageLimitExceeded, False), ("taken", ServerBusy, True)]
)
async def test_why_a_call_may_not_be_sent(obstacle: str, error: type[UncropError], taken: bool) -> None:
    """By a stand-in of the store, whose own errors come out of another stack, which nobody counts lines in."""

    class Photos:
        async def mark_sent(self, _photo: object) -> str:
            return obstacle

    calls = PhotoCalls(Photos(), None, lambda _name: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(error):
        await calls.mark_sent()
    assert (calls.sent, calls.taken) == (0, taken)


async def died_after_its_mark(bench: Bench, *, in_books: bool) -> BatchPhoto:
    """Leave a photo as a worker does that dies between a mark and the answer."""
    await bench.plan(billed=True)
    photo = await bench.store.batch_photos.begin(bench.batch.id, 1)
    assert photo is not None
    claim = "c" * 32
    await bench.store._transactions.write_script(bench.store.batch_photos.claiming(photo, claim))
    hold = NewHold(id=hold_id(claim, 0), organization_id="org_a", key_id=None, provider="x", calls=1, postings=())
    await bench.store.books.open(hold)
    await bench.store.batch_photos.mark_sent(photo)
    if in_books:
        await bench.store.books.mark_sent(hold.id)
    bench.out.mkdir()
    (bench.out / photo.temporary()).write_bytes(b"half")
    return photo


async def test_a_worker_that_died_after_the_mark_leaves_the_photo_in_doubt(bench: Bench) -> None:
    await died_after_its_mark(bench, in_books=True)
    await bench.run()
    ended = await bench.photo()
    assert (ended.state, why(ended.error)) == ("unknown", "JOB_OUTCOME_UNKNOWN")
    assert (bench.pictures.requests, bench.written(), bench.closed) == ([], {}, ["c" * 32])


async def test_one_that_died_before_the_books_were_written_has_sent_nothing(bench: Bench) -> None:
    await died_after_its_mark(bench, in_books=False)
    await bench.run()
    ended = await bench.photo()
    assert (ended.state, ended.attempt, ended.calls_sent) == ("done", 2, 0)
    batch = await bench.store.batches.find(bench.batch.id)
    assert (batch and batch.usd_micro, bench.closed[0], bench.written()) == (0, "c" * 32, {"1.jpg": IMAGE})


async def test_a_batch_that_is_stopped_meanwhile_is_left(bench: Bench) -> None:
    await died_after_its_mark(bench, in_books=False)

    async def stop(_ids: Sequence[str]) -> None:
        await bench.store.batches.stop(bench.batch.id)

    await bench.run(bench.worker(close_holds=stop))
    assert ((await bench.photo()).state, bench.pictures.requests) == ("queued", [])


async def test_a_photo_that_ends_its_workers_is_given_up(bench: Bench) -> None:
    await bench.plan()
    for _ in range(MOST_DEATHS):
        await bench.store.batch_photos.begin(bench.batch.id, 1)
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, why(photo.error), bench.pictures.requests) == ("failed", "JOB_ABANDONED", [])


async def test_what_an_attempt_before_has_left_is_deleted(bench: Bench) -> None:
    await bench.plan()
    photo = await bench.store.batch_photos.begin(bench.batch.id, 1)
    assert photo is not None
    bench.out.mkdir()
    (bench.out / photo.temporary()).write_bytes(b"half")
    await bench.run()
    assert bench.written() == {"1.jpg": IMAGE}


async def test_a_late_result_is_refused(bench: Bench) -> None:
    """One that was frozen wakes when another has made the picture."""

    async def overtaken(_request: UncropRequest, _work: Work) -> MadePictures:
        photo = await bench.store.batch_photos.begin(bench.batch.id, 1)
        assert photo is not None
        await bench.store.batch_photos.end(photo, PhotoEnding(state="done", sha256="other"))
        return made()

    bench.pictures.action = overtaken
    await bench.plan()
    await bench.run()
    assert ((await bench.photo()).sha256, bench.written()) == ("other", {})


async def test_a_late_failure_is_refused(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    async def overtaken(_request: UncropRequest, _work: Work) -> MadePictures:
        await bench.store.batch_photos.begin(bench.batch.id, 1)
        raise ContentRejected

    bench.pictures.action = overtaken
    await bench.plan()
    await bench.run()
    photo = await bench.photo()
    assert (photo.attempt, photo.state, photo.error) == (2, "running", None)
    assert "a late result was refused" in caplog.text


async def test_one_that_was_overtaken_sends_nothing(bench: Bench) -> None:
    async def overtaken(_request: UncropRequest, work: Work) -> MadePictures:
        await bench.store.batch_photos.begin(bench.batch.id, 1)
        await work.commitment.commit()
        raise AssertionError

    bench.pictures.action = overtaken
    await bench.plan(billed=True)
    await bench.run()
    photo = await bench.photo()
    assert (photo.attempt, photo.state, photo.calls_sent, bench.waits) == (2, "running", 0, [])


async def test_a_file_that_somebody_else_has_made_meanwhile_is_left(bench: Bench) -> None:
    async def meanwhile(_request: UncropRequest, _work: Work) -> MadePictures:
        bench.out.mkdir(exist_ok=True)
        (bench.out / "1.jpg").write_bytes(b"theirs")
        return made()

    bench.pictures.action = meanwhile
    await bench.plan()
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, why(photo.error)) == ("failed", "VALIDATION_ERROR")
    assert bench.written() == {"1.jpg": b"theirs", photo.temporary(): IMAGE}


# --- the end of the process -------------------------------------------------------------------------------------------


async def test_what_has_sent_nothing_is_given_back_when_the_process_ends(bench: Bench) -> None:
    begun = asyncio.Event()

    async def forever(_request: UncropRequest, _work: Work) -> Never:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    bench.pictures.action = forever
    await bench.plan(3)
    worker = bench.worker(at_once=1)
    running = asyncio.create_task(bench.run(worker))
    await begun.wait()
    bench.stopped.set()
    await worker.drain()
    await running
    photos = [await bench.photo(number) for number in (1, 2, 3)]
    assert [(photo.state, photo.deaths) for photo in photos] == [("queued", 0)] * 3
    assert bench.queue.added[1:] == [(f"{bench.batch.id}-1", 1)], "its chunk is for another process"


async def test_what_was_sent_is_seen_through_when_the_process_ends(bench: Bench) -> None:
    async def sent(request: UncropRequest, work: Work) -> MadePictures:
        await work.commitment.commit()
        bench.stopped.set()
        for _ in range(20):
            await asyncio.sleep(0)
        work.commitment.note_cost(made().pictures[0].result.facts)
        return made()

    bench.pictures.action = sent
    await bench.plan(billed=True)
    await bench.run()
    assert ((await bench.photo()).state, bench.written()) == ("done", {"1.jpg": IMAGE})


async def test_ended_at_once_after_the_mark_the_photo_is_in_doubt(bench: Bench) -> None:
    tasks: list[asyncio.Task[Any]] = []

    def start(work: Any) -> asyncio.Task[Any]:
        tasks.append(asyncio.create_task(work))
        return tasks[0]

    async def killed(_request: UncropRequest, work: Work) -> Never:
        await work.commitment.commit()
        tasks[0].cancel()
        await asyncio.Event().wait()
        raise AssertionError

    bench.pictures.action = killed
    await bench.plan(billed=True)
    await bench.run(bench.worker(start=start))
    photo = await bench.photo()
    assert (photo.state, why(photo.error)) == ("unknown", "JOB_OUTCOME_UNKNOWN")


async def test_a_server_that_is_stopping_fails_no_photo(bench: Bench) -> None:
    async def refused(_request: UncropRequest, _work: Work) -> Never:
        bench.stopped.set()
        raise ServerBusy

    bench.pictures.action = refused
    await bench.plan()
    await bench.run()
    assert ((await bench.photo()).state, bench.waits) == ("queued", [])


async def test_nothing_is_done_for_a_batch_that_is_stopped_or_unknown(bench: Bench) -> None:
    await bench.plan()
    await bench.store.batches.stop(bench.batch.id)
    await bench.run()
    await bench.worker().run(bench.queue, "none-1")  # type: ignore[arg-type]
    assert ((await bench.photo()).state, bench.pictures.requests) == ("queued", [])


async def test_photos_of_a_chunk_that_ended_meanwhile_are_left(bench: Bench) -> None:
    async def stopped_meanwhile(_request: UncropRequest, _work: Work) -> MadePictures:
        await bench.store.batches.stop(bench.batch.id)
        return made()

    bench.pictures.action = stopped_meanwhile
    await bench.plan(3)
    await bench.run(bench.worker(at_once=1))
    assert (await bench.store.batches.sums(bench.batch)).states == {"done": 1, "queued": 2}

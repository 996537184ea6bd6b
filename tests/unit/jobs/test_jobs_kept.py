"""What is kept of jobs as files and texts."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from job_bench import FakeQueue
from uncrop.errors import (
    ContentRejected,
    InternalError,
    RateLimitExceeded,
    RequestCancelled,
    ServerBusy,
    UncropError,
)
from uncrop.jobs.answers import Answer, error_from_text, error_to_text, pack, unpack
from uncrop.jobs.files import JobFiles, earlier_folder_of
from uncrop.jobs.requests import fingerprint_of, from_text, has_mask, to_text
from uncrop.jobs.sweep import open_sweep, sweep, sweep_strays
from uncrop.model import Sides, UncropRequest
from uncrop.objects.objects import Objects
from uncrop.objects.place import FolderPlace

if TYPE_CHECKING:
    from pathlib import Path

    from job_bench import Bench

REQUEST = UncropRequest(
    provider="openai",
    image=b"photo",
    mask=b"mask",
    organization_id="org_a",
    sides=Sides(left=1, up=-2),
    prompt="Straße \N{SNOWMAN}",
    confidence_map=True,
    answer_format="PNG",
    variations=2,
)


def test_a_request_comes_back_as_it_was() -> None:
    text = to_text(REQUEST)
    assert b"photo" not in text.encode()
    assert from_text(text, image=b"photo", mask=b"mask") == REQUEST
    assert has_mask(text)
    assert not has_mask(to_text(dataclasses.replace(REQUEST, mask=None)))


def test_every_field_counts_for_the_fingerprint() -> None:
    others = [
        dataclasses.replace(REQUEST, image=b"photo."),
        dataclasses.replace(REQUEST, mask=None),
        dataclasses.replace(REQUEST, mask=b""),
        dataclasses.replace(REQUEST, sides=Sides(left=1)),
        dataclasses.replace(REQUEST, variations=3),
        dataclasses.replace(REQUEST, image=b"phot", mask=b"omask"),
    ]
    assert fingerprint_of(dataclasses.replace(REQUEST)) == fingerprint_of(REQUEST)
    assert len({fingerprint_of(each) for each in [REQUEST, *others]}) == 1 + len(others)


def test_an_answer_comes_back_as_it_was() -> None:
    answer = Answer(media_type="image/png", headers={"X-Seed": "7"}, body=b"\0picture" * 1000)
    assert unpack(pack(answer)) == answer


@pytest.mark.parametrize(
    "error",
    [
        ContentRejected("No", details={"provider": "openai"}, system_message="technical"),
        RequestCancelled(),
        ServerBusy("Full"),
        RateLimitExceeded("Slow", details={"limit": 1}),
    ],
)
def test_an_error_comes_back_as_it_was(error: UncropError) -> None:
    again = error_from_text(error_to_text(error))
    assert type(again) is type(error)
    assert (again.message, again.details, again.system_message) == (error.message, error.details, error.system_message)


def test_an_error_that_this_version_does_not_know_is_a_fault_of_our_own() -> None:
    text = error_to_text(ContentRejected()).replace("CONTENT_REJECTED", "OF_ANOTHER_VERSION")
    assert isinstance(error_from_text(text), InternalError)


def files_in(folder: Path) -> JobFiles:
    return JobFiles(Objects(FolderPlace(folder=folder / "objects" / "jobs")), earlier_folder_of(folder))


async def test_files_are_written_whole_and_go_with_their_job(tmp_path: Path) -> None:
    files = files_in(tmp_path)
    await files.write("job_1", "image", b"1")
    await files.write("job_1", "image", b"22")
    assert await files.read("job_1", "image") == b"22"
    assert [path.name for path in (tmp_path / "objects" / "jobs" / "job_1").iterdir()] == ["image"]
    await files.delete("job_1")
    await files.delete("job_1")
    with pytest.raises(InternalError):
        await files.read("job_1", "image")


async def test_files_of_an_earlier_version_are_read_and_deleted(tmp_path: Path) -> None:
    files, folder = files_in(tmp_path), earlier_folder_of(tmp_path) / "job_1"
    folder.mkdir(parents=True)
    (folder / "image").write_bytes(b"1")
    assert await files.read("job_1", "image") == b"1"
    await files.write("job_1", "result-1", b"2")
    assert await files.read("job_1", "result-1") == b"2"
    await files.delete("job_1")
    assert not folder.exists()
    folder.write_bytes(b"")  # no folder at all
    with pytest.raises(InternalError):
        await files.read("job_1", "image")
    await files.delete("job_1")
    folder.unlink()
    (folder / "image").mkdir(parents=True)
    with pytest.raises(ServerBusy):
        await files.read("job_1", "image")


async def test_a_place_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "objects").write_bytes(b"")
    files = files_in(tmp_path)
    with pytest.raises(ServerBusy, match="store of results"):
        await files.write("job_1", "image", b"1")
    with pytest.raises(ServerBusy):
        await files.read("job_1", "image")


async def test_files_of_no_job_are_deleted_after_a_day(bench: Bench) -> None:
    ended, waiting, gone = [await bench.submit() for _ in range(3)]
    await bench.worker().run(ended)
    await bench.store.jobs.cancel("org_a", gone, keep=bench.worker().keep)
    await bench.store.jobs.expire((gone,))
    await bench.files.write("job_of_nobody", "image", b"1")
    jobs, now = bench.store.jobs, datetime.now(UTC)
    assert await sweep_strays(jobs, bench.files) == 0
    assert await sweep_strays(jobs, bench.files, lambda: now + timedelta(hours=25)) == 2
    left = await bench.files.jobs_older_than(now + timedelta(hours=1))
    assert left == {ended, waiting}


async def test_the_sweep_goes_on_when_it_fails(bench: Bench) -> None:
    class Away(FakeQueue):
        async def forget(self, entry_ids: tuple[str, ...], *, rounds: int) -> None:
            swept.set()
            raise OSError

    swept = asyncio.Event()
    worker = bench.worker()
    job_id = await bench.submit()
    await worker.run(job_id)
    await bench.store.jobs._transactions.write(_expire_all)
    async with open_sweep(partial(sweep, bench.store.jobs, bench.files, Away()), every_s=0):
        await swept.wait()
        swept.clear()
        await swept.wait()
    async with open_sweep(partial(sweep, bench.store.jobs, bench.files, bench.queue)):
        await bench.queue.forgot.wait()
    assert bench.queue.forgotten == [((job_id,), 2)]


async def _expire_all(connection: object) -> None:
    import sqlalchemy as sa

    from uncrop.store.tables import jobs

    past = sa.update(jobs).values(expires_at=datetime(2020, 1, 1, tzinfo=UTC))
    await connection.execute(past)  # type: ignore[attr-defined]

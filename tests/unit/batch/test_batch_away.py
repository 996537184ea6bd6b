"""Places that are full or away while a batch is made."""

from __future__ import annotations

import asyncio
import errno
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from batch_bench import IMAGE, made, sending, why
from uncrop.batch import notes
from uncrop.errors import ServerBusy, UncropError
from uncrop.objects.trees import FolderFiles

if TYPE_CHECKING:
    from batch_bench import Bench
    from uncrop.model import UncropRequest
    from uncrop.service.pictures import MadePictures, Work


class Failing(FolderFiles):
    """Fails as it is told before it does what it should."""

    def __init__(self, folder: Path, errors: list[Exception]) -> None:
        super().__init__(folder)
        self.errors = errors

    def write(self, name: str, data: Any) -> None:
        if self.errors:
            raise self.errors.pop(0)
        super().write(name, data)


def fail_writes(bench: Bench, *errors: Exception) -> None:
    bench.places._opened[bench.batch.place] = Failing(bench.out, list(errors))


NO_SPACE = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_a_disk_that_is_full_and_a_bucket_that_is_away_are_waited_for(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    fail_writes(bench, NO_SPACE, NO_SPACE, ServerBusy(system_message="A bucket could not be used"))
    bench.pictures.action = sending()
    await bench.plan(billed=True)
    await bench.run()
    assert ((await bench.photo()).state, bench.written()) == ("done", {"1.jpg": IMAGE})
    assert bench.waits == [2, 2, 5]
    told = [record for record in caplog.messages if "the batch waits" in record]
    assert len(told) == 1, "it is told once, not every two seconds"
    assert "no space left on device" in told[0]


async def test_a_picture_that_was_paid_and_has_no_place_is_kept_elsewhere(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.setattr(notes.tempfile, "tempdir", str(elsewhere))

    async def full(request: UncropRequest, work: Work) -> MadePictures:
        found = await sending()(request, work)
        bench.stopped.set()
        return found

    fail_writes(bench, NO_SPACE)
    bench.pictures.action = full
    await bench.plan(billed=True)
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, why(photo.error), photo.calls) == ("failed", "SERVER_BUSY", 1)
    kept = re.search(r"uncrop-\w+", caplog.text)
    assert kept is not None
    assert (elsewhere / kept[0]).read_bytes() == IMAGE


async def test_one_that_was_not_paid_is_simply_made_again(bench: Bench) -> None:
    async def full(_request: UncropRequest, _work: Work) -> MadePictures:
        bench.stopped.set()
        for _ in range(3):
            await asyncio.sleep(0)
        return made()

    fail_writes(bench, NO_SPACE)
    bench.pictures.action = full
    await bench.plan()
    await bench.run()
    assert (await bench.photo()).state == "queued"


class Told(asyncio.Event):
    """Set, and nobody is woken yet who waits for it."""

    def set(self) -> None:
        self._value = True


async def test_one_that_was_not_paid_and_has_no_place_at_the_end_is_given_back(bench: Bench) -> None:
    bench.stopped = Told()

    async def full(_request: UncropRequest, _work: Work) -> MadePictures:
        bench.stopped.set()
        return made()

    fail_writes(bench, NO_SPACE)
    bench.pictures.action = full
    await bench.plan()
    await bench.run()
    photo = await bench.photo()
    assert (photo.state, photo.deaths, photo.error, bench.waits) == ("queued", 0, None, [])


def test_a_picture_that_can_be_kept_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notes.tempfile, "tempdir", "/nowhere")
    assert notes.kept_elsewhere(b"x") is None


async def test_what_no_patience_helps_with_fails_the_photo(bench: Bench) -> None:
    fail_writes(bench, OSError(errno.ENAMETOOLONG, "File name too long"))
    await bench.plan()
    await bench.run()
    assert why((await bench.photo()).error) == "INTERNAL_ERROR"


async def test_a_database_that_is_away_is_waited_for_and_left_when_the_process_ends(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bench.plan()
    errors: list[UncropError] = [ServerBusy(), ServerBusy()]
    begin = bench.store.batch_photos.begin

    async def away(batch_id: str, number: int) -> Any:
        if errors:
            raise errors.pop(0)
        return await begin(batch_id, number)

    monkeypatch.setattr(bench.store.batch_photos, "begin", away)
    await bench.run()
    assert ((await bench.photo()).state, bench.waits) == ("done", [5, 5])

    async def gone(*_: object) -> Any:
        bench.stopped.set()
        raise ServerBusy

    monkeypatch.setattr(bench.store.batch_photos, "open_numbers", gone)
    await bench.run()

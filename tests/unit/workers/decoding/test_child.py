"""What a decoder's process does with its job, done in this process."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from uncrop.errors import InvalidImage
from uncrop.imaging import codec
from uncrop.imaging.answer import decode_answer
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg.kept import read_own
from uncrop.imaging.mask import decode_mask, open_mask
from uncrop.model import Rect
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png, photo_webp, truncated
from uncrop.workers.decoding import child
from uncrop.workers.decoding.decoder import InlineDecoder
from uncrop.workers.decoding.messages import DONE, DONE_WITH_ALPHA, OUT_OF_MEMORY, Job, Limits, read_refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from uncrop.model import ImageHeader, OpenedFile
    from uncrop.workers.decoding.child import Arrays, Works
    from uncrop.workers.decoding.messages import Work

WIDTH, HEIGHT = 40, 30
PHOTO = open_file(photo_png(WIDTH, HEIGHT))
JPEG = open_file(photo_jpeg(WIDTH, HEIGHT))
WITH_ALPHA = open_file(photo_webp(WIDTH, HEIGHT, channels=4))
MASK = open_mask(mask_png(WIDTH, HEIGHT, hole=Rect(x=3, y=4, width=20, height=9)), WIDTH, HEIGHT)


@pytest.fixture
def memories() -> Iterator[tuple[int, int]]:
    """Give the memory that a job comes in, and the one for pixels."""
    source, target = os.memfd_create("source"), os.memfd_create("target")
    yield source, target
    os.close(source)
    os.close(target)


def job_for(work: Work, file: OpenedFile, source: int) -> Job:
    told = pickle.dumps((replace(file, data=b""), PHOTO.header), protocol=5)
    os.pwrite(source, told + file.data, 0)
    limits = Limits(address_space=0, cpu_s=1, wall_s=1)
    return Job(work=work, told=len(told), size=len(file.data), room=0, limits=limits)


def made_by(work: Work, file: OpenedFile, memories: tuple[int, int], works: Works = child.WORKS) -> tuple[bytes, bytes]:
    """Return the reply, and what is in the memory for pixels."""
    source, target = memories
    reply = child.work(job_for(work, file, source), source, target, works)
    return reply, os.pread(target, os.fstat(target).st_size, 0)


@pytest.mark.parametrize(
    ("work", "file", "expected", "reply"),
    [
        ("photo", PHOTO, lambda: [codec.decode(PHOTO)], DONE),
        ("mask", MASK, lambda: [decode_mask(MASK)], DONE),
        ("coefficients", JPEG, lambda: [read_own(JPEG).levels], DONE),
        ("answer", JPEG, lambda: decode_answer(JPEG, PHOTO.header)[:1], DONE),
        ("answer", WITH_ALPHA, lambda: decode_answer(WITH_ALPHA, PHOTO.header), DONE_WITH_ALPHA),
    ],
)
def test_pixels_lie_one_behind_the_other(
    work: Work, file: OpenedFile, expected: Callable[[], Any], reply: bytes, memories: tuple[int, int]
) -> None:
    assert made_by(work, file, memories) == (reply, b"".join(array.tobytes() for array in expected()))


def test_a_broken_file_is_refused(memories: tuple[int, int]) -> None:
    file = open_file(truncated(photo_png(64, 64), 0.5, forged_end=True))
    with pytest.raises(InvalidImage) as expected:
        codec.decode(file)
    reply, pixels = made_by("photo", file, memories)
    found = read_refusal(reply)
    assert isinstance(found, InvalidImage)
    assert (found.message, found.details or None) == (expected.value.message, expected.value.details or None)
    assert pixels == b""


def test_without_memory_it_says_so(memories: tuple[int, int]) -> None:
    def starve(_file: OpenedFile, _photo: ImageHeader) -> Arrays:
        raise MemoryError

    assert made_by("photo", PHOTO, memories, {"photo": starve}) == (OUT_OF_MEMORY, b"")


def test_a_file_that_comes_in_pieces_is_whole(memories: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    source, _ = memories
    job, pread = job_for("photo", PHOTO, source), os.pread
    assert child.read_file(source, job) == (PHOTO, PHOTO.header)
    piece = job.told  # the told part comes at once, the longer file does not
    assert piece < job.size
    monkeypatch.setattr(os, "pread", lambda descriptor, size, at: pread(descriptor, min(size, piece), at))
    assert child.read_file(source, job) == (PHOTO, PHOTO.header)


def test_pixels_that_go_in_pieces_are_whole(memories: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:1000]))
    assert made_by("photo", PHOTO, memories) == (DONE, codec.decode(PHOTO).tobytes())


def test_without_processes_the_same_comes_out() -> None:
    decoder = InlineDecoder()
    decoder.warm_up()
    assert decoder.is_ready
    assert np.array_equal(decoder.photo(PHOTO), codec.decode(PHOTO))
    assert np.array_equal(decoder.mask(MASK), decode_mask(MASK))
    found, expected = decoder.answer(WITH_ALPHA, PHOTO.header), decode_answer(WITH_ALPHA, PHOTO.header)
    assert all(map(np.array_equal, found, expected))
    assert np.array_equal(decoder.coefficients(JPEG).levels, read_own(JPEG).levels)

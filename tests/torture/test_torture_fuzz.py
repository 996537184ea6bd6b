"""Coverage-guided fuzzing of our readers: a file that reaches a line which none before had reached is changed further.

What is guided is our own code: structure, metadata, colours, and what is made of them. The decoders written in C are
called with what comes out of it, in this process, but nothing tells which of their lines were reached.
"""

from __future__ import annotations

import random
import struct
import sys
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from torture_files import seeds
from torture_verdict import check_none

from uncrop.errors import InvalidRequest
from uncrop.imaging import codec
from uncrop.imaging.colour.profiles import ADOBE_CURVE, ADOBE_PRIMARIES, made
from uncrop.imaging.cost import check_cost
from uncrop.imaging.header import open_file
from uncrop.imaging.mask import decode_mask, open_mask
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.imaging.metadata.iptc import IptcFacts, build_iptc
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.metadata.xmp import with_iptc
from uncrop.imaging.png.layout import SIGNATURE
from uncrop.model import Density, Metadata
from uncrop.testing import pictures

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from fixtures_torture import Cases
    from uncrop.model import ImageFormat

INSIDE = str(Path(codec.__file__).parent)
LARGEST = 100_000  # bytes; a file that has grown beyond teaches nothing more
MOST_PIXELS = 1_000_000  # what claims more is not decoded, but for the last time
EDGES = (0, 1, 2, 7, 8, 15, 127, 128, 254, 255, 256, 32_767, 32_768, 65_535, 2**31 - 1, 2**31, 2**32 - 1)
CHANGES = 6  # to one file at most


class Reached:
    """The lines of ``INSIDE`` that were reached so far, with the line before each."""

    def __init__(self) -> None:
        self.steps: set[tuple[int, int, int]] = set()
        self._before = 0

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Note what is reached."""
        earlier = sys.gettrace()
        sys.settrace(self._enter)
        try:
            yield
        finally:
            sys.settrace(earlier)

    def _enter(self, frame: FrameType, _event: str, _argument: object) -> Any:
        return self._note if frame.f_code.co_filename.startswith(INSIDE) else None

    def _note(self, frame: FrameType, event: str, _argument: object) -> Any:
        if event == "line":
            self.steps.add((id(frame.f_code), self._before, frame.f_lineno))
            self._before = frame.f_lineno
        return self._note


def changed(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """Change a file in a few places, and mend a PNG's checksums mostly, or nothing behind them would be reached."""
    made = bytearray(data)
    for _ in range(chance.randint(1, CHANGES)):
        at, size = chance.randrange(len(made) + 1), chance.choice((1, 2, 4, 8, 64))
        match chance.randrange(6):
            case 0:
                made[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                kind = chance.choice((">B", ">H", "<H", ">I", "<I"))
                most = 256 ** struct.calcsize(kind) - 1
                made[at : at + struct.calcsize(kind)] = struct.pack(kind, min(most, chance.choice(EDGES)))
            case 2:
                del made[at : at + size]
            case 3:
                made[at:at] = made[at : at + size]
            case 4:
                made[at:at] = chance.randbytes(size)
            case _:
                other = chance.choice(others)
                start = chance.randrange(len(other))
                made[at : at + size] = other[start : start + chance.choice((size, 64 * size))]
        if not made:
            return data
    file = bytes(made[:LARGEST])
    return mended(file) if file.startswith(SIGNATURE) and chance.random() < 0.8 else file


def mended(png: bytes) -> bytes:
    """Set the checksum of each chunk."""
    made, at = bytearray(png), len(SIGNATURE)
    while at + 12 <= len(made):
        end = at + 8 + struct.unpack_from(">I", made, at)[0]
        if end + 4 > len(made):
            break
        struct.pack_into(">I", made, end, zlib.crc32(made[at + 4 : end]))
        at = end + 4
    return bytes(made)


def read(data: bytes) -> None:
    """Read a photo as the flow does: header, cost, what is sent on, pixels."""
    file = open_file(data)
    check_cost(file)
    strip(file)
    if file.header.width * file.header.height <= MOST_PIXELS:
        codec.decode_8bit(file)


def read_as_mask(data: bytes) -> None:
    """Read a mask of any size."""
    header = open_file(data).header
    file = open_mask(data, header.width, header.height)
    if header.width * header.height <= MOST_PIXELS:
        decode_mask(file)


def files(image_format: ImageFormat) -> list[bytes]:
    """Make sound files of a format, one of them with all metadata that we read."""
    begins = {"JPEG": b"\xff\xd8", "PNG": SIGNATURE, "WEBP": b"RIFF"}[image_format]
    owner = IptcFacts(creators=("Ada",), copyright=("(c)",))
    metadata = Metadata(
        icc=made(ADOBE_PRIMARIES, ADOBE_CURVE, 3),
        exif=build_exif(ExifFacts(orientation=6, artist=b"Ada", make=b"A", taken=b"2026:01:01 00:00:00")),
        xmp=with_iptc(None, owner),
        iptc=build_iptc(owner),
        density=Density(x=300, y=300),
    )
    return [
        pictures.photo_file(image_format, 40, 30, metadata=metadata),
        *(data for data in seeds() if data.startswith(begins)),
    ]


TARGETS: dict[str, tuple[Callable[[bytes], None], ImageFormat]] = {
    "JPEG": (read, "JPEG"),
    "PNG": (read, "PNG"),
    "WEBP": (read, "WEBP"),
    "mask": (read_as_mask, "PNG"),
}


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_is_reached_a_file_is_read_or_refused(name: str, cases: Cases) -> None:
    target, image_format = TARGETS[name]
    chance, reached, misses = random.Random(name), Reached(), []
    corpus = files(image_format)
    for data in corpus:
        with reached.watched(), suppress(InvalidRequest):
            target(data)
    begun = len(reached.steps)
    number = cases.number(60, 25_000)
    for seed in range(number):
        data = changed(chance.choice(corpus), corpus, chance)
        before = len(reached.steps)
        try:
            with reached.watched():
                target(data)
        except InvalidRequest:
            pass
        except Exception as error:  # noqa: BLE001 - whatever it is, it is a miss
            misses.append(f"input {seed}: {type(error).__name__}: {error}")
        if len(reached.steps) > before:
            corpus.append(data)
    cases.ran(number)
    check_none(misses)
    assert len(reached.steps) > begun, "not a single new line was reached: nothing was guided"

"""How far a JPEG's photo wears when it is extended ten times in a row, and what keeping its coefficients takes.

usage: scripts/bench generations [--runs N]

Each round adds pixels to all four sides of the picture before, which is decoded, extended by its mirror image and
written: "anew" as pictures of other formats are, by "tables" with the photo's quantisation tables alone, and "keeping"
the photo's coefficients where they can be kept. What is compared with the first photo is its own part of the last
picture, as a decoder shows it: all of it, and without its outermost 16 pixels, with the share of these pixels that
changed. Sides of 16 pixels let blocks meet blocks, those of 10 do not. The soft photo is that of the tests; the hard
one has its contrast threefold, so that it ends at black and white, and 300 rectangles of either.

CPU time is that of writing the picture, over several runs in turn, of a photo with 256 pixels more on the left and the
right.
"""

from __future__ import annotations

import argparse
import io
import statistics
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from uncrop.imaging import codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg.kept import read_own
from uncrop.imaging.jpeg.pixels import write
from uncrop.model import OpenedFile, Placement, Rect
from uncrop.testing import pictures

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]

ROUNDS = 10
SUBSAMPLINGS = {"444": 0, "422": 1, "420": 2}
EXTENTS = ((1224, 816), (3864, 2584))


def extended(photo: Picture, left: int, up: int, right: int, down: int) -> tuple[Picture, Placement]:
    height, width = photo.shape[:2]
    whole = Rect(x=0, y=0, width=width, height=height)
    placement = Placement(
        width=width + left + right,
        height=height + up + down,
        source=whole,
        kept=Rect(x=left, y=up, width=width, height=height),
    )
    around = ((up, down), (left, right), (0, 0))
    return np.asarray(np.pad(photo, around, mode="reflect"), np.uint8), placement


def anew(file: OpenedFile, _photo: Picture, picture: Picture, _placement: Placement) -> bytes:
    return codec.encode(picture, "JPEG", jpeg=file.header.jpeg, metadata=file.header.metadata)


def keeping(file: OpenedFile, photo: Picture, picture: Picture, placement: Placement) -> bytes:
    kept = codec.encode_kept(file, photo, picture, placement, reads_own=read_own)
    return anew(file, photo, picture, placement) if kept is None else kept.data


def tables(file: OpenedFile, _photo: Picture, picture: Picture, _placement: Placement) -> bytes:
    photo, written = Image.open(io.BytesIO(file.data)), io.BytesIO()
    sampling = file.header.jpeg.subsampling if file.header.jpeg else ""
    Image.fromarray(picture).save(
        written,
        "JPEG",
        qtables=photo.quantization,  # type: ignore[attr-defined]
        subsampling=SUBSAMPLINGS[sampling],
    )
    return written.getvalue()


def hard(photo: Picture) -> Picture:
    random = np.random.default_rng(0)
    strong = np.clip((photo.astype(np.int16) - 128) * 3 + 128, 0, 255).astype(np.uint8)
    for _ in range(300):
        y, x = random.integers(0, photo.shape[0] - 9), random.integers(0, photo.shape[1] - 20)
        strong[y : y + random.integers(2, 9), x : x + random.integers(2, 20)] = random.choice([0, 255])
    return strong


def wear(data: bytes, side: int, encode: Callable[..., bytes]) -> tuple[float, float, float, int]:
    """Return the PSNR of the first photo's part and of its inside, the inside's changed share, and the last bytes."""
    first = codec.decode_8bit(open_file(data))
    height, width = first.shape[:2]
    for _ in range(ROUNDS):
        file = open_file(data)
        photo = codec.decode_8bit(file)
        data = encode(file, photo, *extended(photo, side, side, side, side))
    at = ROUNDS * side
    part = np.ascontiguousarray(codec.decode_8bit(open_file(data))[at : at + height, at : at + width])
    inside = (slice(16, -16), slice(16, -16))
    changed = float((part[inside] != first[inside]).any(axis=2).mean())
    return psnr(part, first), psnr(part[inside], first[inside]), changed, len(data)


def milliseconds(runs: int, width: int, height: int) -> tuple[float, float, int, int]:
    """Return the median CPU time of writing anew and of keeping, and both files' bytes."""
    file = open_file(pictures.photo_jpeg(width, height))
    photo = codec.decode_8bit(file)
    picture, placement = extended(photo, 256, 0, 256, 0)
    took: dict[Callable[..., bytes], list[float]] = {anew: [], keeping: []}
    sizes = {encode: len(encode(file, photo, picture, placement)) for encode in took}
    for _ in range(runs):
        for encode, found in took.items():
            started = time.process_time()
            encode(file, photo, picture, placement)
            found.append((time.process_time() - started) * 1000)
    return statistics.median(took[anew]), statistics.median(took[keeping]), sizes[anew], sizes[keeping]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    head = f"{'photo of 637 x 475, quality, sampling':<40}{'sides':>6}{'way':>9}"
    print(f"{head}{'10 rounds':>12}{'inside':>12}{'changed':>9}{'bytes':>9}")
    soft = np.asarray(pictures.photo(637, 475), np.uint8)
    for kind, photo in (("soft", soft), ("hard", hard(soft))):
        for quality, sampling in ((75, "420"), (90, "420"), (97, "420"), (90, "444")):
            data = write(photo, quality=quality, subsampling=sampling)
            for side, encode in ((16, anew), (16, tables), (16, keeping), (10, keeping)):
                whole, inside, changed, size = wear(data, side, encode)
                name = f"{kind}, {quality}, {sampling}"
                figures = f"{whole:>9.1f} dB{inside:>9.1f} dB{changed:>9.2%}{size:>9}"
                print(f"{name:<40}{side:>6}{encode.__name__:>9}{figures}", flush=True)
    print(f"\n{'photo':<16}{'anew ms':>9}{'keeping ms':>12}{'anew bytes':>12}{'keeping bytes':>15}")
    for extent in EXTENTS:
        before, after, large, small = milliseconds(runs, *extent)
        print(f"{extent[0]} x {extent[1]:<9}{before:>9.1f}{after:>12.1f}{large:>12}{small:>15}")


if __name__ == "__main__":
    main()

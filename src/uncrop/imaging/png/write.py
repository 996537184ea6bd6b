"""Pixels to PNG, fast: one row filter for the whole picture in numpy, and igzip at its quickest level.

For photographs this takes a tenth of the time of zlib at level 1, for files about as large.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging.metadata.density import write_phys
from uncrop.imaging.metadata.kept import NO_METADATA
from uncrop.imaging.png.deflate import deflate
from uncrop.imaging.png.layout import GREY, GREY_ALPHA, RGB, RGBA, SIGNATURE, XMP_KEYWORD, chunk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.imaging.png.deflate import Level
    from uncrop.model import Metadata, Pixels

SUB, UP = 1, 2
COLOURS = {1: GREY, 2: GREY_ALPHA, 3: RGB, 4: RGBA}
# A band fits the caches; what is compressed is then still there.
BAND_BYTES = 1 << 20
SAMPLE_ROWS = 24


def write(pixels: Pixels, metadata: Metadata = NO_METADATA, *, level: Level = 1) -> bytes:
    """Encode (height, width, 1..4 channels) of 8 or 16 bits without loss.

    Parameters
    ----------
    pixels
        Grey, grey + alpha, RGB or RGBA.
    metadata
        Written as it is into iCCP or other chunks about colours, pHYs, eXIf and iTXt.
    level
        igzip's, 0 (quickest) to 3 (smallest).
    """
    height, width, channels = pixels.shape
    depth = pixels.dtype.itemsize * 8
    # PNG's samples are big-endian.
    samples = np.ascontiguousarray(pixels if depth == 8 else pixels.astype(">u2"))
    rows = samples.view(np.uint8).reshape(height, -1)
    header = struct.pack(">IIBBBBB", width, height, depth, COLOURS[channels], 0, 0, 0)
    return b"".join(
        (
            SIGNATURE,
            chunk(b"IHDR", header),
            *_metadata_chunks(metadata),
            *_picture_chunks(rows, channels * depth // 8, level),
            chunk(b"IEND", b""),
        )
    )


def _metadata_chunks(metadata: Metadata) -> list[bytes]:
    colour = metadata.png_colour or (((b"iCCP", metadata.icc),) if metadata.icc else ())
    chunks = [
        chunk(name, b"ICC profile\0\0" + b"".join(deflate([memoryview(payload)])) if name == b"iCCP" else payload)
        for name, payload in colour
    ]
    if metadata.density is not None:
        chunks.append(chunk(b"pHYs", write_phys(metadata.density)))
    if metadata.exif:
        chunks.append(chunk(b"eXIf", metadata.exif))
    if metadata.xmp:
        chunks.append(chunk(b"iTXt", XMP_KEYWORD + b"\0\0\0\0\0" + metadata.xmp))
    return chunks


def _picture_chunks(rows: NDArray[np.uint8], step: int, level: Level) -> list[bytes]:
    filtered = _bands(rows, step, _best_filter(rows, step))
    return [chunk(b"IDAT", part) for part in deflate(filtered, level) if part]


def _bands(rows: NDArray[np.uint8], step: int, kind: int) -> Iterator[memoryview]:
    """Yield some filtered rows at a time, which are lost with the next ones."""
    height, length = rows.shape
    band = max(1, BAND_BYTES // (length + 1))
    buffer = np.empty((band, length + 1), np.uint8)
    for top in range(0, height, band):
        count = min(band, height - top)
        _filter(rows, top, top + count, step, kind, buffer[:count])
        yield buffer[:count].data


def _best_filter(rows: NDArray[np.uint8], step: int) -> int:
    """Compress some rows with either filter and return the one that takes fewer bytes."""
    height, length = rows.shape
    # The first row, which has none above it, would count for as much as a band of the others.
    places = range(min(1, height - 1), height, max(1, height // SAMPLE_ROWS))
    sizes = {}
    for kind in (UP, SUB):
        sample = np.empty((len(places), length + 1), np.uint8)
        for number, y in enumerate(places):
            _filter(rows, y, y + 1, step, kind, sample[number : number + 1])
        sizes[kind] = sum(len(part) for part in deflate([sample.data]))
    return min(sizes, key=lambda kind: sizes[kind])


def _filter(rows: NDArray[np.uint8], top: int, bottom: int, step: int, kind: int, target: NDArray[np.uint8]) -> None:
    """Write the filtered rows ``top`` to ``bottom`` into ``target``, each behind its filter's number."""
    target[:, 0] = kind
    if kind == SUB:
        target[:, 1 : step + 1] = rows[top:bottom, :step]
        np.subtract(rows[top:bottom, step:], rows[top:bottom, :-step], out=target[:, step + 1 :])
        return
    first = 1 if top == 0 else 0
    if first:
        target[0, 1:] = rows[0]
    np.subtract(rows[top + first : bottom], rows[top + first - 1 : bottom - 1], out=target[first:, 1:])

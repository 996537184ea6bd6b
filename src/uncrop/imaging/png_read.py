"""PNG to pixels: every colour type, depth and interlacing, exactly as the file says.

Pillow reduces 16-bit colour to 8 bits and stops inflating at the last row, so neither depth nor the checksum survive
it; this reader keeps the one and checks the other, in half the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidImage
from uncrop.imaging import png, png_write
from uncrop.imaging.inflate import inflate
from uncrop.imaging.limits import MAX_PADDING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.imaging.png import PngLayout
    from uncrop.model import Pixels

# First column and row, and distance between columns and rows, of Adam7's passes (section 8.1).
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
WHOLE = ((0, 0, 1, 1),)


def read_pixels(data: bytes, layout: PngLayout) -> Pixels:
    """Decode the picture as it lies in the file.

    Returns
    -------
    Pixels
        (height, width, channels): grey below 8 bits is scaled to 8, a palette is looked up, a transparent colour
        becomes an alpha channel.

    Raises
    ------
    InvalidImage
        When the picture data is broken, too short or too long, or its checksum is wrong.
    """
    samples = _samples(data, layout)
    if layout.colour == png.PALETTE:
        return _look_up(data, layout, samples[:, :, 0])
    pixels = samples if layout.depth >= 8 else samples * np.uint8(255 // ((1 << layout.depth) - 1))
    if not layout.transparent:
        return pixels
    # The key is in the file's own depth, so it is compared before scaling; only as many of its bits count.
    key = np.frombuffer(layout.payload(data, b"tRNS") or b"", ">u2") & ((1 << layout.depth) - 1)
    opaque = (samples != key.astype(samples.dtype)).any(axis=-1, keepdims=True)
    alpha = opaque.astype(pixels.dtype) * np.iinfo(pixels.dtype).max
    return np.concatenate((pixels, alpha), axis=-1)


def warm_up() -> None:
    """Compile the kernel ahead of the first picture, which otherwise waits some seconds for it."""
    data = png_write.write(np.zeros((1, 1, 1), np.uint8))
    read_pixels(data, png.read_layout(data))


def _samples(data: bytes, layout: PngLayout) -> Pixels:
    """Inflate and unfilter the file's samples: (height, width, samples)."""
    passes = list(_passes(layout))
    expected = sum(height * (1 + _row_bytes(layout, width)) for *_, width, height in passes)
    raw = np.frombuffer(_inflate(data, layout, expected), np.uint8)
    if not layout.interlaced:
        return _unpack(_rows(raw, layout, layout.width, layout.height), layout, layout.width)
    kind = np.uint16 if layout.depth == 16 else np.uint8
    picture = np.empty((layout.height, layout.width, png.SAMPLES[layout.colour]), kind)
    at = 0
    for x, y, step_x, step_y, width, height in passes:
        size = height * (1 + _row_bytes(layout, width))
        rows = _rows(raw[at : at + size], layout, width, height)
        picture[y::step_y, x::step_x] = _unpack(rows, layout, width)
        at += size
    return picture


def _passes(layout: PngLayout) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield each pass that has pixels: first column, first row, steps, width, height."""
    for x, y, step_x, step_y in ADAM7 if layout.interlaced else WHOLE:
        width, height = -((x - layout.width) // step_x), -((y - layout.height) // step_y)
        if width > 0 and height > 0:
            yield x, y, step_x, step_y, width, height


def _row_bytes(layout: PngLayout, width: int) -> int:
    return (width * layout.depth * png.SAMPLES[layout.colour] + 7) // 8


def _inflate(data: bytes, layout: PngLayout, expected: int) -> bytes:
    packed = b"".join([data[chunk.start : chunk.end] for chunk in layout.chunks if chunk.name == b"IDAT"])
    raw = inflate(packed, expected, padding=MAX_PADDING)
    if raw is None or len(raw) != expected:
        raise InvalidImage(system_message="the PNG's picture data is corrupt, incomplete or too long")
    return raw


def _rows(raw: NDArray[np.uint8], layout: PngLayout, width: int, height: int) -> NDArray[np.uint8]:
    from uncrop.imaging.unfilter import unfilter

    length = _row_bytes(layout, width)
    rows = np.empty((height, length), np.uint8)
    step = max(1, layout.depth * png.SAMPLES[layout.colour] // 8)
    if not unfilter(raw.reshape(height, length + 1), step, rows):
        raise InvalidImage(system_message="the PNG has an unknown filter")
    return rows


def _unpack(rows: NDArray[np.uint8], layout: PngLayout, width: int) -> Pixels:
    height, count = len(rows), png.SAMPLES[layout.colour]
    if layout.depth == 16:
        return rows.view(">u2").astype(np.uint16).reshape(height, width, count)
    if layout.depth == 8:
        return rows.reshape(height, width, count)
    bits = np.unpackbits(rows, axis=1)[:, : width * layout.depth].reshape(height, width, layout.depth)
    weights = np.uint8(1) << np.arange(layout.depth - 1, -1, -1, dtype=np.uint8)
    samples: Pixels = (bits * weights).sum(axis=-1, dtype=np.uint8)[:, :, None]
    return samples


def _look_up(data: bytes, layout: PngLayout, indices: NDArray[np.uint8] | NDArray[np.uint16]) -> Pixels:
    colours = layout.payload(data, b"PLTE") or b""
    # Indices beyond the palette are black, as the specification's decoders show them.
    table = np.zeros((256, 4 if layout.transparent else 3), np.uint8)
    table[: len(colours) // 3, :3] = np.frombuffer(colours, np.uint8).reshape(-1, 3)
    if layout.transparent:
        alphas = np.frombuffer((layout.payload(data, b"tRNS") or b"")[:256], np.uint8)
        table[:, 3] = 255
        table[: len(alphas), 3] = alphas
    return table[indices]

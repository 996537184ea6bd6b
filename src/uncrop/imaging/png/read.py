"""PNG to pixels: every colour type, depth and interlacing, exactly as the file says.

Pillow reduces 16-bit colour to 8 bits and stops inflating at the last row, so neither depth nor the checksum survive
it; this reader keeps the one and checks the other, in half the time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidImage
from uncrop.imaging.limits import MAX_PADDING
from uncrop.imaging.png.inflate import BrokenStream, inflate, inflate_rows
from uncrop.imaging.png.layout import PALETTE, RGBA, SAMPLES, read_layout
from uncrop.imaging.png.write import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.imaging.png.layout import PngLayout
    from uncrop.model import Pixels

# First column and row, and distance between columns and rows, of Adam7's passes (section 8.1).
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


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
    if layout.colour == PALETTE:
        return _look_up(data, layout, samples[:, :, 0])
    pixels = samples if layout.depth >= 8 else samples * np.uint8(255 // ((1 << layout.depth) - 1))
    if not layout.transparent:
        return pixels
    # The key is in the file's own depth, so it is compared before scaling; only as many of its bits count.
    key = np.frombuffer(layout.leading(data, b"tRNS") or b"", ">u2") & ((1 << layout.depth) - 1)
    opaque = (samples != key.astype(samples.dtype)).any(axis=-1, keepdims=True)
    alpha = opaque.astype(pixels.dtype) * np.iinfo(pixels.dtype).max
    return np.concatenate((pixels, alpha), axis=-1)


def read_opacity(data: bytes, layout: PngLayout) -> NDArray[np.bool_] | None:
    """Tell which pixels are not wholly transparent, (height, width), without holding the picture in memory.

    ``None`` for kinds of pixels whose alpha cannot be seen in passing; the picture was not looked at then.
    """
    if (layout.colour, layout.depth, layout.interlaced) != (RGBA, 8, False):
        return None
    opaque = np.empty((layout.height, layout.width), np.bool_)
    for top, rows in _bands(data, layout):
        # Alpha is the upper byte of the four, so that a whole pixel tells.
        np.greater(rows.view("<u4"), 0x00FFFFFF, out=opaque[top : top + len(rows)])
    return opaque


def warm_up() -> None:
    """Compile the kernel ahead of the first picture, which otherwise waits some seconds for it."""
    data = write(np.zeros((1, 1, 1), np.uint8))
    read_pixels(data, read_layout(data))


def _samples(data: bytes, layout: PngLayout) -> Pixels:
    """Inflate and unfilter the file's samples: (height, width, samples)."""
    if layout.interlaced:
        return _interlaced(data, layout)
    kind = np.uint16 if layout.depth == 16 else np.uint8
    picture = np.empty((layout.height, layout.width, SAMPLES[layout.colour]), kind)
    if layout.depth == 8:
        for _ in _bands(data, layout, picture.reshape(layout.height, -1)):
            pass
    else:
        for top, rows in _bands(data, layout):
            picture[top : top + len(rows)] = _unpack(rows, layout, layout.width)
    return picture


def _bands(
    data: bytes, layout: PngLayout, whole: NDArray[np.uint8] | None = None
) -> Iterator[tuple[int, NDArray[np.uint8]]]:
    """Yield some unfiltered rows at a time, and the first one's number.

    They are lost with the next step, but where ``whole``, (height, bytes of a row), is given: then they are its rows.
    """
    length = _row_bytes(layout, layout.width)
    parts = (memoryview(data)[chunk.start : chunk.end] for chunk in layout.chunks if chunk.name == b"IDAT")
    before, top = np.zeros(length, np.uint8), 0
    room = whole
    try:
        for filtered in inflate_rows(parts, layout.height, 1 + length, padding=MAX_PADDING):
            if room is None:
                room = np.empty((len(filtered), length), np.uint8)
            rows = room[: len(filtered)] if whole is None else whole[top : top + len(filtered)]
            _unfilter(filtered, layout, before, rows)
            yield top, rows
            top += len(rows)
            before = rows[-1].copy()
    except BrokenStream as error:
        raise _broken() from error


def _interlaced(data: bytes, layout: PngLayout) -> Pixels:
    passes = list(_passes(layout))
    expected = sum(height * (1 + _row_bytes(layout, width)) for *_, width, height in passes)
    packed = b"".join([data[chunk.start : chunk.end] for chunk in layout.chunks if chunk.name == b"IDAT"])
    raw = inflate(packed, expected, padding=MAX_PADDING)
    if raw is None or len(raw) != expected:
        raise _broken()
    kind = np.uint16 if layout.depth == 16 else np.uint8
    picture = np.empty((layout.height, layout.width, SAMPLES[layout.colour]), kind)
    at = 0
    for x, y, step_x, step_y, width, height in passes:
        length = _row_bytes(layout, width)
        # Copied, for Numba would compile once more for what must not be written to.
        filtered = np.frombuffer(raw, np.uint8, height * (1 + length), at).reshape(height, 1 + length).copy()
        rows = np.empty((height, length), np.uint8)
        _unfilter(filtered, layout, np.zeros(length, np.uint8), rows)
        picture[y::step_y, x::step_x] = _unpack(rows, layout, width)
        at += filtered.size
    return picture


def _passes(layout: PngLayout) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Yield each pass that has pixels: first column, first row, steps, width, height."""
    for x, y, step_x, step_y in ADAM7:
        width, height = -((x - layout.width) // step_x), -((y - layout.height) // step_y)
        if width > 0 and height > 0:
            yield x, y, step_x, step_y, width, height


def _row_bytes(layout: PngLayout, width: int) -> int:
    return (width * layout.depth * SAMPLES[layout.colour] + 7) // 8


def _unfilter(
    filtered: NDArray[np.uint8], layout: PngLayout, before: NDArray[np.uint8], rows: NDArray[np.uint8]
) -> None:
    from uncrop.imaging.png.unfilter import unfilter

    step = max(1, layout.depth * SAMPLES[layout.colour] // 8)
    if not unfilter(filtered, step, before, rows):
        raise InvalidImage(system_message="the PNG has an unknown filter")


def _broken() -> InvalidImage:
    return InvalidImage(system_message="the PNG's picture data is corrupt, incomplete or too long")


def _unpack(rows: NDArray[np.uint8], layout: PngLayout, width: int) -> Pixels:
    height, count = len(rows), SAMPLES[layout.colour]
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
        alphas = np.frombuffer((layout.leading(data, b"tRNS") or b"")[:256], np.uint8)
        table[:, 3] = 255
        table[: len(alphas), 3] = alphas
    return table[indices]

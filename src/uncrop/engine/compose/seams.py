"""The gaps at the seams: what must be added where copies meet, so that gradients continue across the seams.

The *gap* between neighbours p and q is the desired difference e_p - e_q of their corrections: the mean of both sources'
gradients less the gradient of the copied values. It is the guidance of Poisson image editing (Pérez, Gangnet and Blake
2003, doi:10.1145/882262.882269) between two sources (Darabi et al. 2012, doi:10.1145/2185520.2185578). Copies that
continue each other have no gap. The photo copies itself.

Where two copies differ as much as two objects do, there is an edge and no seam. If it were closed, the colour of each
would bleed into the other. Gaps between copies are therefore bounded; gaps to the photo are not.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.kernels import inlined, kernel

BAND = 32  # rows of cells
LIGHT_GAP, COLOUR_GAP = 80.0, 30.0  # largest gap that is closed between two copies, in 8-bit levels
RED, GREEN, BLUE = 0.299, 0.587, 0.114  # weights of luma


class Copies(NamedTuple):
    """What every pixel of the canvas, H x W, copies from a photo of h x w pixels.

    Attributes
    ----------
    data
        (h * w * channels * depth) uint8: the photo's values row by row; of 16 bits the low byte comes first.
    depth
        Bytes of a value, 1 or 2.
    usable
        (h, w) uint8: 1 where the photo may be copied.
    origin
        (H, W) int32: the flat index of every made pixel's source, -1 on the photo.
    box
        (4) int64: top, bottom, left and right of the photo on the canvas.
    """

    data: Any
    depth: int
    usable: Any
    origin: Any
    box: Any

    @property
    def channels(self) -> int:
        """How many values a pixel has."""
        return int(self.data.size // (self.usable.size * self.depth))

    @property
    def cell_box(self) -> NDArray[np.int64]:
        """The box (4) of the cells of 2 x 2 pixels that lie wholly on the photo."""
        top, bottom, left, right = self.box
        return np.array([(top + 1) // 2, bottom // 2, (left + 1) // 2, right // 2], np.int64)


def make_copies(
    colour: NDArray[Any], opaque: NDArray[np.bool_], origin: NDArray[np.int32], box: NDArray[np.int64]
) -> Copies:
    """Describe the copies ``origin`` from the photo ``colour`` (h, w, 1 or 3) uint8 or uint16."""
    little = np.ascontiguousarray(colour, colour.dtype.newbyteorder("<"))
    data = little.reshape(-1).view(np.uint8)
    return Copies(data=data, depth=little.itemsize, usable=opaque.view(np.uint8), origin=origin, box=box)


@inlined
def value_at(copies: Any, index: int) -> Any:
    """Return the photo's value at the flat ``index``, in 8-bit levels."""
    if copies.depth == 1:
        return np.float32(copies.data[index])
    return (np.float32(copies.data[2 * index]) + np.float32(256) * np.float32(copies.data[2 * index + 1])) / np.float32(
        257
    )


@inlined
def light_of(red: Any, green: Any, blue: Any) -> Any:
    """Return the luma of a colour, or of a difference of colours."""
    return np.float32(RED) * red + np.float32(GREEN) * green + np.float32(BLUE) * blue


@inlined
def source_of(copies: Any, y: int, x: int) -> Any:
    """Return the flat index of the photo's pixel that (y, x) copies."""
    if copies.origin[y, x] >= 0:
        return int(copies.origin[y, x])
    return (y - copies.box[0]) * copies.usable.shape[1] + x - copies.box[2]


@inlined
def contiguous(copies: Any, y: int, x: int, dy: int, dx: int) -> Any:
    """Tell whether (y, x) and (y + dy, x + dx) copy pixels of the photo that are neighbours in the same way."""
    here, there = copies.origin[y, x], copies.origin[y + dy, x + dx]
    if here < 0 or there < 0:
        return here < 0 and there < 0
    cols = np.int32(copies.usable.shape[1])
    return there - here == dy * cols + dx and (dx == 0 or there % cols != 0)


@kernel
def find_gap(copies: Any, y: int, x: int, dy: int, dx: int, gap: Any) -> bool:
    """Write the gap between (y, x) and its neighbour (y + dy, x + dx) into ``gap`` (channels) float32.

    Returns False where there is no gap: next to a transparent pixel of the photo, whose colour means nothing, and where
    no gradient is known.
    """
    rows, cols = copies.usable.shape
    count = gap.shape[0]
    here, there = source_of(copies, y, x), source_of(copies, y + dy, x + dx)
    if copies.usable[here // cols, here % cols] == 0 or copies.usable[there // cols, there % cols] == 0:
        return False
    sy, sx = here // cols + dy, here % cols + dx
    ty, tx = there // cols - dy, there % cols - dx
    forth = 0 <= sy < rows and 0 <= sx < cols and copies.usable[sy, sx] != 0
    back = 0 <= ty < rows and 0 <= tx < cols and copies.usable[ty, tx] != 0
    share = np.float32(0.5) if forth and back else np.float32(1)
    for k in range(count):
        total = np.float32(0)
        if forth:
            total += value_at(copies, there * count + k) - value_at(copies, (sy * cols + sx) * count + k)
        if back:
            total += value_at(copies, (ty * cols + tx) * count + k) - value_at(copies, here * count + k)
        gap[k] = share * total
    if copies.origin[y, x] >= 0 and copies.origin[y + dy, x + dx] >= 0:
        bound(gap)
    return bool(forth or back)


@kernel
def bound(gap: Any) -> None:
    """Bound a ``gap`` (1 or 3): its lightness, and with colour what each channel differs by from that."""
    light, most = gap[0], np.float32(0)
    if gap.shape[0] == 3:
        light = light_of(gap[0], gap[1], gap[2])
    for k in range(gap.shape[0]):
        gap[k] -= light
        most = max(most, abs(gap[k]))
    share = np.float32(COLOUR_GAP) / max(np.float32(COLOUR_GAP), most)
    light = max(-np.float32(LIGHT_GAP), min(np.float32(LIGHT_GAP), light))
    for k in range(gap.shape[0]):
        gap[k] = light + share * gap[k]


@inlined
def add_share(out: Any, first: int, last: int, y: int, x: int, gap: Any, share: Any) -> None:
    """Add ``share`` times the gap to (y, x) of ``out`` (channels, rows, columns), if y is in ``first`` to ``last``."""
    if first <= y < last and 0 <= x < out.shape[2]:
        for k in range(gap.shape[0]):
            out[k, y, x] += share * gap[k]


@kernel
def sum_gaps(copies: Any, top: int, left: int, gap: Any, out: Any) -> None:
    """Write the sums of the gaps of every pixel to its four neighbours into ``out`` (channels, rows, columns).

    ``out``, all 0 before, is the part of the canvas that begins at (top, left); ``gap`` (channels) is scratch space.
    """
    height, width = copies.origin.shape
    rows, one = out.shape[1], np.float32(1)
    for y in range(max(0, top - 1), min(height, top + out.shape[1])):
        for x in range(max(0, left - 1), min(width, left + out.shape[2])):
            if x + 1 < width and not contiguous(copies, y, x, 0, 1) and find_gap(copies, y, x, 0, 1, gap):
                add_share(out, 0, rows, y - top, x - left, gap, one)
                add_share(out, 0, rows, y - top, x + 1 - left, gap, -one)
            if y + 1 < height and not contiguous(copies, y, x, 1, 0) and find_gap(copies, y, x, 1, 0, gap):
                add_share(out, 0, rows, y - top, x - left, gap, one)
                add_share(out, 0, rows, y + 1 - top, x - left, gap, -one)


@kernel
def sum_cell_gaps(copies: Any, first: int, last: int, gap: Any, out: Any) -> None:
    """Write the sums of the gaps of cells of 2 x 2 pixels, rows ``first`` to ``last``, into ``out``, 0 before.

    The gap between two cells is that between their means: half a gap inside the first, the gap at their border and half
    a gap inside the second, averaged over two rows or columns. ``out`` is (channels, H / 2, W / 2). ``gap`` (channels)
    is scratch space.
    """
    height, width = copies.origin.shape
    cells_down, cells_across = out.shape[1:]
    half, quarter = np.float32(0.5), np.float32(0.25)
    for y in range(max(0, 2 * first - 2), min(height, 2 * last + 1)):
        row = y >> 1
        inside = first <= row < last
        for x in range(width):
            col = x >> 1
            last_col = x + 1 == width
            if inside and not last_col and not contiguous(copies, y, x, 0, 1) and find_gap(copies, y, x, 0, 1, gap):
                share = half if x & 1 else quarter
                add_share(out, first, last, row, max(0, col - 1 + (x & 1)), gap, share)
                add_share(out, first, last, row, min(cells_across - 1, col + 1), gap, -share)
            if y + 1 < height and not contiguous(copies, y, x, 1, 0) and find_gap(copies, y, x, 1, 0, gap):
                share = half if y & 1 else quarter
                add_share(out, first, last, max(0, row - 1 + (y & 1)), col, gap, share)
                add_share(out, first, last, min(cells_down - 1, row + 1), col, gap, -share)


def cell_gaps(copies: Copies, pool: ThreadPool) -> NDArray[np.float32]:
    """Return the sums of the gaps of every cell of 2 x 2 pixels, (channels, H / 2, W / 2), in 8-bit levels."""
    height, width = copies.origin.shape
    out = np.zeros((copies.channels, (height + 1) // 2, (width + 1) // 2), np.float32)

    def work(band: tuple[int, int]) -> None:
        sum_cell_gaps(copies, *band, np.empty(copies.channels, np.float32), out)

    pool.each(work, bands(0, out.shape[1], BAND))
    return out

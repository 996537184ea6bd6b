"""The image pyramid: the photo at every level, halved by means of 2 x 2 pixels, and which patches may be copied."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import PADDING, RADIUS, SIZE
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.kernels import inlined, kernel

BAND = 64


class Exemplar(NamedTuple):
    """The photo at one level, h x w pixels, as patches are copied from it.

    Attributes
    ----------
    flat
        ((h + 6) * (w + 6) * 4 + padding) uint8: the feature channels row by row. On all sides the photo's outermost
        pixels are repeated ``RADIUS`` times.
    usable
        (h, w) uint8: 1 where a patch centred here may be copied. Such a patch lies wholly inside the photo, unless
        ``with_border_patches`` has added others.
    """

    flat: Any
    usable: Any

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The view (h, w, 4) of the feature channels."""
        height, width = self.usable.shape
        wide = self.flat[:-PADDING].reshape(height + 2 * RADIUS, width + 2 * RADIUS, 4)
        pixels: NDArray[np.uint8] = wide[RADIUS:-RADIUS, RADIUS:-RADIUS]
        return pixels


@kernel
def halve_rows(fine: Any, out: Any, first: int, last: int) -> None:
    """Write the rounded means of 2 x 2 pixels of ``fine`` (h, w, 4) into ``out`` (h // 2, w // 2, 4)."""
    for y in range(first, last):
        for x in range(out.shape[1]):
            for k in range(4):
                total = int(fine[2 * y, 2 * x, k]) + int(fine[2 * y, 2 * x + 1, k])
                total += int(fine[2 * y + 1, 2 * x, k]) + int(fine[2 * y + 1, 2 * x + 1, k])
                out[y, x, k] = (total + 2) >> 2


def halve(fine: NDArray[np.uint8], pool: ThreadPool) -> NDArray[np.uint8]:
    """Return ``fine`` (h, w, 4) at half its size; a last odd row or column is dropped."""
    out = np.empty((fine.shape[0] // 2, fine.shape[1] // 2, 4), np.uint8)
    pool.each(lambda band: halve_rows(fine, out, *band), bands(0, out.shape[0], BAND))
    return out


@kernel
def erode_rows(opaque: Any, out: Any, column: Any, first: int, last: int) -> None:
    """Write the rows ``first`` to ``last`` of ``erode`` into ``out`` (h, w) uint8, all 0 before.

    ``column`` (w) int32, all 0 before, is scratch space: it counts the unbroken opaque rows up to the current one.
    """
    height, width = opaque.shape
    for y in range(max(0, first - RADIUS), min(height, last + RADIUS)):
        run = 0
        for x in range(width):
            column[x] = column[x] + 1 if opaque[y, x] else 0
            run = run + 1 if column[x] >= SIZE else 0
            if run >= SIZE and y - RADIUS < last:
                out[y - RADIUS, x - RADIUS] = 1


def erode(opaque: NDArray[np.bool_], pool: ThreadPool) -> NDArray[np.uint8]:
    """Return (h, w): 1 where all 7 x 7 pixels around are ``opaque`` and inside the array, else 0."""
    out = np.zeros(opaque.shape, np.uint8)
    width = opaque.shape[1]
    pool.each(lambda band: erode_rows(opaque, out, np.zeros(width, np.int32), *band), bands(0, opaque.shape[0], BAND))
    return out


@inlined
def can_copy(exemplar: Any, sy: int, sx: int) -> Any:
    """Tell whether the patch centred at (sy, sx) may be copied."""
    height, width = exemplar.usable.shape
    return 0 <= sy < height and 0 <= sx < width and exemplar.usable[sy, sx] != 0


@inlined
def row_bytes(exemplar: Any) -> Any:
    """Return the number of bytes from one row of ``exemplar.flat`` to the next."""
    return (exemplar.usable.shape[1] + 2 * RADIUS) * 4


@inlined
def patch_start(exemplar: Any, sy: int, sx: int) -> Any:
    """Return the index in ``exemplar.flat`` of the first byte of the patch centred at (sy, sx)."""
    return sy * row_bytes(exemplar) + sx * 4


@inlined
def pixel_start(exemplar: Any, sy: int, sx: int) -> Any:
    """Return the index in ``exemplar.flat`` of the pixel (sy, sx), which may lie up to ``RADIUS`` beyond the photo."""
    return patch_start(exemplar, sy + RADIUS, sx + RADIUS)


def with_repeated_border(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``Exemplar.flat`` for the photo ``pixels`` (h, w, 4)."""
    height, width = pixels.shape[0] + 2 * RADIUS, pixels.shape[1] + 2 * RADIUS
    flat = np.zeros(height * width * 4 + PADDING, np.uint8)
    wide = flat[:-PADDING].reshape(height, width, 4)
    wide[RADIUS:-RADIUS, RADIUS:-RADIUS] = pixels
    wide[:RADIUS], wide[-RADIUS:] = wide[RADIUS], wide[-RADIUS - 1]
    wide[:, :RADIUS], wide[:, -RADIUS:] = wide[:, RADIUS : RADIUS + 1], wide[:, -RADIUS - 1 : -RADIUS]
    return flat


def make_exemplar(pixels: NDArray[np.uint8], opaque: NDArray[np.bool_], pool: ThreadPool) -> Exemplar:
    """Return the exemplar of the photo ``pixels`` (h, w, 4); only ``opaque`` (h, w) pixels may be copied."""
    return Exemplar(flat=with_repeated_border(pixels), usable=erode(opaque, pool))


def with_border_patches(exemplar: Exemplar) -> Exemplar:
    """Return the exemplar with patches that reach beyond the photo's border, where the ones next to them may be copied.

    The pixels at the border resemble most what lies beyond it. Often they are a thin strip: a hedge, a table's edge.
    """
    inside = exemplar.usable[RADIUS:-RADIUS, RADIUS:-RADIUS]
    return exemplar._replace(usable=np.pad(inside, RADIUS, "edge"))


def make_pyramid(pixels: NDArray[np.uint8], opaque: NDArray[np.bool_], levels: int, pool: ThreadPool) -> list[Exemplar]:
    """Return the exemplar of every level, the finest first."""
    pyramid = [make_exemplar(pixels, opaque, pool)]
    for _ in range(levels - 1):
        pixels = halve(pixels, pool)
        height, width = pixels.shape[:2]
        pairs = opaque[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
        opaque = np.asarray(pairs.all(axis=(1, 3)))
        pyramid.append(make_exemplar(pixels, opaque, pool))
    return pyramid


def usable_place(exemplar: Exemplar) -> Any:
    """Return the row and column (2) int64 of the middle one of all usable patches, where no better source is known."""
    counts = np.cumsum(exemplar.usable.sum(axis=1, dtype=np.int64))
    middle = counts[-1] // 2
    row = int(np.searchsorted(counts, middle, side="right"))
    before = 0 if row == 0 else counts[row - 1]
    return np.array([row, np.flatnonzero(exemplar.usable[row])[middle - before]], np.int64)

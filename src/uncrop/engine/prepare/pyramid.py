"""The photo at every level, by means of 2 x 2 pixels, with what a search needs to know about its patches."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import PADDING, RADIUS
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.kernels import inlined, kernel

BAND = 64


class Atlas(NamedTuple):
    """Where patches may be copied from, at one level: h x w pixels.

    Attributes
    ----------
    flat
        ((h + 6) * (w + 6) * 4 + padding) uint8, the feature channels, row by row, with the photo's outermost pixels
        repeated ``RADIUS`` times all round.
    usable
        (h, w) uint8, 1 where a patch centred here may be copied: it lies wholly inside the photo, or see ``with_rim``.
    """

    flat: Any
    usable: Any

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The channels as (h, w, 4)."""
        height, width = self.usable.shape
        wide = self.flat[:-PADDING].reshape(height + 2 * RADIUS, width + 2 * RADIUS, 4)
        pixels: NDArray[np.uint8] = wide[RADIUS:-RADIUS, RADIUS:-RADIUS]
        return pixels


@kernel
def halve_rows(fine: Any, out: Any, first: int, last: int) -> None:
    """Write the means of 2 x 2 pixels of ``fine`` (h, w, 4), rounded, into ``out`` (h // 2, w // 2, 4)."""
    for y in range(first, last):
        for x in range(out.shape[1]):
            for k in range(4):
                total = int(fine[2 * y, 2 * x, k]) + int(fine[2 * y, 2 * x + 1, k])
                total += int(fine[2 * y + 1, 2 * x, k]) + int(fine[2 * y + 1, 2 * x + 1, k])
                out[y, x, k] = (total + 2) >> 2


def halve(fine: NDArray[np.uint8], crew: Crew) -> NDArray[np.uint8]:
    """Return ``fine`` (h, w, 4) at half its size, a last odd row or column dropped."""
    out = np.empty((fine.shape[0] // 2, fine.shape[1] // 2, 4), np.uint8)
    crew.each(lambda band: halve_rows(fine, out, *band), bands(0, out.shape[0], BAND))
    return out


@kernel
def erode_rows(solid: Any, out: Any, column: Any, first: int, last: int) -> None:
    """Write the rows ``first`` to ``last`` of ``erode`` into ``out`` (h, w) uint8.

    ``column`` (w) int32 counts how many rows up to the current one are solid without a gap. Both are all 0 before.
    """
    height, width = solid.shape
    size = 2 * RADIUS + 1
    for y in range(max(0, first - RADIUS), min(height, last + RADIUS)):
        run = 0
        for x in range(width):
            column[x] = column[x] + 1 if solid[y, x] else 0
            run = run + 1 if column[x] >= size else 0
            if run >= size and y - RADIUS < last:
                out[y - RADIUS, x - RADIUS] = 1


def erode(solid: NDArray[np.bool_], crew: Crew) -> NDArray[np.uint8]:
    """Return 1 where the 7 x 7 pixels around are all ``solid`` and inside the array, else 0."""
    out = np.zeros(solid.shape, np.uint8)
    width = solid.shape[1]
    crew.each(lambda band: erode_rows(solid, out, np.zeros(width, np.int32), *band), bands(0, solid.shape[0], BAND))
    return out


@inlined
def can_copy(atlas: Any, sy: int, sx: int) -> Any:
    """Tell whether (sy, sx) is the centre of a patch that may be copied."""
    height, width = atlas.usable.shape
    return 0 <= sy < height and 0 <= sx < width and atlas.usable[sy, sx] != 0


@inlined
def row_bytes(atlas: Any) -> Any:
    """Return the bytes from one row of ``atlas.flat`` to the next."""
    return (atlas.usable.shape[1] + 2 * RADIUS) * 4


@inlined
def patch_start(atlas: Any, sy: int, sx: int) -> Any:
    """Return where in ``atlas.flat`` the patch centred at (sy, sx) begins."""
    return sy * row_bytes(atlas) + sx * 4


@inlined
def pixel_start(atlas: Any, sy: int, sx: int) -> Any:
    """Return where in ``atlas.flat`` the pixel (sy, sx) begins, which may lie up to ``RADIUS`` beyond the photo."""
    return patch_start(atlas, sy + RADIUS, sx + RADIUS)


def with_margin(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what ``Atlas.flat`` holds of the photo ``pixels`` (h, w, 4)."""
    height, width = pixels.shape[0] + 2 * RADIUS, pixels.shape[1] + 2 * RADIUS
    flat = np.zeros(height * width * 4 + PADDING, np.uint8)
    wide = flat[:-PADDING].reshape(height, width, 4)
    wide[RADIUS:-RADIUS, RADIUS:-RADIUS] = pixels
    wide[:RADIUS], wide[-RADIUS:] = wide[RADIUS], wide[-RADIUS - 1]
    wide[:, :RADIUS], wide[:, -RADIUS:] = wide[:, RADIUS : RADIUS + 1], wide[:, -RADIUS - 1 : -RADIUS]
    return flat


def make_atlas(pixels: NDArray[np.uint8], solid: NDArray[np.bool_], crew: Crew) -> Atlas:
    """Describe the photo ``pixels`` (h, w, 4) as a source of patches; ``solid`` (h, w) tells what may be copied."""
    return Atlas(flat=with_margin(pixels), usable=erode(solid, crew))


def with_rim(atlas: Atlas) -> Atlas:
    """Return the atlas with patches that reach over the photo's border, where those next to them may be copied.

    What lies at the border most resembles what lies beyond it, and is often a thin strip: a hedge, the edge of a table.
    """
    inside = atlas.usable[RADIUS:-RADIUS, RADIUS:-RADIUS]
    return atlas._replace(usable=np.pad(inside, RADIUS, "edge"))


def make_pyramid(pixels: NDArray[np.uint8], solid: NDArray[np.bool_], levels: int, crew: Crew) -> list[Atlas]:
    """Return the atlas of every level, the finest first."""
    pyramid = [make_atlas(pixels, solid, crew)]
    for _ in range(levels - 1):
        pixels = halve(pixels, crew)
        height, width = pixels.shape[:2]
        pairs = solid[: 2 * height, : 2 * width].reshape(height, 2, width, 2)
        solid = np.asarray(pairs.all(axis=(1, 3)))
        pyramid.append(make_atlas(pixels, solid, crew))
    return pyramid


def usable_place(atlas: Atlas) -> Any:
    """Return the row and column (2) int64 of the usable patch in the middle of all, for want of a better one."""
    counts = np.cumsum(atlas.usable.sum(axis=1, dtype=np.int64))
    middle = counts[-1] // 2
    row = int(np.searchsorted(counts, middle, side="right"))
    before = 0 if row == 0 else counts[row - 1]
    return np.array([row, np.flatnonzero(atlas.usable[row])[middle - before]], np.int64)

"""What the solution leaves of the step at the photo's border is continued outward, fading.

The Poisson equation spreads a gap in all directions alike. So it hardly closes gaps that change from pixel to pixel
along the border: grain, and edges that are off by a fraction of a pixel. Continued straight outward, these close too.
"""

from __future__ import annotations

from math import exp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.compose.corrections import correct_tile
from uncrop.engine.compose.seams import Copies, find_gap
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.kernels import kernel

STEP_LIMIT = 12.0  # 8-bit levels; more is no grain, and would be seen as a streak
FADE = np.array([exp(-n / 3) for n in range(16)], np.float32)  # by distance from the border in pixels

Steps = list[NDArray[np.float32]]  # (channels, length) each: above, below, left and right of the photo


class PhotoSide(NamedTuple):
    """The line of made pixels next to one side of the photo.

    Attributes
    ----------
    sideways
        Whether it is the left or the right side.
    start, length
        Where the line begins along the side, and how many pixels it has.
    line
        Its row, or its column where ``sideways``.
    outward
        -1 above and left of the photo, 1 below and right of it.
    """

    sideways: bool
    start: int
    length: int
    line: int
    outward: int


@kernel
def line_steps(copies: Any, corrections: Any, top: int, left: int, side: Any, gap: Any, out: Any) -> None:
    """Write what is left of the gaps along one side of the photo into ``out`` (channels, length), in 8-bit levels.

    ``corrections`` (channels, rows, columns) begin at (``top``, ``left``). ``gap`` (channels) is scratch space.
    """
    most = np.float32(STEP_LIMIT)
    for n in range(side.length):
        along = side.start + n
        y, x = (along, side.line) if side.sideways else (side.line, along)
        inward_y, inward_x = (0, -side.outward) if side.sideways else (-side.outward, 0)
        if find_gap(copies, y, x, inward_y, inward_x, gap):
            for k in range(gap.shape[0]):
                out[k, n] = max(-most, min(most, gap[k] - corrections[k, y - top, x - left]))


@kernel
def fade_out(side: Any, steps: Any, top: int, left: int, found: Any) -> None:
    """Add the ``steps`` (channels, length) of one side, fading outward, to the corrections of a tile.

    ``found`` (channels, rows, columns) are the tile's corrections, which begin at (``top``, ``left``).
    """
    first = top if side.sideways else left
    extent = found.shape[1] if side.sideways else found.shape[2]
    for n in range(max(0, first - side.start), min(side.length, first + extent - side.start)):
        for distance in range(FADE.shape[0]):
            across, along = side.line + side.outward * distance, side.start + n
            y, x = (along - top, across - left) if side.sideways else (across - top, along - left)
            if 0 <= y < found.shape[1] and 0 <= x < found.shape[2]:
                for k in range(found.shape[0]):
                    found[k, y, x] += steps[k, n] * FADE[distance]


def photo_sides(copies: Copies) -> list[PhotoSide]:
    """Return the lines of made pixels above, below, left and right of the photo."""
    top, bottom, left, right = (int(side) for side in copies.box)
    return [
        PhotoSide(sideways=False, start=left, length=right - left, line=top - 1, outward=-1),
        PhotoSide(sideways=False, start=left, length=right - left, line=bottom, outward=1),
        PhotoSide(sideways=True, start=top, length=bottom - top, line=left - 1, outward=-1),
        PhotoSide(sideways=True, start=top, length=bottom - top, line=right, outward=1),
    ]


def border_steps(copies: Copies, cells: list[NDArray[np.float32]], pool: ThreadPool) -> Steps:
    """Return what ``correct_tile`` leaves of the gaps along the four sides, limited; 0 where a side is not extended."""
    height, width = copies.origin.shape

    def work(side: PhotoSide) -> NDArray[np.float32]:
        steps = np.zeros((copies.channels, side.length), np.float32)
        if not 0 <= side.line < (width if side.sideways else height):
            return steps
        along, across = (side.start // 2 * 2, side.start + side.length), (side.line // 2 * 2, side.line + 1)
        tile = (*along, *across) if side.sideways else (*across, *along)
        corrections, gap = correct_tile(copies, cells, tile), np.empty(copies.channels, np.float32)
        line_steps(copies, corrections, tile[0], tile[2], side, gap, steps)
        return steps

    return pool.each(work, photo_sides(copies))


def add_border_steps(copies: Copies, steps: Steps, tile: tuple[int, int, int, int], found: NDArray[np.float32]) -> None:
    """Add the steps of all sides, fading outward, to the corrections ``found`` of a tile (top, bottom, left, right)."""
    for side, step in zip(photo_sides(copies), steps, strict=True):
        fade_out(side, step, tile[0], tile[2], found)

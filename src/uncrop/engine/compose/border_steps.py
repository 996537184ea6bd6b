"""What the solution leaves of the step at the photo's border is carried outward, fading.

The Poisson equation spreads a gap in all directions alike, so that it hardly closes gaps that change from pixel to
pixel along the border: grain, and edges that are off by a fraction of a pixel. Spread straight outward they are closed
as well.
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.compose.corrections import correct_tile
from uncrop.engine.compose.seams import Copies, find_gap
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.kernels import kernel

STEP_LIMIT = 12.0  # 8-bit levels; more is no grain, and would be seen as a streak
FADE = np.array([exp(-n / 3) for n in range(16)], np.float32)  # by distance from the border in pixels

Steps = list[NDArray[np.float32]]  # (channels, length) each: above, below, left and right of the photo


@kernel
def line_steps(
    copies: Any, corrections: Any, top: int, left: int, y: int, x: int, inward_y: int, inward_x: int, gap: Any,
    out: Any,
) -> None:  # fmt: skip
    """Write what is left of the gaps along one side of the photo into ``out`` (channels, length), in 8-bit levels.

    The line of made pixels next to the photo begins at (y, x); (``inward_y``, ``inward_x``) is the step from it to the
    photo. ``corrections`` (channels, rows, columns) begin at (``top``, ``left``); ``gap`` (channels) is working room.
    """
    most = np.float32(STEP_LIMIT)
    for n in range(out.shape[1]):
        if find_gap(copies, y, x, inward_y, inward_x, gap):
            for k in range(gap.shape[0]):
                out[k, n] = max(-most, min(most, gap[k] - corrections[k, y - top, x - left]))
        y += abs(inward_x)
        x += abs(inward_y)


@kernel
def fade_out(steps: Any, sideways: bool, start: int, line: int, outward: int, top: int, left: int, found: Any) -> None:
    """Add ``steps`` (channels, length) of one side, fading outward, to the corrections of a tile.

    Parameters
    ----------
    sideways
        Whether the side is the left or the right one.
    start, line, outward
        Where the line of made pixels next to the photo begins, on which row or column it lies, and -1 or 1.
    top, left, found
        The tile's corrections (channels, rows, columns) and where they begin.
    """
    first = top if sideways else left
    extent = found.shape[1] if sideways else found.shape[2]
    for n in range(max(0, first - start), min(steps.shape[1], first + extent - start)):
        for away in range(FADE.shape[0]):
            across, along = line + outward * away, start + n
            y, x = (along - top, across - left) if sideways else (across - top, along - left)
            if 0 <= y < found.shape[1] and 0 <= x < found.shape[2]:
                for k in range(found.shape[0]):
                    found[k, y, x] += steps[k, n] * FADE[away]


def sides_of(copies: Copies) -> list[tuple[bool, int, int, int, int]]:
    """Return sideways, start, length, line and outward for the lines of made pixels above, below, left and right."""
    top, bottom, left, right = (int(side) for side in copies.box)
    return [
        (False, left, right - left, top - 1, -1),
        (False, left, right - left, bottom, 1),
        (True, top, bottom - top, left - 1, -1),
        (True, top, bottom - top, right, 1),
    ]


def border_steps(copies: Copies, cells: list[NDArray[np.float32]], crew: Crew) -> Steps:
    """Return what ``correct_tile`` leaves of the gaps along the four sides, limited; 0 where a side is not extended."""
    height, width = copies.origin.shape

    def work(side: tuple[bool, int, int, int, int]) -> NDArray[np.float32]:
        sideways, start, length, line, outward = side
        steps = np.zeros((copies.channels, length), np.float32)
        if not 0 <= line < (width if sideways else height):
            return steps
        along, across = (start // 2 * 2, start + length), (line // 2 * 2, line + 1)
        tile = (*along, *across) if sideways else (*across, *along)
        corrections, room = correct_tile(copies, cells, tile), np.empty(copies.channels, np.float32)
        y, x, inward = (start, line, (0, -outward)) if sideways else (line, start, (-outward, 0))
        line_steps(copies, corrections, tile[0], tile[2], y, x, *inward, room, steps)
        return steps

    return crew.each(work, sides_of(copies))


def bridge(copies: Copies, steps: Steps, tile: tuple[int, int, int, int], found: NDArray[np.float32]) -> None:
    """Add the steps of all sides, fading outward, to the corrections ``found`` of a tile (top, bottom, left, right)."""
    for (sideways, start, _, line, outward), step in zip(sides_of(copies), steps, strict=True):
        fade_out(step, sideways, start, line, outward, tile[0], tile[2], found)

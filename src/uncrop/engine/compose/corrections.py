"""The corrections of the copied colours, limited by the distance from the photo.

The limits are wide. They only stop the coloured stains that may grow where sources disagree wildly. A narrow limit
would cut steps into smooth gradients, because the correction must jump where two copies meet.
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.compose.poisson import SCREEN, interpolate, smooth, solve
from uncrop.engine.compose.seams import BLUE, GREEN, RED, Copies, cell_gaps, light_of, sum_gaps
from uncrop.engine.runtime.run import Run
from uncrop.kernels import kernel

LUMA_LIMIT, CHROMA_LIMIT = 100.0, 60.0  # far from the photo, in 8-bit levels
NEAR_LIMIT, NEAR_REACH = 255.0, 8.0  # added to both next to the photo, and the pixels over which it falls to 1 / e
RELAXATIONS = 4  # of the pixels, after the cells are solved
HALO = 2 * RELAXATIONS  # pixels around a tile that its relaxation reads


def solve_cells(copies: Copies, run: Run) -> list[NDArray[np.float32]]:
    """Return the correction of every channel for cells of 2 x 2 pixels, (H / 2, W / 2) each, in 8-bit levels.

    A cell is known, and 0, where it lies wholly on the photo.
    """
    gaps = cell_gaps(copies, run.pool)
    box = copies.cell_box

    def work(rhs: NDArray[np.float32]) -> NDArray[np.float32]:
        return solve(rhs, box, screen=4 * SCREEN, check=run.monitor.check)

    return run.pool.each(work, gaps)


def correct_tile(
    copies: Copies, cells: list[NDArray[np.float32]], tile: tuple[int, int, int, int]
) -> NDArray[np.float32]:
    """Return the limited correction (channels, rows, columns) of a tile, in 8-bit levels.

    ``tile`` is (top, bottom, left, right), with even top and left. No correction depends on the tile it is in.
    """
    height, width = copies.origin.shape
    top, bottom, left, right = tile
    start, stop = max(0, top - HALO), min(height, bottom + HALO)
    begin, end = max(0, left - HALO), min(width, right + HALO)
    shape = (copies.channels, stop - start, end - begin)
    rhs, found = np.zeros(shape, np.float32), np.empty(shape, np.float32)
    sum_gaps(copies, start, begin, np.empty(copies.channels, np.float32), rhs)
    box = copies.box - np.array([start, start, begin, begin], np.int64)
    for k, plane in enumerate(cells):
        interpolate(plane, copies.box, start, begin, found[k])
        smooth(found[k], rhs[k], box, SCREEN, RELAXATIONS)
    limit_corrections(found, box, limit_table(LUMA_LIMIT), limit_table(CHROMA_LIMIT))
    return np.ascontiguousarray(found[:, top - start : bottom - start, left - begin : right - begin])


def limit_table(far: float) -> NDArray[np.float32]:
    """Return the limits of a correction by the distance from the photo in pixels; the last one holds beyond."""
    return np.array([far + NEAR_LIMIT * exp(-n / NEAR_REACH) for n in range(64)], np.float32)


@kernel
def limit_corrections(found: Any, box: Any, luma: Any, chroma: Any) -> None:
    """Clamp the corrections (channels, rows, columns) by their distance from the photo's ``box``.

    The limits (n) by distance are ``luma`` for the luma, and ``chroma`` for red and blue less luma.
    """
    top = luma.shape[0] - 1
    red_part, green_part, blue_part = np.float32(RED), np.float32(GREEN), np.float32(BLUE)
    for y in range(found.shape[1]):
        row_distance = max(box[0] - y, y - box[1] + 1)
        for x in range(found.shape[2]):
            distance = min(top, max(0, row_distance, box[2] - x, x - box[3] + 1))
            most = luma[distance]
            if found.shape[0] == 1:
                found[0, y, x] = max(-most, min(most, found[0, y, x]))
                continue
            light = light_of(found[0, y, x], found[1, y, x], found[2, y, x])
            red, blue = found[0, y, x] - light, found[2, y, x] - light
            light = max(-most, min(most, light))
            most = chroma[distance]
            red, blue = max(-most, min(most, red)), max(-most, min(most, blue))
            found[0, y, x] = light + red
            found[1, y, x] = light - (red_part * red + blue_part * blue) / green_part
            found[2, y, x] = light + blue

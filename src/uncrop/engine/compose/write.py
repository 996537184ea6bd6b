"""The made pixels in the photo's own bit depth: what each one copies, plus its correction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.compose.border_steps import add_border_steps, border_steps
from uncrop.engine.compose.corrections import correct_tile, solve_cells
from uncrop.engine.compose.gamut import bound_colours
from uncrop.engine.compose.seams import Copies, value_at
from uncrop.engine.runtime.partition import tiles
from uncrop.engine.runtime.run import Run
from uncrop.kernels import kernel

TILE_ROWS, TILE_COLS = 128, 512


@kernel
def write_tile(copies: Any, corrections: Any, top: int, left: int, white: int, out: Any) -> None:
    """Write the made pixels of a tile that begins at (top, left) into ``out`` (rows, columns, channels) uint16.

    ``corrections`` (channels, rows, columns) are the tile's; ``white`` is the largest value of the photo's bit depth.
    """
    count = out.shape[2]
    scale, half = np.float32(white) / np.float32(255), np.float32(0.5)
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            source = copies.origin[top + y, left + x]
            if source < 0:
                continue
            for k in range(count):
                value = value_at(copies, source * count + k) + corrections[k, y, x]
                out[y, x, k] = max(0, min(white, int(np.floor(value * scale + half))))


def write_colour(copies: Copies, dtype: np.dtype[Any], run: Run) -> NDArray[Any]:
    """Return the made picture (H, W, 1 or 3) of ``dtype``, with corrected seams; the photo itself is not yet in it."""
    cells = solve_cells(copies, run)
    bound_colours(copies, cells, run.pool)
    steps = border_steps(copies, cells, run.pool)
    run.monitor.step(0.92, "write")
    height, width = copies.origin.shape
    out = np.zeros((height, width, copies.channels), dtype)

    def work(tile: tuple[int, int, int, int]) -> None:
        top, bottom, left, right = tile
        made = np.zeros((bottom - top, right - left, copies.channels), np.uint16)
        corrections = correct_tile(copies, cells, tile)
        add_border_steps(copies, steps, tile, corrections)
        write_tile(copies, corrections, top, left, np.iinfo(dtype).max, made)
        out[top:bottom, left:right] = made

    run.pool.each(work, tiles(height, width, copies.box, TILE_ROWS, TILE_COLS))
    return out

"""Coherence: where all patches that cover a pixel copy it from one place, nothing has to be weighed or chosen.

Most pixels are coherent. They are found by counting how many neighbours in a row continue each other, and then how many
rows do, which takes no longer than reading a single patch for every pixel.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import RADIUS, SIZE
from uncrop.engine.search.patch_field import PatchField
from uncrop.kernels import inlined, kernel


@inlined
def nearest_centre(place: int, size: int) -> int:
    """Return the row (or column) nearest to ``place`` at which a patch can be centred, on a canvas of ``size`` rows."""
    return min(size - RADIUS - 1, max(RADIUS, place))


@kernel
def mark_coherent(sources: Any, first: int, last: int, column: Any, out: Any) -> None:
    """Write 1 into ``out`` (last - first, W) uint8, all 0 before, where all patches over a pixel agree.

    ``column`` (W) int32, all 0 before, is scratch space: it counts the rows of 7 agreeing patches that continue each
    other. Near the canvas's edge, where no patch is centred, the nearest patch is counted again.
    """
    height, width = sources.shape[:2]
    above = nearest_centre(first - RADIUS, height)
    for row in range(first - RADIUS, last + RADIUS):
        y = nearest_centre(row, height)
        run, before = 0, RADIUS
        for col in range(-RADIUS, width + RADIUS):
            x = nearest_centre(col, width)
            follows = (
                sources[y, x, 0] == sources[y, before, 0] and sources[y, x, 1] - sources[y, before, 1] == x - before
            )
            run = 0 if sources[y, x, 0] < 0 else (run + 1 if follows else 1)
            before = x
            if col < RADIUS:
                continue
            middle = col - RADIUS
            if run < SIZE:
                column[middle] = 0
                continue
            x = nearest_centre(middle, width)
            follows = sources[y, x, 1] == sources[above, x, 1] and sources[y, x, 0] - sources[above, x, 0] == y - above
            column[middle] = column[middle] + 1 if follows else 1
            if column[middle] >= SIZE:
                out[row - RADIUS - first, middle] = 1
        above = y


def coherent(field: PatchField, first: int, last: int) -> NDArray[np.uint8]:
    """Return (last - first, W): 1 where all patches that cover a pixel of the rows first to last agree."""
    width = field.costs.shape[1]
    out = np.zeros((last - first, width), np.uint8)
    mark_coherent(field.sources, first, last, np.zeros(width, np.int32), out)
    return out

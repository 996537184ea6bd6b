"""Where all patches that cover a pixel copy it from one place, so that nothing has to be weighed or chosen.

Most pixels are such. They are found by counting, for each row, how many neighbours continue each other, and then how
many rows do, which takes as long as looking at a single patch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import RADIUS, SIZE
from uncrop.engine.search.patch_field import Field
from uncrop.kernels import inlined, kernel


@inlined
def nearest_centre(place: int, size: int) -> int:
    """Return the row or column nearest to ``place`` where a patch can be centred on a canvas of ``size``."""
    return min(size - RADIUS - 1, max(RADIUS, place))


@kernel
def mark_coherent(labels: Any, first: int, last: int, column: Any, out: Any) -> None:
    """Write 1 into ``out`` (last - first, W) uint8, 0 before, where all patches over a pixel agree.

    ``column`` (W) int32, all 0, counts the rows of 7 agreeing patches that continue each other. Beyond the canvas's
    rim, where no patch is centred, the last one is taken again.
    """
    height, width = labels.shape[:2]
    above = nearest_centre(first - RADIUS, height)
    for row in range(first - RADIUS, last + RADIUS):
        y = nearest_centre(row, height)
        run, before = 0, RADIUS
        for col in range(-RADIUS, width + RADIUS):
            x = nearest_centre(col, width)
            goes_on = labels[y, x, 0] == labels[y, before, 0] and labels[y, x, 1] - labels[y, before, 1] == x - before
            run = 0 if labels[y, x, 0] < 0 else (run + 1 if goes_on else 1)
            before = x
            if col < RADIUS:
                continue
            middle = col - RADIUS
            if run < SIZE:
                column[middle] = 0
                continue
            x = nearest_centre(middle, width)
            goes_on = labels[y, x, 1] == labels[above, x, 1] and labels[y, x, 0] - labels[above, x, 0] == y - above
            column[middle] = column[middle] + 1 if goes_on else 1
            if column[middle] >= SIZE:
                out[row - RADIUS - first, middle] = 1
        above = y


def coherent(field: Field, first: int, last: int) -> NDArray[np.uint8]:
    """Return (last - first, W): 1 where all patches that cover a pixel of the rows first to last agree."""
    width = field.costs.shape[1]
    out = np.zeros((last - first, width), np.uint8)
    mark_coherent(field.labels, first, last, np.zeros(width, np.int32), out)
    return out

"""Step 5b: a new picture from the patches: every pixel is the weighted mean of what its patches say it is.

A patch is believed less the worse it fits and the farther it lies from the photo, which drives what is known inward out
(Wexler, Shechtman and Irani 2007, doi:10.1109/TPAMI.2007.60).
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from uncrop.engine.crew import Crew, bands
from uncrop.engine.field import SHIFT_STEPS, Field, is_made
from uncrop.engine.pyramid import PATCH, RADIUS, Atlas

BAND = 24
TRUST_BASE, TRUST_FLOOR, TRUST_TOP = 1.3, 0.02, 256
FIT_STEPS, FIT_TOP = 32, 4096  # entries per factor e, and the weight of the patch that fits best
FIT_TABLE = np.array([round(FIT_TOP * exp(-n / FIT_STEPS)) for n in range(8 * FIT_STEPS)], np.int64)
TRUST_TABLE = np.array([round(TRUST_TOP * max(TRUST_FLOOR, TRUST_BASE**-n)) for n in range(32)], np.int64)


@njit(nogil=True, cache=True)
def vote_rows(
    field: Any, atlas: Any, fit: Any, trust: Any, scale: int, spread: int, first: int, last: int
) -> None:  # fmt: skip
    """Write the pixels of the rows ``first`` to ``last`` that are not the photo's.

    ``spread`` is twice the sigma of the costs; ``fit`` is a table of exp(-n / scale).
    """
    height, width = field.costs.shape
    atlas_width = atlas.usable.shape[1]
    sums = np.zeros(4, np.int64)
    for y in range(first, last):
        for x in range(width):
            if not is_made(y, x, field.box):
                continue
            least = 1 << 62
            for qy in range(max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)):
                for qx in range(max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)):
                    least = min(least, field.costs[qy, qx])
            sums[:] = 0
            total = 0
            for qy in range(max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)):
                rows_away = max(field.box[0] - qy, qy - field.box[1] + 1)
                for qx in range(max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)):
                    step = (field.costs[qy, qx] - least) * scale // spread
                    if step >= fit.shape[0]:
                        continue
                    away = max(0, rows_away, field.box[2] - qx, qx - field.box[3] + 1)
                    weight = fit[step] * trust[min(away, trust.shape[0] - 1)]
                    sy, sx = field.labels[qy, qx, 0] + y - qy, field.labels[qy, qx, 1] + x - qx
                    start = (sy * atlas_width + sx) * 4
                    total += weight
                    for k in range(3):
                        sums[k] += weight * (int(atlas.flat[start + k]) * SHIFT_STEPS + field.shifts[qy, qx, k])
                    sums[3] += weight * int(atlas.flat[start + 3]) * SHIFT_STEPS
            at = (y * width + x) * 4
            for k in range(4):
                value = (sums[k] + SHIFT_STEPS * total // 2) // (SHIFT_STEPS * total)
                field.flat[at + k] = max(0, min(255, value))


def typical_cost(costs: NDArray[np.int32], targets: NDArray[np.bool_]) -> int:
    """Return the 75th percentile of the target patches' costs, at least one level a pixel."""
    step = 1 + costs.size // 1_000_000
    values = costs[::step, ::step][targets[::step, ::step]]
    if values.size == 0:
        return PATCH
    return max(PATCH, int(np.partition(values, values.size * 3 // 4)[values.size * 3 // 4]))


def vote(field: Field, atlas: Atlas, crew: Crew, targets: NDArray[np.bool_]) -> None:
    """Make the picture anew from the patches' sources; ``targets`` (H, W) marks their centres."""
    spread = 2 * typical_cost(field.costs, targets)
    cuts = bands(0, field.costs.shape[0], BAND)
    crew.each(lambda band: vote_rows(field, atlas, FIT_TABLE, TRUST_TABLE, FIT_STEPS, spread, *band), cuts)

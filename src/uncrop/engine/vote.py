"""Step 5b: a new picture from the patches: every pixel is the weighted mean of what its patches say it is.

A patch is believed less the worse it fits and the farther it lies from the photo, which drives what is known inward out
(Wexler, Shechtman and Irani 2007, doi:10.1109/TPAMI.2007.60).
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.crew import Crew, bands
from uncrop.engine.field import SHIFT_STEPS, Field, is_made
from uncrop.engine.kernel import kernel
from uncrop.engine.pyramid import PATCH, RADIUS, Atlas

BAND = 24
TRUST_BASE, TRUST_FLOOR, TRUST_TOP = 1.3, 0.02, 256
FIT_STEPS, FIT_TOP = 32, 4096  # entries per factor e, and the weight of the patch that fits best
FIT_TABLE = np.array([round(FIT_TOP * exp(-n / FIT_STEPS)) for n in range(8 * FIT_STEPS)], np.int64)
TRUST_TABLE = np.array([round(TRUST_TOP * max(TRUST_FLOOR, TRUST_BASE**-n)) for n in range(32)], np.int64)


@kernel
def common_patch(labels: Any, y: int, x: int) -> Any:
    """Return the centre of a patch that speaks for all, because all copy (y, x) from one place; else (-1, -1)."""
    height, width = labels.shape[:2]
    top, left = min(height - RADIUS - 1, max(RADIUS, y)), min(width - RADIUS - 1, max(RADIUS, x))
    off_y, off_x = labels[top, left, 0] - top, labels[top, left, 1] - left
    if labels[top, left, 0] < 0:
        return -1, -1
    for qy in range(max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)):
        for qx in range(max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)):
            if labels[qy, qx, 0] - qy != off_y or labels[qy, qx, 1] - qx != off_x:
                return -1, -1
    return top, left


@kernel
def weigh(
    labels: Any, costs: Any, shifts: Any, box: Any, sources: Any, atlas_width: int, fit: Any, trust: Any, spread: int,
    y: int, x: int, sums: Any,
) -> int:  # fmt: skip
    """Write the weighted sums of what all patches say of (y, x), in eighths of a level; return the sum of weights."""
    height, width = costs.shape
    top, bottom = max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)
    left, right = max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)
    least = 1 << 62
    for qy in range(top, bottom):
        for qx in range(left, right):
            least = min(least, costs[qy, qx])
    sums[:] = 0
    total = 0
    for qy in range(top, bottom):
        rows_away = max(box[0] - qy, qy - box[1] + 1)
        for qx in range(left, right):
            step = (costs[qy, qx] - least) * FIT_STEPS // spread
            if step >= fit.shape[0]:
                continue
            away = max(0, rows_away, box[2] - qx, qx - box[3] + 1)
            weight = fit[step] * trust[min(away, trust.shape[0] - 1)]
            start = ((labels[qy, qx, 0] + y - qy) * atlas_width + labels[qy, qx, 1] + x - qx) * 4
            total += weight
            for k in range(3):
                sums[k] += weight * (int(sources[start + k]) * SHIFT_STEPS + shifts[qy, qx, k])
            sums[3] += weight * int(sources[start + 3]) * SHIFT_STEPS
    return total


@kernel
def vote_rows(field: Any, atlas: Any, fit: Any, trust: Any, spread: int, sums: Any, first: int, last: int) -> None:
    """Write the pixels of the rows ``first`` to ``last`` that are not the photo's.

    ``fit`` and ``trust`` are tables of weights, by cost and by distance; ``spread`` is twice the sigma of the costs;
    ``sums`` (4) int64 is room to work in.
    """
    labels, costs, shifts, flat, box, sources = (
        field.labels, field.costs, field.shifts, field.flat, field.box, atlas.flat
    )  # fmt: skip
    width, atlas_width = costs.shape[1], atlas.usable.shape[1]
    for y in range(first, last):
        for x in range(width):
            if not is_made(y, x, box):
                continue
            total = 1
            qy, qx = common_patch(labels, y, x)
            if qy >= 0:
                start = ((labels[qy, qx, 0] + y - qy) * atlas_width + labels[qy, qx, 1] + x - qx) * 4
                for k in range(4):
                    sums[k] = int(sources[start + k]) * SHIFT_STEPS + (shifts[qy, qx, k] if k < 3 else 0)
            else:
                total = weigh(labels, costs, shifts, box, sources, atlas_width, fit, trust, spread, y, x, sums)
            for k in range(4):
                value = (sums[k] + SHIFT_STEPS * total // 2) // (SHIFT_STEPS * total)
                flat[(y * width + x) * 4 + k] = max(0, min(255, value))


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
    crew.each(
        lambda band: vote_rows(field, atlas, FIT_TABLE, TRUST_TABLE, spread, np.empty(4, np.int64), *band),
        cuts,
    )

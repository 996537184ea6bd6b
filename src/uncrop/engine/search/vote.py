"""A new picture from the patches: every pixel is the weighted mean of what its patches say it is.

A patch is believed less the worse it fits and the farther it lies from the photo, which drives what is known inward out
(Wexler, Shechtman and Irani 2007, doi:10.1109/TPAMI.2007.60).
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.pyramid import Atlas, pixel_start
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.coherence import coherent, nearest_centre
from uncrop.engine.search.patch_field import SHIFT_STEPS, Field, is_made
from uncrop.kernels import inlined, kernel

BAND = 24
TRUST_BASE, TRUST_FLOOR, TRUST_TOP = 1.3, 0.02, 256
FIT_STEPS, FIT_TOP = 32, 4096  # entries per factor e, and the weight of the patch that fits best
PACE_BITS = 24
FIT_TABLE = np.array([round(FIT_TOP * exp(-n / FIT_STEPS)) for n in range(8 * FIT_STEPS)], np.int64)
TRUST_TABLE = np.array([round(TRUST_TOP * max(TRUST_FLOOR, TRUST_BASE**-n)) for n in range(32)], np.int64)


@kernel
def weigh(
    labels: Any, costs: Any, shifts: Any, box: Any, atlas: Any, fit: Any, trust: Any, pace: int,
    y: int, x: int,
) -> Any:  # fmt: skip
    """Return the sum of weights and the weighted sums, in eighths of a level, of what all patches say of (y, x).

    ``pace`` is ``FIT_STEPS`` over the spread of the costs, in ``PACE_BITS`` fixed point.
    """
    height, width = costs.shape
    sources = atlas.flat
    top, bottom = max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)
    left, right = max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)
    least = costs[top, left]
    for qy in range(top, bottom):
        for qx in range(left, right):
            least = min(least, costs[qy, qx])
    total, light, red, yellow, texture = 0, 0, 0, 0, 0
    for qy in range(top, bottom):
        rows_away = max(box[0] - qy, qy - box[1] + 1)
        for qx in range(left, right):
            step = ((int(costs[qy, qx]) - least) * pace) >> PACE_BITS
            if step >= fit.shape[0]:
                continue
            away = max(0, rows_away, box[2] - qx, qx - box[3] + 1)
            weight = fit[step] * trust[min(away, trust.shape[0] - 1)]
            start = pixel_start(atlas, labels[qy, qx, 0] + y - qy, labels[qy, qx, 1] + x - qx)
            total += weight
            light += weight * (int(sources[start]) * SHIFT_STEPS + shifts[qy, qx, 0])
            red += weight * (int(sources[start + 1]) * SHIFT_STEPS + shifts[qy, qx, 1])
            yellow += weight * (int(sources[start + 2]) * SHIFT_STEPS + shifts[qy, qx, 2])
            texture += weight * int(sources[start + 3]) * SHIFT_STEPS
    return total, light, red, yellow, texture


@inlined
def mean_of(weighted: int, total: int) -> Any:
    """Return the mean of values in eighths of a level, rounded to a level of 0 to 255."""
    return max(0, min(255, (weighted + SHIFT_STEPS * total // 2) // (SHIFT_STEPS * total)))


@kernel
def vote_rows(field: Any, atlas: Any, fit: Any, trust: Any, pace: int, agree: Any, first: int, last: int) -> None:
    """Write the pixels of the rows ``first`` to ``last`` that are not the photo's.

    ``fit`` and ``trust`` are tables of weights, by cost and by distance; ``agree`` (last - first, W) marks where all
    patches copy from one place.
    """
    labels, costs, shifts, flat, box, sources = (
        field.labels, field.costs, field.shifts, field.flat, field.box, atlas.flat
    )  # fmt: skip
    height, width = costs.shape
    for y in range(first, last):
        for x in range(width):
            if not is_made(y, x, box):
                continue
            at = (y * width + x) * 4
            if agree[y - first, x]:
                qy, qx = nearest_centre(y, height), nearest_centre(x, width)
                start = pixel_start(atlas, labels[qy, qx, 0] + y - qy, labels[qy, qx, 1] + x - qx)
                for k in range(3):
                    flat[at + k] = mean_of(int(sources[start + k]) * SHIFT_STEPS + shifts[qy, qx, k], 1)
                flat[at + 3] = sources[start + 3]
                continue
            total, light, red, yellow, texture = weigh(labels, costs, shifts, box, atlas, fit, trust, pace, y, x)
            flat[at], flat[at + 1] = mean_of(light, total), mean_of(red, total)
            flat[at + 2], flat[at + 3] = mean_of(yellow, total), mean_of(texture, total)


def typical_cost(costs: NDArray[np.int32], targets: NDArray[np.bool_]) -> int:
    """Return the 75th percentile of the target patches' costs, at least one level a pixel."""
    step = 1 + costs.size // 1_000_000
    values = costs[::step, ::step][targets[::step, ::step]]
    if values.size == 0:
        return PATCH
    return max(PATCH, int(np.partition(values, values.size * 3 // 4)[values.size * 3 // 4]))


def vote(field: Field, atlas: Atlas, crew: Crew, targets: NDArray[np.bool_]) -> None:
    """Make the picture anew from the patches' sources; ``targets`` (H, W) marks their centres."""
    pace = (FIT_STEPS << PACE_BITS) // (2 * typical_cost(field.costs, targets))  # twice the sigma of the costs

    def work(band: tuple[int, int]) -> None:
        vote_rows(field, atlas, FIT_TABLE, TRUST_TABLE, pace, coherent(field, *band), *band)

    crew.each(work, bands(0, field.costs.shape[0], BAND))

"""A vote: a new picture, in which every pixel is the weighted mean of what the patches over it say it is.

A patch weighs less the worse it fits, and the farther it lies from the photo, so that the picture is led outward from
what is known (Wexler, Shechtman and Irani 2007, doi:10.1109/TPAMI.2007.60).
"""

from __future__ import annotations

from math import exp
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.pyramid import Exemplar, pixel_start
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.coherence import coherent, nearest_centre
from uncrop.engine.search.patch_field import SHIFT_STEPS, PatchField, is_made
from uncrop.kernels import inlined, kernel

BAND = 24
DISTANCE_BASE, DISTANCE_FLOOR, DISTANCE_TOP = 1.3, 0.02, 256
COST_STEPS, TOP_WEIGHT = 32, 4096  # table entries for each factor e, and the weight of the patch that fits best
SCALE_BITS = 24
COST_WEIGHTS = np.array([round(TOP_WEIGHT * exp(-n / COST_STEPS)) for n in range(8 * COST_STEPS)], np.int64)
DISTANCE_WEIGHTS = np.array([round(DISTANCE_TOP * max(DISTANCE_FLOOR, DISTANCE_BASE**-n)) for n in range(32)], np.int64)


class Weighting(NamedTuple):
    """How much a patch weighs.

    Attributes
    ----------
    by_cost
        (n) int64: weights by the cost in excess of the least, in steps.
    by_distance
        (m) int64: weights by the distance from the photo in pixels; the last one holds beyond.
    scale
        Steps of ``by_cost`` for a unit of cost, with ``SCALE_BITS`` fraction bits.
    """

    by_cost: Any
    by_distance: Any
    scale: int


@kernel
def weighted_sums(field: Any, exemplar: Any, weighting: Any, y: int, x: int) -> Any:
    """Return the sum of weights, and the weighted sums of the four channels, over all patches that cover (y, x).

    The channels are in eighths of a level.
    """
    costs, sources, shifts, box, values = field.costs, field.sources, field.shifts, field.box, exemplar.flat
    height, width = costs.shape
    top, bottom = max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)
    left, right = max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)
    least = costs[top, left]
    for qy in range(top, bottom):
        for qx in range(left, right):
            least = min(least, costs[qy, qx])
    total, light, red, yellow, texture = 0, 0, 0, 0, 0
    for qy in range(top, bottom):
        row_distance = max(box[0] - qy, qy - box[1] + 1)
        for qx in range(left, right):
            step = ((int(costs[qy, qx]) - least) * weighting.scale) >> SCALE_BITS
            if step >= weighting.by_cost.shape[0]:
                continue
            distance = max(0, row_distance, box[2] - qx, qx - box[3] + 1)
            weight = weighting.by_cost[step] * weighting.by_distance[min(distance, weighting.by_distance.shape[0] - 1)]
            start = pixel_start(exemplar, sources[qy, qx, 0] + y - qy, sources[qy, qx, 1] + x - qx)
            total += weight
            light += weight * (int(values[start]) * SHIFT_STEPS + shifts[qy, qx, 0])
            red += weight * (int(values[start + 1]) * SHIFT_STEPS + shifts[qy, qx, 1])
            yellow += weight * (int(values[start + 2]) * SHIFT_STEPS + shifts[qy, qx, 2])
            texture += weight * int(values[start + 3]) * SHIFT_STEPS
    return total, light, red, yellow, texture


@inlined
def mean_of(weighted: int, total: int) -> Any:
    """Return the mean of values in eighths of a level, rounded to a level of 0 to 255."""
    return max(0, min(255, (weighted + SHIFT_STEPS * total // 2) // (SHIFT_STEPS * total)))


@kernel
def vote_rows(field: Any, exemplar: Any, weighting: Any, agree: Any, first: int, last: int) -> None:
    """Write the pixels outside the photo, in the rows ``first`` to ``last``.

    ``agree`` (last - first, W) marks the pixels that all patches over them copy from one place.
    """
    sources, shifts, flat, box, values = field.sources, field.shifts, field.flat, field.box, exemplar.flat
    height, width = field.costs.shape
    for y in range(first, last):
        for x in range(width):
            if not is_made(y, x, box):
                continue
            at = (y * width + x) * 4
            if agree[y - first, x]:
                qy, qx = nearest_centre(y, height), nearest_centre(x, width)
                start = pixel_start(exemplar, sources[qy, qx, 0] + y - qy, sources[qy, qx, 1] + x - qx)
                for k in range(3):
                    flat[at + k] = mean_of(int(values[start + k]) * SHIFT_STEPS + shifts[qy, qx, k], 1)
                flat[at + 3] = values[start + 3]
                continue
            total, light, red, yellow, texture = weighted_sums(field, exemplar, weighting, y, x)
            flat[at], flat[at + 1] = mean_of(light, total), mean_of(red, total)
            flat[at + 2], flat[at + 3] = mean_of(yellow, total), mean_of(texture, total)


def typical_cost(costs: NDArray[np.int32], targets: NDArray[np.bool_]) -> int:
    """Return the 75th percentile of the target patches' costs, at least one squared level a pixel."""
    step = 1 + costs.size // 1_000_000
    values = costs[::step, ::step][targets[::step, ::step]]
    if values.size == 0:
        return PATCH
    return max(PATCH, int(np.partition(values, values.size * 3 // 4)[values.size * 3 // 4]))


def vote(field: PatchField, exemplar: Exemplar, pool: ThreadPool, targets: NDArray[np.bool_]) -> None:
    """Make the picture anew from the sources of its patches; ``targets`` (H, W) marks their centres."""
    # Twice the typical cost is one factor e.
    scale = (COST_STEPS << SCALE_BITS) // (2 * typical_cost(field.costs, targets))
    weighting = Weighting(by_cost=COST_WEIGHTS, by_distance=DISTANCE_WEIGHTS, scale=scale)

    def work(band: tuple[int, int]) -> None:
        vote_rows(field, exemplar, weighting, coherent(field, *band), *band)

    pool.each(work, bands(0, field.costs.shape[0], BAND))

"""A vote is the weighted mean of what the patches say."""

from __future__ import annotations

import numpy as np
from engine_scenes import ONE_THREAD, scene
from numba import njit

from uncrop.engine.prepare.patch import PADDING
from uncrop.engine.search.patch_distance import difference_sums
from uncrop.engine.search.vote import COST_STEPS, COST_WEIGHTS, DISTANCE_WEIGHTS, SCALE_BITS, typical_cost, vote


@njit
def sums(a, i, step_a, b, j, step_b, out):
    difference_sums(a, i, step_a, b, j, step_b, out)


def test_vote_is_the_weighted_mean():
    _, exemplar, field, _ = scene()
    before = field.flat.copy()
    targets = field.sources[..., 0] >= 0
    scale = (COST_STEPS << SCALE_BITS) // (2 * typical_cost(field.costs, targets))
    vote(field, exemplar, ONE_THREAD, targets)
    canvas = field.picture
    top, bottom, left, right = field.box
    for y, x in ((0, 0), (2, 14), (12, 3), (25, 29), (19, 24)):
        covering = [
            (qy, qx) for qy in range(max(3, y - 3), min(23, y + 4)) for qx in range(max(3, x - 3), min(27, x + 4))
        ]
        least = min(int(field.costs[q]) for q in covering)
        total, sums = 0, np.zeros(4)
        for qy, qx in covering:
            step = (int(field.costs[qy, qx]) - least) * scale >> SCALE_BITS
            distance = max(0, top - qy, qy - bottom + 1, left - qx, qx - right + 1)
            weight = int(COST_WEIGHTS[step]) * int(DISTANCE_WEIGHTS[distance]) if step < COST_WEIGHTS.size else 0
            sy, sx = field.sources[qy, qx] + (y - qy, x - qx)
            total += weight
            sums += weight * (exemplar.pixels[sy, sx] + np.append(field.shifts[qy, qx] / 8, 0))
        assert np.abs(canvas[y, x] - np.clip(sums / total, 0, 255)).max() <= 0.500001
    kept = before[:-PADDING].reshape(26, 30, 4)[4:20, 5:23]
    assert np.array_equal(canvas[4:20, 5:23], kept)


def test_agreeing_patches_are_copied_with_their_shift():
    _, exemplar, field, _ = scene()
    targets = field.sources[..., 0] >= 0
    for y, x in np.argwhere(targets):
        field.sources[y, x] = np.clip(y, 3, 12), np.clip(x - 12, 3, 14)
    field.shifts[targets] = (16, -8, 0)
    vote(field, exemplar, ONE_THREAD, targets)
    canvas = field.picture.astype(int)
    expected = exemplar.pixels[9, 11].astype(int) + np.array([2, -1, 0, 0])
    assert np.array_equal(canvas[9, 23], np.clip(expected, 0, 255))


def test_typical_cost_has_a_floor():
    costs = np.arange(100, dtype=np.int32).reshape(10, 10) * 10
    assert typical_cost(costs, np.ones((10, 10), bool)) == 750
    assert typical_cost(costs * 0, np.ones((10, 10), bool)) == 49
    assert typical_cost(costs, np.zeros((10, 10), bool)) == 49

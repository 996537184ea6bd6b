"""Patches are compared in vector registers as plain NumPy does."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import RNG, random_pixels
from numba import njit

from uncrop.engine.prepare.patch import PADDING
from uncrop.engine.search.patch_distance import RUN, difference_sums, shifted_difference, weighted_difference


@njit
def shifted(a, i, step_a, b, j, step_b, max_shift):
    return shifted_difference(a, i, step_a, b, j, step_b, max_shift)


@njit
def sums(a, i, step_a, b, j, step_b, out):
    difference_sums(a, i, step_a, b, j, step_b, out)


@njit
def weighted(w, a, b, j, step):
    return weighted_difference(w, a, b, j, step)


@pytest.mark.parametrize("max_shift", [(0, 0, 0, 0), (8, 3, 3, 0), (255, 255, 255, 255)])
def test_patches_are_compared_after_the_best_shift(max_shift):
    a, b = random_pixels(12, 11), random_pixels(9, 15)
    b //= 3
    flat_a, flat_b = (np.append(p.reshape(-1), np.zeros(PADDING, np.uint8)) for p in (a, b))
    for ay, ax, by, bx in ((0, 0, 0, 0), (5, 4, 2, 8), (2, 1, 1, 3)):
        d = a[ay : ay + 7, ax : ax + 7].astype(int) - b[by : by + 7, bx : bx + 7]
        s = d.sum(axis=(0, 1))
        free = (s**2 - np.maximum(0, np.abs(s) - 49 * np.array(max_shift)) ** 2) // 49
        places = (flat_a, (ay * 11 + ax) * 4, 44, flat_b, (by * 15 + bx) * 4, 60)
        assert shifted(*places, np.array(max_shift, np.int32)) == np.square(d).sum() - free.sum()
        out = np.zeros(4, np.int32)
        sums(*places, out)
        assert np.array_equal(out, s)


def test_weighted_difference():
    context, weights, b = np.zeros((7, RUN), np.uint8), np.zeros((7, RUN), np.int16), random_pixels(10, 12)
    context[:, :28] = RNG.integers(0, 256, (7, 28))
    weights[:, :28] = RNG.integers(0, 65, (7, 28))
    flat = np.append(b.reshape(-1), np.zeros(PADDING, np.uint8))
    patch = b[3:10, 5:12].reshape(7, 28).astype(int)
    expected = (weights[:, :28] * np.square(context[:, :28].astype(int) - patch)).sum()
    assert weighted(weights.reshape(-1), context.reshape(-1), flat, (3 * 12 + 5) * 4, 48) == expected


def test_extreme_differences_do_not_overflow():
    black, white = np.zeros(7 * RUN, np.uint8), np.full(7 * RUN, 255, np.uint8)
    for a, b, sign in ((black, white, -1), (white, black, 1)):
        out = np.zeros(4, np.int32)
        sums(a, 0, RUN, b, 0, RUN, out)
        assert (out == sign * 49 * 255).all()
        assert shifted(a, 0, RUN, b, 0, RUN, np.zeros(4, np.int32)) == 49 * 4 * 255**2
        assert shifted(a, 0, RUN, b, 0, RUN, np.full(4, 5, np.int32)) == 49 * 4 * 250**2
    weights = np.tile(np.repeat(np.array([64, 0], np.int16), (28, 4)), 7)
    assert weighted(weights, black, white, 0, RUN) == 64 * 49 * 4 * 255**2

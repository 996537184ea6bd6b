"""Random numbers are hashes, and spread evenly."""

from __future__ import annotations

import numpy as np
from numba import njit

from uncrop.engine.runtime.random_bits import random_below, random_bits


def test_random_bits_are_splitmix():
    mask = 2**64 - 1
    x = (7 * 0x9E3779B97F4A7C15 + 11 * 0xBF58476D1CE4E5B9 + 3 * 0x94D049BB133111EB) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    assert int(random_bits(7, 11, 3)) == x ^ (x >> 31)


@njit
def draw(seed, place, iteration):
    return random_below(random_bits(seed, place, iteration), 16, 10)


def test_random_numbers_spread_evenly():
    drawn = [draw(1, place, iteration) for place in range(200) for iteration in range(20)]
    assert set(drawn) == set(range(10))
    assert max(np.bincount(drawn)) < 480
    assert min(np.bincount(drawn)) > 320

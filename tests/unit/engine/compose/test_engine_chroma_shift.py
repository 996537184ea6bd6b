"""Corrections that grow in chroma away from the photo, against plain NumPy and in simple cases."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import RNG

from uncrop.engine.compose.chroma_shift import MAX_CHROMA_SHIFT, bound_chroma_shift

LIGHT = np.array([0.299, 0.587, 0.114])
INSIDE = 2, 5, 3, 7  # of 8 x 11 blocks


def chroma(correction: np.ndarray) -> np.ndarray:
    """Return red and blue less lightness of (..., 3) corrections."""
    return correction[..., ::2] - (correction @ LIGHT)[..., None]


def of_chroma(red: float, blue: float, light: float = 0) -> np.ndarray:
    """Return the correction (3,) of that chroma and lightness."""
    return np.array([red, -(LIGHT[0] * red + LIGHT[2] * blue) / LIGHT[1], blue]) + light


def corrections(near: np.ndarray, far: np.ndarray) -> np.ndarray:
    """Return corrections (8, 11, 3) that are ``near`` in the blocks around the photo and ``far`` beyond."""
    means = np.empty((8, 11, 3), np.float32)
    means[:] = far
    means[1:6, 2:8] = near
    means[2:5, 3:7] = 0
    return means


def test_a_correction_lies_between_nothing_and_what_the_border_asks():
    means = RNG.normal(0, 20, (8, 11, 3)).astype(np.float32)
    made = means + bound_chroma_shift(means, INSIDE)
    assert np.array_equal(made[2:5, 3:7], means[2:5, 3:7])
    assert np.allclose(made @ LIGHT, means @ LIGHT, atol=1e-4)
    moved = 0
    for row, col in np.ndindex(8, 11):
        if 2 <= row < 5 and 3 <= col < 7:
            continue
        asked = chroma(means[min(max(row, 1), 5), min(max(col, 2), 7)])
        along = [n * asked for n in np.linspace(0, 1, 1001)]
        before, after = chroma(means[row, col]), chroma(made[row, col])
        nearest = min(along, key=lambda point: np.linalg.norm(before - point))
        gap = np.linalg.norm(before - nearest)
        moved += gap > MAX_CHROMA_SHIFT
        expected = nearest + (before - nearest) * min(1, MAX_CHROMA_SHIFT / max(gap, 1e-6))
        assert np.allclose(after, expected, atol=0.1)
    assert 20 < moved < 70


@pytest.mark.parametrize("light", [0, 60])
def test_what_the_border_asks_is_carried_on(light):
    asked = of_chroma(-20, 35)
    assert np.allclose(bound_chroma_shift(corrections(asked, asked + light), INSIDE), 0, atol=1e-4)
    assert np.allclose(bound_chroma_shift(corrections(asked, asked / 3 + light), INSIDE), 0, atol=1e-4)


def test_what_grows_with_the_distance_is_taken_back():
    asked, far = of_chroma(0, 20), of_chroma(0, 60, light=9)
    found = bound_chroma_shift(corrections(asked, far), INSIDE)
    assert np.allclose(found[1:6, 2:8], 0, atol=1e-4)
    expected = of_chroma(0, 20 + MAX_CHROMA_SHIFT, light=9) - far
    assert np.allclose(found[[0, 6, 7]], expected, atol=1e-3)
    assert np.allclose(found[:, [0, 1, 8, 9, 10]], expected, atol=1e-3)


def test_a_side_that_is_not_extended_asks_for_nothing():
    means = np.zeros((4, 9, 3), np.float32)
    means[:, 5:] = of_chroma(30, -30)
    means[:, 7:] = of_chroma(60, -60)
    found = bound_chroma_shift(means, (0, 4, 0, 5))
    assert np.allclose(found[:, :7], 0, atol=1e-4)
    size = np.linalg.norm(chroma((means + found)[:, 7:]) - (30, -30), axis=-1)
    assert np.allclose(size, MAX_CHROMA_SHIFT, atol=1e-3)

"""Distances between pictures."""

from __future__ import annotations

import math

import numpy as np
import pytest

from uncrop.imaging.compare import mean_difference, psnr


def test_the_difference_is_the_mean_absolute_difference() -> None:
    first = np.zeros((2, 2, 3), np.uint8)
    second = first.copy()
    second[0, 0] = (255, 3, 0)
    assert mean_difference(first, second) == pytest.approx(258 / 12)
    mask = np.array([[False, True], [True, False]])
    assert mean_difference(second, first, mask) == pytest.approx(258 / 6)
    assert mean_difference(first, second, ~mask) == 0
    assert mean_difference(first, second, np.ones((2, 2), bool)) is None


def test_psnr() -> None:
    first = np.zeros((4, 4, 3), np.uint8)
    assert psnr(first, first) == math.inf
    assert psnr(first, first + np.uint8(255)) == 0
    assert psnr(first, first + np.uint8(1)) == pytest.approx(48.1308, abs=1e-4)
    assert psnr(first.astype(np.uint16), first.astype(np.uint16) + np.uint16(257)) == pytest.approx(48.1308, abs=1e-4)

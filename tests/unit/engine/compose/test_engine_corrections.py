"""Corrections come near the exact solution, and are limited."""

from __future__ import annotations

import math

import numpy as np
from engine_scenes import RUN, patchwork

from uncrop.engine.compose.corrections import correct_tile, limit_corrections, limit_table, solve_cells
from uncrop.engine.compose.poisson import SCREEN
from uncrop.engine.compose.seams import Copies, sum_gaps


def gap_sums(copies: Copies) -> np.ndarray:
    out = np.zeros((copies.channels, *copies.origin.shape), np.float32)
    sum_gaps(copies, 0, 0, np.empty(copies.channels, np.float32), out)
    return out


def exact(rhs: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Solve the screened Poisson equation densely."""
    height, width = rhs.shape
    matrix, index = np.eye(height * width), np.arange(height * width).reshape(height, width)
    for y, x in np.argwhere(~known):
        row = index[y, x]
        matrix[row, row] = SCREEN
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                matrix[row, row] += 1
                matrix[row, index[y + dy, x + dx]] -= 1
    return np.linalg.solve(matrix, np.where(known, 0, rhs).reshape(-1)).reshape(height, width)


def test_cells_then_pixels_come_near_the_exact_solution():
    copies = patchwork()
    known = copies.origin < 0
    cells = solve_cells(copies, RUN)
    found = correct_tile(copies, cells, (0, 30, 0, 36))
    for rhs, plane in zip(gap_sums(copies), found, strict=True):
        right = exact(rhs, known)
        assert np.abs(right).max() > 20
        assert np.abs(plane - right).mean() < 0.05 * np.abs(right).max()
        assert (plane[known] == 0).all()


def test_corrections_do_not_depend_on_the_tiles():
    copies = patchwork(64, 70)
    cells = solve_cells(copies, RUN)
    whole = correct_tile(copies, cells, (0, 64, 0, 70))
    for tile in ((0, 16, 0, 20), (20, 40, 30, 70), (40, 64, 12, 14), (8, 10, 0, 70)):
        part = correct_tile(copies, cells, tile)
        assert np.array_equal(part, whole[:, tile[0] : tile[1], tile[2] : tile[3]])


def test_limits_are_wide_near_the_photo():
    found = np.full((1, 1, 200), 1000, np.float32)
    found[:, :, 100:] = -1000
    limit_corrections(found, np.array([0, 1, 0, 1]), limit_table(12.0), limit_table(5.0))
    assert np.isclose(found[0, 0, 1], 12 + 255 * math.exp(-1 / 8))
    assert np.isclose(found[0, 0, 99], 12 + 255 * math.exp(-63 / 8))
    assert found[0, 0, 199] == -found[0, 0, 99]


def test_lightness_and_colour_have_their_own_limits():
    colours = np.array([[10, 20, 30], [90, 100, 110], [-90, -100, -95], [70, 0, -70]], np.float32)
    found = np.ascontiguousarray(np.pad(colours, ((100, 0), (0, 0))).T[:, None, :])
    limit_corrections(found, np.array([0, 1, 0, 1]), limit_table(50.0), limit_table(20.0))
    light = 0.299 * colours[:, 0] + 0.587 * colours[:, 1] + 0.114 * colours[:, 2]
    red, blue = np.clip(colours[:, 0] - light, -20, 20), np.clip(colours[:, 2] - light, -20, 20)
    light = np.clip(light, -50, 50)
    expected = np.stack([light + red, light - (0.299 * red + 0.114 * blue) / 0.587, light + blue])
    assert np.abs(found[:, 0, 100:] - expected).max() < 0.3  # the near limit still adds 0.1

"""The multigrid solver agrees with a dense one."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import RNG

from uncrop.engine.compose.poisson import SCREEN, interpolate, prolong, restrict, smooth, solve


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


@pytest.mark.parametrize(
    ("box", "rough"), [((3, 11, 4, 12), 0.1), ((0, 11, 4, 17), 0.1), ((5, 6, 0, 1), 0.4), ((0, 14, 0, 16), 0.1)]
)
def test_solve_agrees_with_a_dense_solver(box, rough):
    height, width = 14, 17
    rhs = np.random.default_rng(4).normal(size=(height, width)).astype(np.float32)
    known = np.zeros((height, width), bool)
    known[box[0] : box[1], box[2] : box[3]] = True
    # As everywhere in use, what is wanted sums to nothing: what one pixel lacks its neighbour has too much of.
    rhs[~known] -= rhs[~known].mean()
    rhs[known] = 0
    right = exact(rhs, known)
    found = solve(rhs, np.array(box), cycles=20)
    assert np.abs(found - right).max() < 1e-2 * max(1, np.abs(right).max())
    few = solve(rhs, np.array(box), cycles=3)
    assert np.abs(few - right).max() < rough * max(1, np.abs(right).max())


def test_interpolation_takes_nothing_from_the_photo():
    cells = np.full((6, 7), 3, np.float32)
    cells[2:4, 2:5] = 0  # the photo's rows 4 to 7 and columns 4 to 9
    out = np.empty((12, 14), np.float32)
    interpolate(cells, np.array([4, 8, 4, 10]), 0, 0, out)
    expected = np.full((12, 14), 3, np.float32)
    expected[4:8, 4:10] = 0
    assert np.array_equal(out, expected)
    slope = np.tile(np.arange(7, dtype=np.float32), (6, 1))
    part = np.empty((4, 6), np.float32)
    interpolate(slope, np.array([4, 8, 4, 10]), 8, 4, part)
    assert np.allclose(part[1:], np.arange(4, 10) / 2 - 0.25)


def test_restriction_sums_residuals():
    solution, rhs = np.zeros((5, 6), np.float32), RNG.random((5, 6)).astype(np.float32)
    coarse = np.ones((3, 3), np.float32)
    restrict(solution, rhs, np.array([0, 2, 0, 2]), 0.0, coarse)
    expected = np.pad(rhs, ((0, 1), (0, 0)))
    expected[:2, :2] = 0
    assert np.allclose(coarse, expected.reshape(3, 2, 3, 2).sum(axis=(1, 3)))


@pytest.mark.parametrize("box", [(2, 5, 3, 8), (0, 7, 0, 4), (5, 5, 5, 5)])
def test_relaxation_visits_red_then_black(box):
    solution, rhs = (RNG.normal(size=(7, 10)).astype(np.float32) for _ in range(2))
    known = np.zeros((7, 10), bool)
    known[box[0] : box[1], box[2] : box[3]] = True
    expected = solution.astype(float)
    for iteration in range(6):
        around, count = np.zeros((7, 10)), np.full((7, 10), 0.5)
        for here, there in (
            (np.s_[1:], np.s_[:-1]),
            (np.s_[:-1], np.s_[1:]),
            (np.s_[:, 1:], np.s_[:, :-1]),
            (np.s_[:, :-1], np.s_[:, 1:]),
        ):
            around[here] += expected[there]
            count[here] += 1
        turned = (np.indices((7, 10)).sum(axis=0) % 2 == iteration % 2) & ~known
        expected[turned] = ((rhs + around) / count)[turned]
    smooth(solution, rhs, np.array(box), 0.5, 3)
    assert np.allclose(solution, expected, atol=1e-5)


def doubled(cells: np.ndarray) -> np.ndarray:
    """Interpolate between the centres of cells, the outermost ones repeated."""
    for axis in (0, 1):
        edge = np.concatenate([cells.take([0], axis), cells, cells.take([-1], axis)], axis)
        before, after = (edge.take(range(n, n + cells.shape[axis]), axis) for n in (0, 2))
        cells = np.stack([0.75 * cells + 0.25 * before, 0.75 * cells + 0.25 * after], axis + 1)
        cells = cells.reshape([-1 if n == axis else cells.shape[n + (n > axis)] for n in (0, 1)])
    return cells


@pytest.mark.parametrize(("height", "width"), [(10, 12), (9, 11)])
def test_prolongation_is_bilinear_and_leaves_the_photo(height, width):
    cells = RNG.normal(size=(5, 6)).astype(np.float32)
    fine = np.ones((height, width), np.float32)
    prolong(cells, fine, np.array([3, 6, 0, 5]))
    expected = 1 + doubled(cells)[:height, :width]
    expected[3:6, :5] = 1
    assert np.allclose(fine, expected, atol=1e-5)


@pytest.mark.parametrize("box", [(3, 8, 2, 9), (0, 10, 4, 7)])
def test_interpolation_puts_the_nearest_cell_in_the_place_of_the_photos(box):
    top, bottom, left, right = box
    cells, out = RNG.normal(size=(5, 6)).astype(np.float32), np.empty((10, 12), np.float32)
    interpolate(cells, np.array(box), 0, 0, out)
    for y, x in np.ndindex(10, 12):
        near = y // 2, x // 2
        far = [min(size - 1, max(0, at // 2 + (1 if at % 2 else -1))) for at, size in ((y, 5), (x, 6))]
        expected = 0.0
        for cell, share in (((near[0], near[1]), 9), ((near[0], far[1]), 3), ((far[0], near[1]), 3), (tuple(far), 1)):
            inside = (
                top <= 2 * cell[0] and 2 * cell[0] + 2 <= bottom and left <= 2 * cell[1] and 2 * cell[1] + 2 <= right
            )
            expected += share / 16 * cells[near if inside else cell]
        photo = top <= y < bottom and left <= x < right
        assert out[y, x] == (0 if photo else pytest.approx(expected, abs=1e-5))
    part = np.empty((4, 5), np.float32)
    interpolate(cells, np.array(box), 6, 3, part)
    assert np.array_equal(part, out[6:, 3:8])


def test_prolongation_keeps_constants_and_the_photo():
    fine = np.zeros((6, 7), np.float32)
    prolong(np.full((3, 4), 2, np.float32), fine, np.array([2, 4, 2, 5]))
    expected = np.full((6, 7), 2, np.float32)
    expected[2:4, 2:5] = 0
    assert np.array_equal(fine, expected)

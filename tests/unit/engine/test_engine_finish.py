"""The finish of the method: copies, seams, corrections, transparency, each against plain NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
from engine_scenes import ALONE, RNG, scene

from uncrop.engine.alpha import continue_flat, paint_under, solid_part, split_alpha
from uncrop.engine.copy import COST_FLOOR, choose_origins
from uncrop.engine.correct import STEPS, Seams, correct, limit, limits, opponent_planes
from uncrop.engine.poisson import SCREEN, lack, prolong, restrict, solve
from uncrop.engine.reach import mirror_on, within_reach
from uncrop.engine.watch import Watch
from uncrop.engine.write import write_colour
from uncrop.model import Sides


def test_copies_come_from_the_patch_of_least_rank():
    _, atlas, field, _ = scene()
    origin = choose_origins(field, atlas, ALONE)
    assert (origin[4:20, 5:23] == -1).all()
    for y, x in ((0, 0), (3, 12), (13, 26), (25, 29)):
        ranks = {}
        for qy in range(max(3, y - 3), min(23, y + 4)):
            for qx in range(max(3, x - 3), min(27, x + 4)):
                sy, sx = field.labels[qy, qx] + (y - qy, x - qx)
                ranks[int(sy * 18 + sx)] = min(
                    ranks.get(int(sy * 18 + sx), 1 << 62),
                    (int(field.costs[qy, qx]) + COST_FLOOR) * (10 + (y - qy) ** 2 + (x - qx) ** 2),
                )
        assert ranks[int(origin[y, x])] == min(ranks.values())


# --- seams --------------------------------------------------------------------------------------------------------


def test_coherent_copies_lack_nothing():
    plane = RNG.random((20, 20)).astype(np.float32)
    origin = np.full((10, 18), -1, np.int32)
    origin[:, 12:] = np.arange(10)[:, None] * 20 + np.arange(10, 16)[None, :]
    wanted = np.zeros((10, 18), np.float32)
    box = np.array([0, 10, 0, 12])
    lack(plane, np.ones((20, 20), np.uint8), origin, box, wanted)
    assert (wanted[:, 13:] == 0).all()
    expected = plane[:10, 11] - plane[:10, 9]
    assert np.allclose(wanted[:, 12], expected, atol=1e-6)


def test_a_seam_is_shared_by_both_sides():
    plane = RNG.random((20, 20)).astype(np.float32)
    origin = np.full((5, 12), -1, np.int32)
    origin[:, 4:8] = np.arange(5)[:, None] * 20 + np.arange(4, 8)
    origin[:, 8:] = (np.arange(5)[:, None] + 10) * 20 + np.arange(4, 8)
    wanted = np.zeros((5, 12), np.float32)
    lack(plane, np.ones((20, 20), np.uint8), origin, np.array([0, 5, 0, 4]), wanted)
    assert np.allclose(wanted[:, 7], -wanted[:, 8], atol=1e-6)
    expected = 0.5 * ((plane[10:15, 4] - plane[:5, 8]) + (plane[10:15, 3] - plane[:5, 7]))
    assert np.allclose(wanted[:, 7], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("box", "rough"), [((3, 11, 4, 12), 0.1), ((0, 11, 4, 17), 0.1), ((5, 6, 0, 1), 0.4), ((0, 14, 0, 16), 0.1)]
)
def test_solve_agrees_with_a_dense_solver(box, rough):
    height, width = 14, 17
    top, bottom, left, right = box
    wanted = np.random.default_rng(4).normal(size=(height, width)).astype(np.float32)
    known = np.zeros((height, width), bool)
    known[top:bottom, left:right] = True
    # As everywhere in use, what is wanted sums to nothing: what one pixel lacks its neighbour has too much of.
    wanted[~known] -= wanted[~known].mean()
    wanted[known] = 0
    matrix, index = np.eye(height * width), np.arange(height * width).reshape(height, width)
    for y, x in np.argwhere(~known):
        row = index[y, x]
        matrix[row, row] = SCREEN
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                matrix[row, row] += 1
                matrix[row, index[y + dy, x + dx]] -= 1
    exact = np.linalg.solve(matrix, wanted.reshape(-1)).reshape(height, width)
    found = solve(wanted, np.array(box), cycles=20)
    assert np.abs(found - exact).max() < 1e-2 * max(1, np.abs(exact).max())
    few = solve(wanted, np.array(box), cycles=3)
    assert np.abs(few - exact).max() < rough * max(1, np.abs(exact).max())


def test_restriction_sums_residuals():
    unknown, wanted = np.zeros((5, 6), np.float32), RNG.random((5, 6)).astype(np.float32)
    coarse = np.ones((3, 3), np.float32)
    restrict(unknown, wanted, np.array([0, 2, 0, 2]), 0.0, coarse)
    expected = np.pad(wanted, ((0, 1), (0, 0)))
    expected[:2, :2] = 0
    assert np.allclose(coarse, expected.reshape(3, 2, 3, 2).sum(axis=(1, 3)))


def test_prolongation_keeps_constants_and_the_photo():
    fine = np.zeros((6, 7), np.float32)
    prolong(np.full((3, 4), 2, np.float32), fine, np.array([2, 4, 2, 5]))
    expected = np.full((6, 7), 2, np.float32)
    expected[2:4, 2:5] = 0
    assert np.array_equal(fine, expected)


def test_limits_are_wide_near_the_photo():
    correction = np.full((1, 200), 1000, np.float32)
    correction[:, 100:] = -1000
    out = np.empty((1, 200), np.int16)
    limit(correction, np.array([0, 1, 0, 1]), limits(12.0), out)
    assert out[0, 1] == round(64 * (12 + 255 * math.exp(-1 / 8)))
    assert out[0, 99] == round(64 * (12 + 255 * math.exp(-63 / 8)))
    assert out[0, 199] == -out[0, 99]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1.0), (np.uint16, 257.0)])
def test_corrections_add_up_to_the_colour_they_were_made_of(dtype, scale, channels):
    colour = RNG.integers(0, np.iinfo(dtype).max + 1, (4, 6, channels)).astype(dtype)
    origin = np.zeros((4, 6), np.int32)  # everything copies the first pixel, the corrections make up for it
    seams = Seams(
        planes=opponent_planes(colour, scale),
        usable=np.ones((4, 6), np.uint8),
        origin=origin,
        box=np.array([0, 4, 0, 6]),
    )
    corrections = [np.rint((plane - plane[0, 0]) * STEPS).astype(np.int16) for plane in seams.planes]
    made = write_colour(seams, corrections, np.dtype(dtype), ALONE)
    assert made.dtype == dtype
    assert np.abs(made.astype(int) - colour).max() <= scale / 20


def test_a_step_at_the_border_is_corrected_at_once():
    planes = [np.full((20, 30), 100, np.float32)]
    planes[0][:, 20:] = 180  # what is copied is brighter than the border that it meets
    origin = np.full((20, 40), -1, np.int32)
    origin[:, 30:] = np.arange(20)[:, None] * 30 + np.arange(10)
    planes[0][:, :20] = 150
    seams = Seams(planes=planes, usable=np.ones((20, 30), np.uint8), origin=origin, box=np.array([0, 20, 0, 30]))
    (found,) = correct(seams, ALONE, Watch(progress=None, deadline=None, clock=lambda: 0.0))
    # The first copied pixel has no left neighbour inside the photo, so that only the others' gradients speak.
    assert (found[:, :30] == 0).all()
    assert np.abs(found[:, 30:]).max() <= 1
    origin[:, 30:] += 5
    (found,) = correct(seams, ALONE, Watch(progress=None, deadline=None, clock=lambda: 0.0))
    assert np.abs(found[:, 30:38] - 30 * STEPS).max() < 2 * STEPS


# --- transparency and reach ---------------------------------------------------------------------------------------


def test_alpha_is_split_off():
    photo = RNG.integers(0, 256, (5, 6, 4), dtype=np.uint8)
    colour, alpha = split_alpha(photo)
    assert np.array_equal(colour, photo[..., :3])
    assert alpha is not None
    assert np.array_equal(alpha, photo[..., 3])
    assert np.array_equal(solid_part(photo.shape, alpha), photo[..., 3] >= 128)
    grey, none = split_alpha(photo[..., :1])
    assert (grey.shape, none) == ((5, 6, 1), None)
    assert solid_part(photo.shape, None).all()


def test_colour_under_transparency_comes_from_around():
    rgb = np.full((9, 9, 3), 200, np.uint8)
    solid = np.ones((9, 9), bool)
    rgb[2:5, 3:8] = 0
    solid[2:5, 3:8] = False
    assert (paint_under(rgb, solid) == 200).all()
    assert paint_under(rgb, np.zeros((9, 9), bool)) is rgb


def test_flat_continuation():
    plane = np.array([[1, 2], [3, 4]], np.uint8)
    assert continue_flat(plane, 1, 0, 0, 2).tolist() == [[1, 2, 2, 2], [1, 2, 2, 2], [3, 4, 4, 4]]


def test_reach_and_what_is_beyond():
    asked = Sides(left=2000, up=-3, right=100)
    near = within_reach(20, 30, asked)
    assert near == Sides(left=256, right=100)
    assert within_reach(500, 300, asked) == Sides(left=2000, right=100)
    made = RNG.integers(0, 256, (2, 286, 1), dtype=np.uint8)
    assert np.array_equal(mirror_on(made, near, asked)[:, 2000 - 256 - 1 : 2000 - 256, 0], made[:, :1, 0])

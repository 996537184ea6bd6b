"""Every kernel does on tiny arrays what plain NumPy or Python says it should."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from engine_scenes import ALONE, PLAIN, RNG, atlas_of, picture, scene
from numba import njit

from uncrop.engine.align import Frame, align
from uncrop.engine.chance import below, chance
from uncrop.engine.channels import channels, mean_rows, slope_rows
from uncrop.engine.coherence import coherent
from uncrop.engine.crew import Crew, bands, tiles
from uncrop.engine.field import is_made, is_target, make_field, target_mask
from uncrop.engine.layout import context_weights, visiting_order
from uncrop.engine.match import patch_cost, sweep
from uncrop.engine.prior import FRACTION_BITS, Strictness, make_prior, penalty
from uncrop.engine.pyramid import (
    RADIUS,
    erode,
    halve,
    make_atlas,
    make_pyramid,
    patch_start,
    pixel_start,
    row_bytes,
    with_rim,
)
from uncrop.engine.rows import PADDING, RUN, difference_sums, shifted_difference, weighted_difference
from uncrop.engine.upsample import double, usable_place
from uncrop.engine.vote import FIT_STEPS, FIT_TABLE, PACE_BITS, TRUST_TABLE, typical_cost, vote
from uncrop.model import Sides

# --- patches in vector registers ----------------------------------------------------------------------------------


@njit
def shifted(a, i, step_a, b, j, step_b, slack):
    return shifted_difference(a, i, step_a, b, j, step_b, slack)


@njit
def sums(a, i, step_a, b, j, step_b, out):
    difference_sums(a, i, step_a, b, j, step_b, out)


@njit
def weighted(w, a, b, j, step):
    return weighted_difference(w, a, b, j, step)


@pytest.mark.parametrize("slack", [(0, 0, 0, 0), (8, 3, 3, 0), (255, 255, 255, 255)])
def test_patches_are_compared_after_the_best_shift(slack):
    a, b = picture(12, 11), picture(9, 15)
    b //= 3
    flat_a, flat_b = (np.append(p.reshape(-1), np.zeros(PADDING, np.uint8)) for p in (a, b))
    for ay, ax, by, bx in ((0, 0, 0, 0), (5, 4, 2, 8), (2, 1, 1, 3)):
        d = a[ay : ay + 7, ax : ax + 7].astype(int) - b[by : by + 7, bx : bx + 7]
        s = d.sum(axis=(0, 1))
        free = (s**2 - np.maximum(0, np.abs(s) - 49 * np.array(slack)) ** 2) // 49
        places = (flat_a, (ay * 11 + ax) * 4, 44, flat_b, (by * 15 + bx) * 4, 60)
        assert shifted(*places, np.array(slack, np.int32)) == np.square(d).sum() - free.sum()
        out = np.zeros(4, np.int32)
        sums(*places, out)
        assert np.array_equal(out, s)


def test_weighted_difference():
    context, weights, b = np.zeros((7, RUN), np.uint8), np.zeros((7, RUN), np.int16), picture(10, 12)
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


# --- random numbers -----------------------------------------------------------------------------------------------


def test_chance_is_splitmix():
    mask = 2**64 - 1
    x = (7 * 0x9E3779B97F4A7C15 + 11 * 0xBF58476D1CE4E5B9 + 3 * 0x94D049BB133111EB) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    assert int(chance(7, 11, 3)) == x ^ (x >> 31)


@njit
def draw(seed, place, turn):
    return below(chance(seed, place, turn), 16, 10)


def test_chance_spreads_evenly():
    drawn = [draw(1, place, turn) for place in range(200) for turn in range(20)]
    assert set(drawn) == set(range(10))
    assert max(np.bincount(drawn)) < 480
    assert min(np.bincount(drawn)) > 320


# --- bands and frames ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shift", [0, 7, 24, 100])
def test_bands_cover_every_row_once(shift):
    cut = bands(3, 100, 24, shift)
    assert [row for first, last in cut for row in range(first, last)] == list(range(3, 100))
    assert max(last - first for first, last in cut) <= 24


def test_crew_keeps_the_order_and_checks_before_each_piece():
    looks: list[int] = []
    with Crew(3, lambda: looks.append(1)) as crew:
        assert crew.each(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    assert len(looks) == 20


def test_alignment_makes_coordinates_double():
    frame, levels = align(300, 401, Sides(up=33, down=1, left=350, right=700))
    assert levels == 4
    assert (frame.height % 8, frame.width % 8, frame.top % 8, frame.left % 8) == (0, 0, 0, 0)
    assert frame.top >= 33 and frame.left >= 350  # noqa: PT018
    assert frame.height - frame.bottom >= 1 and frame.width - frame.right >= 700  # noqa: PT018
    assert frame.at_level(2) == Frame(
        height=frame.height // 4, width=frame.width // 4, top=frame.top // 4, left=frame.left // 4, rows=75, cols=100
    )
    part = frame.window(16, 48, 8, 100)
    assert (part.height, part.width) == (32, 92)
    assert part.box.tolist() == [frame.top - 16, frame.bottom - 16, frame.left - 8, frame.right - 8]


@pytest.mark.parametrize(("height", "width"), [(100, 90), (64, 64), (33, 200), (1, 3)])
def test_tiles_cover_what_is_not_photo_once(height, width):
    seen = np.zeros((height, width), int)
    photo = np.zeros((height, width), bool)
    photo[10:70, 8:60] = True
    for top, bottom, left, right in tiles(height, width, np.array([10, 70, 8, 60]), 32, 24):
        assert (top % 2, left % 2) == (0, 0)
        assert bottom - top <= 32 and right - left <= 24  # noqa: PT018
        assert not photo[top:bottom, left:right].all()
        seen[top:bottom, left:right] += 1
    assert seen.max() == 1
    assert seen[~photo].all()


# --- channels and pyramid -----------------------------------------------------------------------------------------


def exact_lab(rgb: np.ndarray) -> np.ndarray:
    v = rgb / 255
    linear = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4)
    matrix = [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
    xyz = linear @ np.array(matrix).T / [0.950456, 1, 1.088754]
    f = np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116)
    return np.stack(
        [(116 * f[..., 1] - 16) * 2.55, 500 * (f[..., 0] - f[..., 1]) + 128, 200 * (f[..., 1] - f[..., 2]) + 128], -1
    )


def test_lab_within_one_level_of_the_formula():
    rgb = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
    rgb[0, :8] = [[r, g, b] for r in (0, 255) for g in (0, 255) for b in (0, 255)]
    found = channels(rgb, 1, ALONE)[..., :3]
    assert np.abs(found - np.clip(exact_lab(rgb), 0, 255)).max() <= 1.6


def test_slope_is_sobels():
    lab = picture(9, 8)
    out = np.empty((9, 8), np.uint16)
    slope_rows(lab, out, 0, 9)
    light = np.pad(lab[..., 0].astype(int), 1, mode="edge")
    down = light[2:, :] - light[:-2, :]
    across = light[:, 2:] - light[:, :-2]
    gy = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    gx = across[:-2] + 2 * across[1:-1] + across[2:]
    assert np.array_equal(out, np.sqrt(gx**2 + gy**2).astype(np.uint16))


@pytest.mark.parametrize("reach", [1, 4, 30])
def test_mean_over_a_window_cut_at_the_border(reach):
    slope = RNG.integers(0, 1442, (20, 17), dtype=np.uint16)
    out = np.empty_like(slope)
    for first, last in ((0, 7), (7, 20)):
        mean_rows(slope, out, np.zeros(17, np.int64), reach, first, last)
    for y, x in ((0, 0), (6, 5), (7, 16), (19, 9)):
        window = slope[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]
        assert out[y, x] == window.sum(dtype=int) // window.size


def test_texture_channel_is_higher_where_there_is_texture():
    rgb = np.full((40, 80, 3), 128, np.uint8)
    rgb[:, 40:] = RNG.integers(0, 256, (40, 40, 1))
    texture = channels(rgb, 2, ALONE)[..., 3].astype(int)
    assert texture[:, :35].max() == 0
    assert texture[:, 45:].min() > 40


def test_halving_takes_rounded_means():
    fine = picture(7, 10)
    coarse = halve(fine, ALONE)
    assert coarse.shape == (3, 5, 4)
    blocks = fine[:6].reshape(3, 2, 5, 2, 4).astype(int).sum(axis=(1, 3))
    assert np.array_equal(coarse, (blocks + 2) // 4)


def test_erosion_needs_a_whole_patch():
    solid = np.ones((12, 15), bool)
    solid[2, 13] = False
    out = erode(solid, ALONE)
    expected = np.zeros((12, 15), np.uint8)
    for y in range(3, 9):
        for x in range(3, 12):
            expected[y, x] = solid[y - 3 : y + 4, x - 3 : x + 4].all()
    assert np.array_equal(out, expected)
    tall = RNG.random((150, 40)) > 0.01
    expected = np.lib.stride_tricks.sliding_window_view(tall, (7, 7)).all(axis=(2, 3))
    assert np.array_equal(erode(tall, ALONE)[3:-3, 3:-3], expected)  # over the borders of bands
    assert not erode(np.ones((6, 20), bool), ALONE).any()


def test_pyramid_drops_odd_rows_and_keeps_whole_blocks():
    solid = np.ones((33, 30), bool)
    solid[5, 7] = False
    pyramid = make_pyramid(picture(33, 30), solid, 2, ALONE)
    assert pyramid[1].usable.shape == (16, 15)
    assert pyramid[1].usable[5, 6] == 0  # the block at (2, 3) holds the hole
    assert pyramid[1].usable[9, 9] == 1


def test_the_outermost_pixels_are_repeated_around_an_atlas():
    photo = picture(11, 9)
    atlas = make_atlas(photo, np.ones((11, 9), bool), ALONE)
    wide = np.pad(photo, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), "edge")
    assert np.array_equal(atlas.flat[:-PADDING], wide.reshape(-1))
    assert np.array_equal(atlas.pixels, photo)
    for sy, sx in ((0, 0), (4, 5), (10, 8)):
        start = pixel_start(atlas, sy, sx)
        assert np.array_equal(atlas.flat[start : start + 4], photo[sy, sx])
        rows = [patch_start(atlas, sy, sx) + row * row_bytes(atlas) for row in range(7)]
        read = np.stack([atlas.flat[row : row + 28].reshape(7, 4) for row in rows])
        assert np.array_equal(read, wide[sy : sy + 7, sx : sx + 7])


def test_with_the_rim_patches_reach_over_the_border_beside_what_may_be_copied():
    solid = np.ones((20, 24), bool)
    solid[0, 12] = False
    atlas = make_atlas(picture(20, 24), solid, ALONE)
    rim = with_rim(atlas)
    assert np.array_equal(rim.usable[3:-3, 3:-3], atlas.usable[3:-3, 3:-3])
    assert rim.flat is atlas.flat
    expected = np.ones((20, 24), np.uint8)
    expected[:4, 9:16] = 0  # within a patch of the hole, and outward from there
    assert np.array_equal(rim.usable, expected)


# --- prior --------------------------------------------------------------------------------------------------------


def test_penalty_is_zero_in_the_dead_zone_and_grows_with_the_square():
    weight = 5 << FRACTION_BITS
    assert [penalty(d, 3, weight) for d in (-3, 0, 3, 4, -5, 13)] == [0, 0, 0, 5, 20, 500]


def test_prior_anchors_to_the_nearest_point_of_the_photo():
    frame = Frame(height=60, width=80, top=10, left=20, rows=40, cols=50)
    prior = make_prior(frame, Strictness(vertical=100, dead_rows=0.1, outward_rows=0.5, dead_cols=0.2))
    assert [int(prior.anchor_row[y]) for y in (0, 10, 30, 59)] == [0, 0, 20, 39]
    assert [int(prior.slack_row[y]) for y in (0, 10, 59)] == [9, 4, 9]
    assert [int(prior.anchor_col[x]) for x in (0, 25, 79)] == [0, 5, 49]
    assert set(prior.slack_col.tolist()) == {10}
    assert prior.row_weight == round(100 * 16 * 49 * 4096 / 2500)


# --- layout -------------------------------------------------------------------------------------------------------


def test_visiting_order_goes_outward_and_leaves_the_photo_out():
    frame = Frame(height=20, width=24, top=5, left=6, rows=9, cols=10)
    phase, order = visiting_order(frame)
    assert (phase == -1).sum() == 90
    assert order.size == 20 * 24 - 90
    assert (np.diff(phase.reshape(-1)[order]) >= 0).all()
    for y in range(20):
        for x in range(24):
            around = phase[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            assert (around == phase[y, x]).sum() == 1 or phase[y, x] == -1


def test_context_weights_fall_with_the_distance():
    weights = context_weights()
    assert weights[3, 3] == 64
    assert weights[3, 4] == math.floor(64 / 1.15 + 0.5)
    assert weights[0, 0] == math.floor(64 / 3.7 + 0.5)
    assert np.array_equal(weights, weights[::-1, ::-1])


# --- matching -----------------------------------------------------------------------------------------------------


def plain_cost(field, atlas, y: int, x: int, sy: int, sx: int, slack=(8, 3, 3)) -> float:
    canvas = field.picture.astype(int)
    source = atlas.pixels.astype(int)
    d = canvas[y - 3 : y + 4, x - 3 : x + 4] - source[sy - 3 : sy + 4, sx - 3 : sx + 4]
    m = d[..., :3].mean(axis=(0, 1))
    return (d**2).sum() - (49 * (m**2 - np.maximum(0, np.abs(m) - slack) ** 2)).sum()


def test_targets_and_made_pixels():
    frame, _, field, _ = scene()
    targets = np.array([[is_target(y, x, 26, 30, field.box) for x in range(30)] for y in range(26)])
    assert targets.sum() == 20 * 24 - 10 * 12
    assert not targets[7:17, 8:20].any()
    made = np.array([[is_made(y, x, field.box) for x in range(30)] for y in range(26)])
    assert made.sum() == 26 * 30 - frame.rows * frame.cols


def test_patch_cost_is_the_difference_after_the_best_shift():
    _, atlas, field, prior = scene()
    slack = np.array([8, 3, 3, 0], np.int32)
    for y, x, sy, sx in ((3, 3, 3, 3), (22, 26, 12, 14), (10, 5, 8, 7)):
        found = patch_cost(field.flat, 30, y, x, atlas, prior, slack, sy, sx, 1 << 40)
        assert abs(found - plain_cost(field, atlas, y, x, sy, sx)) <= 3  # three divisions are rounded down


def test_sweeps_only_improve():
    _, atlas, field, prior = scene()
    before = {
        (y, x): plain_cost(field, atlas, y, x, *field.labels[y, x]) for y, x in np.argwhere(field.labels[..., 0] >= 0)
    }
    sweep(field, atlas, prior, ALONE, tries=6, radius=32, seed=1, turn=0)
    for (y, x), cost in before.items():
        assert field.costs[y, x] <= cost + 3
        assert abs(field.costs[y, x] - plain_cost(field, atlas, y, x, *field.labels[y, x])) <= 3
    gained = sum(cost - int(field.costs[place]) for place, cost in before.items())
    assert gained > 0.1 * sum(before.values())


def test_a_sweep_finds_what_a_neighbour_continues():
    frame = Frame(height=20, width=40, top=0, left=0, rows=20, cols=30)
    pixels = picture(20, 30)
    field, atlas, prior = make_field(frame, pixels), atlas_of(pixels), make_prior(frame, PLAIN)
    canvas = field.picture
    canvas[:, 30:] = pixels[:, 10:20]  # the right strip continues the photo's columns 10 to 19
    for y in range(3, 17):
        for x in range(27, 37):
            field.labels[y, x] = 3, 3
    field.labels[9, 34] = 9, 14
    for turn in range(4):
        sweep(field, atlas, prior, ALONE, tries=0, radius=1, seed=0, turn=turn)
    assert np.array_equal(field.labels[3:17, 33:37, 1], np.tile(np.arange(13, 17), (14, 1)))
    assert (field.costs[3:17, 33:37] == 0).all()


# --- votes --------------------------------------------------------------------------------------------------------


def test_vote_is_the_weighted_mean():
    _, atlas, field, _ = scene()
    before = field.flat.copy()
    targets = field.labels[..., 0] >= 0
    pace = (FIT_STEPS << PACE_BITS) // (2 * typical_cost(field.costs, targets))
    vote(field, atlas, ALONE, targets)
    canvas = field.picture
    top, bottom, left, right = field.box
    for y, x in ((0, 0), (2, 14), (12, 3), (25, 29), (19, 24)):
        covering = [
            (qy, qx) for qy in range(max(3, y - 3), min(23, y + 4)) for qx in range(max(3, x - 3), min(27, x + 4))
        ]
        least = min(int(field.costs[q]) for q in covering)
        total, sums = 0, np.zeros(4)
        for qy, qx in covering:
            step = (int(field.costs[qy, qx]) - least) * pace >> PACE_BITS
            away = max(0, top - qy, qy - bottom + 1, left - qx, qx - right + 1)
            weight = int(FIT_TABLE[step]) * int(TRUST_TABLE[away]) if step < FIT_TABLE.size else 0
            sy, sx = field.labels[qy, qx] + (y - qy, x - qx)
            total += weight
            sums += weight * (atlas.pixels[sy, sx] + np.append(field.shifts[qy, qx] / 8, 0))
        assert np.abs(canvas[y, x] - np.clip(sums / total, 0, 255)).max() <= 0.500001
    kept = before[:-PADDING].reshape(26, 30, 4)[4:20, 5:23]
    assert np.array_equal(canvas[4:20, 5:23], kept)


def test_agreeing_patches_are_copied_with_their_shift():
    _, atlas, field, _ = scene()
    targets = field.labels[..., 0] >= 0
    for y, x in np.argwhere(targets):
        field.labels[y, x] = np.clip(y, 3, 12), np.clip(x - 12, 3, 14)
    field.shifts[targets] = (16, -8, 0)
    vote(field, atlas, ALONE, targets)
    canvas = field.picture.astype(int)
    expected = atlas.pixels[9, 11].astype(int) + np.array([2, -1, 0, 0])
    assert np.array_equal(canvas[9, 23], np.clip(expected, 0, 255))


def test_typical_cost_has_a_floor():
    costs = np.arange(100, dtype=np.int32).reshape(10, 10) * 10
    assert typical_cost(costs, np.ones((10, 10), bool)) == 750
    assert typical_cost(costs * 0, np.ones((10, 10), bool)) == 49
    assert typical_cost(costs, np.zeros((10, 10), bool)) == 49


# --- levels and copies --------------------------------------------------------------------------------------------


def test_doubling_moves_every_patch_with_its_pixels():
    coarse_frame = Frame(height=26, width=30, top=4, left=5, rows=16, cols=18)
    _, _, coarse, _ = scene()
    fine_frame = Frame(height=52, width=60, top=8, left=10, rows=33, cols=37)
    pixels = picture(33, 37)
    fine, atlas = make_field(fine_frame, pixels), atlas_of(pixels)
    double(coarse, fine, atlas, (0, 0), ALONE)
    assert coarse_frame.at_level(0) == coarse_frame
    for y, x in ((3, 3), (6, 30), (7, 7), (48, 56), (20, 9)):
        cy, cx = min(22, max(3, y // 2)), min(26, max(3, x // 2))
        wanted = 2 * coarse.labels[cy, cx] + (y - 2 * cy, x - 2 * cx)
        assert np.array_equal(fine.labels[y, x], np.clip(wanted, 3, (29, 33)))
        assert fine.costs[y, x] == coarse.costs[cy, cx]
    targets = np.array([[is_target(y, x, 52, 60, fine.box) for x in range(60)] for y in range(52)])
    assert np.array_equal(fine.labels[..., 0] >= 0, targets)


def test_a_tile_is_doubled_like_the_whole():
    _, _, coarse, _ = scene()
    frame = Frame(height=52, width=60, top=8, left=10, rows=33, cols=37)
    pixels = picture(33, 37)
    whole, atlas = make_field(frame, pixels), atlas_of(pixels)
    double(coarse, whole, atlas, (0, 0), ALONE)
    for top, bottom, left, right in ((20, 52, 0, 60), (0, 30, 22, 60), (14, 38, 30, 56)):
        tile = make_field(frame.window(top, bottom, left, right), pixels)
        double(coarse, tile, atlas, (top, left), ALONE)
        inner = np.s_[3 : bottom - top - 3, 3 : right - left - 3]
        assert np.array_equal(tile.labels[inner], whole.labels[top:bottom, left:right][inner])
        shown = np.s_[: 4 * tile.costs.size]
        assert np.array_equal(tile.flat[shown], whole.picture[top:bottom, left:right].reshape(-1))
        masked = target_mask(frame.window(top, bottom, left, right))
        assert np.array_equal(tile.labels[..., 0] >= 0, masked)


def test_the_fallback_is_the_middle_of_all_usable_places():
    solid = RNG.random((40, 50)) > 0.004
    atlas = make_atlas(picture(40, 50), solid, ALONE)
    places = np.argwhere(atlas.usable)
    assert np.array_equal(usable_place(atlas), places[len(places) // 2])


# --- coherence ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cuts", [(0, 26), (0, 5, 6, 20, 26)])
def test_coherent_is_where_all_patches_copy_from_one_place(cuts):
    _, _, field, _ = scene()
    targets = field.labels[..., 0] >= 0
    y, x = np.mgrid[0:26, 0:30]
    field.labels[targets] = np.stack([y % 13 + 3, x - (x > 25) - 9 * (y > 17)], -1)[targets]
    found = np.concatenate([coherent(field, first, last) for first, last in pairwise(cuts)])
    for y, x in np.ndindex(26, 30):
        covering = [
            (qy, qx) for qy in range(max(3, y - 3), min(23, y + 4)) for qx in range(max(3, x - 3), min(27, x + 4))
        ]
        places = {tuple(field.labels[q] + (y - q[0], x - q[1])) for q in covering}
        assert found[y, x] == (len(places) == 1 and all(targets[q] for q in covering))
    assert 20 < found.sum() < 600

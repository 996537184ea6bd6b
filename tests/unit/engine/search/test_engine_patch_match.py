"""Sweeps improve the sources of patches."""

from __future__ import annotations

import numpy as np
from engine_scenes import ALONE, PLAIN, atlas_of, picture, scene

from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.prior import make_prior
from uncrop.engine.search.patch_field import is_made, is_target, make_field
from uncrop.engine.search.patch_match import patch_cost, sweep


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

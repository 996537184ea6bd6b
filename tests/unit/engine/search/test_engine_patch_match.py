"""Sweeps improve the sources of patches."""

from __future__ import annotations

import numpy as np
from engine_scenes import ONE_THREAD, PLAIN, exemplar_of, random_pixels, scene

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.presets import Effort
from uncrop.engine.prepare.prior import make_prior
from uncrop.engine.search.patch_field import is_made, is_target, make_field
from uncrop.engine.search.patch_match import Level, improve_sources, patch_cost


def plain_cost(field, exemplar, y: int, x: int, sy: int, sx: int, max_shift=(8, 3, 3)) -> float:
    canvas = field.picture.astype(int)
    source = exemplar.pixels.astype(int)
    d = canvas[y - 3 : y + 4, x - 3 : x + 4] - source[sy - 3 : sy + 4, sx - 3 : sx + 4]
    m = d[..., :3].mean(axis=(0, 1))
    return (d**2).sum() - (49 * (m**2 - np.maximum(0, np.abs(m) - max_shift) ** 2)).sum()


def test_targets_and_made_pixels():
    canvas, _, field, _ = scene()
    targets = np.array([[is_target(y, x, 26, 30, field.box) for x in range(30)] for y in range(26)])
    assert targets.sum() == 20 * 24 - 10 * 12
    assert not targets[7:17, 8:20].any()
    made = np.array([[is_made(y, x, field.box) for x in range(30)] for y in range(26)])
    assert made.sum() == 26 * 30 - canvas.rows * canvas.cols


def test_patch_cost_is_the_difference_after_the_best_shift():
    _, exemplar, field, prior = scene()
    level = Level(field=field, exemplar=exemplar, prior=prior, max_shift=np.array([8, 3, 3, 0], np.int32))
    for y, x, sy, sx in ((3, 3, 3, 3), (22, 26, 12, 14), (10, 5, 8, 7)):
        found = patch_cost(level, y, x, sy, sx, 1 << 40)
        assert abs(found - plain_cost(field, exemplar, y, x, sy, sx)) <= 3  # three divisions are rounded down


def effort(tries: int, radius: int) -> Effort:
    return Effort(rounds=1, sweeps=1, tries=tries, radius=radius)


def test_sweeps_only_improve():
    _, exemplar, field, prior = scene()
    before = {
        (y, x): plain_cost(field, exemplar, y, x, *field.sources[y, x])
        for y, x in np.argwhere(field.sources[..., 0] >= 0)
    }
    improve_sources(field, exemplar, prior, effort(6, 32), ONE_THREAD, seed=1, iteration=0)
    for (y, x), cost in before.items():
        assert field.costs[y, x] <= cost + 3
        assert abs(field.costs[y, x] - plain_cost(field, exemplar, y, x, *field.sources[y, x])) <= 3
    gained = sum(cost - int(field.costs[place]) for place, cost in before.items())
    assert gained > 0.1 * sum(before.values())


def test_a_sweep_finds_what_a_neighbour_continues():
    canvas = CanvasGeometry(height=20, width=40, top=0, left=0, rows=20, cols=30)
    pixels = random_pixels(20, 30)
    field, exemplar, prior = make_field(canvas, pixels), exemplar_of(pixels), make_prior(canvas, PLAIN)
    canvas = field.picture
    canvas[:, 30:] = pixels[:, 10:20]  # the right strip continues the photo's columns 10 to 19
    for y in range(3, 17):
        for x in range(27, 37):
            field.sources[y, x] = 3, 3
    field.sources[9, 34] = 9, 14
    for iteration in range(4):
        improve_sources(field, exemplar, prior, effort(0, 1), ONE_THREAD, seed=0, iteration=iteration)
    assert np.array_equal(field.sources[3:17, 33:37, 1], np.tile(np.arange(13, 17), (14, 1)))
    assert (field.costs[3:17, 33:37] == 0).all()

"""Sources double from one level to the next."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import ONE_THREAD, RNG, exemplar_of, random_pixels, scene

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.pyramid import (
    make_exemplar,
    usable_place,
)
from uncrop.engine.search.patch_field import is_target, make_field, target_mask
from uncrop.engine.search.upsample import double, nearest_target


def test_doubling_moves_every_patch_with_its_pixels():
    coarse_canvas = CanvasGeometry(height=26, width=30, top=4, left=5, rows=16, cols=18)
    _, _, coarse, _ = scene()
    fine_canvas = CanvasGeometry(height=52, width=60, top=8, left=10, rows=33, cols=37)
    pixels = random_pixels(33, 37)
    fine, exemplar = make_field(fine_canvas, pixels), exemplar_of(pixels)
    double(coarse, fine, exemplar, (0, 0), ONE_THREAD)
    assert coarse_canvas.at_level(0) == coarse_canvas
    for y, x in ((3, 3), (6, 30), (7, 7), (48, 56), (20, 9)):
        cy, cx = min(22, max(3, y // 2)), min(26, max(3, x // 2))
        wanted = 2 * coarse.sources[cy, cx] + (y - 2 * cy, x - 2 * cx)
        assert np.array_equal(fine.sources[y, x], np.clip(wanted, 3, (29, 33)))
        assert fine.costs[y, x] == coarse.costs[cy, cx]
    targets = np.array([[is_target(y, x, 52, 60, fine.box) for x in range(60)] for y in range(52)])
    assert np.array_equal(fine.sources[..., 0] >= 0, targets)


def test_a_tile_is_doubled_like_the_whole():
    _, _, coarse, _ = scene()
    canvas = CanvasGeometry(height=52, width=60, top=8, left=10, rows=33, cols=37)
    pixels = random_pixels(33, 37)
    whole, exemplar = make_field(canvas, pixels), exemplar_of(pixels)
    double(coarse, whole, exemplar, (0, 0), ONE_THREAD)
    for top, bottom, left, right in ((20, 52, 0, 60), (0, 30, 22, 60), (14, 38, 30, 56)):
        tile = make_field(canvas.window(top, bottom, left, right), pixels)
        double(coarse, tile, exemplar, (top, left), ONE_THREAD)
        inner = np.s_[3 : bottom - top - 3, 3 : right - left - 3]
        assert np.array_equal(tile.sources[inner], whole.sources[top:bottom, left:right][inner])
        shown = np.s_[: 4 * tile.costs.size]
        assert np.array_equal(tile.flat[shown], whole.picture[top:bottom, left:right].reshape(-1))
        masked = target_mask(canvas.window(top, bottom, left, right))
        assert np.array_equal(tile.sources[..., 0] >= 0, masked)


def test_what_cannot_be_copied_gives_way_to_the_middle_of_what_can():
    _, _, coarse, _ = scene()
    pixels = random_pixels(33, 37)
    opaque = np.ones((33, 37), bool)
    opaque[:, 20] = False
    fine = make_field(CanvasGeometry(height=52, width=60, top=8, left=10, rows=33, cols=37), pixels)
    exemplar = make_exemplar(pixels, opaque, ONE_THREAD)
    double(coarse, fine, exemplar, (0, 0), ONE_THREAD)
    fallback = usable_place(exemplar)
    replaced = 0
    for y, x in np.argwhere(fine.sources[..., 0] >= 0):
        cy, cx = min(22, max(3, y // 2)), min(26, max(3, x // 2))
        if coarse.sources[cy, cx, 0] < 0:
            cy, cx = nearest_target(coarse, cy, cx)
        sy, sx = np.clip(2 * coarse.sources[cy, cx] + (y - 2 * cy, x - 2 * cx), 3, (29, 33))
        usable = exemplar.usable[sy, sx] == 1
        replaced += not usable
        assert np.array_equal(fine.sources[y, x], (sy, sx) if usable else fallback)
        assert np.array_equal(fine.shifts[y, x], coarse.shifts[cy, cx])
    assert 100 < replaced < 1500


@pytest.mark.parametrize("photo", [(4, 5, 16, 18), (0, 5, 26, 25), (-4, 3, 26, 40)])
def test_the_nearest_target_lies_along_the_row_or_the_column(photo):
    canvas = CanvasGeometry(height=26, width=30, top=photo[0], left=photo[1], rows=photo[2], cols=photo[3])
    field, targets = make_field(canvas, RNG.integers(0, 9, (*photo[2:], 4), dtype=np.uint8)), target_mask(canvas)
    for y, x in np.argwhere(~targets[3:-3, 3:-3]) + 3:
        found = nearest_target(field, y, x)
        assert targets[found]
        assert y == found[0] or x == found[1]
        straight = [abs(row - y) for row in np.flatnonzero(targets[:, x])]
        straight += [abs(col - x) for col in np.flatnonzero(targets[y])]
        assert abs(found[0] - y) + abs(found[1] - x) == min(straight)

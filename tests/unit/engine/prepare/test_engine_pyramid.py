"""The photo at every level, and which of its patches may be copied."""

from __future__ import annotations

import numpy as np
from engine_scenes import ONE_THREAD, RNG, random_pixels

from uncrop.engine.prepare.patch import PADDING, RADIUS
from uncrop.engine.prepare.pyramid import (
    erode,
    halve,
    make_exemplar,
    make_pyramid,
    patch_start,
    pixel_start,
    row_bytes,
    usable_place,
    with_border_patches,
)


def test_halving_takes_rounded_means():
    fine = random_pixels(7, 10)
    coarse = halve(fine, ONE_THREAD)
    assert coarse.shape == (3, 5, 4)
    blocks = fine[:6].reshape(3, 2, 5, 2, 4).astype(int).sum(axis=(1, 3))
    assert np.array_equal(coarse, (blocks + 2) // 4)


def test_erosion_needs_a_whole_patch():
    opaque = np.ones((12, 15), bool)
    opaque[2, 13] = False
    out = erode(opaque, ONE_THREAD)
    expected = np.zeros((12, 15), np.uint8)
    for y in range(3, 9):
        for x in range(3, 12):
            expected[y, x] = opaque[y - 3 : y + 4, x - 3 : x + 4].all()
    assert np.array_equal(out, expected)
    tall = RNG.random((150, 40)) > 0.01
    expected = np.lib.stride_tricks.sliding_window_view(tall, (7, 7)).all(axis=(2, 3))
    assert np.array_equal(erode(tall, ONE_THREAD)[3:-3, 3:-3], expected)  # over the borders of bands
    assert not erode(np.ones((6, 20), bool), ONE_THREAD).any()


def test_pyramid_drops_odd_rows_and_keeps_whole_blocks():
    opaque = np.ones((33, 30), bool)
    opaque[5, 7] = False
    pyramid = make_pyramid(random_pixels(33, 30), opaque, 2, ONE_THREAD)
    assert pyramid[1].usable.shape == (16, 15)
    assert pyramid[1].usable[5, 6] == 0  # the block at (2, 3) holds the hole
    assert pyramid[1].usable[9, 9] == 1


def test_the_outermost_pixels_are_repeated_around_an_exemplar():
    photo = random_pixels(11, 9)
    exemplar = make_exemplar(photo, np.ones((11, 9), bool), ONE_THREAD)
    wide = np.pad(photo, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), "edge")
    assert np.array_equal(exemplar.flat[:-PADDING], wide.reshape(-1))
    assert np.array_equal(exemplar.pixels, photo)
    for sy, sx in ((0, 0), (4, 5), (10, 8)):
        start = pixel_start(exemplar, sy, sx)
        assert np.array_equal(exemplar.flat[start : start + 4], photo[sy, sx])
        rows = [patch_start(exemplar, sy, sx) + row * row_bytes(exemplar) for row in range(7)]
        read = np.stack([exemplar.flat[row : row + 28].reshape(7, 4) for row in rows])
        assert np.array_equal(read, wide[sy : sy + 7, sx : sx + 7])


def test_border_patches_reach_over_the_border_beside_what_may_be_copied():
    opaque = np.ones((20, 24), bool)
    opaque[0, 12] = False
    exemplar = make_exemplar(random_pixels(20, 24), opaque, ONE_THREAD)
    wider = with_border_patches(exemplar)
    assert np.array_equal(wider.usable[3:-3, 3:-3], exemplar.usable[3:-3, 3:-3])
    assert wider.flat is exemplar.flat
    expected = np.ones((20, 24), np.uint8)
    expected[:4, 9:16] = 0  # within a patch of the hole, and outward from there
    assert np.array_equal(wider.usable, expected)


def test_the_fallback_is_the_middle_of_all_usable_places():
    opaque = RNG.random((40, 50)) > 0.004
    exemplar = make_exemplar(random_pixels(40, 50), opaque, ONE_THREAD)
    places = np.argwhere(exemplar.usable)
    assert np.array_equal(usable_place(exemplar), places[len(places) // 2])

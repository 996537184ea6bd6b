"""Transparency is split off, filled, and continued flat."""

from __future__ import annotations

import numpy as np
from engine_scenes import RNG

from uncrop.engine.prepare.alpha import continue_flat, paint_under, solid_part, split_alpha


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

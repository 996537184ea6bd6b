"""Transparency is split off, filled, and continued flat."""

from __future__ import annotations

import numpy as np
from engine_scenes import RNG

from uncrop.engine.prepare.alpha import fill_transparent, opaque_mask, replicate_border, split_alpha


def test_alpha_is_split_off():
    photo = RNG.integers(0, 256, (5, 6, 4), dtype=np.uint8)
    colour, alpha = split_alpha(photo)
    assert np.array_equal(colour, photo[..., :3])
    assert alpha is not None
    assert np.array_equal(alpha, photo[..., 3])
    assert np.array_equal(opaque_mask(photo.shape, alpha), photo[..., 3] >= 128)
    grey, none = split_alpha(photo[..., :1])
    assert (grey.shape, none) == ((5, 6, 1), None)
    assert opaque_mask(photo.shape, None).all()


def test_colour_under_transparency_comes_from_around():
    rgb = np.full((9, 9, 3), 200, np.uint8)
    opaque = np.ones((9, 9), bool)
    rgb[2:5, 3:8] = 0
    opaque[2:5, 3:8] = False
    assert (fill_transparent(rgb, opaque) == 200).all()
    assert fill_transparent(rgb, np.zeros((9, 9), bool)) is rgb


def test_flat_continuation():
    plane = np.array([[1, 2], [3, 4]], np.uint8)
    assert replicate_border(plane, 1, 0, 0, 2).tolist() == [[1, 2, 2, 2], [1, 2, 2, 2], [3, 4, 4, 4]]

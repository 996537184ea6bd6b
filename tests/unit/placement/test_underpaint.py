"""Colour under what is to be made."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.placement.underpaint import GREY, underpaint


def test_a_picture_without_holes_is_returned_as_it_is() -> None:
    pixels = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3)
    assert underpaint(pixels, np.ones((4, 3), np.bool_)) is pixels


def test_a_picture_that_is_all_hole_is_grey() -> None:
    painted = underpaint(np.zeros((5, 9, 3), np.uint8), np.zeros((5, 9), np.bool_))
    assert (painted == GREY).all()


def test_one_colour_spreads_unchanged_and_what_lay_under_the_hole_is_forgotten() -> None:
    pixels = np.full((33, 50, 3), 255, np.uint8)
    known = np.zeros((33, 50), np.bool_)
    pixels[4, 7] = (10, 200, 90)
    known[4, 7] = True
    painted = underpaint(pixels, known)
    assert (painted == (10, 200, 90)).all()


def test_near_the_border_the_colour_is_the_borders() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:, :16], pixels[:, 48:] = (200, 0, 0), (0, 0, 200)
    known = np.zeros((64, 64), np.bool_)
    known[:, :16] = known[:, 48:] = True
    painted = underpaint(pixels, known).astype(int)
    assert (painted[:, 16, 0] > 190).all()
    assert (painted[:, 47, 2] > 190).all()
    middle = painted[32, 32]
    assert 60 < middle[0] < 140
    assert 60 < middle[2] < 140


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_known_pixels_stay_and_no_new_extreme_is_far_off(height: int, width: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    pixels = random.integers(100, 140, (height, width, 3), np.uint8)
    known = random.random((height, width)) < 0.3
    before = pixels.copy()
    painted = underpaint(np.where(known[..., None], pixels, 0).astype(np.uint8), known)
    assert painted.shape == pixels.shape
    assert painted.dtype == np.uint8
    assert (painted[known] == before[known]).all()
    if known.any():
        # A Lanczos filter of three lobes overshoots a range by at most 61 % in two dimensions; here it does so twice.
        assert painted.min() >= 120 - 1.61**2 * 20
        assert painted.max() <= 120 + 1.61**2 * 20

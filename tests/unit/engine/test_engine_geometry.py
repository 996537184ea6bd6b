"""Every geometry gives a picture of the exact size with the photo's own bytes in place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.engine import Extension, choose, extend
from uncrop.engine.prepare.presets import STANDARD
from uncrop.model import Sides


def kept(image: np.ndarray, sides: Sides) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Return what the sides leave of the photo, and where it must stand on the canvas."""
    rows, cols = image.shape[:2]
    part = image[max(0, -sides.up) : rows + min(0, sides.down), max(0, -sides.left) : cols + min(0, sides.right)]
    top, left = max(0, sides.up), max(0, sides.left)
    return part, np.s_[top : top + part.shape[0], left : left + part.shape[1]]


def check(image: np.ndarray, sides: Sides, result: Extension) -> None:
    """Assert what holds for every result."""
    rows, cols, channels = image.shape
    shape = (rows + sides.up + sides.down, cols + sides.left + sides.right)
    assert result.pixels.shape == (*shape, channels)
    assert result.pixels.dtype == image.dtype
    part, window = kept(image, sides)
    assert np.array_equal(result.pixels[window], part)
    assert result.confidence_map.shape == shape
    assert result.confidence_map.dtype == np.uint8
    assert (result.confidence_map[window] == 255).all()
    assert 0 <= result.confidence <= 1
    assert result.pixels.flags.c_contiguous


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_keeps_every_channel_count_and_depth(draw, channels, dtype):
    image = draw(48, 64, channels, dtype)
    sides = Sides(left=9, right=20, up=0, down=13)
    check(image, sides, extend(image, sides, seed=1))


@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((64, 64), Sides(left=1)),
        ((64, 64), Sides(right=1)),
        ((64, 64), Sides(up=1)),
        ((64, 64), Sides(down=1)),
        ((64, 64), Sides(left=40, right=40, up=40, down=40)),
        ((61, 67), Sides(left=33, down=90)),
        ((16, 16), Sides(left=5, up=3)),
        ((16, 16), Sides(right=500, down=10)),
        ((17, 400), Sides(up=30, left=7)),
        ((400, 17), Sides(down=30, left=7)),
        ((90, 120), Sides(left=-20, right=30)),
        ((90, 120), Sides(left=-50, right=-60, up=4)),
        ((90, 120), Sides(left=-119, up=30)),
        ((90, 120), Sides(up=-85, down=12)),
        ((301, 217), Sides(left=100, right=111, up=50, down=43)),
    ],
)
def test_exact_size_and_bytes(draw, size, sides):
    image = draw(*size)
    check(image, sides, extend(image, sides, seed=7, quality="fast"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "sides"),
    [
        ((50, 4000), Sides(left=300, up=40)),
        ((4000, 50), Sides(right=30, down=300)),
        ((16, 16), Sides(left=2000, right=2000, up=2000, down=2000)),
        ((300, 400), Sides(left=2000, right=2000)),
    ],
)
def test_extreme_shapes(draw, size, sides):
    image = draw(*size)
    check(image, sides, extend(image, sides, seed=7, quality="fast"))


@pytest.mark.parametrize("sides", [Sides(up=200, left=30), Sides(down=200, right=30), Sides(left=100)])
def test_many_tiles_fit_together(draw, monkeypatch, sides):
    monkeypatch.setattr("uncrop.engine.pipeline.TILE", 64)
    image = draw(250, 300)
    result = extend(image, sides, seed=7, quality="fast")
    check(image, sides, result)
    made = result.pixels[result.confidence_map < 255]
    assert made.max(axis=1).min() > 40  # nothing is left black


def test_a_large_coarsest_level_gets_one_candidate(draw, monkeypatch):
    monkeypatch.setattr("uncrop.engine.choose.THIN", 0)
    made = []
    grow = choose.make_candidate
    monkeypatch.setattr(choose, "make_candidate", lambda *arguments: made.append(arguments[1]) or grow(*arguments))
    image = draw(60, 80)
    check(image, Sides(left=30), extend(image, Sides(left=30), seed=7))
    assert made == [STANDARD.candidate_priors[0]]


def test_cropping_alone_makes_nothing(draw):
    image = draw(40, 50)
    result = extend(image, Sides(left=-10, down=-5), seed=0)
    assert np.array_equal(result.pixels, image[:35, 10:])
    assert result.confidence == 1.0
    assert not np.shares_memory(result.pixels, image)


def test_does_not_write_to_the_photo(draw):
    image = draw(40, 50)
    before = image.copy()
    image.flags.writeable = False
    extend(image, Sides(left=10), seed=0, quality="fast")
    assert np.array_equal(image, before)


def test_takes_views_that_are_not_contiguous(draw):
    image = draw(40, 100)
    sides = Sides(left=12)
    view = image[:, ::2]
    expected = extend(np.ascontiguousarray(view), sides, seed=0, quality="fast")
    assert np.array_equal(extend(view, sides, seed=0, quality="fast").pixels, expected.pixels)


def test_a_far_extension_repeats_what_was_made(draw):
    image = draw(16, 20)
    result = extend(image, Sides(right=700), seed=0, quality="fast")
    check(image, Sides(right=700), result)
    near = result.pixels[:, : 20 + 256]
    assert np.array_equal(result.pixels[:, 276 : 276 + 200], near[:, ::-1][:, :200])
    assert (result.confidence_map[:, 276:] == 0).all()


def test_far_from_a_small_photo_nothing_is_left_black(draw):
    image = draw(16, 20)
    sides = Sides(left=900, right=900, up=700, down=700)
    result = extend(image, sides, seed=0, quality="fast")
    check(image, sides, result)
    assert result.pixels.max(axis=2).min() > 40


def test_far_above_a_photo_there_is_only_what_was_made_above_it(draw):
    result = extend(draw(16, 20), Sides(up=900, down=20), seed=0, quality="fast").pixels
    above = {tuple(colour) for colour in result[900 - 256 : 900].reshape(-1, 3).tolist()}
    assert {tuple(colour) for colour in result[: 900 - 256].reshape(-1, 3).tolist()} <= above


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(16, 90),
    cols=st.integers(16, 90),
    channels=st.integers(1, 4),
    deep=st.booleans(),
    sides=st.tuples(*[st.integers(-20, 70)] * 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_shape_and_sides(draw, rows, cols, channels, deep, sides, seed):
    left, right, up, down = sides
    if not any(sides) or rows + min(0, up) + min(0, down) < 1 or cols + min(0, left) + min(0, right) < 1:
        return
    image = draw(rows, cols, channels, np.uint16 if deep else np.uint8)
    asked = Sides(left=left, right=right, up=up, down=down)
    check(image, asked, extend(image, asked, seed=seed, quality="fast"))


@settings(max_examples=20, deadline=None)
@given(
    rows=st.integers(16, 50),
    cols=st.integers(16, 50),
    channels=st.sampled_from([2, 4]),
    deep=st.booleans(),
    sides=st.tuples(*[st.integers(-6, 30)] * 4),
    holes=st.lists(st.tuples(*[st.integers(0, 50)] * 4), min_size=1, max_size=6),
)
def test_any_transparency(draw, rows, cols, channels, deep, sides, holes):
    """Alpha goes on flat whatever is transparent, and the colours that lie hidden under it play no part."""
    image = draw(rows, cols, channels, np.uint16 if deep else np.uint8)
    for top, bottom, left, right in holes:
        hole = np.s_[min(top, bottom) : max(top, bottom), min(left, right) : max(left, right)]
        image[hole] = 0
    left, right, up, down = sides
    if not any(sides):
        return
    asked = Sides(left=left, right=right, up=up, down=down)
    result = extend(image, asked, seed=1, quality="fast")
    check(image, asked, result)
    part, window = kept(image, asked)
    pad = ((max(0, up), max(0, down)), (max(0, left), max(0, right)))
    assert np.array_equal(result.pixels[..., -1], np.pad(part[..., -1], pad, mode="edge"))
    opaque = np.pad(part[..., -1] > 0, 3)
    if np.lib.stride_tricks.sliding_window_view(opaque, (7, 7)).all(axis=(2, 3)).any():
        made = np.ones(result.pixels.shape[:2], bool)
        made[window] = False
        image[image[..., -1] == 0, :-1] = np.iinfo(image.dtype).max
        other = extend(image, asked, seed=1, quality="fast")
        assert np.array_equal(other.pixels[made], result.pixels[made])
        assert np.array_equal(other.confidence_map, result.confidence_map)


@pytest.mark.parametrize("sides", [Sides(left=20), Sides(right=-5), Sides(right=-5, down=9)])
def test_the_callers_array_is_left_alone(draw, sides):
    image = draw(60, 80)
    before = image.copy()
    result = extend(image, sides, seed=7)
    assert not np.shares_memory(result.pixels, image)
    assert np.array_equal(image, before)
    image.flags.writeable = False
    assert np.array_equal(extend(image, sides, seed=7).pixels, result.pixels)

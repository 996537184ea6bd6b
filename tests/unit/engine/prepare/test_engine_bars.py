"""Bars and frames: continued flat, never mixed with the scene; and nothing of an ordinary photo taken for one."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from uncrop.engine import extend
from uncrop.engine.prepare.bars import bar_depth, find_bars
from uncrop.model import Sides

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (180, 30, 40)


def framed(image, colour, *, up=0, down=0, left=0, right=0):
    """Paint bars over the border of an image (h, w, channels)."""
    made = image.copy()
    rows, cols = made.shape[:2]
    made[:up] = made[rows - down :] = colour
    made[:, :left] = made[:, cols - right :] = colour
    return made


def found(image):
    return {bar.side: bar.depth for bar in find_bars(image)}


@pytest.fixture
def scene(draw):
    """A photo (120, 160, 3) none of whose border is dark, bright or red."""
    return (draw(120, 160) // 3 + 70).astype(np.uint8)


@pytest.mark.parametrize("colour", [BLACK, WHITE, RED])
@pytest.mark.parametrize("depth", [1, 8, 30])
def test_a_letterbox_is_found_to_the_line(scene, colour, depth):
    assert found(framed(scene, colour, up=depth, down=depth)) == {"up": depth, "down": depth}
    assert found(framed(scene, colour, left=depth)) == {"left": depth}


def test_a_letterbox_survives_jpeg(scene):
    file = io.BytesIO()
    Image.fromarray(framed(scene, BLACK, up=32, down=32)).save(file, "JPEG", quality=75)
    bars = found(np.asarray(Image.open(file)))
    assert set(bars) == {"up", "down"}
    assert all(abs(depth - 32) <= 2 for depth in bars.values())


@pytest.mark.parametrize("quality", [50, 75])
@pytest.mark.parametrize("colour", [BLACK, WHITE])
def test_a_thin_bar_survives_the_halved_colours_of_a_jpeg(scene, colour, quality):
    picture = scene.copy()
    picture[np.add.outer(np.arange(120) // 24, np.arange(160) // 24) % 2 == 0] = (40, 90, 220)
    file = io.BytesIO()
    Image.fromarray(framed(picture, colour, up=8, left=8)).save(file, "JPEG", quality=quality, subsampling="4:2:0")
    picture = np.asarray(Image.open(file))
    assert not np.array_equal(picture[:7, 20:], np.broadcast_to(colour, (7, 140, 3)))  # blue has come into the bar
    assert bar_depth(picture, np.array(colour)) == 0
    assert found(picture) == {"up": 8, "left": 8}


def test_an_ordinary_photo_has_no_bars(draw, scene):
    assert found(scene) == {}
    assert found(draw(60, 80)) == {}


def test_a_sky_that_changes_slowly_is_no_bar(scene):
    sky = np.linspace(200, 215, 160).astype(np.uint8)
    picture = scene.copy()
    picture[:50] = sky[None, :, None]
    assert found(picture) == {}
    picture[:50] = np.linspace(200, 215, 50).astype(np.uint8)[:, None, None]
    assert found(picture) == {}


@pytest.mark.parametrize("slope", [0.3, 0.8, 1.0, 1.25, 2.0])
def test_a_gradient_is_no_bar(slope):
    rows = np.clip(20 + slope * np.arange(120), 0, 255).astype(np.uint8)
    assert found(np.broadcast_to(rows[:, None, None], (120, 160, 3)).copy()) == {}


@pytest.mark.parametrize("slope", [3, 4, 5, 6, 7])
@pytest.mark.parametrize("calm", [4, 12, 50])
@pytest.mark.parametrize("tint", [(1, 1, 1), (1, 1, 0)])
def test_a_calm_area_that_ends_in_a_ramp_is_no_bar(slope, calm, tint):
    rows = np.clip(20 + slope * np.maximum(0, np.arange(120) - calm), 0, 255)
    picture = (rows[:, None, None] * np.array(tint)).astype(np.uint8)
    assert found(np.broadcast_to(picture, (120, 160, 3)).copy()) == {}


def test_a_bright_sky_over_a_ragged_skyline_is_no_bar(scene):
    picture = scene.copy()
    heights = 40 + (np.arange(160) * 7919 % 25)
    picture[np.arange(120)[:, None] < heights[None, :]] = 255
    assert found(picture) == {}


def test_bars_go_on_straight_and_keep_out_of_the_scene(scene):
    picture = framed(scene, BLACK, up=20, down=24)
    sides = Sides(left=40, right=30, up=15, down=10)
    extension = extend(picture, sides, seed=3)
    made = extension.pixels
    assert made.shape == (145, 230, 3)
    assert np.array_equal(made[15:135, 40:200], picture)
    assert not made[:35].any()
    assert not made[111:].any()
    assert made[35:111].min() > 30
    assert (extension.confidence_map[:35] == 255).all()
    assert (extension.confidence_map[111:] == 255).all()
    assert extension.confidence_map[35:111, 0].max() < 255


@pytest.mark.parametrize("colour", [BLACK, WHITE, RED])
def test_a_frame_all_round_is_continued_flat(scene, colour):
    picture = framed(scene, colour, up=12, down=12, left=12, right=12)
    extension = extend(picture, Sides(left=9, right=200, up=1, down=50), seed=0)
    made = np.ones(extension.pixels.shape[:2], bool)
    made[1:121, 9:169] = False
    assert (extension.pixels[made] == colour).all()
    assert np.array_equal(extension.pixels[1:121, 9:169], picture)
    assert extension.confidence == 1.0


def test_a_product_on_white_needs_no_straight_end():
    y, x = np.mgrid[0:100, 0:100]
    picture = np.full((100, 100, 3), 255, np.uint8)
    picture[(y - 50) ** 2 + (x - 50) ** 2 < 40**2] = RED
    made = extend(picture, Sides(left=30, down=30), seed=0).pixels
    assert (made[100:] == 255).all()
    assert (made[:, :30] == 255).all()


@pytest.mark.parametrize(
    ("channels", "dtype"), [(1, np.uint8), (2, np.uint8), (4, np.uint8), (3, np.uint16), (4, np.uint16)]
)
def test_all_kinds_of_pixels(draw, channels, dtype):
    photo = (draw(64, 80, channels, dtype) // 3 + np.iinfo(dtype).max // 4).astype(dtype)
    if channels in (2, 4):
        photo[..., -1] = np.iinfo(dtype).max
    picture = framed(photo, np.iinfo(dtype).max, up=8, down=8, left=8, right=8)
    extension = extend(picture, Sides(left=20, up=5), seed=0)
    assert (extension.pixels[:, :20] == np.iinfo(dtype).max).all()
    assert (extension.pixels[:5] == np.iinfo(dtype).max).all()
    assert np.array_equal(extension.pixels[5:, 20:], picture)


def test_a_photo_with_transparent_pixels_has_no_bars(draw):
    picture = framed(draw(64, 80, 4), (0, 0, 0, 0), up=8, down=8)
    assert found(picture) == {}


def test_a_uniform_photo_is_continued_flat():
    extension = extend(np.full((16, 40, 3), 90, np.uint8), Sides(left=25, down=70), seed=0)
    assert (extension.pixels == 90).all()
    assert extension.confidence == 1.0


def test_a_bar_that_is_cropped_away_is_none(scene):
    picture = framed(scene, BLACK, up=20)
    made = extend(picture, Sides(up=-20, left=30), seed=0).pixels
    assert made.shape == (100, 190, 3)
    assert made.min() > 30
    part = extend(picture, Sides(up=-5, left=30), seed=0).pixels
    assert not part[:15].any()
    assert part[15:].min() > 30


def test_a_pattern_of_stripes_is_not_peeled_line_by_line():
    stripes = np.zeros((120, 90, 3), np.uint8)
    stripes[np.arange(120) // 10 % 2 == 0] = 200
    assert sum(found(stripes).values()) < 60

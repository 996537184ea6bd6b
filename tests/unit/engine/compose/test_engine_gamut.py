"""Corrections that shift to colours the photo does not have, each step against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import ONE_THREAD, RNG, copies_of

from uncrop.engine.compose.chroma_shift import MAX_CHROMA_SHIFT
from uncrop.engine.compose.gamut import (
    BIN,
    TOLERANCE,
    add_cells,
    add_copies,
    blurred,
    bound_colours,
    palette,
    photo_colours,
    shift_to_palette_rows,
)
from uncrop.engine.compose.seams import Copies
from uncrop.engine.runtime.thread_pool import ThreadPool

LIGHT = np.array([0.299, 0.587, 0.114])


def opposed(colour: np.ndarray) -> np.ndarray:
    """Return half the luma, and red and blue less luma, of (..., 1 or 3) colours."""
    rgb = colour if colour.shape[-1] == 3 else colour.repeat(3, -1)
    light = rgb @ LIGHT
    return np.stack([light / 2, rgb[..., 0] - light, rgb[..., 2] - light], -1)


def beside(photo: np.ndarray, width: int, source: int) -> Copies:
    """Return a canvas of ``width`` whose right part copies the photo's column ``source``."""
    rows, cols = photo.shape[:2]
    origin = np.full((rows, width), -1, np.int32)
    origin[:, cols:] = np.arange(rows)[:, None] * cols + source
    return copies_of(photo, origin, (0, rows, 0, cols))


def two_coloured() -> np.ndarray:
    """Return a photo (256, 64, 3) of which the upper half is blue and the lower half is grey."""
    photo = np.empty((256, 64, 3), np.uint8)
    photo[:128], photo[128:] = (60, 90, 160), (120, 120, 120)
    return photo


def drifted(shift: tuple[float, float, float]) -> tuple[Copies, list[np.ndarray]]:
    """Return copies to the right of that photo, and corrections that shift them by as many levels."""
    copies = beside(two_coloured(), 256, 30)
    cells = [np.zeros((128, 128), np.float32) for _ in range(3)]
    for plane, level in zip(cells, shift, strict=True):
        plane[:, 32:] = level
    return copies, cells


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_colours_are_the_means_of_whole_opaque_blocks(dtype, scale, channels):
    colour = RNG.integers(0, np.iinfo(dtype).max + 1, (20, 27, channels)).astype(dtype)
    opaque = np.ones((20, 27), bool)
    opaque[9, 17] = False
    copies = copies_of(colour, np.full((20, 27), -1, np.int32), (0, 20, 0, 27), opaque)
    found = np.empty((2, 3, 3), np.float32)
    photo_colours(copies, 0, 2, found)
    means = (colour[:16, :24] / scale).reshape(2, 8, 3, 8, channels).mean((1, 3))
    expected = opposed(means)
    expected[1, 2, 0] = -1
    assert np.allclose(found, expected, atol=0.01)


def test_a_palette_has_one_colour_of_each_bin_and_none_of_transparent_blocks():
    photo = two_coloured()
    opaque = np.ones((256, 64), bool)
    photo[:8, :8], opaque[3, 3] = (255, 0, 0), False
    copies = copies_of(photo, np.full((256, 64), -1, np.int32), (0, 256, 0, 64), opaque)
    expected = np.floor(opposed(np.array([(60, 90, 160), (120, 120, 120)])) / BIN + 0.5) * BIN
    assert np.allclose(np.sort(palette(copies, ONE_THREAD), 0), np.sort(expected, 0))


@pytest.mark.parametrize("channels", [1, 3])
def test_blocks_have_the_means_of_copies_and_corrections(channels):
    colour = RNG.integers(0, 256, (16, 16, channels), dtype=np.uint8)
    origin = RNG.integers(0, 256, (29, 35)).astype(np.int32)
    origin[:16, :16] = -1
    copies = copies_of(colour, origin, (0, 16, 0, 16))
    cells = [RNG.normal(0, 20, (15, 18)).astype(np.float32) for _ in range(channels)]
    made = np.zeros((4, 5, channels), np.float32)
    for k, plane in enumerate(cells):
        add_cells(plane, 0, 4, k, made)
    add_copies(copies, 0, 4, made)
    for row, col in np.ndindex(4, 5):
        expected = np.array([p[4 * row : 4 * row + 4, 4 * col : 4 * col + 4].mean() for p in cells])
        if row >= 2 or col >= 2:
            source = origin[8 * row : 8 * row + 8, 8 * col : 8 * col + 8]
            expected += colour.reshape(-1, channels)[source].mean((0, 1))
        assert np.allclose(made[row, col], expected, atol=0.01)


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_far_from_all_colours_is_led_near_to_the_nearest(channels):
    colours = opposed(RNG.uniform(0, 255, (9, channels))).astype(np.float32)
    means = RNG.uniform(-120, 380, (6, 50, channels)).astype(np.float32)
    made = means.copy()
    shift_to_palette_rows(colours, np.array([0, 8, 0, 16]), 0, 6, made)
    moved = 0
    for row, col in np.ndindex(6, 50):
        shift = made[row, col]
        gaps = colours - opposed(means[row, col])
        square = (gaps**2).sum(1)
        nearest = square.argmin()
        if (row == 0 and col < 2) or square[nearest] <= TOLERANCE**2:
            assert (shift == 0).all()
            continue
        moved += 1
        left = colours[nearest] - opposed(means[row, col] + shift)
        assert np.linalg.norm(left) == pytest.approx(TOLERANCE, abs=0.02)
        assert np.allclose(left / TOLERANCE, gaps[nearest] / np.sqrt(square[nearest]), atol=0.01)
    assert moved > 30


def test_a_blur_keeps_what_is_even_and_spreads_what_is_not():
    even = np.full((9, 12, 3), 7, np.float32)
    assert np.array_equal(blurred(even), even)
    point = np.zeros((41, 41, 1), np.float32)
    point[20, 20] = 100
    spread = blurred(point)[..., 0]
    assert spread.sum() == pytest.approx(100, rel=1e-4)
    assert (spread.sum(0) * (np.arange(41) - 20) ** 2).sum() / 100 == pytest.approx(4, rel=1e-3)
    assert np.allclose(spread, spread.T)


def test_a_shift_to_a_colour_of_the_photo_is_left_alone():
    for shift in ((0, 0, 0), (60, 30, -40), (3, -3, 4)):  # nothing; blue to grey; a little
        copies, cells = drifted(shift)
        before = [plane.copy() for plane in cells]
        bound_colours(copies, cells, ONE_THREAD)
        part = np.s_[:24, 32:] if shift[0] == 60 else np.s_[:, 32:]
        assert all(np.array_equal(a[part], b[part]) for a, b in zip(cells, before, strict=True))


def test_a_shift_to_a_strange_colour_is_pulled_back_smoothly():
    copies, cells = drifted((0, 0, 90))
    bound_colours(copies, cells, ONE_THREAD)
    assert all((plane[:, :32] == 0).all() for plane in cells)
    found = np.stack(cells, -1)
    made = found[:, 64:] + copies.data.reshape(256, 64, 3)[::2, :1]
    colours = palette(copies, ONE_THREAD)
    distance = np.sqrt(((opposed(made)[:, :, None] - colours) ** 2).sum(-1)).min(-1)
    assert distance[:24].max() < TOLERANCE + 0.1
    assert distance[-24:].max() < TOLERANCE + 0.1
    assert distance[24:-24].max() < 5 * TOLERANCE  # of 80: where the halves meet their pulls are blurred
    assert np.abs(np.diff(found[:, 32:], axis=1)).max() < 8
    assert np.abs(np.diff(found[:, 32:], axis=0)).max() < 8


def test_a_shift_that_grows_with_the_distance_is_pulled_back():
    shift = np.array((29, -1, -71))  # from the blue to the grey of the same lightness
    copies, cells = drifted((0, 0, 0))
    for plane, level in zip(cells, shift, strict=True):
        plane[:, 32:] = level * np.linspace(0, 1, 96)
    bound_colours(copies, cells, ONE_THREAD)
    made = opposed(np.stack(cells, -1))
    assert np.abs(made[..., 0]).max() < 0.1
    size = np.linalg.norm(made[..., 1:], axis=-1)
    assert MAX_CHROMA_SHIFT < size[:, 64:].min() <= size[:, 64:].max() < 2 * MAX_CHROMA_SHIFT  # of 25 to 77
    assert np.abs(np.diff(size, axis=1)).max() < 2


def test_a_pull_is_the_same_for_any_number_of_threads():
    copies, cells = drifted((40, -70, 80))
    others = [plane.copy() for plane in cells]
    bound_colours(copies, cells, ONE_THREAD)
    with ThreadPool(3, lambda: None) as pool:
        bound_colours(copies, others, pool)
    assert all(np.array_equal(a, b) for a, b in zip(cells, others, strict=True))


def test_a_photo_without_a_whole_block_pulls_nothing():
    photo = np.full((7, 40, 3), 100, np.uint8)
    copies = beside(photo, 80, 5)
    cells = [np.full((4, 40), 90, np.float32) for _ in range(3)]
    bound_colours(copies, cells, ONE_THREAD)
    assert all((plane == 90).all() for plane in cells)

"""Pictures repainted at another scale or place are found where they are, and others are left alone."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from uncrop.imaging import codec
from uncrop.model import Rect
from uncrop.placement import kernels
from uncrop.placement.alignment import Alignment, Axis, alike, find_alignment, refine
from uncrop.placement.thumbnails import likeness, relief, take
from uncrop.testing.pictures import photo

Bytes = np.ndarray[Any, Any]
MARGIN = 40


def repainted(scene: Bytes, scale: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)) -> tuple[Bytes, Bytes]:
    """Return the inner part of a scene, and the same as it looks enlarged about its middle, then shifted."""
    height, width = (extent - 2 * MARGIN for extent in scene.shape[:2])
    left = MARGIN + width / 2 - (width / 2 + shift[0]) / scale
    top = MARGIN + height / 2 - (height / 2 + shift[1]) / scale
    box = (left, top, left + width / scale, top + height / scale)
    return scene[MARGIN:-MARGIN, MARGIN:-MARGIN], codec.resize(scene, width, height, box=box)


def scene(width: int = 360, height: int = 300, seed: int = 0) -> Bytes:
    return np.asarray(photo(width + 2 * MARGIN, height + 2 * MARGIN, seed=seed))


def whole(pixels: Bytes) -> Rect:
    return Rect(x=0, y=0, width=pixels.shape[1], height=pixels.shape[0])


def error(found: Alignment | None, size: tuple[int, int], scale: float, shift: tuple[float, float]) -> float:
    """Return how far off the finding is at the worst corner, in pixels."""
    assert found is not None
    ends = [
        abs(axis.at(place) - ((place - extent / 2) * scale + extent / 2 + moved))
        for axis, extent, moved in ((found.across, size[0], shift[0]), (found.down, size[1], shift[1]))
        for place in (0, extent)
    ]
    return float(max(ends))


@pytest.mark.parametrize(
    ("scale", "shift"), [*product((0.95, 0.97, 1.01, 1.05), ((0, 0), (12, -12))), (1.0, (12, 5)), (1.0, (-1, 2))]
)
def test_scale_and_shift_are_found_to_a_fraction_of_a_pixel(scale: float, shift: tuple[float, float]) -> None:
    original, made = repainted(scene(), scale, shift)
    darker = np.clip(made.astype(int) - (10, 4, 7), 0, 255).astype(np.uint8)
    assert error(find_alignment(original, None, darker, whole(original)), (360, 300), scale, shift) < 0.3


def test_what_lies_behind_the_mask_does_not_count() -> None:
    original, made = repainted(scene(), 1.03, (4, -6))
    y, x = np.mgrid[0:300, 0:360]
    hole = (x - 200) ** 2 + (y - 140) ** 2 < 80**2
    original = np.where(hole[..., None], photo(360, 300, seed=5), original).astype(np.uint8)
    opacity = np.where(hole, 0, 255).astype(np.uint8)
    assert error(find_alignment(original, opacity, made, whole(original)), (360, 300), 1.03, (4, -6)) < 0.3


def test_a_photo_inside_its_canvas_is_found_from_its_own_corner() -> None:
    everything, made = repainted(scene(), 1.0, (5, 3))
    kept = Rect(x=61, y=43, width=240, height=200)
    found = find_alignment(everything[43:243, 61:301], None, made, kept)
    assert error(found, (240, 200), 1.0, (5, 3)) < 0.2


def test_what_has_not_strayed_is_left_alone() -> None:
    original, _ = repainted(scene())
    noisy = np.clip(original + np.random.default_rng(1).normal(0, 8, original.shape), 0, 255).astype(np.uint8)
    half, _ = repainted(scene(), 1.0, (0.1, 0.1))
    for made in (original, noisy, original // 2 + 60, half):
        assert find_alignment(original, None, made, whole(original)) is None


def test_another_picture_is_not_bent_to_the_photo() -> None:
    original, _ = repainted(scene())
    for other in (scene(seed=9)[MARGIN:-MARGIN, MARGIN:-MARGIN], original[:, ::-1], np.zeros_like(original)):
        assert find_alignment(original, None, other, whole(original)) is None


@pytest.mark.parametrize(
    "original",
    [photo(12, 12), np.full((300, 300, 3), 90, np.uint8), photo(400, 3)],
    ids=["tiny", "flat", "a line"],
)
def test_what_proves_nothing_is_left_alone(original: Bytes) -> None:
    assert find_alignment(original, None, np.roll(original, 3, axis=1), whole(original)) is None


def test_a_large_picture_is_looked_at_in_finer_and_finer_cells() -> None:
    large = codec.resize(scene(700, 560), 1560, 1280)
    original, made = repainted(large, 1.02)
    size = (original.shape[1], original.shape[0])
    assert error(find_alignment(original, None, made, whole(original)), size, 1.02, (0, 0)) < 0.6


def test_shifts_change_with_the_unit_and_scales_do_not() -> None:
    alignment = Alignment(across=Axis(scale=1.1, shift=6), down=Axis(scale=0.9, shift=-4))
    assert alignment.in_cells(2) == Alignment(across=Axis(scale=1.1, shift=3), down=Axis(scale=0.9, shift=-2))
    assert alignment.farthest(100, 10) == pytest.approx(16)


# --- the cells -------------------------------------------------------------------------------------------------------


def test_cells_hold_the_mean_brightness_and_begin_where_the_photo_does() -> None:
    canvas = np.asarray(photo(50, 44))
    kept = Rect(x=9, y=6, width=37, height=30)
    pictures = take(canvas[6:36, 9:46], None, canvas, kept, 4)
    assert pictures.original.shape == (7, 9)
    assert (pictures.top, pictures.left) == (1, 2)
    assert np.array_equal(pictures.made[1:8, 2:11], pictures.original)
    cell = canvas[6:10, 9:13].reshape(-1, 3).astype(float) @ (77, 150, 29) / 256
    assert pictures.original[0, 0] == pytest.approx(cell.mean(), abs=1e-3)
    half = pictures.halved()
    assert (half.top, half.left, half.original.shape) == (0, 1, (3, 4))
    assert np.array_equal(half.made[0:3, 1:5], half.original)


def test_a_cell_with_a_pixel_that_is_made_is_not_known() -> None:
    pixels, opacity = np.asarray(photo(32, 32)), np.full((32, 32), 255, np.uint8)
    opacity[5, 11] = 254
    known = take(pixels, opacity, pixels, whole(pixels), 4).known
    assert known[1, 2] == 0
    assert known.sum() == 63


def test_a_relief_knows_no_tone_and_a_likeness_no_strength() -> None:
    cells, known = np.asarray(photo(40, 40, channels=1))[..., 0].astype(np.float32), np.ones((40, 40), np.float32)
    one, other = relief(cells, known), relief(cells * 0.5 + 30, known)
    assert likeness(one, other, known) == pytest.approx(1, abs=1e-4)
    assert likeness(one, np.zeros_like(one), known) == 0


def test_a_step_where_nothing_is_known_changes_nothing() -> None:
    pixels = np.asarray(photo(64, 64))
    pictures = take(pixels, np.zeros((64, 64), np.uint8), pixels, whole(pixels), 4)
    assert refine(pictures, Alignment()) == Alignment()
    assert alike(pictures, Alignment()) == 0


def test_the_kernels_say_the_same_without_being_compiled() -> None:
    pixels, edges = np.asarray(photo(24, 24)), np.arange(0, 25, 8, dtype=np.int32)
    opacity = np.full((24, 24), 255, np.uint8)
    opacity[3, 20] = 0
    for name, source in (("cell_means", pixels), ("cells_kept", opacity)):
        one, other = np.empty((3, 3), np.float32), np.empty((3, 3), np.float32)
        getattr(kernels, name)(source, edges, edges, one)
        getattr(kernels, name).py_func(source, edges, edges, other)
        assert np.array_equal(one, other)


@pytest.mark.parametrize("size", [(4000, 60), (60, 4000), (2000, 16), (9, 7), (1, 1), (3000, 130)])
@pytest.mark.parametrize("opacity", [None, 0, 255])
def test_thin_and_tiny_photos_are_no_hindrance(size: tuple[int, int], opacity: int | None) -> None:
    width, height = size
    pixels = np.random.default_rng(3).integers(0, 255, (height, width, 3)).astype(np.uint8)
    covered = None if opacity is None else np.full((height, width), opacity, np.uint8)
    for made in (pixels, np.ascontiguousarray(pixels[::-1, ::-1])):
        assert find_alignment(pixels, covered, made, whole(pixels)) is None


def test_a_single_row_of_cells_tells_no_slope() -> None:
    pixels = np.random.default_rng(3).integers(0, 255, (4, 400, 3)).astype(np.uint8)
    cells = take(pixels, None, pixels, whole(pixels), 4)
    assert cells.known.shape[0] == 1
    assert not cells.can_be_halved
    assert refine(cells, Alignment()) == Alignment()

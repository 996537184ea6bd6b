"""A photo that repeats itself is carried on at its period; a photo that does not is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.engine import choose, extend
from uncrop.engine.grow.periods import find_periods, means_along, periodic_candidates, self_differences
from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.presets import EVEN
from uncrop.model import Sides


def facade(height: int, width: int, down: float = 26, along: float = 20) -> np.ndarray:
    """Draw a wall with even windows and a grain of 6 levels."""
    y, x = np.mgrid[0:height, 0:width]
    window = ((x % along > along / 3) & (y % down > down / 3))[..., None]
    grain = np.random.default_rng(2).normal(0, 6, (height, width, 1))
    return np.clip(np.where(window, (60, 75, 95), (190, 170, 150)) + grain, 0, 255).astype(np.uint8)


def shore(height: int, width: int) -> np.ndarray:
    """Draw sky over noisy ground: moved sideways it differs little from itself, whatever the distance."""
    y = np.arange(height)[:, None, None]
    noise = np.random.default_rng(3).normal(0, 8, (height, width, 1))
    return np.clip(np.where(y < height // 2, (110, 150, 215), np.add((90, 110, 60), noise)), 0, 255).astype(np.uint8)


def test_self_differences_are_those_of_the_moved_photo():
    photo = np.random.default_rng(1).integers(0, 256, (13, 17, 4), dtype=np.uint8)
    found = self_differences(photo, 8, 11)
    assert found.shape == (17, 23)
    colours = photo[..., :3].astype(int)
    for down, along in np.ndindex(17, 23):
        dy, dx = down - 8, along - 11
        here = colours[max(0, dy) : 13 + min(0, dy), max(0, dx) : 17 + min(0, dx)]
        there = colours[max(0, -dy) : 13 + min(0, -dy), max(0, -dx) : 17 + min(0, -dx)]
        squares = int(np.square(here - there).sum())
        assert found[down, along] == 16 * squares // (here.shape[0] * here.shape[1])


def test_means_are_taken_on_the_way_through_a_shift():
    differences = np.arange(25 * 31).reshape(25, 31) ** 2
    shifts = np.array([(4, 0), (0, -7), (-5, 6), (8, 10)])
    expected = []
    for down, along in shifts:
        way = [0.5 + step / 30 for step in range(31)]
        places = [(int(np.floor(down * t + 0.5 + 1e-9)), int(np.floor(along * t + 0.5 + 1e-9))) for t in way]
        expected.append(np.mean([differences[12 + dy, 15 + dx] for dy, dx in places]))
    assert means_along(differences, shifts) == pytest.approx(expected)


@pytest.mark.parametrize(("down", "along"), [(26, 20), (13, 31), (17.5, 22.3)])
def test_every_period_is_found_and_nothing_else(down, along):
    found = find_periods(facade(144, 192, down, along))
    for period in ((round(down), 0), (0, round(along))):
        for sign in (1, -1):
            assert np.abs(found - np.multiply(sign, period)).max(axis=1).min() <= 1
    cells = found / (down, along)
    assert np.abs((cells - np.rint(cells)) * (down, along)).max() <= 1
    assert (np.diff(np.square(found).sum(axis=1)) >= 0).all()
    assert np.abs(found).max(axis=0).tolist() <= [72, 96]


@pytest.mark.parametrize(
    "photo",
    [
        np.full((144, 192, 4), 77, np.uint8),
        np.random.default_rng(0).integers(0, 256, (144, 192, 4), dtype=np.uint8),
        np.broadcast_to(np.arange(192, dtype=np.uint8)[None, :, None], (144, 192, 4)),
        shore(144, 192),
        facade(11, 300),
    ],
    ids=["flat", "noise", "ramp", "shore", "too thin"],
)
def test_what_does_not_repeat_has_no_period(photo):
    assert find_periods(photo).shape == (0, 2)
    canvas = CanvasGeometry(
        height=photo.shape[0] + 40, width=photo.shape[1], top=40, left=0, rows=photo.shape[0], cols=192
    )
    assert periodic_candidates(canvas, photo) == []


def test_the_prior_allows_a_cell_of_the_lattice():
    canvas = CanvasGeometry(height=200, width=240, top=30, left=20, rows=144, cols=192)
    for strictness, periods in periodic_candidates(canvas, facade(144, 192)):
        assert strictness.dead_rows * 144 == pytest.approx(EVEN.dead_rows * 144 + 26)
        assert strictness.dead_cols * 192 == pytest.approx(EVEN.dead_cols * 192 + 20)
        assert (periods.top, periods.left) == (30, 20)


@pytest.mark.parametrize(
    ("quality", "down", "along"),
    [
        ("fast", 26, 20),
        pytest.param("standard", 26, 20, marks=pytest.mark.slow),
        pytest.param("standard", 36.6, 29.2, marks=pytest.mark.slow),
        pytest.param("best", 26, 20, marks=pytest.mark.slow),
    ],
)
def test_even_windows_go_on_evenly(quality, down, along, monkeypatch):
    truth = facade(240, 320, down, along)
    photo, sides = np.ascontiguousarray(truth[40:-40, 50:-50]), Sides(left=50, right=50, up=40, down=40)

    def error(threads: int) -> float:
        made = extend(photo, sides, seed=1, quality=quality, threads=threads).pixels
        return float(np.abs(made.astype(int) - truth).sum() / 3 / (truth[..., 0].size - photo[..., 0].size))

    assert error(1) == error(3) < 10  # the grain alone makes 6.8
    monkeypatch.setattr(choose, "periodic_candidates", lambda *_: [])
    assert error(1) > 25


def test_a_photo_without_a_period_is_not_touched(draw, monkeypatch):
    photo, sides = draw(120, 160), Sides(left=30, up=20)
    expected = extend(photo, sides, seed=1).pixels
    monkeypatch.setattr(choose, "periodic_candidates", lambda *_: [])
    assert np.array_equal(extend(photo, sides, seed=1).pixels, expected)

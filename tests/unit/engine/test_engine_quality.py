"""What is made looks like the photo: no seam, no kaleidoscope, sky above and ground below."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.engine import extend
from uncrop.engine.confidence import advise, coarse_confidence
from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.search.patch_field import make_field
from uncrop.model import Rect, Sides

SIDES = Sides(left=64, right=64, up=40, down=40)


def excess(lines: np.ndarray) -> float:
    """Return by how much the step between the middle two of four parallel lines exceeds the local slopes."""
    steps = np.abs(np.diff(lines.astype(float), axis=0))
    return float(np.maximum(0, steps[1] - (steps[0] + steps[2]) / 2).mean())


def seam(pixels: np.ndarray, start: int, stop: int, axis: int) -> float:
    """Return the border's visibility in standard deviations of the same measure on lines inside the photo."""
    lines = np.moveaxis(pixels.astype(float).mean(axis=2), axis, 0)
    inner = [excess(lines[at - 2 : at + 2]) for at in range(start + 8, stop - 8, 3)]
    border = [excess(lines[at - 2 : at + 2]) for at in (start, stop)]
    return float((np.mean(border) - np.mean(inner)) / (np.std(inner) + 0.05))


@pytest.fixture(scope="module")
def photo(draw) -> np.ndarray:
    picture: np.ndarray = draw(240, 320)
    return picture


@pytest.fixture(scope="module", params=["fast", "standard", "best"])
def extended(request, photo) -> np.ndarray:
    return extend(photo, SIDES, seed=3, quality=request.param).pixels


def test_borders_cannot_be_seen(extended):
    assert seam(extended[:, 64:384], 40, 280, axis=0) < 3
    assert seam(extended[40:280], 64, 384, axis=1) < 3


def test_it_is_no_kaleidoscope(photo, extended):
    reflected = np.pad(photo, ((40, 40), (64, 64), (0, 0)), mode="reflect").astype(float)
    ground = photo[200:].mean(axis=(0, 1))
    random_below = np.s_[-38:, 64:384]
    mirror = np.corrcoef((extended[random_below] - ground).ravel(), (reflected[random_below] - ground).ravel())[0, 1]
    assert mirror < 0.6


def test_sky_stays_above_and_ground_below(extended):
    blue = extended[..., 2].astype(int) - extended[..., 1]
    assert blue[:40].min() > 0
    assert blue[-40:].max() < 40


def test_ground_keeps_its_grain(photo, extended):
    grain = [np.abs(np.diff(part[..., 1].astype(int), axis=1)).mean() for part in (photo[200:], extended[-40:])]
    assert 0.8 < grain[1] / grain[0] < 1.2


def test_a_flat_picture_stays_flat():
    image = np.full((40, 50, 3), (10, 120, 240), np.uint8)
    result = extend(image, Sides(left=30, down=20), seed=0)
    assert (result.pixels == (10, 120, 240)).all()
    assert result.confidence > 0.5


def test_transparent_parts_are_never_copied(draw):
    image = draw(80, 100, 4)
    image[30:50, 30:60, 3] = 0
    image[30:50, 30:60, :3] = (255, 0, 255)
    result = extend(image, Sides(left=50, right=50), seed=1).pixels
    assert (result[:, :50, 3] == 255).all()
    magenta = (result[:, :, 0] > 200) & (result[:, :, 1] < 60)
    assert not magenta[:, :50].any()
    assert not magenta[:, 150:].any()


def test_a_transparent_border_is_continued_transparent(draw):
    image = draw(60, 60, 4)
    image[20:40, :, 3] = 0
    result = extend(image, Sides(left=15), seed=1).pixels
    assert (result[20:40, :15, 3] == 0).all()
    assert (result[:20, :15, 3] == 255).all()


def test_a_wholly_transparent_picture_is_continued_flat(draw):
    image = draw(40, 40, 2)
    image[..., 1] = 0
    result = extend(image, Sides(right=10), seed=0)
    assert (result.pixels[:, 40:, 1] == 0).all()
    assert np.array_equal(result.pixels[:, 45], image[:, 39])
    assert result.confidence == 0.0


def test_sixteen_bits_use_more_than_eight(draw):
    rng = np.random.default_rng(0)
    image = rng.integers(20_000, 21_000, (60, 60, 3)).astype(np.uint16)
    made = extend(image, Sides(left=20), seed=0).pixels[:, :20]
    assert len(np.unique(made)) > 500
    assert made.min() > 18_000
    assert made.max() < 23_000


def test_confidence_falls_with_the_distance(draw):
    trust = extend(draw(120, 160), Sides(right=120), seed=0).confidence_map[:, 160:].astype(int).mean(axis=0)
    assert trust[:20].mean() > trust[-20:].mean() + 20


def test_confidence_falls_with_every_doubling_and_with_the_distance():
    canvas = CanvasGeometry(height=60, width=90, top=10, left=20, rows=40, cols=50)
    field = make_field(canvas, np.zeros((40, 50, 4), np.uint8))
    field.costs[:] = 49 * 15
    apart = np.full((60, 90), 31.0)
    trust = coarse_confidence(field, apart).astype(float) / 255
    near, far = trust[30, 19], trust[30, 0]
    assert near == pytest.approx(0.836 - 4 * 0.038 - 5 * 0.0275 - 0.209 / 40, abs=0.003)
    assert near - far == pytest.approx(0.209 * 19 / 40, abs=0.005)
    assert (np.diff(trust[30, :20]) >= 0).all()
    field.costs[:] = 49 * 31
    worse = coarse_confidence(field, apart).astype(float) / 255
    assert near - worse[30, 19] == pytest.approx(0.038, abs=0.005)
    assert worse[30, 19] - coarse_confidence(field, 2 * apart + 1)[30, 19] / 255 == pytest.approx(0.0275, abs=0.005)
    assert np.array_equal(coarse_confidence(field, None), coarse_confidence(field, field.costs / 49))


def test_advice_counts_the_lines_that_can_be_trusted():
    trust = np.full((10, 12), 255, np.uint8)
    trust[:2] = 90
    trust[0] = trust[:, 11] = 120
    trust[8:, 3:5] = 0
    kept = Rect(x=1, y=3, width=8, height=5)
    assert advise(trust, kept) == Sides(up=1, down=2, left=1, right=3)


def test_advice_stays_within_what_was_asked(draw):
    image = draw(60, 80)
    advice = extend(image, Sides(right=200, up=4), seed=0).advice
    assert advice is not None
    assert (advice.left, advice.down, advice.up) == (0, 0, 4)
    assert 0 < advice.right < 200
    assert extend(image, Sides(left=-5), seed=0).advice is None

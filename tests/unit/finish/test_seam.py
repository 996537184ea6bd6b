"""What a provider repainted larger, shifted or darker meets the photo along masks of any shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from test_finish import cut, fill_of, task_of

from uncrop.finish import seam
from uncrop.finish.pipeline import finish
from uncrop.finish.seam import blend_seam
from uncrop.finish.visibility import seam_visibility
from uncrop.finish.work import begin
from uncrop.geometry.sizes import placement_of_size
from uncrop.imaging import codec
from uncrop.model import Sides, Task
from uncrop.providers.openai.facts import FACTS as OPENAI
from uncrop.testing.pictures import photo

Bytes = np.ndarray[Any, Any]
HEIGHT, WIDTH, ROOM = 300, 360, 40
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
SIDES = Sides(left=64, right=40, up=48, down=32)
MASKS = {
    "a circle": (X - 190) ** 2 + (Y - 140) ** 2 < 80**2,
    "a wavy strip": (X - 25 * np.sin(Y / 29)) > 230,
    "a triangle": (Y > 70) & (Y < 260) & (abs(X - 170) < (Y - 70) * 0.6),
    "a corner": (X > 200) & (Y > 160),
    "two holes": ((X - 100) ** 2 + (Y - 90) ** 2 < 50**2) | ((X - 260) ** 2 + (Y - 200) ** 2 < 60**2),
}
REPAINTS: dict[str, tuple[float, tuple[float, float], float]] = {
    "4 % larger": (1.04, (0, 0), 0),
    "5 % smaller": (0.95, (0, 0), 0),
    "12 px off": (1, (12, -12), 0),
    "half a pixel off": (1, (0.5, -0.5), 0),
    "10 levels darker": (1, (0, 0), -10),
    "all of it": (1.03, (-7, 9), 10),
}


def scene(seed: int = 0) -> Bytes:
    return np.asarray(photo(WIDTH + 2 * ROOM, HEIGHT + 2 * ROOM, seed=seed))


def repaint(of: Bytes, scale: float, shift: tuple[float, float], tone: float) -> Bytes:
    """Return the inner part of a scene as a provider might repaint it: about its middle, then shifted, then toned."""
    left = ROOM + WIDTH / 2 - (WIDTH / 2 + shift[0]) / scale
    top = ROOM + HEIGHT / 2 - (HEIGHT / 2 + shift[1]) / scale
    made = codec.resize(of, WIDTH, HEIGHT, box=(left, top, left + WIDTH / scale, top + HEIGHT / scale))
    return np.clip(made + np.float64(tone), 0, 255).astype(np.uint8)


def asked(truth: Bytes, mask: Bytes | None) -> tuple[Task, Bytes]:
    """Return a task whose answer is the truth, and what is to be made."""
    if mask is None:
        given, canvas = cut(truth, SIDES)
        made = np.ones((HEIGHT, WIDTH), bool)
        made[SIDES.up : HEIGHT - SIDES.down, SIDES.left : WIDTH - SIDES.right] = False
        return task_of(given, canvas), made
    given = np.where(mask[..., None], truth[::-1, ::-1], truth).astype(np.uint8)  # what is masked shows something else
    return task_of(given, placement_of_size(WIDTH, HEIGHT, None), mask, OPENAI), mask


def finished(truth: Bytes, made: Bytes, mask: Bytes | None) -> tuple[Bytes, Bytes]:
    task, hole = asked(truth, mask)
    return np.asarray(finish(task, fill_of(made.copy())).pixels), hole


def visibility(pixels: Bytes, hole: Bytes) -> float:
    found = seam_visibility(pixels, hole)
    assert found is not None
    return found


@pytest.mark.parametrize("repainted", REPAINTS)
@pytest.mark.parametrize("mask", ["sides", *MASKS])
def test_no_edge_is_left_along_any_outline(mask: str, repainted: str) -> None:
    whole = scene()
    truth, made = repaint(whole, 1, (0, 0), 0), repaint(whole, *REPAINTS[repainted])
    pixels, hole = finished(truth, made, MASKS.get(mask))
    assert np.array_equal(pixels[~hole], truth[~hole])
    # The truth itself has edges; they are no seam.
    assert visibility(pixels, hole) < max(1.5, visibility(truth, hole) + 1)
    if REPAINTS[repainted][1] != (0.5, -0.5):
        pasted = np.where(hole[..., None], made, truth).astype(np.uint8)
        assert visibility(pasted, hole) > visibility(pixels, hole) + 1


@pytest.mark.parametrize("mask", ["sides", *MASKS])
def test_the_truth_is_left_as_it_is(mask: str) -> None:
    truth = repaint(scene(3), 1, (0, 0), 0)
    assert np.array_equal(finished(truth, truth, MASKS.get(mask))[0], truth)


def test_what_was_aligned_shows_the_truth_beyond_the_seam_too() -> None:
    whole, mask = scene(), MASKS["a circle"]
    truth, made = repaint(whole, 1, (0, 0), 0), repaint(whole, 1.04, (6, -5), -8)
    off = np.abs(finished(truth, made, mask)[0].astype(int) - truth)[mask].mean()
    assert off < 2
    assert np.abs(made.astype(int) - truth)[mask].mean() > 5 * off


@pytest.mark.parametrize("scale", [1.05, 0.95])
def test_what_is_missing_at_the_edges_is_stretched_to_there(scale: float) -> None:
    whole = scene()
    truth, made = repaint(whole, 1, (0, 0), 0), repaint(whole, scale, (8, 8), 0)
    pixels, hole = finished(truth, made, None)
    for lines in (pixels[:8], pixels[-8:], pixels[:, :8].swapaxes(0, 1), pixels[:, -8:].swapaxes(0, 1)):
        # No line is repeated to the edge.
        assert np.abs(lines[0].astype(int) - lines[-1]).mean() > 1
    assert np.array_equal(pixels[~hole], truth[~hole])


def test_the_seam_goes_round_corners_without_a_jump() -> None:
    flat = np.full((96, 96, 3), 100, np.uint8)
    mask = np.zeros((64, 64), bool)
    mask[:32, :32] = True
    task = task_of(flat[:64, :64], placement_of_size(64, 64, None), mask, OPENAI)
    made = np.full((64, 64, 3), 120, np.uint8)
    pixels = blend_seam(begin(task, fill_of(made))).pixels[:32, :32, 0].astype(int)
    assert (pixels[31] <= 101).all()
    assert (pixels[:, 31] <= 101).all()
    assert max(np.abs(np.diff(pixels, axis=axis)).max() for axis in (0, 1)) <= 6
    assert (pixels[:8, :8] == 120).all()


def test_rows_worked_on_together_leave_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = scene()
    truth, made = repaint(whole, 1, (0, 0), 0), repaint(whole, 1, (0, 0), 25)
    task, _ = asked(truth, MASKS["a circle"])
    at_once = blend_seam(begin(task, fill_of(made.copy()))).pixels
    monkeypatch.setattr(seam, "BAND", 37)
    assert np.array_equal(blend_seam(begin(task, fill_of(made.copy()))).pixels, at_once)


def test_the_visibility_is_that_of_straight_borders_by_hand() -> None:
    pixels, hole = repaint(scene(), 1, (0, 0), 0), np.zeros((HEIGHT, WIDTH), bool)
    hole[:100] = True
    pixels[:100] = np.minimum(pixels[:100], 235) + np.uint8(20)
    # Lightness by hand, in one colour: of greys it is nearly their level.
    grey = np.repeat(pixels.mean(axis=2, keepdims=True).round().astype(np.uint8), 3, axis=2)
    light = grey[..., 0].astype(float)

    def jump(at: int) -> float:
        steps = np.abs(np.diff(light[at - 2 : at + 2], axis=0))
        return float(np.maximum(0, steps[1] - (steps[0] + steps[2]) / 2).mean())

    usual = [jump(100 + inward) for inward in range(8, 64, 2)]
    assert visibility(grey, hole) == pytest.approx((jump(100) - np.mean(usual)) / np.std(usual), rel=0.15)


@pytest.mark.parametrize("turn", range(4))
def test_a_step_is_visible_from_every_direction_and_none_is_not(turn: int) -> None:
    pixels, hole = repaint(scene(), 1, (0, 0), 0), X > 200
    stepped = np.where(hole[..., None], np.minimum(pixels, 235) + 20, pixels).astype(np.uint8)
    assert visibility(np.rot90(stepped, turn), np.rot90(hole, turn)) > 10
    assert abs(visibility(np.rot90(pixels, turn), np.rot90(hole, turn))) < 2.5


def test_without_an_outline_or_with_too_little_photo_beside_it_nothing_is_visible() -> None:
    pixels = repaint(scene(), 1, (0, 0), 0)
    assert seam_visibility(pixels, np.zeros((HEIGHT, WIDTH), bool)) is None
    assert seam_visibility(pixels, np.ones((HEIGHT, WIDTH), bool)) is None
    assert seam_visibility(pixels[:20], X[:20] > 200) is not None
    assert seam_visibility(pixels[:20], Y[:20] > 10) is None

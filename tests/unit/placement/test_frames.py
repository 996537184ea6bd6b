"""Photo and mask on a frame: where they lie, to a fraction of a pixel, and that the way back is the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from uncrop.finish.pipeline import finish
from uncrop.geometry.planner import choose_frame, frame_of_size, on_grid
from uncrop.imaging import arrays, codec
from uncrop.model import Fill, Frame, PictureFacts, Placement, Rect, Sides, Task, UncropRequest
from uncrop.placement.frames import cut_canvas, draw_mask, draw_photo, fills, visible_part
from uncrop.providers.openai.facts import FACTS
from uncrop.providers.openai.models import FREE
from uncrop.testing.pictures import mask_png, photo
from uncrop.testing.workbench import make_task

TOLERANCE = 0.05  # pixels
# As FREE, but a good deal quicker: what is drawn is at most 150 000 pixels.
SMALL = replace(FREE, min_pixels=65_536, max_pixels=150_000)
WAVES = ((0.031, 0.0), (0.0, 0.043), (0.027, 0.019))  # cycles a pixel, one a channel: across, down, and both


def waves(width: int, height: int) -> np.ndarray[Any, Any]:
    """Draw three waves, whose phase tells where they lie to a thousandth of a pixel."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [np.sin(2 * np.pi * (across * x + down * y)) for across, down in WAVES]
    return np.round(127.5 + 100 * np.stack(planes, axis=2)).astype(np.uint8)


def task_of(pixels: np.ndarray[Any, Any], *, mask: bytes | None = None, size: str | None = None, **sides: int) -> Task:
    request = UncropRequest(provider="", image=codec.encode(pixels, "PNG"), mask=mask, size=size, sides=Sides(**sides))
    return make_task(request, FACTS)


def shift(first: np.ndarray[Any, Any], second: np.ndarray[Any, Any]) -> tuple[float, float]:
    """Return by how many pixels (across, down) the second picture lies off the first, by least squares."""
    one, two = first.astype(float), second.astype(float)
    down, across = np.gradient((one + two) / 2, axis=(0, 1))
    inner = (slice(4, -4), slice(4, -4))  # a resampling filter bends the rim
    slopes = np.stack([across[inner].ravel(), down[inner].ravel()], axis=1)
    found = np.linalg.lstsq(slopes, (one - two)[inner].ravel(), rcond=None)[0]
    return float(found[0]), float(found[1])


def place(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)


def whole_canvas(task: Task, frame: Frame) -> np.ndarray[Any, Any]:
    """Draw the photo on its canvas at full size, and bring the whole of it to the frame's scale."""
    placement: Placement = task.job.placement
    canvas = np.full((placement.height, placement.width, 3), 128, np.uint8)
    canvas[place(placement.kept)] = task.photo[place(placement.source)]
    small = codec.resize(canvas, frame.canvas.width, frame.canvas.height)
    drawn = np.full((frame.height, frame.width, 3), 128, np.uint8)
    drawn[place(frame.canvas)] = small
    return drawn


SIDES = [
    {"left": 101, "right": 33, "up": 57, "down": 11},
    {"left": 1},
    {"down": 777},
    {"left": -13, "right": 1999, "up": -7, "down": 3},
    {"right": 250, "up": 250},
]


def test_the_measure_of_a_shift_is_right() -> None:
    pixels = waves(200, 160)
    assert shift(pixels[10:, 10:], pixels[10:, 10:]) == (0, 0)
    moved = codec.resize(pixels, 190, 150, box=(5.3, 4.6, 195.3, 154.6))
    # What lies at (5.3, 4.6) is moved to (0, 0): against the part from (5, 5) by 0.3 left and 0.4 down.
    assert shift(pixels[5:155, 5:195], moved) == pytest.approx((-0.3, 0.4), abs=0.02)


@pytest.mark.parametrize("extent", [(701, 503), (333, 807), (180, 130)])
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_a_drawn_photo_lies_where_the_whole_canvas_would_put_it(extent: tuple[int, int], sides: dict[str, int]) -> None:
    task = task_of(waves(*extent), **sides)
    frame = choose_frame(task.job.placement, SMALL)
    drawn = draw_photo(task, frame, None)
    assert drawn.shape == (frame.height, frame.width, 3)
    inside = place(frame.photo)
    off = shift(whole_canvas(task, frame)[inside], drawn[inside])
    assert max(map(abs, off)) < TOLERANCE, off


def test_a_photo_that_was_scaled_to_the_canvas_is_not_scaled_again() -> None:
    task = task_of(waves(96, 64), size="1024x1024", mask=mask_png(96, 64))
    placement = task.job.placement
    frame = frame_of_size(placement, 1024, 1024)
    marked = np.full((placement.kept.height, placement.kept.width, 3), 77, np.uint8)
    drawn = draw_photo(replace(task, scaled=marked), frame, None)
    assert (drawn[place(frame.photo)] == 77).all()


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_what_is_cut_back_and_enlarged_meets_the_photo(sides: dict[str, int]) -> None:
    task = task_of(waves(701, 503), **sides)
    placement = task.job.placement
    frame = choose_frame(placement, SMALL)
    made = codec.resize(cut_canvas(draw_photo(task, frame, None), frame), placement.width, placement.height)
    kept, source = place(placement.kept), place(placement.source)
    off = shift(task.photo[source], made[kept])
    assert max(map(abs, off)) < TOLERANCE * max(1, placement.width / frame.canvas.width), off


@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_a_frame_that_comes_back_at_another_size_is_cut_alike(scale: float) -> None:
    task = task_of(waves(701, 503), left=101, up=57)
    placement = task.job.placement
    frame = choose_frame(placement, SMALL)
    answer = codec.resize(draw_photo(task, frame, None), round(frame.width * scale), round(frame.height * scale))
    made = codec.resize(cut_canvas(answer, frame), placement.width, placement.height)
    off = shift(task.photo, made[place(placement.kept)])
    # The cut itself is to whole pixels of what came.
    assert max(map(abs, off)) < 0.5 / scale * placement.width / frame.canvas.width + TOLERANCE


def test_a_line_of_a_canvas_is_left_at_least() -> None:
    frame = Frame(
        width=100, height=90, canvas=Rect(x=99, y=89, width=1, height=1), photo=Rect(x=99, y=89, width=1, height=1)
    )
    assert cut_canvas(np.zeros((9, 10, 3), np.uint8), frame).shape == (1, 1, 3)


def test_a_canvas_that_is_the_frame_is_not_cut() -> None:
    pixels = waves(64, 48)
    whole = Rect(x=0, y=0, width=128, height=96)
    assert cut_canvas(pixels, Frame(width=128, height=96, canvas=whole, photo=whole)) is pixels


# --- the mask --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_all_around_the_photo_is_to_be_made_and_nothing_of_it(sides: dict[str, int]) -> None:
    task = task_of(waves(701, 503), **sides)
    frame = choose_frame(task.job.placement, SMALL)
    mask = draw_mask(task, frame)
    expected = np.ones((frame.height, frame.width), np.bool_)
    expected[place(frame.photo)] = False
    assert np.array_equal(mask, expected)


def test_a_mask_is_drawn_where_the_photo_is() -> None:
    made = np.zeros((503, 701), np.bool_)
    made[100:200, 300:500] = True
    picture = np.zeros((503, 701, 4), np.uint8)
    picture[..., 3] = np.where(made, 0, 255)
    task = task_of(waves(701, 503), mask=codec.encode(picture, "PNG"), size="1024x1024")
    frame = frame_of_size(task.job.placement, 1024, 1024)
    mask = draw_mask(task, frame)[place(frame.photo)]
    rows, columns = np.nonzero(mask)
    scale = 1024 / 701
    assert (rows.min(), columns.min()) == pytest.approx((100 * scale, 300 * scale), abs=1)
    assert (rows.max() + 1, columns.max() + 1) == pytest.approx((200 * scale, 500 * scale), abs=1)
    whole = draw_mask(task, frame)
    outside = np.ones(whole.shape, np.bool_)
    outside[place(frame.photo)] = False
    assert whole[outside].all()


def test_where_the_photo_fills_the_frame_both_keep_their_size() -> None:
    task = task_of(waves(300, 200), mask=codec.encode(np.zeros((200, 300, 4), np.uint8), "PNG"), size="1536x1024")
    frame = frame_of_size(task.job.placement, 1536, 1024)
    assert fills(frame)
    assert draw_photo(task, frame, None).shape == (200, 300, 3)
    assert draw_mask(task, frame).all()
    assert not draw_mask(replace(task, mask=None), frame).any()


# --- transparency ----------------------------------------------------------------------------------------------------


def test_only_what_is_transparent_is_not_visible() -> None:
    clear = photo(40, 30, channels=4).copy()
    clear[..., 3] = 255
    assert visible_part(task_of(clear, left=4)) is None
    assert visible_part(task_of(photo(40, 30), left=4)) is None
    clear[:9, :, 3] = 0
    clear[9, :, 3] = 1
    visible = visible_part(task_of(clear, left=4))
    assert visible is not None
    assert visible.shape == (30, 40)
    assert not visible[:9].any()
    assert visible[9:].all()


def test_colours_are_drawn_out_under_what_is_transparent() -> None:
    pixels = np.full((200, 300, 4), 255, np.uint8)
    pixels[..., :3] = (10, 200, 90)
    pixels[:80, :, 3] = 0
    pixels[:80, :, :3] = 0
    task = task_of(pixels, left=20)
    frame = choose_frame(task.job.placement, SMALL)
    drawn = draw_photo(task, frame, visible_part(task))
    assert np.abs(drawn.astype(int) - (10, 200, 90)).max() <= 1


def test_a_grid_moves_the_photo_by_whole_pixels() -> None:
    task = task_of(waves(101, 77), left=-3, right=19, up=5)
    frame = on_grid(task.job.placement, 16)
    drawn = draw_photo(task, frame, None)
    assert np.array_equal(drawn[place(frame.photo)], task.photo[:, 3:])
    assert np.array_equal(cut_canvas(drawn, frame)[5:, :98], task.photo[:, 3:])


def test_the_finished_picture_has_no_seam_where_the_photo_was_scaled() -> None:
    task = task_of(waves(700, 500), left=160, down=120)
    frame = choose_frame(task.job.placement, SMALL)
    # What an ideal model would make: the same waves all over the canvas.
    placement = task.job.placement
    y, x = np.mgrid[0 : placement.height, 0 : placement.width]
    planes = [np.sin(2 * np.pi * (across * (x - 160) + down * y)) for across, down in WAVES]
    ideal = np.round(127.5 + 100 * np.stack(planes, axis=2)).astype(np.uint8)
    sent = np.full((frame.height, frame.width, 3), 128, np.uint8)
    sent[place(frame.canvas)] = codec.resize(ideal, frame.canvas.width, frame.canvas.height)
    fill = Fill(pixels=cut_canvas(sent, frame), facts=PictureFacts(provider="openai", request_id="r"))
    made = arrays.to_rgb8(finish(task, fill).pixels)
    assert np.array_equal(made[:500, 160:], task.photo)
    assert np.abs(made.astype(int) - ideal)[8:-8, 8:-8].mean() < 3

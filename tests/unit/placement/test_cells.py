"""Photo and mask at a frame's own size, on whole cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.geometry.planner import choose_frame
from uncrop.imaging import codec
from uncrop.model import GeometryFacts, Rect, Sides, Task, UncropRequest
from uncrop.placement.cells import draw_cells, draw_scaled
from uncrop.placement.frames import draw_mask
from uncrop.providers.registry import load_rows
from uncrop.testing.pictures import mask_png, photo_png
from uncrop.testing.workbench import make_task

if TYPE_CHECKING:
    from uncrop.model import Frame

CELL = 8
GRID = GeometryFacts(speaks="mask", scales=True, grid=CELL, min_edge=64, max_edge=2048, max_pixels=40_000)
ROW = load_rows(())["openai"]  # takes sides and masks


def extended(width: int, height: int, **sides: int) -> Task:
    return make_task(UncropRequest(provider="", image=photo_png(width, height), sides=Sides(**sides)), ROW)


def holed(width: int, height: int, hole: Rect) -> Task:
    request = UncropRequest(provider="", image=photo_png(width, height), mask=mask_png(width, height, hole=hole))
    return make_task(request, ROW)


def frame_of(task: Task) -> Frame:
    return choose_frame(task.job.placement, GRID)


@pytest.mark.parametrize(("width", "height"), [(160, 120), (400, 300), (300, 400)])
def test_photo_and_mask_have_the_frames_size_where_the_photo_fills_it(width: int, height: int) -> None:
    task = holed(width, height, Rect(x=10, y=10, width=20, height=20))
    frame = frame_of(task)
    assert draw_scaled(task, frame).shape == (frame.height, frame.width, 3)
    assert draw_cells(task, frame, CELL).shape == (frame.height, frame.width)


def test_the_photo_is_drawn_at_the_frames_scale() -> None:
    task = holed(400, 300, Rect(x=0, y=0, width=20, height=20))
    frame = frame_of(task)
    assert (draw_scaled(task, frame) == codec.resize(task.photo, frame.width, frame.height)).all()


@settings(max_examples=60, deadline=None)
@given(
    st.integers(20, 200),
    st.integers(20, 200),
    st.tuples(*[st.integers(0, 90)] * 4).filter(any),
)
def test_every_pixel_to_be_made_lies_in_a_whole_cell_and_no_cell_is_made_for_nothing(
    width: int, height: int, sides: tuple[int, int, int, int]
) -> None:
    task = extended(width, height, **dict(zip(("left", "right", "up", "down"), sides, strict=True)))
    frame = frame_of(task)
    wanted, cells = draw_mask(task, frame), draw_cells(task, frame, CELL)
    blocks = wanted.reshape(frame.height // CELL, CELL, frame.width // CELL, CELL).any(axis=(1, 3))
    assert (cells == blocks.repeat(CELL, axis=0).repeat(CELL, axis=1)).all()


def touched(position: int, extent: int, start: int, drawn: int, count: int) -> list[bool]:
    """Tell which cells of an axis a pixel of the photo touches, or lie beyond the photo."""
    cells = []
    for cell in range(count):
        low, high = cell * CELL - start, cell * CELL + CELL - start
        touches = low * extent < (position + 1) * drawn and high * extent > position * drawn
        cells.append(touches or low < 0 or high > drawn)
    return cells


@settings(max_examples=60, deadline=None)
@given(st.integers(64, 700), st.integers(64, 700), st.floats(0, 1), st.floats(0, 1))
def test_no_hole_is_too_small_to_be_made(width: int, height: int, across: float, down: float) -> None:
    x, y = int(across * (width - 1)), int(down * (height - 1))
    task = holed(width, height, Rect(x=x, y=y, width=1, height=1))
    frame = frame_of(task)
    cells = draw_cells(task, frame, CELL)[::CELL, ::CELL]
    columns = np.array(touched(x, width, frame.photo.x, frame.photo.width, frame.width // CELL))
    rows = np.array(touched(y, height, frame.photo.y, frame.photo.height, frame.height // CELL))
    beyond_rows = np.array(touched(-9999, height, frame.photo.y, frame.photo.height, frame.height // CELL))
    beyond_columns = np.array(touched(-9999, width, frame.photo.x, frame.photo.width, frame.width // CELL))
    assert (cells == (rows[:, None] & columns | beyond_rows[:, None] | beyond_columns)).all()
    assert (rows & ~beyond_rows).any() or beyond_rows.any()

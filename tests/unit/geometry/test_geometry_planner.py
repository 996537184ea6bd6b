"""From a placement to the picture that one call asks for, by limits of every kind."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from uncrop.geometry.planner import (
    Obstacle,
    choose_frame,
    frame_of_size,
    nearest_frame,
    obstacle_to,
    on_grid,
    plan_call,
    possible_sizes,
)
from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.sizes import placement_of_size
from uncrop.model import Frame, GeometryFacts, Placement, Rect, Sides
from uncrop.placement.frames import box_of
from uncrop.providers.local.facts import FACTS as LOCAL
from uncrop.providers.openai.models import FIXED, FREE, SQUARE
from uncrop.providers.rows import problems

EXTENT = st.integers(1, 6000)
ADDED = st.integers(0, 2000)
GRID = st.sampled_from([1, 8, 16, 64])


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    """Draw a photo, sides that add and crop, and the placement of both."""
    width, height = draw(EXTENT), draw(EXTENT)
    crops = [-draw(st.integers(0, (extent - 1) // 2)) for extent in (width, width, height, height)]
    left, right, up, down = (draw(st.one_of(ADDED, st.just(crop))) for crop in crops)
    return placement_of_sides(width, height, Sides(left=left, right=right, up=up, down=down))


@st.composite
def mask_limits(draw: st.DrawFn) -> GeometryFacts:
    """Draw limits of a provider that makes frames of free size, which leave at least one."""
    facts = GeometryFacts(
        speaks="mask",
        grid=draw(GRID),
        min_edge=draw(st.sampled_from([1, 64, 256])),
        max_edge=draw(st.sampled_from([None, 1024, 2048, 3840])),
        min_pixels=draw(st.sampled_from([1, 65_536, 655_360])),
        max_pixels=draw(st.sampled_from([None, 1_000_000, 8_294_400])),
        max_ratio=draw(st.sampled_from([None, 1.5, 2.5, 3, 16])),
    )
    assume(not list(problems(replace(LOCAL, geometry=facts, fields=()), {})))
    return facts


def inside(inner: Rect, outer: Rect) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def check_frame(frame: Frame, placement: Placement) -> None:
    """Check that the photo lies in the canvas, that in the frame, and that both lie where the placement says."""
    whole = Rect(x=0, y=0, width=frame.width, height=frame.height)
    assert inside(frame.canvas, whole)
    assert inside(frame.photo, frame.canvas)
    assert min(frame.photo.width, frame.photo.height) >= 1
    # On each axis the photo's place is the exact one, but for pixels that would be cut through.
    kept, canvas, photo = placement.kept, frame.canvas, frame.photo
    for start, extent, whole_extent, origin, scaled, first, length in (
        (kept.x, kept.width, placement.width, canvas.x, canvas.width, photo.x, photo.width),
        (kept.y, kept.height, placement.height, canvas.y, canvas.height, photo.y, photo.height),
    ):
        exact_start = origin + start * scaled / whole_extent
        exact_end = origin + (start + extent) * scaled / whole_extent
        if length > 1:
            assert exact_start - 1e-9 <= first < exact_start + 1
            assert exact_end - 1 < first + length <= exact_end + 1e-9
        else:
            assert exact_start - 1 < first < exact_end + 1e-9


def check_box(frame: Frame, placement: Placement) -> None:
    """Check that the part of the photo that is drawn lands on ``frame.photo`` to a billionth of a pixel."""
    kept, source, canvas = placement.kept, placement.source, frame.canvas
    box = box_of(placement, frame) or (0.0, 0.0, float(source.width), float(source.height))
    assert 0 <= box[0] < box[2] <= source.width
    assert 0 <= box[1] < box[3] <= source.height
    # Where a pixel of the used part of the photo lies in the frame, by way of the canvas.
    across, down = canvas.width / placement.width, canvas.height / placement.height
    left = canvas.x + (kept.x + box[0] * kept.width / source.width) * across
    top = canvas.y + (kept.y + box[1] * kept.height / source.height) * down
    right = canvas.x + (kept.x + box[2] * kept.width / source.width) * across
    bottom = canvas.y + (kept.y + box[3] * kept.height / source.height) * down
    photo = frame.photo
    if photo.width > 1:
        assert left == pytest.approx(photo.x, abs=1e-6)
        assert right == pytest.approx(photo.x + photo.width, abs=1e-6)
    if photo.height > 1:
        assert top == pytest.approx(photo.y, abs=1e-6)
        assert bottom == pytest.approx(photo.y + photo.height, abs=1e-6)


# --- canvas and place, on a grid -------------------------------------------------------------------------------------


@given(placement=placements(), grid=GRID)
def test_on_a_grid_nothing_is_scaled_and_everything_is_a_multiple(placement: Placement, grid: int) -> None:
    frame = on_grid(placement, grid)
    assert [value % grid for value in (frame.width, frame.height, frame.photo.x, frame.photo.y)] == [0] * 4
    assert (frame.canvas.width, frame.canvas.height) == (placement.width, placement.height)
    assert (frame.photo.width, frame.photo.height) == (placement.kept.width, placement.kept.height)
    assert frame.photo.x - frame.canvas.x == placement.kept.x
    assert frame.photo.y - frame.canvas.y == placement.kept.y
    # As little as the grid allows: less than a step where the photo lies, less than two in all.
    assert 0 <= frame.canvas.x < grid
    assert 0 <= frame.canvas.y < grid
    assert frame.width - placement.width < 2 * grid
    assert frame.height - placement.height < 2 * grid
    check_frame(frame, placement)
    check_box(frame, placement)
    assert box_of(placement, frame) is None


@pytest.mark.parametrize("speaks", ["sides", "canvas"])
@given(placement=placements())
def test_without_limits_every_canvas_is_made_as_it_is(speaks: str, placement: Placement) -> None:
    frame = plan_call(placement, GeometryFacts(speaks=speaks))  # type: ignore[arg-type]
    assert isinstance(frame, Frame)
    assert (frame.width, frame.height, frame.photo) == (placement.width, placement.height, placement.kept)


PLACEMENT = placement_of_sides(100, 80, Sides(left=30, right=-10, up=5, down=7))  # 120 x 92


@pytest.mark.parametrize("speaks", ["sides", "canvas"])
@pytest.mark.parametrize(
    ("limits", "quantity", "value", "limit"),
    [
        ({"max_side": 29}, "side", 30, 29),
        ({"max_side": 30, "grid": 16}, "side", 32, 30),
        ({"max_edge": 119}, "canvas_edge", 120, 119),
        ({"max_edge": 127, "grid": 16}, "canvas_edge", 128, 127),
        ({"max_pixels": 11_039}, "canvas_pixels", 11_040, 11_039),
        ({"max_ratio": 1.3}, "canvas_ratio", 120 / 92, 1.3),
        ({"min_edge": 93}, "canvas_edge", 92, 93),
        ({"min_pixels": 11_041}, "canvas_pixels", 11_040, 11_041),
    ],
)
def test_what_is_in_the_way_is_named_with_its_numbers(
    speaks: str, limits: dict[str, float], quantity: str, value: float, limit: float
) -> None:
    facts = GeometryFacts(speaks=speaks, **limits)  # type: ignore[arg-type]
    assert plan_call(PLACEMENT, facts) == Obstacle(quantity=quantity, value=value, limit=limit)
    # The limit itself is allowed.
    name, only = next((name, only) for name, only in limits.items() if name != "grid")
    near = math.ceil(value) if name.startswith("max") else math.floor(value)
    assert isinstance(plan_call(PLACEMENT, replace(facts, **{name: near})), Frame)
    assert near != only


def test_an_obstacle_can_be_read() -> None:
    assert (
        str(Obstacle(quantity="canvas_edge", value=4100, limit=4096)) == "canvas_edge would be 4100; the limit is 4096"
    )


@given(placement=placements(), grid=GRID, edge=st.integers(64, 5000), pixels=st.integers(4096, 10_000_000))
def test_a_plan_keeps_every_limit_or_names_one_that_it_breaks(
    placement: Placement, grid: int, edge: int, pixels: int
) -> None:
    facts = GeometryFacts(speaks="canvas", grid=grid, max_side=1500, max_edge=edge, max_pixels=pixels, max_ratio=4)
    frame, planned = on_grid(placement, grid), plan_call(placement, facts)
    sides = (
        frame.photo.x,
        frame.photo.y,
        frame.width - frame.photo.x - frame.photo.width,
        frame.height - frame.photo.y - frame.photo.height,
    )
    longest, shortest = max(frame.width, frame.height), min(frame.width, frame.height)
    values = {
        "side": (max(sides), 1500),
        "canvas_edge": (longest, edge),
        "canvas_pixels": (frame.width * frame.height, pixels),
        "canvas_ratio": (longest / shortest, 4),
    }
    broken = {name for name, (value, limit) in values.items() if value > limit}
    if isinstance(planned, Frame):
        assert broken == set()
        assert planned == frame
    else:
        assert planned.quantity in broken
        assert (planned.value, planned.limit) == values[planned.quantity]


# --- a mask on a frame -----------------------------------------------------------------------------------------------


@settings(deadline=None)
@given(placement=placements(), facts=mask_limits())
def test_a_frame_of_free_size_keeps_every_limit(placement: Placement, facts: GeometryFacts) -> None:
    frame = plan_call(placement, facts)
    assert isinstance(frame, Frame)
    longest, shortest = max(frame.width, frame.height), min(frame.width, frame.height)
    assert frame.width % facts.grid == frame.height % facts.grid == 0
    assert shortest >= facts.min_edge
    assert facts.max_edge is None or longest <= facts.max_edge
    assert facts.min_pixels <= frame.width * frame.height
    assert facts.max_pixels is None or frame.width * frame.height <= facts.max_pixels
    assert facts.max_ratio is None or longest <= facts.max_ratio * shortest
    check_frame(frame, placement)
    check_box(frame, placement)


@settings(deadline=None)
@given(placement=placements(), facts=st.sampled_from([FIXED, SQUARE]))
def test_of_fixed_sizes_the_nearest_in_shape_is_taken(placement: Placement, facts: GeometryFacts) -> None:
    frame = plan_call(placement, facts)
    assert isinstance(frame, Frame)
    assert (frame.width, frame.height) in facts.sizes
    shape = placement.width / placement.height
    distances = {size: abs(math.log(size[0] / size[1] / shape)) for size in facts.sizes}
    assert distances[frame.width, frame.height] == pytest.approx(min(distances.values()))
    check_frame(frame, placement)
    check_box(frame, placement)


def test_of_two_sizes_of_one_shape_the_larger_is_taken() -> None:
    frame = choose_frame(placement_of_sides(90, 90, Sides(left=10, up=10)), SQUARE)
    assert (frame.width, frame.height) == (1024, 1024)


@given(width=EXTENT, height=EXTENT, size=st.sampled_from(FIXED.sizes), of=st.sampled_from([None, *FIXED.sizes]))
def test_a_size_that_was_asked_for_is_the_frame(
    width: int, height: int, size: tuple[int, int], of: tuple[int, int] | None
) -> None:
    placement = placement_of_size(width, height, of)
    frame = frame_of_size(placement, *size)
    assert (frame.width, frame.height) == size
    check_frame(frame, placement)
    check_box(frame, placement)


def test_a_canvas_that_the_model_makes_exactly_is_not_touched() -> None:
    placement = placement_of_sides(1024, 768, Sides(left=256, right=256, up=128, down=128))
    frame = choose_frame(placement, FREE)
    assert (frame.width, frame.height) == (1536, 1024)
    assert frame.canvas == Rect(x=0, y=0, width=1536, height=1024)
    assert frame.photo == placement.kept


@settings(deadline=None)
@given(placement=placements(), facts=st.sampled_from([FREE, replace(FREE, grid=8)]))
def test_a_canvas_that_the_model_makes_on_its_grid_is_not_scaled(placement: Placement, facts: GeometryFacts) -> None:
    frame, unscaled = choose_frame(placement, facts), on_grid(placement, facts.grid)
    if obstacle_to(unscaled, facts) is None:
        assert frame == unscaled
        assert (frame.photo.width, frame.photo.height) == (placement.kept.width, placement.kept.height)
        assert frame.photo.x % facts.grid == frame.photo.y % facts.grid == 0
    else:
        assert frame == nearest_frame(placement, facts)


def test_a_large_canvas_is_made_at_the_models_scale() -> None:
    frame = choose_frame(placement_of_sides(4000, 3000, Sides(left=500, right=500)), FREE)
    assert frame.width * frame.height <= 8_294_400
    assert frame.width / frame.height == pytest.approx(5000 / 3000, rel=0.01)
    assert frame.photo.width / frame.width == pytest.approx(0.8, abs=0.002)


@pytest.mark.parametrize(
    ("photo", "limits"),
    [
        ((45, 89), {"grid": 8, "min_edge": 256, "max_edge": 3840, "max_ratio": 3}),
        ((1, 6000), {"grid": 16, "min_edge": 256, "max_edge": 3840, "max_ratio": 1.5}),
        ((2570, 2), {"grid": 16, "max_edge": 2048, "min_pixels": 65_536}),
        ((6000, 1), {"grid": 16}),
        ((1605, 3473), {"min_edge": 64, "max_edge": 1024, "min_pixels": 655_360, "max_ratio": 2.5}),
    ],
)
def test_a_canvas_too_small_or_too_narrow_is_padded(photo: tuple[int, int], limits: dict[str, int]) -> None:
    placement = placement_of_sides(*photo, Sides(left=1))
    frame = choose_frame(placement, GeometryFacts(speaks="mask", **limits))  # type: ignore[arg-type]
    check_frame(frame, placement)
    check_box(frame, placement)


IMPOSSIBLE = GeometryFacts(speaks="mask", grid=64, min_edge=1000, max_edge=1020)


def test_limits_that_leave_nothing_are_a_fault_of_the_row() -> None:
    assert list(possible_sizes(100, 100, IMPOSSIBLE)) == []
    with pytest.raises(ValueError, match="empty"):
        choose_frame(PLACEMENT, IMPOSSIBLE)


@settings(deadline=None)
@given(facts=mask_limits(), width=EXTENT, height=EXTENT)
def test_possible_sizes_are_possible(facts: GeometryFacts, width: int, height: int) -> None:
    facts = replace(facts, max_edge=facts.max_edge or 2048)
    for columns, rows in list(possible_sizes(width, height, facts))[::37]:
        assert isinstance(columns, int)
        assert columns % facts.grid == rows % facts.grid == 0
        assert min(columns, rows) >= facts.min_edge
        assert max(columns, rows) <= (facts.max_edge or 0)
        assert facts.min_pixels <= columns * rows <= (facts.max_pixels or math.inf)
        assert max(columns, rows) <= (facts.max_ratio or math.inf) * min(columns, rows)

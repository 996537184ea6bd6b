"""From a placement to the calls that make it: covered, legal, as few as there can be, the photo never scaled."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.geometry.notations import parse_ratio, placement_of_canvas, placement_of_ratio
from uncrop.geometry.one_call import CallFitter
from uncrop.geometry.planner import Obstacle, plan_call
from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.steps import plan
from uncrop.model import CallPlan, Frame, GeometryFacts, Placement, Plan, Rect, Sides
from uncrop.providers.bfl.facts import FACTS as BFL
from uncrop.providers.bria.facts import FACTS as BRIA
from uncrop.providers.clipdrop.facts import FACTS as CLIPDROP
from uncrop.providers.openai.models import FREE
from uncrop.providers.stability.facts import FACTS as STABILITY

REMOTE = [row.geometry for row in (BFL, BRIA, CLIPDROP, STABILITY)]
PANORAMA = placement_of_canvas(6000, 400, (9000, 400), (0, 0))
WIDE = placement_of_ratio(6000, 4000, parse_ratio("16:9"))  # 24 megapixels to 16:9: 7111 x 4000


@pytest.fixture(autouse=True, scope="module")
def _nothing_is_planned_yet() -> None:
    """Plans are kept: what other tests have planned would not be worked out here."""
    plan.cache_clear()


@st.composite
def placements(draw: st.DrawFn) -> Placement:
    """Draw a photo and a canvas around it, in any proportion."""
    width, height = draw(st.integers(1, 6000)), draw(st.integers(1, 6000))
    left, right, up, down = (draw(st.one_of(st.just(0), st.integers(0, 5000))) for _ in range(4))
    return Placement(
        width=width + left + right,
        height=height + up + down,
        source=Rect(x=0, y=0, width=width, height=height),
        kept=Rect(x=left, y=up, width=width, height=height),
    )


@st.composite
def limits(draw: st.DrawFn) -> GeometryFacts:
    """Draw the limits of a provider of sides or of a canvas."""
    return GeometryFacts(
        speaks=draw(st.sampled_from(["sides", "canvas"])),
        scales=draw(st.booleans()),
        crops=draw(st.booleans()),
        grid=draw(st.sampled_from([1, 1, 16])),
        max_side=draw(st.sampled_from([None, 300, 2000])),
        min_edge=draw(st.sampled_from([1, 64])),
        max_edge=draw(st.sampled_from([None, 4096])),
        max_pixels=draw(st.sampled_from([None, 4_000_000, 22_000_000])),
        max_ratio=draw(st.sampled_from([None, 4.0])),
        min_photo_edge=draw(st.sampled_from([1, 64])),
        max_photo_pixels=draw(st.sampled_from([None, 9_437_184])),
        max_photo_ratio=draw(st.sampled_from([None, 2.5])),
    )


def contains(outer: Rect, inner: Rect) -> bool:
    return (
        outer.x <= inner.x
        and outer.y <= inner.y
        and inner.x + inner.width <= outer.x + outer.width
        and inner.y + inner.height <= outer.y + outer.height
    )


def union(first: Rect, second: Rect) -> Rect:
    x, y = min(first.x, second.x), min(first.y, second.y)
    right = max(first.x + first.width, second.x + second.width)
    bottom = max(first.y + first.height, second.y + second.height)
    return Rect(x=x, y=y, width=right - x, height=bottom - y)


def check_plan(planned: Plan, placement: Placement, facts: GeometryFacts) -> None:
    """Check that each call is legal and shown nothing but what is known, and that together they make the canvas."""
    known = placement.kept
    for call in planned.calls:
        assert contains(known, call.part)
        assert contains(call.window, call.part)
        assert isinstance(plan_call(call.asked, facts), Frame)
        grown = union(known, call.window)
        # What is new lies in the window: both have the known picture's extent on all sides but those that grow.
        added = grown.width * grown.height - known.width * known.height
        both_in = Rect(
            x=max(known.x, call.window.x),
            y=max(known.y, call.window.y),
            width=min(known.x + known.width, call.window.x + call.window.width) - max(known.x, call.window.x),
            height=min(known.y + known.height, call.window.y + call.window.height) - max(known.y, call.window.y),
        )
        assert added > 0
        assert added == call.window.width * call.window.height - both_in.width * both_in.height
        check_scale(call, facts)
        known = grown
    assert known == Rect(x=0, y=0, width=placement.width, height=placement.height)


def check_scale(call: CallPlan, facts: GeometryFacts) -> None:
    """Check that a scaled call has the window's shape to a pixel, and one that is not scaled its very extent."""
    canvas, window = call.frame.canvas, call.window
    if not call.is_scaled:
        assert (call.frame.photo.width, call.frame.photo.height) == (call.part.width, call.part.height)
        return
    assert facts.scales
    assert abs(canvas.width * window.height - canvas.height * window.width) <= max(window.width, window.height)


@settings(deadline=None)
@given(placement=placements(), facts=st.one_of(limits(), st.sampled_from(REMOTE)), max_calls=st.integers(1, 8))
def test_every_plan_covers_the_canvas_by_legal_calls(
    placement: Placement, facts: GeometryFacts, max_calls: int
) -> None:
    planned = plan(placement, facts, max_calls)
    if isinstance(planned, Obstacle):
        assert planned.calls_needed is None or planned.calls_needed > max_calls
        return
    assert 1 <= len(planned.calls) <= max_calls
    if planned.direct:
        assert isinstance(plan_call(placement, facts), Frame)
        assert len(planned.calls) == 1
    if (placement.kept.width, placement.kept.height) != (placement.width, placement.height):
        check_plan(planned, placement, facts)


@settings(deadline=None)
@given(placement=placements(), facts=limits())
def test_what_is_refused_for_too_few_calls_is_made_with_as_many_as_it_names(
    placement: Placement, facts: GeometryFacts
) -> None:
    refused = plan(placement, facts, 1)
    if isinstance(refused, Obstacle) and refused.calls_needed is not None:
        made = plan(placement, facts, refused.calls_needed)
        assert isinstance(made, Plan)
        assert len(made.calls) == refused.calls_needed
        assert plan(placement, facts, refused.calls_needed - 1) == refused


@given(
    left=st.integers(0, 6000),
    right=st.integers(0, 6000),
    up=st.integers(0, 6000),
    down=st.integers(1, 6000),
    reach=st.sampled_from([500, 2000]),
)
def test_where_only_sides_are_limited_no_plan_has_fewer_calls(
    left: int, right: int, up: int, down: int, reach: int
) -> None:
    placement = placement_of_sides(500, 400, Sides(left=left, right=right, up=up, down=down))
    planned = plan(placement, GeometryFacts(speaks="sides", max_side=reach), 100)
    assert isinstance(planned, Plan)
    # No call adds more than the reach to a side.
    assert len(planned.calls) == max(-(-side // reach) for side in (left, right, up, down))


@given(width=st.integers(1, 8000), height=st.integers(1, 8000), grows=st.integers(1, 2000))
def test_what_only_has_too_many_pixels_takes_one_call_where_it_may_be_scaled(
    width: int, height: int, grows: int
) -> None:
    placement = placement_of_sides(width, height, Sides(left=grows, right=grows, up=grows, down=grows))
    planned = plan(placement, GeometryFacts(speaks="canvas", scales=True, max_pixels=4_000_000), 1)
    assert isinstance(planned, Plan)
    check_plan(planned, placement, GeometryFacts(speaks="canvas", scales=True, max_pixels=4_000_000))
    frame = planned.calls[0].frame
    if planned.is_scaled and min(placement.width, placement.height) > 100:
        # As little as the limit demands, but for rounding.
        assert frame.width * frame.height > 0.97 * 4_000_000


def test_what_one_call_makes_is_one_call_of_the_photos_own_file() -> None:
    placement = placement_of_sides(300, 200, Sides(left=30, down=7))
    planned = plan(placement, STABILITY.geometry)
    whole = Rect(x=0, y=0, width=330, height=207)
    frame = Frame(width=330, height=207, canvas=whole, photo=placement.kept)
    assert planned == Plan(calls=(CallPlan(part=placement.kept, window=whole, frame=frame),), direct=True)
    assert planned.is_scaled is False
    assert planned.calls[0].asked == placement


def test_a_panorama_grows_by_even_steps() -> None:
    refused = plan(PANORAMA, CLIPDROP.geometry, 1)
    assert refused == Obstacle(quantity="side", value=3000, limit=2000, calls_needed=2)
    planned = plan(PANORAMA, CLIPDROP.geometry, 3)
    assert isinstance(planned, Plan)
    assert [(call.part.width, call.window.width) for call in planned.calls] == [(6000, 7500), (7500, 9000)]
    assert planned.is_scaled is False


def test_a_photo_beyond_a_shape_is_cut_next_to_the_side_that_grows() -> None:
    planned = plan(placement_of_sides(6000, 400, Sides(left=100)), STABILITY.geometry)
    assert isinstance(planned, Plan)
    (call,) = planned.calls
    assert (call.part, call.window) == (
        Rect(x=100, y=0, width=1000, height=400),
        Rect(x=0, y=0, width=1100, height=400),
    )
    upright = plan(placement_of_sides(400, 6000, Sides(down=100)), STABILITY.geometry)
    assert isinstance(upright, Plan)
    assert upright.calls[0].window == Rect(x=0, y=5000, width=400, height=1100)
    above = plan(placement_of_sides(400, 6000, Sides(up=100)), STABILITY.geometry)
    assert isinstance(above, Plan)
    assert above.calls[0].window == Rect(x=0, y=0, width=400, height=1100)


def test_both_ends_of_a_panorama_are_made_one_after_the_other() -> None:
    placement = placement_of_sides(6000, 400, Sides(left=100, right=200))
    refused = plan(placement, STABILITY.geometry)
    assert refused == Obstacle(quantity="photo_ratio", value=15, limit=2.5, calls_needed=2)
    planned = plan(placement, STABILITY.geometry, 2)
    assert isinstance(planned, Plan)
    check_plan(planned, placement, STABILITY.geometry)


def test_what_no_number_of_calls_makes_is_refused_without_one() -> None:
    above = placement_of_sides(6000, 400, Sides(up=100))
    assert plan(above, STABILITY.geometry, 8) == Obstacle(quantity="photo_ratio", value=15, limit=2.5)


def test_a_photo_that_must_stay_whole_is_not_cut() -> None:
    beside = placement_of_sides(6000, 400, Sides(left=100))
    assert plan(beside, STABILITY.geometry, 8, cuts=False) == Obstacle(quantity="photo_ratio", value=15, limit=2.5)


@pytest.mark.parametrize(
    ("facts", "pixels"),
    [(STABILITY.geometry, 9_437_184), (BFL.geometry, 4_000_000), (BRIA.geometry, 25_000_000)],
)
def test_a_large_photo_is_scaled_for_one_call(facts: GeometryFacts, pixels: int) -> None:
    planned = plan(WIDE, facts)
    assert isinstance(planned, Plan)
    check_plan(planned, WIDE, facts)
    (call,) = planned.calls
    assert planned.is_scaled
    assert call.window == Rect(x=0, y=0, width=7111, height=4000)
    frame = plan_call(call.asked, facts)
    assert isinstance(frame, Frame)
    sent = frame.photo if facts.max_photo_pixels else frame
    assert 0.98 * pixels < sent.width * sent.height <= pixels


def test_a_tiny_photo_is_enlarged_for_the_call() -> None:
    placement = placement_of_sides(48, 40, Sides(right=30, up=30))
    planned = plan(placement, STABILITY.geometry)
    assert isinstance(planned, Plan)
    photo = planned.calls[0].frame.photo
    assert 64 <= min(photo.width, photo.height) <= 66
    # Enlarged beyond measure, nothing is left of a photo.
    speck = placement_of_sides(1, 1, Sides(right=1))
    assert plan(speck, STABILITY.geometry) == Obstacle(quantity="photo_edge", value=1, limit=64)


def test_who_crops_by_itself_is_sent_no_more_than_it_takes() -> None:
    placement = placement_of_sides(4000, 3000, Sides(left=-1000, right=10))
    planned = plan(placement, CLIPDROP.geometry, photo=(4000, 3000))
    assert isinstance(planned, Plan)
    assert planned.direct is False
    assert planned.calls[0].frame.photo == Rect(x=0, y=0, width=3000, height=3000)
    direct = plan(placement, CLIPDROP.geometry, photo=(3000, 3000))
    assert isinstance(direct, Plan)
    assert direct.direct
    # Nothing would be made, so that no call is worth its price.
    crop = placement_of_sides(4000, 3000, Sides(left=-1000))
    assert plan(crop, CLIPDROP.geometry, photo=(4000, 3000)) == Obstacle(
        quantity="photo_pixels", value=12_000_000, limit=10_000_000
    )


def test_masks_are_drawn_on_one_frame_whatever_the_canvas() -> None:
    planned = plan(PANORAMA, FREE)
    assert isinstance(planned, Plan)
    assert planned.direct


# --- the only sizes that a provider makes ----------------------------------------------------------------------------

SIZES = ((512, 512), (1024, 1024), (1536, 1024))


@pytest.mark.parametrize("speaks", ["sides", "canvas"])
@pytest.mark.parametrize(
    ("extent", "sides", "size"),
    [
        ((400, 400), {"left": 112, "up": 112}, (512, 512)),
        ((400, 400), {"left": 50}, (512, 512)),
        ((600, 400), {"left": 50}, (1024, 1024)),
        ((1200, 600), {"right": 100, "down": 100}, (1536, 1024)),
    ],
)
def test_the_smallest_size_that_holds_the_canvas_is_asked_for(
    speaks: str, extent: tuple[int, int], sides: dict[str, int], size: tuple[int, int]
) -> None:
    facts = GeometryFacts(speaks=speaks, sizes=SIZES)  # type: ignore[arg-type]
    placement = placement_of_sides(*extent, Sides(**sides))
    planned = plan(placement, facts)
    assert isinstance(planned, Plan)
    check_plan(planned, placement, facts)
    assert (planned.calls[0].asked.width, planned.calls[0].asked.height) == size
    assert planned.direct is ((placement.width, placement.height) == size)


def test_a_canvas_beyond_all_sizes_is_scaled_or_refused() -> None:
    placement = placement_of_sides(2000, 1500, Sides(left=100, down=100))
    facts = GeometryFacts(speaks="canvas", sizes=SIZES)
    assert plan(placement, facts, 8) == Obstacle(quantity="canvas_edge", value=2100, limit=1536)
    scaling = replace(facts, scales=True)
    planned = plan(placement, scaling)
    assert isinstance(planned, Plan)
    check_plan(planned, placement, scaling)
    assert (planned.calls[0].frame.width, planned.calls[0].frame.height) == (1536, 1024)
    square = placement_of_sides(1400, 1400, Sides(left=100, down=100))
    assert plan(square, facts, 8) == Obstacle(quantity="canvas_pixels", value=2_250_000, limit=1536 * 1024)


def test_a_size_that_adds_more_to_a_side_than_a_call_may_is_none() -> None:
    facts = GeometryFacts(speaks="sides", sizes=((1024, 1024),), max_side=100)
    refused = plan(placement_of_sides(400, 400, Sides(left=50)), facts, 8)
    assert refused == Obstacle(quantity="canvas_pixels", value=180_000, limit=1024 * 1024)


def test_a_size_with_a_grid_holds_the_photo_on_the_grid() -> None:
    facts = GeometryFacts(speaks="canvas", sizes=SIZES, grid=16)
    placement = placement_of_sides(400, 400, Sides(left=50, up=7))
    planned = plan(placement, facts)
    assert isinstance(planned, Plan)
    photo = planned.calls[0].asked.kept
    assert (photo.x % 16, photo.y % 16) == (0, 0)
    check_plan(planned, placement, facts)
    # Without room for that in one, it takes several calls.
    tight = placement_of_sides(500, 500, Sides(left=12, up=7, down=5))
    only = replace(facts, sizes=((512, 512),))
    refused = plan(tight, only)
    assert isinstance(refused, Obstacle)
    assert (refused.quantity, refused.value, refused.limit) == ("canvas_edge", 528, 512)
    planned = plan(tight, only, refused.calls_needed or 0)
    assert isinstance(planned, Plan)
    check_plan(planned, tight, only)


# --- what planning takes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("photo", "sides", "geometry", "needed", "most"),
    [
        ((6000, 400), Sides(left=3000, right=3000, up=3000, down=3000), CLIPDROP.geometry, 8, 250),
        ((6000, 400), Sides(left=3000, right=3000, up=3000, down=3000), STABILITY.geometry, None, 85),
        ((40, 30), Sides(left=2000, right=1900, up=1500, down=1700), STABILITY.geometry, None, 140),
        ((300, 8000), Sides(left=1000, right=200, up=2500, down=2500), STABILITY.geometry, None, 70),
        ((1224, 816), Sides(left=256, right=256), STABILITY.geometry, 1, 0),
    ],
)
def test_the_search_tries_few_calls(
    monkeypatch: pytest.MonkeyPatch,
    photo: tuple[int, int],
    sides: Sides,
    geometry: GeometryFacts,
    needed: int | None,
    most: int,
) -> None:
    tried, make = [], CallFitter.make

    def counted(fitter: CallFitter, known: Rect, target: Rect) -> CallPlan | None:
        tried.append(target)
        return make(fitter, known, target)

    monkeypatch.setattr(CallFitter, "make", counted)
    plan.cache_clear()
    planned = plan(placement_of_sides(*photo, sides), geometry, 8)
    assert (len(planned.calls) if isinstance(planned, Plan) else planned.calls_needed) == needed
    assert len(tried) <= most


def test_a_plan_that_was_made_is_known() -> None:
    first = plan(PANORAMA, CLIPDROP.geometry, 3)
    assert plan(placement_of_canvas(6000, 400, (9000, 400), (0, 0)), CLIPDROP.geometry, 3) is first
    assert plan(PANORAMA, CLIPDROP.geometry, 1) != first

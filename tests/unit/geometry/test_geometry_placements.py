"""Sides, sizes and rectangles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncrop.errors import InvalidExtendParameters
from uncrop.geometry.sides import check_sides, placement_of_sides
from uncrop.geometry.sizes import fit_inside, parse_size, placement_of_size
from uncrop.model import Placement, Rect, Sides

SIDE = st.integers(-2000, 2000)
EXTENT = st.integers(1, 6000)


# --- which sides may be ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sides", [Sides(left=2000), Sides(right=-2000), Sides(up=1), Sides(down=-1)])
def test_sides_within_their_limits(sides: Sides) -> None:
    check_sides(sides)


@pytest.mark.parametrize(
    ("sides", "details"),
    [
        (Sides(left=2001), {"extend_left": 2001, "max_allowed": 2000}),
        (Sides(left=2500, right=1), {"extend_left": 2500, "max_allowed": 2000}),
        (
            Sides(left=2001, right=2002, up=2003, down=2004),
            {
                "extend_left": 2001,
                "extend_right": 2002,
                "extend_up": 2003,
                "extend_down": 2004,
                "max_allowed": 2000,
            },
        ),
        # The message is about those that are too large; the details name the others too.
        (
            Sides(left=-2001, right=-2000, up=3000, down=2000),
            {"extend_left": -2001, "extend_up": 3000, "max_allowed": 2000, "min_allowed": -2000},
        ),
    ],
)
def test_sides_that_are_too_large(sides: Sides, details: dict[str, int]) -> None:
    with pytest.raises(InvalidExtendParameters) as caught:
        check_sides(sides)
    assert caught.value.message == "Extend parameters exceed 2000px"
    assert caught.value.details == details


def test_sides_that_are_too_small() -> None:
    with pytest.raises(InvalidExtendParameters) as caught:
        check_sides(Sides(left=-2001, right=5, down=-9999))
    assert caught.value.message == "Extend parameters are below -2000px"
    assert caught.value.details == {
        "extend_left": -2001,
        "extend_down": -9999,
        "max_allowed": 2000,
        "min_allowed": -2000,
    }


def test_no_sides_at_all() -> None:
    with pytest.raises(InvalidExtendParameters) as caught:
        check_sides(Sides())
    assert caught.value.message == "At least one extend parameter must be non-zero"
    assert caught.value.details is None


# --- the canvas of sides ---------------------------------------------------------------------------------------------


def test_all_sides_grow() -> None:
    assert placement_of_sides(100, 80, Sides(left=1, right=2, up=3, down=4)) == Placement(
        width=103,
        height=87,
        source=Rect(x=0, y=0, width=100, height=80),
        kept=Rect(x=1, y=3, width=100, height=80),
    )


def test_all_sides_crop() -> None:
    assert placement_of_sides(100, 80, Sides(left=-1, right=-2, up=-3, down=-4)) == Placement(
        width=97,
        height=73,
        source=Rect(x=1, y=3, width=97, height=73),
        kept=Rect(x=0, y=0, width=97, height=73),
    )


def test_one_side_crops_and_its_opposite_grows() -> None:
    assert placement_of_sides(100, 80, Sides(left=-30, right=50)) == Placement(
        width=120,
        height=80,
        source=Rect(x=30, y=0, width=70, height=80),
        kept=Rect(x=0, y=0, width=70, height=80),
    )


def test_one_pixel_is_enough() -> None:
    canvas = placement_of_sides(100, 80, Sides(left=-60, right=-39, up=-79))
    assert canvas.source == Rect(x=60, y=79, width=1, height=1)


@pytest.mark.parametrize(
    ("sides", "left"),
    [
        (Sides(left=-60, right=-40), (0, 80)),
        (Sides(up=-81), (100, -1)),
        # What is added on one side does not make up for a photo that is gone.
        (Sides(left=-100, right=500), (0, 80)),
    ],
)
def test_nothing_is_left(sides: Sides, left: tuple[int, int]) -> None:
    with pytest.raises(InvalidExtendParameters) as caught:
        placement_of_sides(100, 80, sides)
    assert caught.value.message == "Negative extend parameters leave nothing of the image"
    assert caught.value.details == {
        "width": 100,
        "height": 80,
        "remaining_width": left[0],
        "remaining_height": left[1],
    }


@given(width=EXTENT, height=EXTENT, sides=st.builds(Sides, left=SIDE, right=SIDE, up=SIDE, down=SIDE))
def test_source_and_kept_fit(width: int, height: int, sides: Sides) -> None:
    try:
        canvas = placement_of_sides(width, height, sides)
    except InvalidExtendParameters:
        assert min(0, sides.left) + min(0, sides.right) <= -width or min(0, sides.up) + min(0, sides.down) <= -height
        return
    source, kept = canvas.source, canvas.kept
    assert (canvas.width, canvas.height) == (width + sides.left + sides.right, height + sides.up + sides.down)
    assert (source.width, source.height) == (kept.width, kept.height)
    assert source.x >= 0
    assert source.y >= 0
    assert source.x + source.width <= width
    assert source.y + source.height <= height
    assert kept.x + kept.width <= canvas.width
    assert kept.y + kept.height <= canvas.height
    # The photo's first pixel would lie at (left, up), inside the canvas or not.
    assert (kept.x - source.x, kept.y - source.y) == (sides.left, sides.up)


# --- the canvas of a size --------------------------------------------------------------------------------------------


def test_without_a_size_the_photo_is_the_canvas() -> None:
    whole = Rect(x=0, y=0, width=300, height=200)
    assert placement_of_size(300, 200, None) == Placement(width=300, height=200, source=whole, kept=whole)


@pytest.mark.parametrize(
    ("photo", "size", "kept"),
    [
        ((1024, 1024), (1024, 1024), Rect(x=0, y=0, width=1024, height=1024)),
        ((300, 200), (1536, 1024), Rect(x=0, y=0, width=1536, height=1024)),
        ((200, 100), (1024, 1024), Rect(x=0, y=256, width=1024, height=512)),
        ((100, 200), (1024, 1024), Rect(x=256, y=0, width=512, height=1024)),
        ((10_000, 1), (1024, 1536), Rect(x=0, y=767, width=1024, height=1)),
        ((1, 10_000), (1024, 1536), Rect(x=511, y=0, width=1, height=1536)),
    ],
)
def test_with_a_size_the_photo_is_centred(photo: tuple[int, int], size: tuple[int, int], kept: Rect) -> None:
    canvas = placement_of_size(*photo, size)
    assert canvas == Placement(
        width=size[0], height=size[1], source=Rect(x=0, y=0, width=photo[0], height=photo[1]), kept=kept
    )


@given(width=EXTENT, height=EXTENT, outer_width=EXTENT, outer_height=EXTENT)
def test_what_fits_inside_touches_two_edges(width: int, height: int, outer_width: int, outer_height: int) -> None:
    inner = fit_inside(width, height, outer_width, outer_height)
    assert inner.width == outer_width or inner.height == outer_height
    assert 1 <= inner.width <= outer_width
    assert 1 <= inner.height <= outer_height
    assert abs(outer_width - inner.width - 2 * inner.x) <= 1
    assert abs(outer_height - inner.height - 2 * inner.y) <= 1
    # The shape is the photo's to within half a pixel, or it is a line; where two edges touch, seen from one of them.
    full_width = inner.width == outer_width and _is_near(inner.height, height * outer_width / width)
    full_height = inner.height == outer_height and _is_near(inner.width, width * outer_height / height)
    assert full_width or full_height


def _is_near(side: int, exact: float) -> bool:
    return abs(side - exact) <= 0.5 or (side == 1 and exact < 1)


def test_sizes() -> None:
    assert parse_size("1024x1536") == (1024, 1536)

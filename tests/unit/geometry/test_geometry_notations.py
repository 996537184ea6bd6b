"""Ratios, canvases, zooming out and anchors: what each comes to, and that equal wishes come to the same."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from uncrop.errors import InvalidFieldValue, UncropError, ValidationError
from uncrop.geometry.notations import (
    ANCHORS,
    check_notation,
    parse_ratio,
    placement_of_canvas,
    placement_of_ratio,
    placement_of_zoom,
    sides_of,
)
from uncrop.geometry.output import output_size
from uncrop.geometry.sides import placement_of_sides
from uncrop.model import Placement, Rect, Sides, UncropRequest

EXTENT = st.integers(1, 6000)
ANCHOR = st.sampled_from(sorted(ANCHORS))


# --- ratios ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ratio"),
    [
        ("16:9", Fraction(16, 9)),
        ("9:16", Fraction(9, 16)),
        ("1:1", Fraction(1)),
        ("1.5", Fraction(3, 2)),
        ("1", Fraction(1)),
        ("0.05", Fraction(1, 20)),
        ("20:1", Fraction(20)),
        ("1920:1080", Fraction(16, 9)),
    ],
)
def test_ratios(text: str, ratio: Fraction) -> None:
    assert parse_ratio(text) == ratio


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "0",
            "0:0",
            "16:0",
            "0:9",
            "-1",
            "-16:9",
            "16:-9",
            "nan",
            "inf",
            "1e3",
            "16 : 9",
            " 16:9",
            "16:9 ",
            "16/9",
        ),
        *("1:1000", "1000:1", "20.1", "0.04", "16:9:1", "1.", ".5", "١:١", "123456:123456", "x" * 500),
    ],
)
def test_what_is_no_ratio(text: str) -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        parse_ratio(text)
    assert refused.value.message == "aspect_ratio must be like 16:9 or 1.78, from 1:20 to 20:1"
    assert refused.value.details == {"field": "aspect_ratio", "value": text[:32]}


def test_the_canvas_of_a_ratio_is_the_smallest_that_holds_the_photo() -> None:
    placement = placement_of_ratio(1000, 1000, Fraction(16, 9))
    assert (placement.width, placement.height) == (1778, 1000)
    assert placement.kept == Rect(x=389, y=0, width=1000, height=1000)
    tall = placement_of_ratio(1000, 1000, Fraction(4, 5), "top")
    assert (tall.width, tall.height, tall.kept.y) == (1000, 1250, 0)


def test_a_photo_of_that_ratio_is_told_so() -> None:
    for width, height in ((1920, 1080), (1778, 1000)):  # the second as nearly as whole pixels can
        with pytest.raises(InvalidFieldValue) as refused:
            placement_of_ratio(width, height, Fraction(16, 9))
        assert refused.value.message == "The photo already has this aspect ratio"
        assert refused.value.details == {"field": "aspect_ratio", "width": width, "height": height}


@given(EXTENT, EXTENT, st.fractions(Fraction(1, 20), Fraction(20), max_denominator=1000), ANCHOR)
def test_every_canvas_of_a_ratio_meets_it_and_holds_the_photo(
    width: int, height: int, ratio: Fraction, anchor: str
) -> None:
    try:
        placement = placement_of_ratio(width, height, ratio, anchor)
    except InvalidFieldValue:
        # As near as whole pixels can be: either edge is the nearest for the other.
        assert abs(width - height * ratio) <= Fraction(1, 2) or abs(height - width / ratio) <= Fraction(1, 2)
        return
    check_whole(placement, width, height, anchor)
    assert placement.width == width or placement.height == height
    if placement.height == height:
        assert abs(placement.width - height * ratio) <= Fraction(1, 2)
    else:
        assert abs(placement.height - width / ratio) <= Fraction(1, 2)


def check_whole(placement: Placement, width: int, height: int, anchor: str) -> None:
    """The whole photo lies on the canvas, where the anchor says, to within a pixel."""
    kept = placement.kept
    assert placement.source == Rect(x=0, y=0, width=width, height=height)
    assert (kept.width, kept.height) == (width, height)
    for start, extent, canvas, share in (
        (kept.x, width, placement.width, ANCHORS[anchor][0]),
        (kept.y, height, placement.height, ANCHORS[anchor][1]),
    ):
        assert 0 <= start <= canvas - extent
        assert abs(2 * start - (canvas - extent) * share) <= 1


# --- zooming out -----------------------------------------------------------------------------------------------------


def test_zooming_out() -> None:
    placement = placement_of_zoom(1000, 500, 50)
    assert (placement.width, placement.height) == (2000, 1000)
    assert placement.kept == Rect(x=500, y=250, width=1000, height=500)
    assert placement_of_zoom(900, 900, 10).width == 1000
    assert placement_of_zoom(100, 100, 90).width == 1000


@pytest.mark.parametrize("per_cent", [0, -1, 91, 100, 10**18])
def test_zooms_out_of_range(per_cent: int) -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        placement_of_zoom(100, 100, per_cent)
    assert refused.value.details == {"field": "zoom_out", "value": per_cent, "min_allowed": 1, "max_allowed": 90}


def test_a_zoom_that_adds_nothing_is_told_so() -> None:
    with pytest.raises(InvalidFieldValue, match="too small to add a pixel"):
        placement_of_zoom(16, 16, 1)


@given(EXTENT, EXTENT, st.integers(1, 90), ANCHOR)
def test_every_zoom_holds_the_photo(width: int, height: int, per_cent: int, anchor: str) -> None:
    assume(max(width, height) * per_cent >= 100)
    placement = placement_of_zoom(width, height, per_cent, anchor)
    check_whole(placement, width, height, anchor)
    assert abs(placement.width * (100 - per_cent) - width * 100) * 2 <= 100 - per_cent


# --- canvases --------------------------------------------------------------------------------------------------------


def test_a_canvas_with_a_place_crops_what_lies_outside() -> None:
    placement = placement_of_canvas(100, 80, (120, 60), (-10, 5))
    assert placement == Placement(
        width=120,
        height=60,
        source=Rect(x=10, y=0, width=90, height=55),
        kept=Rect(x=0, y=5, width=90, height=55),
    )
    assert sides_of(placement, 100, 80) == Sides(left=-10, right=30, up=5, down=-25)


def test_a_canvas_without_a_place_goes_by_the_anchor() -> None:
    assert placement_of_canvas(100, 80, (150, 80), None, "right").kept.x == 50
    assert placement_of_canvas(100, 80, (151, 80), None).kept.x == 25


@pytest.mark.parametrize(
    ("canvas", "place", "message"),
    [
        ((0, 10), None, "The canvas must be at least 1 pixel wide and high"),
        ((99, 80), None, "The canvas is smaller than the photo; canvas_x and canvas_y say what to crop"),
        ((100, 79), None, "The canvas is smaller than the photo; canvas_x and canvas_y say what to crop"),
        ((100, 80), None, "The canvas is the photo itself; nothing would be added"),
        ((100, 80), (0, 0), "The canvas is the photo itself; nothing would be added"),
        ((200, 80), (200, 0), "The photo would lie outside the canvas"),
        ((200, 80), (-100, 0), "The photo would lie outside the canvas"),
        ((200, 80), (0, 80), "The photo would lie outside the canvas"),
        ((200, 80), (10**18, 0), "The photo would lie outside the canvas"),
    ],
)
def test_canvases_that_cannot_be(canvas: tuple[int, int], place: tuple[int, int] | None, message: str) -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        placement_of_canvas(100, 80, canvas, place)
    assert refused.value.message == message
    assert (refused.value.details or {})["canvas_width"] == canvas[0]


def test_an_anchor_that_does_not_exist() -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        placement_of_canvas(100, 80, (200, 80), None, "middle")
    assert refused.value.details == {"field": "anchor", "allowed": list(ANCHORS)}


SIDE = st.integers(-2000, 2000)


@given(EXTENT, EXTENT, SIDE, SIDE, SIDE, SIDE)
def test_equal_wishes_in_two_notations_give_equal_placements(
    width: int, height: int, left: int, right: int, up: int, down: int
) -> None:
    assume(any((left, right, up, down)) and width + min(0, left) + min(0, right) > 0)
    assume(height + min(0, up) + min(0, down) > 0)
    sides = Sides(left=left, right=right, up=up, down=down)
    placement = placement_of_sides(width, height, sides)
    assert sides_of(placement, width, height) == sides
    canvas = (placement.width, placement.height)
    if canvas != (width, height) or left or up:
        assert placement_of_canvas(width, height, canvas, (left, up)) == placement


# --- one notation at a time ------------------------------------------------------------------------------------------


def asked(**fields: Any) -> UncropRequest:
    return UncropRequest(provider="local", image=b"", **fields)


@pytest.mark.parametrize(
    ("fields", "notation"),
    [
        ({}, None),
        ({"sides": Sides(left=1)}, "sides"),
        ({"aspect_ratio": "16:9", "anchor": "left"}, "aspect_ratio"),
        ({"zoom_out": 10, "anchor": "top"}, "zoom_out"),
        ({"canvas_width": 9, "canvas_height": 9, "anchor": "top"}, "canvas"),
        ({"canvas_width": 9, "canvas_height": 9, "canvas_x": 0, "canvas_y": 0}, "canvas"),
        ({"mask": b"m"}, "mask"),
    ],
)
def test_the_notation_is_told_by_its_fields(fields: dict[str, Any], notation: str | None) -> None:
    assert check_notation(asked(**fields)) == notation


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"sides": Sides(left=1, down=-2), "mask": b"m"}, ["extend_left", "extend_down", "mask_file"]),
        ({"sides": Sides(up=1), "aspect_ratio": "16:9"}, ["extend_up", "aspect_ratio"]),
        ({"aspect_ratio": "16:9", "zoom_out": 10}, ["aspect_ratio", "zoom_out"]),
        ({"canvas_width": 9, "mask": b"m"}, ["canvas_width", "mask_file"]),
        (
            {"sides": Sides(left=1), "aspect_ratio": "1", "canvas_x": 0, "zoom_out": 1, "mask": b""},
            ["extend_left", "aspect_ratio", "canvas_x", "zoom_out", "mask_file"],
        ),
    ],
)
def test_two_notations_exclude_each_other(fields: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        check_notation(asked(**fields))
    assert refused.value.details == {"fields": named}
    assert refused.value.message == f"{' and '.join(named)} cannot be sent together: each says what the canvas is"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, ["anchor"]),
        ({"sides": Sides(left=1)}, ["anchor", "extend_left"]),
        ({"mask": b"m"}, ["anchor", "mask_file"]),
        (
            {"canvas_width": 9, "canvas_height": 9, "canvas_x": 0, "canvas_y": 0},
            ["anchor", "canvas_width", "canvas_height", "canvas_x", "canvas_y"],
        ),
    ],
)
def test_an_anchor_where_the_place_is_said_already(fields: dict[str, Any], named: list[str]) -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        check_notation(asked(anchor="left", **fields))
    assert refused.value.details == {"fields": named}


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({"canvas_width": 9}, ["canvas_height"]),
        ({"canvas_height": 9, "canvas_x": 1}, ["canvas_width", "canvas_y"]),
        ({"canvas_x": 1, "canvas_y": 1}, ["canvas_width", "canvas_height"]),
    ],
)
def test_half_a_canvas_is_told_what_is_missing(fields: dict[str, Any], missing: list[str]) -> None:
    with pytest.raises(ValidationError) as refused:
        check_notation(asked(**fields))
    assert refused.value.details == {"fields": dict.fromkeys(missing, "is required")}


# --- the finished picture --------------------------------------------------------------------------------------------


def test_an_output_size_of_the_canvas_shape_is_taken() -> None:
    assert output_size("1920x1080", 3840, 2160) == (1920, 1080)
    assert output_size("100x56", 1778, 1000) == (100, 56)


@pytest.mark.parametrize("text", ["", "0x0", "1920", "1920X1080", "1920 x 1080", "-1x1", "1920x1080x1", "9999999x1"])
def test_what_is_no_output_size(text: str) -> None:
    with pytest.raises(InvalidFieldValue, match="output_size must be like 1920x1080"):
        output_size(text, 100, 100)


def test_an_output_size_of_another_shape_is_told_the_two_that_would_fit() -> None:
    with pytest.raises(InvalidFieldValue) as refused:
        output_size("1920x1000", 3840, 2160)
    assert refused.value.details == {
        "field": "output_size",
        "value": "1920x1000",
        "canvas": "3840x2160",
        "would_fit": ["1920x1080", "1778x1000"],
    }


@given(EXTENT, EXTENT, EXTENT)
def test_what_would_fit_fits(width: int, height: int, wanted: int) -> None:
    assume(wanted * max(width, height) < 999_999 * min(width, height))
    try:
        fits = [f"{wanted}x{wanted}"]
        output_size(fits[0], width, height)
    except UncropError as error:
        fits = (error.details or {})["would_fit"]
    for fit in fits:
        output_size(fit, width, height)

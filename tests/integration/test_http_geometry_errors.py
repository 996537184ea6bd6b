"""What is asked of a canvas and cannot be, over HTTP: each refusal whole, and that nobody is called for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from fixtures_http import Form, Refusal, ask, check, clipdrop_form
from uncrop.testing.pictures import mask_png, photo_jpeg

if TYPE_CHECKING:
    from fixtures_server import Real

SIDES = clipdrop_form(photo_jpeg(64, 48))
PLAIN = SIDES.but("extend_left")
CANVAS = {"canvas_width": "100", "canvas_height": "100"}
ANCHORS = ["center", "left", "right", "top", "bottom", "top-left", "top-right", "bottom-left", "bottom-right"]


def invalid(message: str, code: str = "INVALID_FIELD_VALUE", **details: Any) -> Refusal:
    return Refusal(status=422, code=code, message=message, details=details)


def together(*fields: str) -> Refusal:
    return invalid(
        f"{' and '.join(fields)} cannot be sent together: each says what the canvas is",
        fields=list(fields),
    )


def between(field: str, value: int, least: int, most: int) -> Refusal:
    text = f"{field} must be between {least} and {most}"
    return invalid(text, field=field, value=value, min_allowed=least, max_allowed=most)


def unsupported(field: str, provider: str) -> Refusal:
    return invalid(f"{field} is not supported by provider {provider}", field=field, provider=provider)


def missing(field: str) -> Refusal:
    return invalid(f"{field} is required", code="VALIDATION_ERROR", fields={field: "is required"})


OUTSIDE = "The photo would lie outside the canvas"
CASES: dict[str, tuple[Form, Refusal]] = {
    "a ratio and zooming out": (PLAIN.but(aspect_ratio="16:9", zoom_out="20"), together("aspect_ratio", "zoom_out")),
    "sides and a ratio": (SIDES.but(aspect_ratio="16:9"), together("extend_left", "aspect_ratio")),
    "a canvas and a mask": (
        PLAIN.but(provider="openai", mask_file=mask_png(64, 48), **CANVAS),
        together("canvas_width", "canvas_height", "mask_file"),
    ),
    "an anchor with sides": (
        SIDES.but(anchor="left"),
        invalid(
            "anchor goes with aspect_ratio, zoom_out, or canvas_width and canvas_height without a place",
            fields=["anchor", "extend_left"],
        ),
    ),
    "an unknown anchor": (
        PLAIN.but(aspect_ratio="16:9", anchor="middle"),
        invalid(f"anchor must be one of {', '.join(ANCHORS)}", field="anchor", allowed=ANCHORS),
    ),
    **{
        f"the ratio {ratio!r}": (
            PLAIN.but(aspect_ratio=ratio),
            invalid(
                "aspect_ratio must be like 16:9 or 1.78, from 1:20 to 20:1",
                field="aspect_ratio",
                value=ratio,
            ),
        )
        for ratio in ("0", "0:1", "16:0", "-16:9", "-1", "1:1000", "nan", "inf", "1e3", "16 : 9", "16:9:3")
    },
    "the ratio that the photo has": (
        PLAIN.but(aspect_ratio="4:3"),
        invalid("The photo already has this aspect ratio", field="aspect_ratio", width=64, height=48),
    ),
    "a canvas smaller than the photo": (
        PLAIN.but(canvas_width="60", canvas_height="48"),
        invalid(
            "The canvas is smaller than the photo; canvas_x and canvas_y say what to crop",
            canvas_width=60,
            canvas_height=48,
            width=64,
            height=48,
        ),
    ),
    "a canvas of one edge": (PLAIN.but(canvas_width="100"), missing("canvas_height")),
    "a place of one number": (PLAIN.but(canvas_x="10", **CANVAS), missing("canvas_y")),
    **{
        f"the photo at {x},{y}": (
            PLAIN.but(canvas_x=str(x), canvas_y=str(y), **CANVAS),
            invalid(OUTSIDE, canvas_width=100, canvas_height=100, canvas_x=x, canvas_y=y),
        )
        for x, y in ((100, 0), (-64, 0), (0, 100), (0, -48))
    },
    "zooming out by nothing": (PLAIN.but(zoom_out="0"), between("zoom_out", 0, 1, 90)),
    "zooming out too far": (PLAIN.but(zoom_out="91"), between("zoom_out", 91, 1, 90)),
    "no call at all": (SIDES.but(max_calls="0"), between("max_calls", 0, 1, 8)),
    "too many calls": (SIDES.but(max_calls="9"), between("max_calls", 9, 1, 8)),
    "no variation": (SIDES.but(variations="0"), between("variations", 0, 1, 4)),
    "too many variations": (SIDES.but(variations="5"), between("variations", 5, 1, 4)),
    "an output size of another shape": (
        PLAIN.but(aspect_ratio="16:9", output_size="1000x1000"),
        invalid(
            "output_size has another shape than the canvas",
            field="output_size",
            value="1000x1000",
            canvas="85x48",
            would_fit=["1000x565", "1771x1000"],
        ),
    ),
    "an output size that is none": (
        PLAIN.but(aspect_ratio="16:9", output_size="1000"),
        invalid("output_size must be like 1920x1080", field="output_size", value="1000"),
    ),
    "an output format that is none": (
        PLAIN.but(aspect_ratio="16:9", output_format="gif"),
        invalid("output_format must be one of jpeg, png, webp", field="output_format", allowed=["jpeg", "png", "webp"]),
    ),
    **{
        f"{field} with {provider}": (SIDES.but(provider=provider, **{field: "a beach"}), unsupported(field, provider))
        for field, provider in (
            ("prompt", "clipdrop"),
            ("prompt", "local"),
            ("negative_prompt", "clipdrop"),
            ("negative_prompt", "openai"),
            ("negative_prompt", "comfyui"),
        )
    },
}


@pytest.mark.parametrize("name", CASES)
def test_what_cannot_be_asked_of_a_canvas(quiet: Real, name: str) -> None:
    form, expected = CASES[name]
    check(ask(quiet.url, form, key=quiet.key), expected)

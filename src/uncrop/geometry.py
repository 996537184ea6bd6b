"""Sides, sizes and rectangles: integers only, pure functions."""

from __future__ import annotations

from uncrop.errors import InvalidExtendParameters
from uncrop.model import Canvas, Rect, Sides

MAX_SIDE = 2000
FIELDS = ("extend_left", "extend_right", "extend_up", "extend_down")


def check_sides(sides: Sides) -> None:
    """Refuse sides beyond ±2000 pixels and sides that are all zero.

    Raises
    ------
    InvalidExtendParameters
        With every offending side and its value in ``details``, those that are too large and those that are too small
        together, and the limits; the message is about the ones that are too large, if there are any.
    """
    values = dict(zip(FIELDS, (sides.left, sides.right, sides.up, sides.down), strict=True))
    if offending := {name: value for name, value in values.items() if abs(value) > MAX_SIDE}:
        grows = max(offending.values()) > MAX_SIDE
        crops = min(offending.values()) < -MAX_SIDE
        raise InvalidExtendParameters(
            f"Extend parameters exceed {MAX_SIDE}px" if grows else f"Extend parameters are below -{MAX_SIDE}px",
            details={**offending, "max_allowed": MAX_SIDE, **({"min_allowed": -MAX_SIDE} if crops else {})},
        )
    if not any(values.values()):
        raise InvalidExtendParameters("At least one extend parameter must be non-zero")


def canvas_of_sides(width: int, height: int, sides: Sides) -> Canvas:
    """Compute the canvas for a photo of ``width`` x ``height`` pixels; negative sides crop it.

    Raises
    ------
    InvalidExtendParameters
        When the negative sides leave nothing of the photo.
    """
    left_width, left_height = sides.left_over(width, height)
    source = Rect(x=max(0, -sides.left), y=max(0, -sides.up), width=left_width, height=left_height)
    if source.width < 1 or source.height < 1:
        raise InvalidExtendParameters(
            "Negative extend parameters leave nothing of the image",
            details={
                "width": width,
                "height": height,
                "remaining_width": source.width,
                "remaining_height": source.height,
            },
        )
    kept = Rect(x=max(0, sides.left), y=max(0, sides.up), width=source.width, height=source.height)
    return Canvas(
        width=width + sides.left + sides.right, height=height + sides.up + sides.down, source=source, kept=kept
    )


def canvas_of_size(width: int, height: int, size: tuple[int, int] | None) -> Canvas:
    """Compute the canvas for a photo that is itself the canvas, as with a mask.

    Without ``size`` the picture has the photo's own size. With it, the photo is scaled to fit inside and centred, so
    that its shape is never distorted; what is left over is to be made.
    """
    source = Rect(x=0, y=0, width=width, height=height)
    if size is None:
        return Canvas(width=width, height=height, source=source, kept=source)
    return Canvas(width=size[0], height=size[1], source=source, kept=fit_inside(width, height, *size))


def fit_inside(width: int, height: int, outer_width: int, outer_height: int) -> Rect:
    """Return the largest centred rectangle of the shape ``width`` : ``height`` inside the outer extent."""
    if width * outer_height >= height * outer_width:
        inner_width, inner_height = outer_width, max(1, (height * outer_width + width // 2) // width)
    else:
        inner_width, inner_height = max(1, (width * outer_height + height // 2) // height), outer_height
    return Rect(
        x=(outer_width - inner_width) // 2,
        y=(outer_height - inner_height) // 2,
        width=inner_width,
        height=inner_height,
    )


def parse_size(size: str) -> tuple[int, int]:
    """Parse ``"1024x1536"`` into (width, height)."""
    width, _, height = size.partition("x")
    return int(width), int(height)

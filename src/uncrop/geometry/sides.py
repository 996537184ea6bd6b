"""Pixels to add on each side, the published way to ask."""

from __future__ import annotations

from uncrop.errors import InvalidExtendParameters
from uncrop.model.shapes import Placement, Rect, Sides

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


def placement_of_sides(width: int, height: int, sides: Sides) -> Placement:
    """Compute the placement of a photo of ``width`` x ``height`` pixels; negative sides crop it.

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
    return Placement(
        width=width + sides.left + sides.right, height=height + sides.up + sides.down, source=source, kept=kept
    )

"""From each notation that people ask in to a ``Placement``.

Sides, a ratio, a canvas with a place on it, and zooming out all say which canvas to make and where the photo lies on
it. Equal wishes in two notations give equal placements. Where a wish does not come out in whole pixels, the nearest
whole number is taken, so that no edge is off by more than half a pixel; a half goes up.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import TYPE_CHECKING

from uncrop.errors import InvalidFieldValue, ValidationError
from uncrop.geometry.sides import FIELDS
from uncrop.model.shapes import Placement, Rect, Sides

if TYPE_CHECKING:
    from uncrop.model.requests import UncropRequest

# Where the photo lies: the share of what is added that goes to its left, and above it, in halves.
ANCHORS = {
    "center": (1, 1),
    "left": (0, 1),
    "right": (2, 1),
    "top": (1, 0),
    "bottom": (1, 2),
    "top-left": (0, 0),
    "top-right": (2, 0),
    "bottom-left": (0, 2),
    "bottom-right": (2, 2),
}
MAX_RATIO = 20  # to one, either way
MIN_ZOOM, MAX_ZOOM = 1, 90  # per cent
_RATIO = re.compile(r"([0-9]{1,5}):([0-9]{1,5})|([0-9]{1,4}(?:\.[0-9]{1,6})?)")


def parse_ratio(text: str) -> Fraction:
    """Parse ``16:9`` or ``1.78`` into width : height.

    Raises
    ------
    InvalidFieldValue
        It is neither, or more extreme than 20:1.
    """
    match = _RATIO.fullmatch(text)
    if match is not None:
        down = int(match[2]) if match[2] else 1
        across = Fraction(match[1] or match[3])
        if down and across and Fraction(1, MAX_RATIO) <= across / down <= MAX_RATIO:
            return across / down
    raise InvalidFieldValue(
        f"aspect_ratio must be like 16:9 or 1.78, from 1:{MAX_RATIO} to {MAX_RATIO}:1",
        details={"field": "aspect_ratio", "value": text[:32]},
    )


def placement_of_ratio(width: int, height: int, ratio: Fraction, anchor: str = "center") -> Placement:
    """Return the smallest canvas of a ratio that holds the whole photo.

    Raises
    ------
    InvalidFieldValue
        The photo has that ratio already.
    """
    wide = (max(width, nearest(height * ratio)), height)
    tall = (width, max(height, nearest(width / ratio)))
    canvas = wide if Fraction(width, height) < ratio else tall
    if canvas == (width, height):
        raise InvalidFieldValue(
            "The photo already has this aspect ratio",
            details={"field": "aspect_ratio", "width": width, "height": height},
        )
    return anchored(width, height, *canvas, anchor)


def placement_of_zoom(width: int, height: int, per_cent: int, anchor: str = "center") -> Placement:
    """Return the canvas of whose width and height the photo takes ``100 - per_cent`` per cent.

    Raises
    ------
    InvalidFieldValue
        The percentage is out of range, or so small that nothing would be added.
    """
    if not MIN_ZOOM <= per_cent <= MAX_ZOOM:
        raise InvalidFieldValue(
            f"zoom_out must be between {MIN_ZOOM} and {MAX_ZOOM}",
            details={"field": "zoom_out", "value": per_cent, "min_allowed": MIN_ZOOM, "max_allowed": MAX_ZOOM},
        )
    scale = Fraction(100, 100 - per_cent)
    canvas = (nearest(width * scale), nearest(height * scale))
    if canvas == (width, height):
        raise InvalidFieldValue(
            "zoom_out is too small to add a pixel to this photo", details={"field": "zoom_out", "value": per_cent}
        )
    return anchored(width, height, *canvas, anchor)


def placement_of_canvas(
    width: int, height: int, canvas: tuple[int, int], place: tuple[int, int] | None, anchor: str = "center"
) -> Placement:
    """Return a canvas of a size, with the photo's top left corner at ``place``, or by ``anchor``.

    What lies outside the canvas is cropped, where a place says so; without one the whole photo must fit.

    Raises
    ------
    InvalidFieldValue
        The canvas is smaller than the photo and no place is given, the photo would lie outside, or the canvas is the
        photo itself.
    """
    extent = {"canvas_width": canvas[0], "canvas_height": canvas[1]}
    if min(canvas) < 1:
        raise InvalidFieldValue("The canvas must be at least 1 pixel wide and high", details=extent)
    if place is None:
        if canvas[0] < width or canvas[1] < height:
            raise InvalidFieldValue(
                "The canvas is smaller than the photo; canvas_x and canvas_y say what to crop",
                details={**extent, "width": width, "height": height},
            )
        placement = anchored(width, height, *canvas, anchor)
    else:
        placement = _placed(width, height, canvas, place)
    if placement.source == placement.kept and canvas == (width, height):
        raise InvalidFieldValue("The canvas is the photo itself; nothing would be added", details=extent)
    return placement


def anchored(width: int, height: int, canvas_width: int, canvas_height: int, anchor: str) -> Placement:
    """Place a whole photo on a canvas that is at least as large.

    Raises
    ------
    InvalidFieldValue
        There is no such anchor.
    """
    if anchor not in ANCHORS:
        raise InvalidFieldValue(
            f"anchor must be one of {', '.join(ANCHORS)}", details={"field": "anchor", "allowed": list(ANCHORS)}
        )
    across, down = ANCHORS[anchor]
    x, y = (canvas_width - width) * across // 2, (canvas_height - height) * down // 2
    return Placement(
        width=canvas_width,
        height=canvas_height,
        source=Rect(x=0, y=0, width=width, height=height),
        kept=Rect(x=x, y=y, width=width, height=height),
    )


def _placed(width: int, height: int, canvas: tuple[int, int], place: tuple[int, int]) -> Placement:
    left, top = max(0, -place[0]), max(0, -place[1])
    right, bottom = min(width, canvas[0] - place[0]), min(height, canvas[1] - place[1])
    if right <= left or bottom <= top:
        raise InvalidFieldValue(
            "The photo would lie outside the canvas",
            details={
                "canvas_width": canvas[0],
                "canvas_height": canvas[1],
                "canvas_x": place[0],
                "canvas_y": place[1],
            },
        )
    return Placement(
        width=canvas[0],
        height=canvas[1],
        source=Rect(x=left, y=top, width=right - left, height=bottom - top),
        kept=Rect(x=max(0, place[0]), y=max(0, place[1]), width=right - left, height=bottom - top),
    )


def sides_of(placement: Placement, width: int, height: int) -> Sides:
    """Return the sides, negative where the photo is cropped, that make a placement of a photo."""
    source, added = placement.source, placement.added
    return Sides(
        left=added.left - source.x,
        right=added.right - (width - source.x - source.width),
        up=added.up - source.y,
        down=added.down - (height - source.y - source.height),
    )


# --- which notation was used ------------------------------------------------------------------------------------------

CANVAS = ("canvas_width", "canvas_height", "canvas_x", "canvas_y")


def sent_fields(request: UncropRequest) -> dict[str, tuple[str, ...]]:
    """Return the geometry fields that were sent, by notation. A side of 0 is as if absent."""
    sides = request.sides
    values = dict(zip(FIELDS, (sides.left, sides.right, sides.up, sides.down), strict=True))
    found = {
        "sides": tuple(name for name, value in values.items() if value),
        "aspect_ratio": ("aspect_ratio",) if request.aspect_ratio is not None else (),
        "canvas": tuple(name for name in CANVAS if getattr(request, name) is not None),
        "zoom_out": ("zoom_out",) if request.zoom_out is not None else (),
        "mask": ("mask_file",) if request.mask is not None else (),
    }
    return {notation: names for notation, names in found.items() if names}


def check_notation(request: UncropRequest) -> str | None:
    """Return the one notation that was used: ``sides``, ``aspect_ratio``, ``canvas``, ``zoom_out``, ``mask`` or none.

    Raises
    ------
    InvalidFieldValue
        Two notations were used, or an anchor where the place is said already.
    ValidationError
        Half of a canvas or of a place is missing.
    """
    sent = sent_fields(request)
    if len(sent) > 1:
        fields = [name for names in sent.values() for name in names]
        raise InvalidFieldValue(
            f"{' and '.join(fields)} cannot be sent together: each says what the canvas is", details={"fields": fields}
        )
    notation = next(iter(sent), None)
    if request.anchor is not None and (notation in {None, "sides", "mask"} or request.canvas_x is not None):
        others = [*sent.get(notation or "", ())]
        raise InvalidFieldValue(
            "anchor goes with aspect_ratio, zoom_out, or canvas_width and canvas_height without a place",
            details={"fields": ["anchor", *others]},
        )
    if notation == "canvas":
        _check_pairs(request)
    return notation


def _check_pairs(request: UncropRequest) -> None:
    """Refuse half of a canvas, and half of a place."""
    missing = [name for name in CANVAS[:2] if getattr(request, name) is None]
    place = [name for name in CANVAS[2:] if getattr(request, name) is None]
    missing += place if len(place) == 1 else []
    if missing:
        raise ValidationError(
            "; ".join(f"{name} is required" for name in missing),
            details={"fields": dict.fromkeys(missing, "is required")},
        )


def nearest(value: Fraction) -> int:
    """Return the nearest whole number; a half goes up."""
    return (2 * value.numerator + value.denominator) // (2 * value.denominator)

"""Limits of the photo that comes in and of the picture that will go out."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.errors import ImageTooLarge, InvalidExtendParameters, InvalidFieldValue, InvalidImage
from uncrop.geometry.planner import Obstacle
from uncrop.geometry.steps import plan
from uncrop.imaging.limits import MAX_SIDES
from uncrop.model import Sides

if TYPE_CHECKING:
    from uncrop.model import ImageFormat, ImageHeader, Placement, Plan, ProviderFacts, Rect, UncropRequest

# A photo may have so many times the pixels of the largest picture, of up to so many bytes; of deeper ones, fewer.
INPUT_SHARE, FULL_DEPTH = 1.25, 4
MEGABYTE = 1_000_000
OPAQUE = (1, 3)  # channels of a photo without alpha


def check_bytes(image: bytes, facts: ProviderFacts, plan: Plan | None = None) -> None:
    """Refuse a file that is longer than the provider takes, if that very file is what it would be sent.

    Before there is a plan, only providers for which no photo is scaled are known to be sent it.
    """
    may_be_scaled = facts.geometry.scales and facts.geometry.speaks != "mask"
    if may_be_scaled and (plan is None or not plan.direct):
        return
    if len(image) > facts.upload.max_bytes:
        raise ImageTooLarge(
            "The image file is too large",
            details={"size": len(image), "max_allowed": facts.upload.max_bytes, "unit": "bytes"},
        )


def check_depth(header: ImageHeader, max_output_pixels: int) -> None:
    """Refuse a photo that has far more pixels than a picture may have, or takes as much room by its depth.

    All of a photo is decoded, also where most of it is cropped.
    """
    bytes_a_pixel = header.channels * header.bits // 8
    most = int(INPUT_SHARE * max_output_pixels * min(1.0, FULL_DEPTH / bytes_a_pixel))
    if header.width * header.height > most:
        raise ImageTooLarge(
            "The image has too many pixels",
            details={
                "width": header.width,
                "height": header.height,
                "bits": header.bits,
                "max_allowed": most,
                "unit": "pixels",
            },
        )


def check_work(header: ImageHeader, sides: Sides, facts: ProviderFacts, max_output_pixels: int) -> None:
    """Refuse what takes more memory than the largest picture of an ordinary shape, where a provider can tell it.

    Around a photo that is long and thin the engine cannot begin with a small picture, so its memory and its time grow
    with all of the canvas.
    """
    if facts.working_bytes is None:
        return
    edge = math.isqrt(int(INPUT_SHARE * max_output_pixels))
    ordinary = replace(header, width=edge, height=edge, channels=max(3, header.channels))
    most = facts.working_bytes(ordinary, Sides())
    needed = facts.working_bytes(header, sides)
    if needed > most:
        raise ImageTooLarge(
            "The image is too long and thin to be extended here",
            details={
                "width": header.width,
                "height": header.height,
                "needed": -(-needed // MEGABYTE),
                "max_allowed": most // MEGABYTE,
                "unit": "megabytes",
            },
        )


def check_extent(header: ImageHeader, used: Rect, facts: ProviderFacts) -> None:
    """Refuse a photo of which too many pixels are used, or with a side that is too short to work on.

    Where the provider's row says that photos are scaled for it, there is nothing to refuse.
    """
    most = facts.geometry.max_photo_pixels
    if facts.geometry.scales:
        return
    if most is not None and used.width * used.height > most:
        raise ImageTooLarge(
            "The image has too many pixels",
            details={"width": used.width, "height": used.height, "max_allowed": most, "unit": "pixels"},
        )
    if min(header.width, header.height) < facts.geometry.min_photo_edge:
        raise InvalidImage(
            f"The image must be at least {facts.geometry.min_photo_edge} pixels wide and high",
            details={
                "width": header.width,
                "height": header.height,
                "min_allowed": facts.geometry.min_photo_edge,
                "unit": "pixels",
            },
        )


def check_output(width: int, height: int, answer_format: ImageFormat, max_pixels: int) -> None:
    """Refuse a picture that is larger than it may be, or than its format can name."""
    extent = {"width": width, "height": height}
    if width * height > max_pixels:
        megapixels = max_pixels / 1_000_000
        raise ImageTooLarge(
            "The extended image would be too large",
            details={**extent, "max_megapixels": int(megapixels) if megapixels.is_integer() else megapixels},
        )
    if max(width, height) > MAX_SIDES[answer_format]:
        raise ImageTooLarge(
            f"The extended image would be too large for {answer_format}",
            details={**extent, "max_allowed": MAX_SIDES[answer_format], "unit": "pixels a side"},
        )


def check_made(sides: Sides, facts: ProviderFacts) -> None:
    """Refuse a canvas on which nothing is to be made, unless the provider itself takes crops."""
    if not facts.geometry.crops and max(sides.left, sides.right, sides.up, sides.down) <= 0:
        raise InvalidExtendParameters(
            "Nothing is to be made: at least one side must grow", details={"provider": facts.name}
        )


def plan_calls(request: UncropRequest, header: ImageHeader, placement: Placement, facts: ProviderFacts) -> Plan:
    """Plan the calls that make a canvas.

    Raises
    ------
    ImageTooLarge
        It takes more calls than ``max_calls``, or no number of calls makes it; with the number that is in the way.
    InvalidFieldValue
        A map is asked for, which is made with the whole picture alone.
    """
    max_calls = request.max_calls or 1
    planned = plan(
        placement,
        facts.geometry,
        max_calls,
        photo=(header.width, header.height),
        # What is transparent is to be made as well, wherever in the photo it lies.
        cuts=header.channels in OPAQUE,
    )
    if isinstance(planned, Obstacle):
        raise ImageTooLarge(
            f"{facts.title} cannot make this picture in {'one call' if max_calls == 1 else f'{max_calls} calls'}",
            details=_what_is_in_the_way(planned, placement, facts),
        )
    if request.confidence_map and not planned.direct:
        raise InvalidFieldValue(
            "confidence_map is made with one call of the whole photo alone; this picture takes another plan",
            details={"field": "confidence_map", "provider": facts.name},
        )
    return planned


def _what_is_in_the_way(obstacle: Obstacle, placement: Placement, facts: ProviderFacts) -> dict[str, object]:
    details: dict[str, object] = {
        "provider": facts.name,
        "width": placement.width,
        "height": placement.height,
        "limit": obstacle.quantity,
        "value": round(obstacle.value, 3),
        "max_allowed" if obstacle.value > obstacle.limit else "min_allowed": obstacle.limit,
    }
    return details if obstacle.calls_needed is None else {**details, "calls_needed": obstacle.calls_needed}

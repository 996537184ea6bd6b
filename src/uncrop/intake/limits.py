"""Limits of the photo that comes in and of the picture that will go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.errors import ImageTooLarge, InvalidExtendParameters, InvalidImage
from uncrop.geometry.planner import Obstacle, plan_call
from uncrop.imaging.limits import MAX_SIDES

if TYPE_CHECKING:
    from uncrop.model import ImageFormat, ImageHeader, Placement, ProviderFacts, Sides


def check_bytes(image: bytes, facts: ProviderFacts) -> None:
    """Refuse a file that is longer than the provider takes."""
    if len(image) > facts.upload.max_bytes:
        raise ImageTooLarge(
            "The image file is too large",
            details={"size": len(image), "max_allowed": facts.upload.max_bytes, "unit": "bytes"},
        )


def check_extent(header: ImageHeader, facts: ProviderFacts) -> None:
    """Refuse a photo with too many pixels, or with a side that is too short to work on."""
    pixels, most = header.width * header.height, facts.geometry.max_photo_pixels
    if most is not None and pixels > most:
        raise ImageTooLarge(
            "The image has too many pixels",
            details={"width": header.width, "height": header.height, "max_allowed": most, "unit": "pixels"},
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


def check_plan(placement: Placement, facts: ProviderFacts) -> None:
    """Refuse a canvas that the provider cannot make in one call, with the number that is in the way."""
    obstacle = plan_call(placement, facts.geometry)
    if isinstance(obstacle, Obstacle):
        raise ImageTooLarge(
            f"{facts.title} cannot make this picture in one call",
            details={
                "provider": facts.name,
                "width": placement.width,
                "height": placement.height,
                "limit": obstacle.quantity,
                "value": round(obstacle.value, 3),
                "max_allowed" if obstacle.value > obstacle.limit else "min_allowed": obstacle.limit,
            },
        )

"""Limits of the photo that comes in and of the picture that will go out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.errors import ImageTooLarge, InvalidImage
from uncrop.imaging.limits import MAX_SIDES

if TYPE_CHECKING:
    from uncrop.model import Canvas, Capabilities, ImageFormat, ImageHeader


def check_bytes(image: bytes, capabilities: Capabilities) -> None:
    """Refuse a file that is longer than the provider takes."""
    if len(image) > capabilities.max_image_bytes:
        raise ImageTooLarge(
            "The image file is too large",
            details={"size": len(image), "max_allowed": capabilities.max_image_bytes, "unit": "bytes"},
        )


def check_extent(header: ImageHeader, capabilities: Capabilities) -> None:
    """Refuse a photo with too many pixels, or with a side that is too short to work on."""
    pixels, most = header.width * header.height, capabilities.max_image_pixels
    if most is not None and pixels > most:
        raise ImageTooLarge(
            "The image has too many pixels",
            details={"width": header.width, "height": header.height, "max_allowed": most, "unit": "pixels"},
        )
    if min(header.width, header.height) < capabilities.min_image_side:
        raise InvalidImage(
            f"The image must be at least {capabilities.min_image_side} pixels wide and high",
            details={
                "width": header.width,
                "height": header.height,
                "min_allowed": capabilities.min_image_side,
                "unit": "pixels",
            },
        )


def check_output(canvas: Canvas, answer_format: ImageFormat, max_pixels: int) -> None:
    """Refuse a picture that is larger than it may be, or than its format can name."""
    extent = {"width": canvas.width, "height": canvas.height}
    if canvas.width * canvas.height > max_pixels:
        megapixels = max_pixels / 1_000_000
        raise ImageTooLarge(
            "The extended image would be too large",
            details={**extent, "max_megapixels": int(megapixels) if megapixels.is_integer() else megapixels},
        )
    if max(canvas.width, canvas.height) > MAX_SIDES[answer_format]:
        raise ImageTooLarge(
            f"The extended image would be too large for {answer_format}",
            details={**extent, "max_allowed": MAX_SIDES[answer_format], "unit": "pixels a side"},
        )

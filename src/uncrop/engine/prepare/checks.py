"""Refuses requests that cannot be met, before any work is done."""

from __future__ import annotations

from typing import TYPE_CHECKING, get_args

import numpy as np

from uncrop.errors import InvalidExtendParameters, InvalidFieldValue, InvalidImage
from uncrop.model import Quality, Sides

if TYPE_CHECKING:
    from uncrop.model import Pixels

MIN_IMAGE_SIDE = 16
MAX_SIDE = 65_500  # what a JPEG can hold; callers have limits of their own
MAX_SEED = 2**32 - 1


def check_request(image: Pixels, sides: Sides, seed: int, quality: Quality) -> None:
    """Check all arguments of ``extend``, which documents what is raised."""
    check_image(image)
    check_sides(image.shape[1], image.shape[0], sides)
    if not isinstance(seed, int) or isinstance(seed, bool) or not 0 <= seed <= MAX_SEED:
        raise InvalidFieldValue(f"seed must be an integer from 0 to {MAX_SEED}", details={"seed": repr(seed)})
    if quality not in get_args(Quality):
        raise InvalidFieldValue("quality must be fast, standard or best", details={"quality": repr(quality)})


def check_image(image: Pixels) -> None:
    """Check that the array is a picture of at least 16 x 16 pixels."""
    if not isinstance(image, np.ndarray):
        raise InvalidImage("The image is not an array", details={"type": type(image).__name__})
    if image.dtype not in (np.uint8, np.uint16):
        raise InvalidImage("The image has neither 8 nor 16 bits a channel", details={"dtype": str(image.dtype)})
    if image.ndim != 3 or image.shape[2] not in (1, 2, 3, 4):
        raise InvalidImage("The image is not (height, width, 1 to 4)", details={"shape": list(image.shape)})
    if min(image.shape[:2]) < MIN_IMAGE_SIDE:
        raise InvalidImage(
            f"The image is smaller than {MIN_IMAGE_SIDE}x{MIN_IMAGE_SIDE}",
            details={"width": image.shape[1], "height": image.shape[0], "min_side": MIN_IMAGE_SIDE},
        )


def check_sides(width: int, height: int, sides: Sides) -> None:
    """Check that the sides are within their limits, not all zero, and leave a pixel of the photo."""
    values = {"extend_left": sides.left, "extend_right": sides.right, "extend_up": sides.up, "extend_down": sides.down}
    if wrong := {name: repr(value) for name, value in values.items() if type(value) is not int}:
        raise InvalidExtendParameters("Extend parameters must be integers", details=wrong)
    if wide := {name: value for name, value in values.items() if abs(value) > MAX_SIDE}:
        raise InvalidExtendParameters(
            f"Extend parameters exceed {MAX_SIDE}px", details={**wide, "max_allowed": MAX_SIDE}
        )
    if not any(values.values()):
        raise InvalidExtendParameters("At least one extend parameter must be non-zero")
    left_over = sides.left_over(width, height)
    if min(left_over) < 1:
        raise InvalidExtendParameters(
            "Negative extend parameters leave nothing of the image",
            details={
                "width": width,
                "height": height,
                "remaining_width": left_over[0],
                "remaining_height": left_over[1],
            },
        )

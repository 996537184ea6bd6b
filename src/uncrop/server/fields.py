"""The form's fields by their kind, which follows from their names alone, however they were sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import ImageFormat

REQUIRED = ("provider", "organization_id", "image_file")
TEXTS = (
    *("provider", "organization_id", "prompt", "negative_prompt", "size", "quality"),
    *("aspect_ratio", "anchor", "output_size", "output_format", "detail"),
)
PROSE = ("prompt", "negative_prompt")
"""Texts that are passed on as they were sent. Spaces around all others mean nothing, as around numbers."""
SIDES = {"left": "extend_left", "right": "extend_right", "up": "extend_up", "down": "extend_down"}
CANVAS = ("canvas_width", "canvas_height", "canvas_x", "canvas_y", "zoom_out")
NUMBERS = (*SIDES.values(), "seed", *CANVAS, "max_calls", "variations")
EXTENT = ("image_width", "image_height")
"""What a quote takes in place of the image."""
SWITCHES = ("confidence_map",)
FILES = ("image_file", "mask_file")
FORMATS: Mapping[str, ImageFormat] = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP"}
"""The texts of ``output_format``, and what each means."""
FIELDS = dict.fromkeys((*REQUIRED, *TEXTS, *NUMBERS, *SWITCHES, *FILES))

IS_REQUIRED = "is required"
IS_NO_TEXT = "must be text, not a file"

"""What was asked, and by whom."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypedDict

from uncrop.model.shapes import Sides

if TYPE_CHECKING:
    from uncrop.model.pictures import ImageFormat

ORGANIZATION_ID = re.compile(r"org_[A-Za-z0-9_-]{1,64}")
ORGANIZATION_ID_RULE = "org_ followed by 1 to 64 letters, digits, _ or -"  # the same in words
MAX_ORGANIZATION_ID = 68  # characters, by the same rule


@dataclass(frozen=True, kw_only=True, slots=True)
class UncropRequest:
    """What was asked: bytes and wishes, nothing opened yet. ``None`` means that the field was not sent."""

    provider: str
    image: bytes = field(repr=False)
    organization_id: str | None = None
    sides: Sides = field(default_factory=Sides)
    seed: int | None = None
    mask: bytes | None = field(default=None, repr=False)
    prompt: str | None = field(default=None, repr=False)
    negative_prompt: str | None = field(default=None, repr=False)
    size: str | None = None
    quality: str | None = None
    confidence_map: bool = False
    aspect_ratio: str | None = None
    canvas_width: int | None = None
    canvas_height: int | None = None
    canvas_x: int | None = None
    canvas_y: int | None = None
    zoom_out: int | None = None
    anchor: str | None = None
    output_size: str | None = None
    answer_format: ImageFormat | None = None
    max_calls: int | None = None
    detail: str | None = None  # "on" or "off"
    variations: int | None = None  # pictures that are asked for; each is made by a run of its own


class Options(TypedDict, total=False):
    """What may be asked beside the photo and its sides; what is absent, or ``None``, is as if not sent.

    seed, quality, prompt, negative_prompt, size, confidence_map
        Where the provider takes them: the same seed gives the same picture; ``fast``, ``standard`` or ``best``; what to
        continue with, and what must not be there; with a mask, the output size; whether the result has a grey PNG, the
        lighter the surer.
    aspect_ratio, canvas, position, zoom_out, anchor
        In place of sides: a ratio such as ``"16:9"``; the canvas's width and height, and where the photo's top left
        corner lies on it; per cent to zoom out, 1..90; where the photo lies, such as ``"left"`` or ``"top-right"``.
    output_size, output_format
        The finished picture's size, such as ``"1920x1080"``, of the canvas's shape; ``"JPEG"``, ``"PNG"`` or
        ``"WEBP"``.
    max_calls
        How many billed calls the picture may take, 1..8; one, when absent.
    detail
        ``"on"`` or ``"off"``: whether detail is drawn from the photo into what had to be enlarged; on, when absent.
    """

    seed: int | None
    quality: str | None
    prompt: str | None
    negative_prompt: str | None
    size: str | None
    confidence_map: bool
    aspect_ratio: str | None
    canvas: tuple[int, int] | None
    position: tuple[int, int] | None
    zoom_out: int | None
    anchor: str | None
    output_size: str | None
    output_format: ImageFormat | None
    max_calls: int | None
    detail: str | None


def form_values(options: Options) -> dict[str, Any]:
    """Return options under the names of the form's fields: pairs of numbers become two fields, absent ones are out."""
    values: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    for name, fields in (("canvas", ("canvas_width", "canvas_height")), ("position", ("canvas_x", "canvas_y"))):
        values |= dict(zip(fields, values.pop(name, ()), strict=False))
    return values

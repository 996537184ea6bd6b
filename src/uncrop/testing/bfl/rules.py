"""What Black Forest Labs' outpainting takes, as its published schema says.

Kept apart from the provider's own row of facts, so that a mistake in one is found by the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uncrop.imaging import arrays
from uncrop.testing.emulator import Refusal
from uncrop.testing.rules import picture_in_base64

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.testing.emulator import ReceivedCall

MIN_EDGE = 64
MODES = ("high", "fast")
OUTPUTS = ("png", "jpeg", "webp")
FIELDS = {
    "auto_crop",
    "disable_pup",
    "height",
    "input_image",
    "mode",
    "output_format",
    "prompt",
    "reference_offset_x",
    "reference_offset_y",
    "safety_tolerance",
    "user",
    "width",
}
MAX_TOLERANCE = 5
MAX_USER = 256


class BadField(Refusal):
    """A field breaks a rule of the schema; ``place`` is its way from the body."""

    def __init__(self, place: tuple[str, ...], message: str, kind: str) -> None:
        super().__init__(422, message, code=kind)
        self.place = place


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made: a canvas, and where the photo's top left pixel lies on it."""

    photo: NDArray[np.uint8]
    width: int
    height: int
    x: int
    y: int
    mode: str
    output: str
    prompt: str


def read_order(call: ReceivedCall) -> Order:
    """Read the body of a submit.

    Raises
    ------
    Refusal
    """
    fields = _fields(call)
    width, height = (_integer(fields, name, MIN_EDGE) for name in ("width", "height"))
    for name in ("auto_crop", "disable_pup"):
        if type(fields.get(name, False)) is not bool:
            raise BadField(("body", name), "Input should be a valid boolean", "bool_type")
    tolerance = fields.get("safety_tolerance", 2)
    if type(tolerance) is not int or not 0 <= tolerance <= MAX_TOLERANCE:
        raise BadField(("body", "safety_tolerance"), "Input should be an integer from 0 to 5", "int_type")
    mode = _choice(fields, "mode", MODES)
    output = _choice({**fields, "output_format": fields.get("output_format") or "png"}, "output_format", OUTPUTS)
    prompt, user = _text(fields, "prompt"), _text(fields, "user")
    if user is not None and not 1 <= len(user) <= MAX_USER:
        raise BadField(("body", "user"), "String should have 1 to 256 characters", "string_length")
    photo = _photo(fields["input_image"])
    x = _offset(fields, "reference_offset_x", width - photo.shape[1])
    y = _offset(fields, "reference_offset_y", height - photo.shape[0])
    hangs_over = min(x, y) < 0 or x + photo.shape[1] > width or y + photo.shape[0] > height
    if hangs_over and not fields.get("auto_crop", False):
        raise Refusal(400, "The input image extends beyond the canvas; set auto_crop to crop it.")
    return Order(photo=photo, width=width, height=height, x=x, y=y, mode=mode, output=output, prompt=prompt or "")


def _fields(call: ReceivedCall) -> Mapping[str, Any]:
    if call.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise BadField(("body",), "Input should be a valid dictionary", "dict_type")
    try:
        fields = json.loads(call.body)
    except ValueError:
        raise BadField(("body",), "JSON decode error", "json_invalid") from None
    if not isinstance(fields, dict):
        raise BadField(("body",), "Input should be a valid dictionary", "dict_type")
    for name in sorted(fields.keys() - FIELDS):
        raise BadField(("body", name), "Extra inputs are not permitted", "extra_forbidden")
    for name in ("input_image", "width", "height"):
        if name not in fields:
            raise BadField(("body", name), "Field required", "missing")
    return fields


def _integer(fields: Mapping[str, Any], name: str, least: int) -> int:
    value = fields[name]
    if type(value) is not int:
        raise BadField(("body", name), "Input should be a valid integer", "int_type")
    if value < least:
        raise BadField(("body", name), f"Input should be greater than or equal to {least}", "greater_than_equal")
    return value


def _offset(fields: Mapping[str, Any], name: str, room: int) -> int:
    value = fields.get(name)
    if value is None:
        return room // 2
    if type(value) is not int:
        raise BadField(("body", name), "Input should be a valid integer", "int_type")
    return value


def _choice(fields: Mapping[str, Any], name: str, choices: tuple[str, ...]) -> str:
    value = fields.get(name, choices[0])
    if value not in choices:
        raise BadField(("body", name), f"Input should be {' or '.join(choices)}", "enum")
    return str(value)


def _text(fields: Mapping[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise BadField(("body", name), "Input should be a valid string", "string_type")
    return value


def _photo(text: object) -> NDArray[np.uint8]:
    if not isinstance(text, str):
        raise BadField(("body", "input_image"), "Input should be a valid string", "string_type")
    return arrays.to_rgb8(picture_in_base64(text, Refusal(400, "The input image could not be read.")))

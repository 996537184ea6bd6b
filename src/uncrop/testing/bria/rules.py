"""What Bria's image expansion takes, as its published specification says.

Kept apart from the provider's own row of facts, so that a mistake in one is found by the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from uncrop.imaging import arrays, codec
from uncrop.testing.emulator import Refusal
from uncrop.testing.rules import may_be_english, picture_in_base64

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.model import Pixels
    from uncrop.testing.emulator import ReceivedCall

MAX_REQUEST_BYTES = 12_000_000
MAX_CANVAS_PIXELS = 25_000_000
DEFAULT_CANVAS = [1000, 1000]
RATIOS: Mapping[str, float] = {
    name: int(name.partition(":")[0]) / int(name.partition(":")[2])
    for name in ("1:1", "2:3", "3:2", "3:4", "4:3", "4:5", "5:4", "9:16", "16:9")
}
LOWEST_RATIO, HIGHEST_RATIO = 0.5, 3.0
FLAGS = {
    "preserve_alpha": True,
    "prompt_content_moderation": True,
    "sync": False,
    "visual_input_content_moderation": False,
    "visual_output_content_moderation": False,
}
TEXTS = ("prompt", "negative_prompt", "webhook_url")
PLACES = ("canvas_size", "original_image_size", "original_image_location")
FIELDS = {"image", "aspect_ratio", "seed", *PLACES, *TEXTS, *FLAGS}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be made: a canvas, and the photo at the size and the place that it has there."""

    photo: NDArray[np.uint8]
    width: int
    height: int
    x: int
    y: int
    seed: int | None
    prompt: str
    flags: Mapping[str, bool]


def read_order(call: ReceivedCall) -> Order:
    """Read the body of a submit.

    Raises
    ------
    Refusal
    """
    fields = _fields(call)
    flags = {name: fields.get(name, default) for name, default in FLAGS.items()}
    for name, value in flags.items():
        if type(value) is not bool:
            raise Refusal(422, f"{name} must be a boolean")
    for name in TEXTS:
        if not isinstance(fields.get(name, ""), str):
            raise Refusal(422, f"{name} must be a string")
    seed, prompt = fields.get("seed"), fields.get("prompt", "")
    if seed is not None and type(seed) is not int:
        raise Refusal(422, "seed must be an integer")
    if not may_be_english(prompt):
        raise Refusal(422, "Only prompts in English are supported")
    pixels = _photo(fields.get("image"))
    width, height, size, place = _geometry(fields, pixels.shape[1], pixels.shape[0])
    _check_rim(pixels, place, size, (width, height))
    photo = arrays.to_8bit(codec.resize(arrays.to_rgb8(pixels), *size))
    return Order(photo=photo, width=width, height=height, x=place[0], y=place[1], seed=seed, prompt=prompt, flags=flags)


def _fields(call: ReceivedCall) -> Mapping[str, Any]:
    if call.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise Refusal(415, "Unsupported media type")
    if int(call.headers.get("content-length", 0)) > MAX_REQUEST_BYTES:
        raise Refusal(413, "The request is larger than 12 MB")
    fields = call.json
    if fields is None:
        raise Refusal(400, "The body is no JSON object")
    for name in sorted(fields.keys() - FIELDS):
        raise Refusal(422, f"{name} is not a field of this endpoint")
    return fields


def _photo(text: object) -> Pixels:
    if not isinstance(text, str):
        raise Refusal(422, "image is required")
    if text.startswith(("http://", "https://")):
        raise Refusal(460, "The image could not be downloaded")
    return picture_in_base64(text, Refusal(400, "image is neither a JPEG, PNG or WebP in base64 nor an address"))


def _geometry(fields: Mapping[str, Any], width: int, height: int) -> tuple[int, int, tuple[int, int], tuple[int, int]]:
    """Return the canvas's width and height, and the photo's size and place on it."""
    ratio = fields.get("aspect_ratio")
    if ratio is not None:
        return _of_ratio(ratio, width, height)
    given = [name for name in PLACES[1:] if name in fields]
    if len(given) != 2:
        raise Refusal(400, "original_image_size and original_image_location are required together")
    canvas = _pair(fields.get("canvas_size", DEFAULT_CANVAS), "canvas_size", least=1)
    if canvas[0] * canvas[1] > MAX_CANVAS_PIXELS:
        raise Refusal(400, "The area of canvas_size must not exceed 5000x5000 pixels")
    size = _pair(fields["original_image_size"], "original_image_size", least=1)
    place = _pair(fields["original_image_location"], "original_image_location", least=-100_000)
    if not (-size[0] < place[0] < canvas[0] and -size[1] < place[1] < canvas[1]):
        raise Refusal(400, "The image lies outside the canvas")
    return *canvas, size, place


def _of_ratio(ratio: object, width: int, height: int) -> tuple[int, int, tuple[int, int], tuple[int, int]]:
    value = RATIOS.get(ratio) if isinstance(ratio, str) else ratio
    if not isinstance(value, int | float) or not LOWEST_RATIO <= value <= HIGHEST_RATIO:
        raise Refusal(422, "aspect_ratio must be one of the known ratios or a number from 0.5 to 3.0")
    outer = (max(width, round(height * value)), max(height, round(width / value)))
    return *outer, (width, height), ((outer[0] - width) // 2, (outer[1] - height) // 2)


def _pair(value: object, name: str, *, least: int) -> tuple[int, int]:
    if not isinstance(value, list) or len(value) != 2 or any(type(item) is not int or item < least for item in value):
        raise Refusal(422, f"{name} must be a list of two integers")
    return value[0], value[1]


def _check_rim(pixels: Pixels, place: tuple[int, int], size: tuple[int, int], canvas: tuple[int, int]) -> None:
    """Refuse an expansion over a rim that is wholly transparent somewhere."""
    _, alpha = arrays.split_alpha(pixels)
    if alpha is None:
        return
    rims = {
        "left": (place[0] > 0, alpha[:, 0]),
        "right": (place[0] + size[0] < canvas[0], alpha[:, -1]),
        "top": (place[1] > 0, alpha[0]),
        "bottom": (place[1] + size[1] < canvas[1], alpha[-1]),
    }
    for side, (is_expanded, rim) in rims.items():
        if is_expanded and not rim.all():
            raise Refusal(422, f"The image has fully transparent pixels on its {side} edge")

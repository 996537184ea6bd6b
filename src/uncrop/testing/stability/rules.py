"""What Stability AI's outpaint takes, as its published specification says.

Kept apart from the provider's own row of facts, so that a mistake in one is found by the other.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from uncrop.errors import InvalidRequest
from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file
from uncrop.testing.emulator import Refusal
from uncrop.testing.rules import may_be_english

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.testing.emulator import ReceivedCall

MAX_REQUEST_BYTES = 10 * 1024 * 1024
SIDES = ("left", "right", "up", "down")
MAX_SIDE = 2000
MIN_EDGE = 64
MAX_PIXELS = 9_437_184
MAX_RATIO = 2.5
MAX_SEED = 4_294_967_294
MAX_PROMPT = 10_000
TYPES = ("image/jpeg", "image/png", "image/webp")
OUTPUTS = ("png", "jpeg", "webp")
STYLES = (
    "enhance",
    "anime",
    "photographic",
    "digital-art",
    "comic-book",
    "fantasy-art",
    "line-art",
    "analog-film",
    "neon-punk",
    "isometric",
    "low-poly",
    "origami",
    "modeling-compound",
    "cinematic",
    "3d-model",
    "pixel-art",
    "tile-texture",
)
FIELDS = {"image", *SIDES, "creativity", "prompt", "seed", "output_format", "style_preset"}
# Words in a prompt that make this emulator refuse as the real one does for reasons that cannot be emulated.
MODERATED, PUBLIC_FIGURE = "[moderated]", "[public figure]"


def check_request(call: ReceivedCall) -> None:
    """Refuse a request that is too long, no form, or that holds unknown or repeated fields.

    Raises
    ------
    Refusal
    """
    if int(call.headers.get("content-length", 0)) > MAX_REQUEST_BYTES:
        raise Refusal(413, "body: payloads cannot be larger than 10MiB in size", code="payload_too_large")
    if call.malformed is not None:
        raise _bad("content-type: must be multipart/form-data")
    for name, count in Counter(part.name for part in call.parts).items():
        if name not in FIELDS:
            raise _bad(f"{name}: unknown field")
        if count > 1:
            raise _bad(f"{name}: must be sent once")


def read_sides(fields: Mapping[str, str]) -> tuple[int, int, int, int]:
    """Return left, right, up and down.

    Raises
    ------
    Refusal
    """
    left, right, up, down = (_integer(fields, name, MAX_SIDE) for name in SIDES)
    if not any((left, right, up, down)):
        raise _bad("At least one of left, right, up or down must be greater than 0")
    return left, right, up, down


def read_seed(fields: Mapping[str, str]) -> int:
    """Return the seed; 0 stands for one that is drawn.

    Raises
    ------
    Refusal
    """
    return _integer(fields, "seed", MAX_SEED)


def check_wishes(fields: Mapping[str, str]) -> None:
    """Refuse values that the other fields cannot have.

    Raises
    ------
    Refusal
    """
    try:
        creative = 0 <= float(fields.get("creativity", "0.5")) <= 1
    except ValueError:
        creative = False
    if not creative:
        raise _bad("creativity: must be a number between 0 and 1")
    if fields.get("output_format", "png") not in OUTPUTS:
        raise _bad(f"output_format: must be one of {', '.join(OUTPUTS)}")
    if fields.get("style_preset", STYLES[0]) not in STYLES:
        raise _bad("style_preset: is unknown")
    prompt = fields.get("prompt", "")
    if len(prompt) > MAX_PROMPT:
        raise _bad(f"prompt: must have at most {MAX_PROMPT} characters")
    if not may_be_english(prompt):
        raise Refusal(422, "prompt: only English is supported", code="invalid_language")


def check_content(fields: Mapping[str, str]) -> None:
    """Refuse what must not be asked for, which is found only after the key was.

    Raises
    ------
    Refusal
    """
    prompt = fields.get("prompt", "")
    if MODERATED in prompt:
        raise Refusal(403, "Your request was flagged by our content moderation system.", code="content_moderation")
    if PUBLIC_FIGURE in prompt:
        raise Refusal(422, "Your request was flagged because it shows a public figure.", code="public_figure")


def read_image(call: ReceivedCall) -> NDArray[np.uint8]:
    """Return the photo's colours, (height, width, 3).

    Raises
    ------
    Refusal
    """
    image = call.files.get("image")
    if image is None:
        raise _bad("image: is required and must be a file")
    if image.media_type not in TYPES:
        raise _bad("image: must be a jpeg, png or webp")
    try:
        file = open_file(image.data)
        width, height = file.header.width, file.header.height
        if min(width, height) < MIN_EDGE:
            raise _bad(f"image: width and height must be at least {MIN_EDGE}")
        if width * height > MAX_PIXELS:
            raise _bad(f"image: must have at most {MAX_PIXELS} pixels")
        if max(width, height) > MAX_RATIO * min(width, height):
            raise _bad("image: aspect ratio must be between 1:2.5 and 2.5:1")
        return arrays.to_rgb8(codec.decode(file))
    except InvalidRequest:
        raise _bad("image: is not a valid image") from None


def _integer(fields: Mapping[str, str], name: str, most: int) -> int:
    text = fields.get(name, "0")
    if not re.fullmatch(r"[0-9]{1,10}", text) or int(text) > most:
        raise _bad(f"{name}: must be an integer between 0 and {most}")
    return int(text)


def _bad(message: str) -> Refusal:
    return Refusal(400, message, code="bad_request")

"""What OpenAI's image edits take, as the published specification says.

Kept apart from the provider's own table of facts, so that a mistake in one is found by the other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from uncrop.errors import InvalidRequest
from uncrop.imaging.header import read_header
from uncrop.testing.emulator import Refusal

if TYPE_CHECKING:
    from uncrop.model import ImageHeader
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.multipart import ReceivedPart

MODELS = (
    "gpt-image-1",
    "gpt-image-1-mini",
    "gpt-image-1.5",
    "gpt-image-2",
    "gpt-image-2-2026-04-21",
    "gpt-image-2.5-flare",
    "gpt-image-2.5-sunburst",
)
FIXED_SIZES = ("1024x1024", "1024x1536", "1536x1024", "auto")
MAX_IMAGE_BYTES = 50_000_000
MAX_MASK_BYTES = 4_000_000
MAX_PROMPT = 32_000
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")
FILES = ("image", "image[]", "mask")
NUMBERS: Mapping[str, tuple[int, int]] = {"n": (1, 10), "output_compression": (0, 100), "partial_images": (0, 3)}
CHOICES: Mapping[str, tuple[str, ...]] = {
    "quality": ("low", "medium", "high", "auto"),
    "background": ("transparent", "opaque", "auto"),
    "output_format": ("png", "jpeg", "webp"),
    "input_fidelity": ("high", "low"),
    "stream": ("false",),
}
FIELDS = ("prompt", "model", "size", "user", *NUMBERS, *CHOICES)


def check_fields(call: ReceivedCall) -> None:
    """Refuse unknown fields and values that are none.

    Raises
    ------
    Refusal
    """
    fields = call.fields
    for name in (part.name for part in call.parts if part.name not in (*FILES, *FIELDS)):
        raise Refusal(400, f"Unknown parameter: '{name}'.", code="unknown_parameter", param=name)
    if not fields.get("prompt"):
        raise _missing("prompt")
    if len(fields["prompt"]) > MAX_PROMPT:
        raise Refusal(400, "The prompt is too long.", code="string_above_max_length", param="prompt")
    model = fields.get("model", "gpt-image-1.5")
    if model not in MODELS:
        raise Refusal(404, f"The model '{model}' does not exist.", code="model_not_found", param="model")
    if model.startswith(("gpt-image-2", "gpt-image-1-mini")) and "input_fidelity" in fields:
        raise Refusal(400, "This model does not take input_fidelity.", code="invalid_value", param="input_fidelity")
    _check_values(fields)
    _check_size(model, fields.get("size", "auto"))


def _check_values(fields: Mapping[str, str]) -> None:
    for name, choices in CHOICES.items():
        if fields.get(name, choices[0]) not in choices:
            raise _invalid(name, fields[name], f"Supported values are: {', '.join(choices)}.")
    for name, (lowest, highest) in NUMBERS.items():
        text = fields.get(name, str(lowest))
        if not re.fullmatch(r"[0-9]{1,6}", text) or not lowest <= int(text) <= highest:
            raise _invalid(name, text, f"Expected an integer from {lowest} to {highest}.")


def _check_size(model: str, size: str) -> None:
    if size in FIXED_SIZES:
        return
    found = re.fullmatch(r"([1-9][0-9]{0,4})x([1-9][0-9]{0,4})", size)
    if model.startswith("gpt-image-1") or not found:
        raise _invalid("size", size, f"Supported values are: {', '.join(FIXED_SIZES)}.")
    width, height = int(found[1]), int(found[2])
    if width % 16 or height % 16:
        raise _invalid("size", size, "Width and height must be divisible by 16.")
    if max(width, height) > min(3840, 3 * min(width, height)):
        raise _invalid("size", size, "The longest edge may be 3840 and three times the shortest.")
    if not 655_360 <= width * height <= 8_294_400:
        raise _invalid("size", size, "The number of pixels is out of range.")


def check_image(call: ReceivedCall) -> tuple[ReceivedPart, ImageHeader]:
    """Return the image and what it says about itself.

    Raises
    ------
    Refusal
    """
    found = [part for part in call.parts if part.name in ("image", "image[]")]
    if not found:
        raise _missing("image")
    image = found[0]
    if image.filename is None:
        message = "Invalid type for 'image[0]': expected a file, but got a string instead."
        raise Refusal(400, message, code="invalid_type", param="image[0]")
    if image.media_type not in IMAGE_TYPES:
        supported = "Supported file formats are 'image/jpeg', 'image/png', and 'image/webp'."
        message = f"Invalid file 'image': unsupported mimetype ('{image.media_type}'). {supported}"
        raise Refusal(400, message, code="unsupported_file_mimetype", param="image")
    header = _header_of(image)
    if len(image.data) >= MAX_IMAGE_BYTES or header is None or f"image/{header.format.lower()}" != image.media_type:
        message = "Invalid image file or mode for image 1, please check your image file."
        raise Refusal(400, message, code="image_generation_user_error", param="image")
    return image, header


def check_mask(call: ReceivedCall, image: ImageHeader) -> ReceivedPart | None:
    """Return the mask, if one was sent.

    Raises
    ------
    Refusal
    """
    mask = next((part for part in call.parts if part.name == "mask"), None)
    if mask is None:
        return None
    if mask.filename is None:
        raise Refusal(400, "Invalid type for 'mask': expected a file.", code="invalid_type", param="mask")
    header = _header_of(mask)
    faults = {
        "The mask must be a PNG.": header is None or header.format != "PNG",
        "The mask must have an alpha channel.": header is not None and header.channels not in (2, 4),
        "The mask must have the size of the image.": header is not None
        and (header.width, header.height) != (image.width, image.height),
        "The mask must be under 4 MB.": len(mask.data) >= MAX_MASK_BYTES,
    }
    for message, is_fault in faults.items():
        if is_fault:
            raise Refusal(400, message, code="invalid_value", param="mask")
    return mask


def _header_of(part: ReceivedPart) -> ImageHeader | None:
    try:
        return read_header(part.data)
    except InvalidRequest:
        return None


def _missing(name: str) -> Refusal:
    return Refusal(400, f"Missing required parameter: '{name}'.", code="missing_required_parameter", param=name)


def _invalid(name: str, value: str, rule: str) -> Refusal:
    return Refusal(400, f"Invalid value: '{value}'. {rule}", code="invalid_value", param=name)

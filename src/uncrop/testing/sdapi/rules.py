"""What ``img2img`` takes, as the web UIs' sources say.

Kept apart from the provider's own row of facts, so that a mistake in one is found by the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.testing.emulator import Refusal
from uncrop.testing.rules import picture_in_base64

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import Mask, Pixels
    from uncrop.testing.emulator import ReceivedCall
    from uncrop.testing.sdapi.dialects import Dialect

CELL = 8
SAMPLERS = ("Euler", "Euler a", "DPM++ 2M", "DDIM", "UniPC")
HALF = 128
# The defaults that all dialects share.
DEFAULTS: Mapping[str, Any] = {
    "width": 512,
    "height": 512,
    "prompt": "",
    "negative_prompt": "",
    "seed": -1,
    "steps": 50,
    "cfg_scale": 7.0,
    "inpainting_mask_invert": 0,
    "inpaint_full_res_padding": 0,
    "mask_blur": 4,
    "resize_mode": 0,
    "batch_size": 1,
    "n_iter": 1,
    "send_images": True,
    "save_images": False,
    "include_init_images": False,
    "sampler_name": None,
    "scheduler": None,
    "force_task_id": None,
    "mask": None,
    "override_settings": {},
}


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be painted.

    Attributes
    ----------
    init
        (height, width, 3), as large as the picture.
    painted
        (height, width): where it is painted; ``None`` without a mask, which is everywhere.
    fields
        The other fields, with their defaults filled in.
    """

    init: NDArray[np.uint8]
    painted: Mask | None
    fields: Mapping[str, Any]


def read_order(call: ReceivedCall, dialect: Dialect, memory_pixels: int) -> Order:
    """Read the body of a request; fields that are unknown are ignored, as FastAPI does.

    Raises
    ------
    Refusal
    """
    sent = call.json
    if sent is None:
        raise Refusal(422, "Input should be a valid dictionary", param="body")
    fields = {**DEFAULTS, **dialect.defaults, **sent}
    for name, default in {**DEFAULTS, **dialect.defaults}.items():
        _check_type(name, fields[name], default)
    if fields.get("init_images") is None:
        raise _without_image(dialect)
    sampler = fields["sampler_name"]
    if sampler is not None and sampler not in SAMPLERS:
        raise Refusal(dialect.unknown_sampler, "Sampler not found", code="HTTPException")
    init = _picture(next(iter(fields["init_images"]), ""))
    mask = None if not fields["mask"] else _picture(fields["mask"])
    _check_size(fields, memory_pixels)
    return _order(init, mask, fields)


def _order(init: Pixels, mask: Pixels | None, fields: Mapping[str, Any]) -> Order:
    width, height = fields["width"], fields["height"]
    if mask is not None and fields["inpaint_full_res"]:
        # "Only masked": worked on at width and height, and put back into the picture that was sent.
        height, width = init.shape[:2]
    stretched = arrays.to_8bit(codec.resize(arrays.to_rgb8(init), width, height))
    painted = None if mask is None else read_mask(mask, width, height, inverted=bool(fields["inpainting_mask_invert"]))
    return Order(init=stretched, painted=painted, fields=fields)


def read_mask(mask: Pixels, width: int, height: int, *, inverted: bool) -> Mask:
    """Return where it is painted, (height, width): by alpha where any pixel is not opaque, else where it is light."""
    eight = arrays.to_8bit(mask)
    _, alpha = arrays.split_alpha(eight)
    plane = alpha if alpha is not None and (alpha < 255).any() else arrays.to_rgb8(eight).mean(axis=2).astype(np.uint8)
    level = 255 - plane if inverted else plane
    painted: Mask = arrays.to_8bit(codec.resize(level[:, :, None], width, height))[:, :, 0] > HALF
    return painted


def _check_type(name: str, value: object, default: object) -> None:
    wanted: tuple[type, ...] = (type(default),)
    if isinstance(default, float):
        wanted = (int, float)
    elif default is None:
        wanted = (str, type(None))
    if not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(default, bool)):
        raise Refusal(422, "Input should be of another type", param=name)


def _check_size(fields: Mapping[str, Any], memory_pixels: int) -> None:
    width, height = fields["width"], fields["height"]
    if min(width, height) < CELL or width % CELL or height % CELL:
        raise Refusal(500, "Sizes of tensors must match except in dimension 1", code="RuntimeError")
    if width * height > memory_pixels:
        message = "CUDA out of memory. Tried to allocate 9.00 GiB (GPU 0; 8.00 GiB total capacity)"
        raise Refusal(500, message, code="OutOfMemoryError")
    if "[nans]" in fields["prompt"]:
        message = "A tensor with all NaNs was produced in Unet. Try --no-half to fix this."
        raise Refusal(500, message, code="NansException")


def _without_image(dialect: Dialect) -> Refusal:
    if dialect.no_init_image == 400:
        return Refusal(400, "Init image is none", param="bare")
    return Refusal(dialect.no_init_image, "Init image not found", code="HTTPException")


def _picture(text: object) -> Pixels:
    encoded = text.partition(",")[2] if isinstance(text, str) and text.startswith("data:image/") else text
    refusal = Refusal(500, "Invalid encoded image", code="HTTPException")
    if not isinstance(encoded, str):
        raise refusal
    return picture_in_base64(encoded, refusal)

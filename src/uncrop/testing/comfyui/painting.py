"""How an emulated ComfyUI runs a graph: node by node, on arrays, with each node's own oddities."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file
from uncrop.testing.repaint import paint_unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image: TypeAlias = NDArray[np.uint8]
    Mask: TypeAlias = NDArray[np.float32]

Values: TypeAlias = Mapping[str, Any]
CELL = 8  # pixels a side for which one latent pixel stands
GREY = 128
REPAINT = 3  # grey levels by which going through the model's colours and back makes all lighter, and up to two more


@dataclass(frozen=True, kw_only=True)
class Latent:
    """A picture on its way through the model: pixels, what is to be made of them, and the seed."""

    pixels: Image = field(repr=False)
    mask: NDArray[np.bool_] = field(repr=False)
    seed: int = 0


def run(graph: Mapping[str, Mapping[str, Any]], files: Mapping[str, bytes], ends: list[str]) -> dict[str, Image]:
    """Run a checked graph.

    Parameters
    ----------
    graph
        The nodes.
    files
        What can be loaded, by the way in which graphs name it.
    ends
        The nodes to run for.

    Returns
    -------
    dict
        What each end puts out: (height, width, 3).
    """
    made: dict[str, tuple[Any, ...]] = {}

    def outputs_of(name: str) -> tuple[Any, ...]:
        if name not in made:
            node = graph[name]
            values = {
                field: outputs_of(value[0])[value[1]] if isinstance(value, list) else value
                for field, value in node["inputs"].items()
            }
            if "image" in values and isinstance(values["image"], str):
                values["image"] = files[values["image"]]
            made[name] = RUN[node["class_type"]](values)
        return made[name]

    return {end: outputs_of(end)[0] for end in ends}


def _load_image(values: Values) -> tuple[Image, Mask]:
    """Transparent is to be painted. Without an alpha channel the mask is 64 x 64 and says that nothing is."""
    pixels = codec.decode(open_file(values["image"]))
    alpha = arrays.alpha8(pixels)
    mask: Mask = np.zeros((64, 64), np.float32)
    if alpha is not None:
        mask = ((255 - alpha) / 255).astype(np.float32)
    return arrays.to_rgb8(pixels), mask


def _load_mask(values: Values) -> tuple[Mask]:
    """Alpha is inverted, colours are not."""
    pixels, mask = _load_image(values)
    if values["channel"] != "alpha":
        mask = (pixels[..., "rgb".index(values["channel"][0])] / 255).astype(np.float32)
    return (mask,)


def _pad(values: Values) -> tuple[Image, Mask]:
    """Grey around the picture; a feathering of half a side or more is none, and nobody is told."""
    image: Image = values["image"]
    height, width = image.shape[:2]
    sides = {side: int(values[side]) for side in ("left", "top", "right", "bottom")}
    around = ((sides["top"], sides["bottom"]), (sides["left"], sides["right"]))
    padded = np.pad(image, (*around, (0, 0)), constant_values=GREY)
    inner, feathering = np.zeros((height, width), np.float32), int(values["feathering"])
    if feathering > 0 and feathering * 2 < min(height, width):
        rows, columns = np.arange(height)[:, None], np.arange(width)[None, :]
        far = height + width
        distances = (
            rows + (0 if sides["top"] else far),
            height - rows + (0 if sides["bottom"] else far),
            columns + (0 if sides["left"] else far),
            width - columns + (0 if sides["right"] else far),
        )
        nearest = np.minimum(np.minimum(distances[0], distances[1]), np.minimum(distances[2], distances[3]))
        inner = (np.clip((feathering - nearest) / feathering, 0, 1) ** 2).astype(np.float32)
    return padded, np.pad(inner, around, constant_values=1)


def _latent(values: Values) -> Latent:
    """Cut the picture to whole cells, around its middle: up to seven pixels are lost, and up to three on the left."""
    pixels: Image = values["pixels"]
    height, width = pixels.shape[:2]
    mask = values["mask"]
    rows, columns = (np.arange(edge) * extent // edge for edge, extent in zip((height, width), mask.shape, strict=True))
    whole = mask[np.ix_(rows, columns)].round().astype(np.bool_)
    top, left = height % CELL // 2, width % CELL // 2
    inside = (slice(top, top + height // CELL * CELL), slice(left, left + width // CELL * CELL))
    return Latent(pixels=pixels[inside], mask=whole[inside])


def _condition(values: Values) -> tuple[Any, Any, Latent]:
    return values["positive"], values["negative"], _latent(values)


def _sample(values: Values) -> tuple[Latent]:
    """Paint what is to be made from what is there; what lay under it does not count."""
    latent: Latent = values["latent_image"]
    pixels = paint_unknown(latent.pixels, ~latent.mask)
    return (Latent(pixels=pixels, mask=latent.mask, seed=int(values["seed"])),)


def _decode(values: Values) -> tuple[Image]:
    latent: Latent = values["samples"]
    level = REPAINT + latent.seed % 3
    return (np.minimum(latent.pixels, 255 - level) + np.uint8(level),)


def _composite(values: Values) -> tuple[Image]:
    made, source = values["destination"].copy(), values["source"]
    x, y = int(values["x"]), int(values["y"])
    part = made[y : y + source.shape[0], x : x + source.shape[1]]
    source = source[: part.shape[0], : part.shape[1]]
    mask = values.get("mask")
    shown = np.ones(part.shape[:2], np.float32) if mask is None else mask[: part.shape[0], : part.shape[1]]
    part[:] = np.rint(part + shown[..., None] * (source.astype(np.float32) - part)).astype(np.uint8)
    return (made,)


RUN: Mapping[str, Callable[[Values], tuple[Any, ...]]] = {
    "LoadImage": _load_image,
    "LoadImageMask": _load_mask,
    "ImagePadForOutpaint": _pad,
    "UNETLoader": lambda _: ("model",),
    "CheckpointLoaderSimple": lambda _: ("model", "clip", "vae"),
    "DualCLIPLoader": lambda _: ("clip",),
    "VAELoader": lambda _: ("vae",),
    "DifferentialDiffusion": lambda values: (values["model"],),
    "CLIPTextEncode": lambda values: (values["text"],),
    "FluxGuidance": lambda values: (values["conditioning"],),
    "InpaintModelConditioning": _condition,
    "VAEEncodeForInpaint": lambda values: (_latent(values),),
    "KSampler": _sample,
    "VAEDecode": _decode,
    "ImageCompositeMasked": _composite,
    "SaveImage": lambda values: (values["images"],),
    "PreviewImage": lambda values: (values["images"],),
}

"""What each family of models behind OpenAI's image edits takes: a row of facts, keyed by the name's prefix.

Models come and go within months, so the model is a setting. An unknown ``gpt-image-*`` is treated like the newest
family; any other name is that of a compatible server, which gets only what all of them understand.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from uncrop.geometry import canvas_of_size, parse_size
from uncrop.model import Canvas

EDGE_STEP = 16
MAX_EDGE = 3840
MAX_RATIO = 3
MIN_PIXELS = 655_360
MAX_PIXELS = 8_294_400
# Costs of a free size, against each other: padding means that the photo is encoded again, a larger area costs tokens.
PADDING_COST = 0.01
AREA_COST = 0.01
SIZES = ("1024x1024", "1024x1536", "1536x1024")
_GPT_IMAGE: Mapping[str, str] = {"quality": "auto", "background": "opaque", "output_format": "png"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """One family.

    Attributes
    ----------
    sizes
        The sizes it can make; ``None``: any whose edges are multiples of 16, within limits of edge, area and ratio.
    fields
        Form fields to send beside image, mask, prompt, model, n and size.
    """

    sizes: tuple[str, ...] | None
    fields: Mapping[str, str]


NEWEST = ModelFacts(sizes=None, fields=_GPT_IMAGE)
COMPATIBLE = ModelFacts(sizes=SIZES, fields={"response_format": "b64_json"})
FAMILIES: Mapping[str, ModelFacts] = {
    "gpt-image-1": ModelFacts(sizes=SIZES, fields={**_GPT_IMAGE, "input_fidelity": "high"}),
    "gpt-image-1-mini": ModelFacts(sizes=SIZES, fields=_GPT_IMAGE),
    "chatgpt-image": ModelFacts(sizes=SIZES, fields=_GPT_IMAGE),
    "gpt-image-": NEWEST,
    "gpt-image-1.": ModelFacts(sizes=SIZES, fields={**_GPT_IMAGE, "input_fidelity": "high"}),
    "dall-e-2": ModelFacts(sizes=("256x256", "512x512", "1024x1024"), fields={"response_format": "b64_json"}),
}


def facts_of(model: str) -> ModelFacts:
    """Return the row of the longest prefix that the model's name begins with."""
    known = [prefix for prefix in FAMILIES if model.startswith(prefix)]
    return FAMILIES[max(known, key=len)] if known else COMPATIBLE


def choose_frame(facts: ModelFacts, width: int, height: int) -> Canvas:
    """Choose what the model is asked to make of a photo of ``width`` x ``height``: the size nearest in shape.

    The photo is never distorted: ``kept`` says where it lies in the frame, and what is left over is padding.
    """
    if facts.sizes is not None:
        shape = math.log(width / height)
        sizes = [parse_size(size) for size in facts.sizes]
        # Of several sizes of one shape the largest is meant.
        best = min(sizes, key=lambda size: (abs(math.log(size[0] / size[1]) - shape), -size[0]))
        return canvas_of_size(width, height, best)
    frames = [canvas_of_size(width, height, size) for size in _free_sizes(width / height, width * height)]
    area = min(max(width * height, MIN_PIXELS), MAX_PIXELS)
    return min(frames, key=lambda frame: _cost(frame, area))


def _free_sizes(ratio: float, area: float) -> Iterator[tuple[int, int]]:
    ratio = min(max(ratio, 1 / MAX_RATIO), MAX_RATIO)
    ideal = min(math.sqrt(min(max(area, MIN_PIXELS), MAX_PIXELS) / ratio), MAX_EDGE / max(ratio, 1))
    for steps in range(math.floor(0.8 * ideal / EDGE_STEP), math.ceil(1.25 * ideal / EDGE_STEP) + 1):
        height = steps * EDGE_STEP
        width = round(height * ratio / EDGE_STEP) * EDGE_STEP
        if _is_free_size(width, height):
            yield width, height


def _is_free_size(width: int, height: int) -> bool:
    edges_fit = max(width, height) <= min(MAX_EDGE, MAX_RATIO * min(width, height))
    return edges_fit and MIN_PIXELS <= width * height <= MAX_PIXELS


def _cost(frame: Canvas, area: float) -> float:
    extent = frame.width * frame.height
    padding = 1 - frame.kept.width * frame.kept.height / extent
    return padding + (PADDING_COST if padding else 0) + AREA_COST * abs(math.log2(extent / area))

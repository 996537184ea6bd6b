"""What each family of models behind OpenAI's image edits takes: a row of facts, keyed by the name's prefix.

Models come and go within months, so the model is a setting. An unknown ``gpt-image-*`` is treated like the newest
family; any other name is that of a compatible server, which gets only what all of them understand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from uncrop.model import GeometryFacts, TokenPrice

# The frames of the published contract, which all models but the oldest make.
FIXED = GeometryFacts(speaks="mask", scales=True, sizes=((1024, 1024), (1024, 1536), (1536, 1024)))
SQUARE = GeometryFacts(speaks="mask", scales=True, sizes=((256, 256), (512, 512), (1024, 1024)))
FREE = GeometryFacts(
    speaks="mask", scales=True, grid=16, max_edge=3840, max_ratio=3, min_pixels=655_360, max_pixels=8_294_400
)
_GPT_IMAGE: Mapping[str, str] = {"quality": "auto", "background": "opaque", "output_format": "png"}
_FAITHFUL: Mapping[str, str] = {**_GPT_IMAGE, "input_fidelity": "high"}


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """One family.

    Attributes
    ----------
    geometry
        The frames that it makes.
    fields
        Form fields to send beside image, mask, prompt, model, n and size.
    token_price
        What its tokens cost at OpenAI's own address, where it is known; no price is taken over from another family.
    """

    geometry: GeometryFacts
    fields: Mapping[str, str]
    token_price: TokenPrice | None = None

    @property
    def sizes(self) -> tuple[str, ...]:
        """What callers may ask for in the field ``size``: those of the contract where the model makes any frame."""
        return tuple(f"{width}x{height}" for width, height in self.geometry.sizes or FIXED.sizes)


NEWEST = ModelFacts(geometry=FREE, fields=_GPT_IMAGE)


def _priced(source: str, date: str) -> ModelFacts:
    """Return the newest family at 5 dollars a million tokens of text, 8 of pictures in, and 30 of pictures out."""
    price = TokenPrice(
        input_usd=Decimal(8), input_text_usd=Decimal(5), output_usd=Decimal(30), date=date, source=source
    )
    return replace(NEWEST, token_price=price)


COMPATIBLE = ModelFacts(geometry=FIXED, fields={"response_format": "b64_json"})
FAMILIES: Mapping[str, ModelFacts] = {
    "gpt-image-1": ModelFacts(geometry=FIXED, fields=_FAITHFUL),
    "gpt-image-1-mini": ModelFacts(geometry=FIXED, fields=_GPT_IMAGE),
    "chatgpt-image": ModelFacts(geometry=FIXED, fields=_GPT_IMAGE),
    "gpt-image-": NEWEST,
    "gpt-image-2": _priced("https://xairouter.com/en/models/gpt-image-2/", "2026-11"),
    "gpt-image-2.": NEWEST,
    "gpt-image-2.5-": _priced("https://github.com/theopenco/llmgateway/issues/3985", "2026-09-19"),
    "gpt-image-1.": ModelFacts(geometry=FIXED, fields=_FAITHFUL),
    "dall-e-2": ModelFacts(geometry=SQUARE, fields={"response_format": "b64_json"}),
}


def facts_of(model: str) -> ModelFacts:
    """Return the row of the longest prefix that the model's name begins with."""
    known = [prefix for prefix in FAMILIES if model.startswith(prefix)]
    return FAMILIES[max(known, key=len)] if known else COMPATIBLE

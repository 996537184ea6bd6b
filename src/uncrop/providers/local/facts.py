"""The row of facts about ``local``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.model import FieldFacts, GeometryFacts, ProviderFacts, UploadFacts
from uncrop.providers.shared_rows import seed

if TYPE_CHECKING:
    from uncrop.model import ImageHeader, Sides


def working_bytes(header: ImageHeader, sides: Sides) -> int:
    """Predict what a process of the engine takes for one picture, besides what it always takes."""
    from uncrop import engine

    return engine.picture_bytes(header.height, header.width, header.channels * header.bits // 8, sides)


FACTS = ProviderFacts(
    name="local",
    title="Local engine",
    sentence="The engine inside this server: no key, no network, no cost.",
    implementation="uncrop.providers.local.provider:Local",
    geometry=GeometryFacts(speaks="sides", crops=True, min_photo_edge=16),
    fields=(
        seed(),
        FieldFacts(
            name="quality",
            help="How much time the engine takes.",
            choices=("fast", "standard", "best"),
            default="standard",
        ),
        FieldFacts(
            name="confidence_map",
            help="Answer with JSON that also holds a grey PNG: of every pixel, how far it can be trusted.",
            default="false",
        ),
    ),
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=30_000_000),
    bills=False,
    computes_here=True,
    keeps_depth=True,
    working_bytes=working_bytes,
    evidence="uncrop.engine",
)

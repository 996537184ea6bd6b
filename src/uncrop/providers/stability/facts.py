"""The row of facts about ``stability``."""

from __future__ import annotations

from decimal import Decimal

from uncrop.model import FieldFacts, GeometryFacts, Price, ProviderFacts, UploadFacts
from uncrop.providers.shared_rows import api_key, base_url, rate_limit, usd_per_credit

# The specification that Stability AI serves, as it was on this day.
SOURCE, DATE = "https://api.stability.ai/v2alpha/openapi", "2026-09-22"
# A whole request may have 10 MiB; this much of it is left to the longest prompt and the other fields.
FORM_BYTES = 64 * 1024

FACTS = ProviderFacts(
    name="stability",
    title="Stability AI",
    sentence="Stability AI's outpaint: pixels a side and a prompt in, a PNG out.",
    implementation="uncrop.providers.stability.provider:Stability",
    emulator="uncrop.testing.stability:StabilityEmulator",
    geometry=GeometryFacts(
        speaks="sides",
        scales=True,
        max_side=2000,
        # No limit of its own is known. A PNG of so many pixels is no longer than the longest answer that is read.
        max_pixels=22_000_000,
        min_photo_edge=64,
        max_photo_pixels=9_437_184,
        max_photo_ratio=2.5,
    ),
    fields=(
        FieldFacts(
            name="seed",
            help="The same seed gives the same picture; 0 lets Stability AI draw one.",
            minimum=0,
            maximum=4_294_967_294,
        ),
        FieldFacts(name="prompt", help="What to continue with, in English.", max_characters=10_000),
    ),
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=10 * 1024 * 1024 - FORM_BYTES),
    answer_format="PNG",
    bills=True,
    price=Price(amount=Decimal(4), unit="credit", per="picture", date=DATE, source=SOURCE),
    settings=(
        api_key("Key for Stability AI."),
        base_url("https://api.stability.ai", "Stability AI's address."),
        usd_per_credit("Stability AI"),
        rate_limit("Stability AI"),
    ),
    evidence=f"{SOURCE}, {DATE}",
)

"""The row of facts about ``clipdrop``."""

from __future__ import annotations

from decimal import Decimal

from uncrop.imaging.limits import MAX_PIXELS
from uncrop.model import GeometryFacts, Price, ProviderFacts, UploadFacts
from uncrop.providers.shared_rows import api_key, base_url, rate_limit, seed, usd_per_credit

FACTS = ProviderFacts(
    name="clipdrop",
    title="Clipdrop",
    sentence="Clipdrop's Uncrop: pixels a side in, a JPEG out.",
    implementation="uncrop.providers.clipdrop.provider:Clipdrop",
    emulator="uncrop.testing.clipdrop:ClipdropEmulator",
    geometry=GeometryFacts(speaks="sides", crops=True, max_side=2000, max_photo_pixels=10_000_000),
    fields=(seed(100_000),),
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=30_000_000),
    answer_format="JPEG",
    # No limit of its own is known; a larger answer could not be decoded here.
    max_output_pixels=MAX_PIXELS["JPEG"],
    bills=True,
    price=Price(
        amount=Decimal(1), unit="credit", per="picture", date="2026-11", source="https://clipdrop.co/apis/docs/uncrop"
    ),
    settings=(
        api_key("Key for Clipdrop."),
        base_url("https://clipdrop-api.co", "Clipdrop's address."),
        usd_per_credit("Clipdrop"),
        rate_limit("Clipdrop"),
    ),
    evidence="https://clipdrop.co/apis/docs/uncrop, 2026-11",
)

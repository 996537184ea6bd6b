"""The row of facts about ``bfl``, before the configured mode sets its price."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from uncrop.imaging.limits import MAX_PIXELS
from uncrop.model import FieldFacts, GeometryFacts, Price, ProviderFacts, SettingFacts, UploadFacts
from uncrop.providers.shared_rows import api_key, base_url, rate_limit, usd_per_credit

SOURCE, DATE = "https://docs.bfl.ai/api-reference/models/outpaint-or-extend-an-image", "2026-09-20"
GRID = 16


def _observed(credits: str) -> Price:  # noqa: A002
    return Price(
        amount=Decimal(credits),
        unit="credit",
        per="picture",
        date="2026-09-21",
        source="https://github.com/aself101/bfl-api/blob/main/docs/LIVE-BATTERY-2026-09-21.md",
    )


# What one picture cost somebody else in each mode; a picture of another size may cost another sum.
PRICES: Mapping[str, Price] = {"high": _observed("20"), "fast": _observed("4.5")}

FACTS = ProviderFacts(
    name="bfl",
    title="Black Forest Labs",
    sentence="Black Forest Labs' FLUX outpainting: a canvas of up to 4 megapixels in, a PNG out after some seconds.",
    implementation="uncrop.providers.bfl.provider:Bfl",
    emulator="uncrop.testing.bfl:BflEmulator",
    # Off the grid it answers with flat padding; above about 4 megapixels it shrinks the picture.
    geometry=GeometryFacts(speaks="canvas", scales=True, grid=GRID, min_edge=64, max_pixels=4_000_000),
    fields=(FieldFacts(name="prompt", help="What to continue with; experimental, the model may not follow it."),),
    # No limit is written down for this route; this is the one of the same API's other routes that edit images.
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=20_000_000),
    answer_format="PNG",
    max_output_pixels=MAX_PIXELS["PNG"],
    bills=True,
    price=PRICES["high"],
    settings=(
        api_key("Key for Black Forest Labs."),
        base_url("https://api.bfl.ai", "Black Forest Labs' address; api.eu.bfl.ai and api.us.bfl.ai stay in a region."),
        SettingFacts(
            name="mode",
            kind="text",
            help="high: the finest pictures; fast: for less time and money.",
            default="high",
            required=True,
            choices=tuple(PRICES),
        ),
        usd_per_credit("Black Forest Labs"),
        rate_limit("Black Forest Labs"),
    ),
    # A task is asked for in the region that took it, and its picture lies on a delivery host, of which only samples
    # are published (delivery-eu1.bfl.ai, delivery-us1.bfl.ai).
    poll_hosts=("*.bfl.ai",),
    download_hosts=("*.bfl.ai",),
    evidence=f"{SOURCE}, {DATE}",
)

"""The row of facts about ``bria``."""

from __future__ import annotations

from uncrop.imaging.limits import MAX_PIXELS
from uncrop.model import FieldFacts, GeometryFacts, ProviderFacts, SettingFacts, UploadFacts
from uncrop.providers.shared_rows import api_key, base_url, rate_limit, seed, usd_per_call

FACTS = ProviderFacts(
    name="bria",
    title="Bria",
    sentence="Bria's image expansion, trained on licensed data: a canvas of up to 25 megapixels in, a PNG out.",
    implementation="uncrop.providers.bria.provider:Bria",
    emulator="uncrop.testing.bria:BriaEmulator",
    geometry=GeometryFacts(speaks="canvas", scales=True, max_pixels=25_000_000),
    fields=(
        # Bria names no range; this one is that of its partners' nodes.
        seed(2_147_483_647),
        FieldFacts(name="prompt", help="What to continue with, in English; without it Bria writes one."),
    ),
    # A whole request may have 12 MB, in which the photo takes four thirds of its bytes, and the longest prompt some.
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=8_700_000),
    answer_format="PNG",
    max_output_pixels=MAX_PIXELS["PNG"],
    bills=True,
    # What it costs to call Bria itself is published nowhere; only what others ask who resell it.
    price=None,
    settings=(
        api_key("Key for Bria, its api_token."),
        base_url("https://engine.prod.bria-api.com", "Bria's address."),
        SettingFacts(
            name="visual_moderation",
            kind="text",
            help="on: Bria looks at photo and picture and refuses what offends; off: at the prompt alone.",
            default="off",
            required=True,
            choices=("on", "off"),
        ),
        usd_per_call("Bria"),
        rate_limit("Bria"),
    ),
    poll_hosts=("*.bria-api.com",),
    # Bria names no host for its pictures; these are the ones that its clients have seen.
    download_hosts=(
        "*.bria.ai",
        "*.bria.media",
        "*.bria-api.com",
        "bria-temp.s3.amazonaws.com",
        "bria-datasets.s3.us-east-1.amazonaws.com",
        "d1ei2xrl63k822.cloudfront.net",
    ),
    evidence="https://docs.bria.ai/image-editing, 2026-11",
)

"""The row of facts about ``sketch``; the package's entry point names it."""

from __future__ import annotations

from decimal import Decimal

from uncrop.model import FieldFacts, GeometryFacts, Price, ProviderFacts, SettingFacts, UploadFacts
from uncrop.providers.shared_rows import api_key, base_url, rate_limit

FACTS = ProviderFacts(
    name="sketch",
    title="Sketch",
    sentence="An imaginary vendor: a canvas and a place on a grid of 16 in, a PNG out after a while.",
    implementation="sketch.provider:Sketch",
    emulator="sketch.emulator:SketchEmulator",
    geometry=GeometryFacts(speaks="canvas", grid=16, min_edge=64, max_edge=4096, max_pixels=4_194_304),
    fields=(
        FieldFacts(name="seed", help="The same seed gives the same picture.", minimum=0, maximum=65_535),
        FieldFacts(name="prompt", help="What to continue with.", max_characters=500),
    ),
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG"}), max_bytes=8_000_000),
    answer_format="PNG",
    bills=True,
    price=Price(amount=Decimal("0.05"), unit="USD", per="picture", date="2026-11", source="https://sketch.example.org"),
    settings=(
        api_key("Key for Sketch."),
        base_url("https://sketch.example.org", "Sketch's address."),
        SettingFacts(name="steps", kind="integer", help="Steps a picture.", default=20, minimum=1, maximum=50),
        rate_limit("Sketch"),
    ),
    poll_hosts=("*.sketch.example.org",),
    download_hosts=("files.sketch.example.org",),
    evidence="tests/plugins, 2026-11",
)

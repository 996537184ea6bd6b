"""The row of facts about ``openai``, before the configured model narrows it."""

from __future__ import annotations

from uncrop.imaging.limits import MAX_PIXELS
from uncrop.model import FieldFacts, ProviderFacts, SettingFacts, UploadFacts
from uncrop.providers.openai.models import COMPATIBLE, FREE
from uncrop.providers.shared_rows import MASK_FILE, api_key, base_url, rate_limit, usd_per_call

FACTS = ProviderFacts(
    name="openai",
    title="OpenAI",
    sentence="OpenAI's image edits, or a server that speaks their language: a mask or sides in, a PNG out.",
    implementation="uncrop.providers.openai.provider:OpenAI",
    emulator="uncrop.testing.openai:OpenAIEmulator",
    geometry=FREE,
    fields=(
        MASK_FILE,
        FieldFacts(
            name="prompt",
            help="What to paint; without it a natural continuation is asked for.",
            max_characters=32_000,
        ),
        FieldFacts(
            name="size",
            help="With a mask: the size of the result; without it the photo's own size.",
            choices=COMPATIBLE.sizes,
        ),
    ),
    upload=UploadFacts(formats=frozenset({"JPEG", "PNG", "WEBP"}), max_bytes=50_000_000),
    answer_format="PNG",
    max_output_pixels=MAX_PIXELS["PNG"],
    bills=True,
    settings=(
        api_key("Key for OpenAI or a compatible server."),
        base_url("https://api.openai.com/v1", "OpenAI's address, or that of any compatible server."),
        SettingFacts(
            name="model", kind="text", help="Model for OpenAI's image edits.", default="gpt-image-2", required=True
        ),
        usd_per_call("OpenAI"),
        rate_limit("OpenAI"),
    ),
    evidence="https://platform.openai.com/docs/api-reference/images/createEdit, 2026-11",
)

"""Which model takes what, and which size a photo is made at."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.geometry.planner import nearest_frame
from uncrop.geometry.sizes import placement_of_size
from uncrop.ledger.prices import cost_of_call
from uncrop.model import Frame, PictureFacts, Rect, TokenUsage
from uncrop.model.ledger import USD
from uncrop.providers.base import ProviderSettings
from uncrop.providers.openai.facts import FACTS
from uncrop.providers.openai.models import COMPATIBLE, FAMILIES, NEWEST, ModelFacts, facts_of
from uncrop.providers.openai.provider import OpenAI

FIXED = FAMILIES["gpt-image-1"]


def frame_of(model: ModelFacts, width: int, height: int) -> Frame:
    frame = nearest_frame(placement_of_size(width, height, None), model.geometry)
    assert isinstance(frame, Frame)
    return frame


@pytest.mark.parametrize(
    ("model", "prefix"),
    [
        ("gpt-image-1", "gpt-image-1"),
        ("gpt-image-1-2025-04-15", "gpt-image-1"),
        ("gpt-image-1-mini", "gpt-image-1-mini"),
        ("gpt-image-1.5", "gpt-image-1."),
        ("chatgpt-image-latest", "chatgpt-image"),
        ("gpt-image-2", "gpt-image-2"),
        ("gpt-image-2-2026-04-21", "gpt-image-2"),
        ("gpt-image-2.5-flare", "gpt-image-2.5-"),
        ("gpt-image-2.6-flare", "gpt-image-2."),
        ("gpt-image-9-ultra", "gpt-image-"),
        ("dall-e-2", "dall-e-2"),
    ],
)
def test_the_longest_prefix_decides(model: str, prefix: str) -> None:
    assert facts_of(model) is FAMILIES[prefix]


@pytest.mark.parametrize(
    ("model", "address", "is_known"),
    [
        ("gpt-image-2", "https://api.openai.com/v1", True),
        ("gpt-image-2.5-sunburst-2026-09-08", "https://api.openai.com/v1", True),
        ("gpt-image-2.6-flare", "https://api.openai.com/v1", False),
        ("gpt-image-1.5", "https://api.openai.com/v1", False),
        ("gpt-image-2", "https://models.example.org/v1", False),
        ("gpt-image-2", "https://api.openai.com.example.org/v1", False),
    ],
)
def test_prices_of_tokens_are_those_of_a_model_at_its_own_address(model: str, address: str, is_known: bool) -> None:
    facts = OpenAI(FACTS, ProviderSettings(values={"model": model, "base_url": address})).facts
    price = facts.token_price
    assert (price is not None) == is_known
    if price is not None:
        usage = TokenUsage(input_tokens=1500, input_text_tokens=100, output_tokens=200)
        said = PictureFacts(provider="openai", request_id="r", usage=usage)
        (usd,) = (amount.value for amount in cost_of_call(facts, said) if amount.unit == USD)
        assert usd == 1400 * 8 + 100 * 5 + 200 * 30
        assert price.date
        assert price.source.startswith("https://")


def test_any_other_name_is_a_compatible_servers() -> None:
    assert facts_of("sd-cpp-local") is COMPATIBLE
    assert facts_of("") is COMPATIBLE


def test_each_family_gets_only_the_fields_that_it_takes() -> None:
    common = {"quality": "auto", "background": "opaque", "output_format": "png"}
    assert facts_of("gpt-image-1").fields == {**common, "input_fidelity": "high"}
    assert facts_of("gpt-image-1.5").fields == {**common, "input_fidelity": "high"}
    assert facts_of("gpt-image-1-mini").fields == common
    assert facts_of("gpt-image-2").fields == common
    assert facts_of("dall-e-2").fields == {"response_format": "b64_json"}
    assert facts_of("flux").fields == {"response_format": "b64_json"}


@pytest.mark.parametrize(
    ("photo", "frame"),
    [
        ((1000, 1000), (1024, 1024)),
        ((1500, 1000), (1536, 1024)),
        ((1000, 1500), (1024, 1536)),
        ((1200, 1000), (1024, 1024)),
        ((1250, 1000), (1536, 1024)),
        ((4000, 50), (1536, 1024)),
        ((16, 16), (1024, 1024)),
    ],
)
def test_of_fixed_sizes_the_nearest_in_shape_is_taken(photo: tuple[int, int], frame: tuple[int, int]) -> None:
    chosen = frame_of(FIXED, *photo)
    assert (chosen.width, chosen.height) == frame


def test_of_squares_the_largest_is_taken() -> None:
    chosen = frame_of(FAMILIES["dall-e-2"], 300, 200)
    assert (chosen.width, chosen.height) == (1024, 1024)
    assert chosen.photo == Rect(x=0, y=170, width=1024, height=683)


@pytest.mark.parametrize(
    ("photo", "frame"),
    [
        ((1024, 1024), (1024, 1024)),
        ((1536, 1024), (1536, 1024)),
        ((1000, 750), (1024, 768)),
        ((1920, 1080), (2048, 1152)),  # 1920x1088 would need padding
        ((800, 600), (960, 720)),  # the least area
        ((3000, 2000), (3024, 2016)),
        ((4000, 3000), (3264, 2448)),  # the greatest area
        ((3840, 2160), (3840, 2160)),  # the longest edge, and the greatest area
        ((4000, 100), (1440, 480)),  # the least area of the extreme shape
        ((12000, 3000), (3840, 1280)),  # the longest edge of the extreme shape
    ],
)
def test_of_free_sizes_the_nearest_without_padding_is_taken(photo: tuple[int, int], frame: tuple[int, int]) -> None:
    chosen = frame_of(NEWEST, *photo)
    assert (chosen.width, chosen.height) == frame


SIDE = st.integers(16, 10_000)


@settings(max_examples=200, deadline=None)
@given(SIDE, SIDE)
def test_every_photo_has_a_free_size_within_the_rules(width: int, height: int) -> None:
    frame = frame_of(NEWEST, width, height)
    assert frame.width % 16 == frame.height % 16 == 0
    assert max(frame.width, frame.height) <= min(3840, 3 * min(frame.width, frame.height))
    assert 655_360 <= frame.width * frame.height <= 8_294_400
    assert frame.photo == frame.canvas
    kept = frame.photo
    assert kept.x + kept.width <= frame.width
    assert kept.y + kept.height <= frame.height
    # Not distorted: the longer side is exact, the shorter one is off by rounding alone.
    assert abs(kept.width * height - kept.height * width) <= max(width, height)
    if 1 / 3 <= width / height <= 3:
        assert kept.width * kept.height >= 0.98 * frame.width * frame.height


@settings(max_examples=100, deadline=None)
@given(SIDE, SIDE)
def test_every_photo_has_a_fixed_size(width: int, height: int) -> None:
    frame = frame_of(FIXED, width, height)
    assert f"{frame.width}x{frame.height}" in COMPATIBLE.sizes
    assert frame.photo.width == frame.width or frame.photo.height == frame.height

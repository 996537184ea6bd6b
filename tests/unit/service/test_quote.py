"""What a picture would take, without calling anybody."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from uncrop import engine
from uncrop.errors import (
    ImageTooLarge,
    InvalidExtendParameters,
    InvalidFieldValue,
    InvalidImage,
    InvalidMask,
    MaskRequired,
    ProviderError,
    UncropError,
)
from uncrop.model import Caller, Policy, Price, Sides, StageTime, UncropRequest
from uncrop.providers.registry import Registry, load_rows
from uncrop.service.durations import Durations
from uncrop.service.quote import ALL, Quote, QuoteRequest, makers_for, quote
from uncrop.testing import pictures
from uncrop.testing.transport import ScriptedSend
from uncrop.testing.workbench import MAX_OUTPUT_PIXELS, make_context, make_registry, make_settings

PHOTO = pictures.photo_jpeg(64, 48)
AUTO_NAMES = ("local", "clipdrop")


def wanted(*, extent: tuple[int, int] | None = None, **wishes: Any) -> QuoteRequest:
    request: dict[str, Any] = {"provider": ALL, "image": b"" if extent else PHOTO, **wishes}
    if not wishes.keys() & {"sides", "mask", "aspect_ratio", "canvas_width", "zoom_out"}:
        request["sides"] = Sides(left=16)
    return QuoteRequest(request=UncropRequest(**request), extent=extent)


def asked(
    what: QuoteRequest,
    registry: Registry | None = None,
    *,
    durations: Durations | None = None,
    caller: Caller | None = None,
) -> dict[str, Quote]:
    makers = makers_for(what.request.provider, registry or make_registry(), AUTO_NAMES)
    quotes = quote(what, makers, durations=durations or Durations(), max_output_pixels=MAX_OUTPUT_PIXELS, caller=caller)
    return {told.facts.name: told for told in quotes}


def refusal(told: Quote) -> tuple[str, dict[str, Any] | None]:
    assert told.refusal is not None
    return told.refusal.code, told.refusal.details


def test_everyone_is_asked_and_nobody_is_called() -> None:
    send = ScriptedSend()
    registry = make_registry(make_context(send=send))
    quotes = asked(wanted(), registry)
    assert list(quotes) == list(registry.names())
    assert send.calls == []
    for told in quotes.values():
        body = told.to_json()
        assert json.loads(json.dumps(body, allow_nan=False)) == body


def test_providers_that_the_caller_may_not_ask_refuse() -> None:
    """As the picture's own request would: by the organization's policy, by the key's, and for want of a price."""
    caller = Caller(
        organization_id="org_a",
        policy=Policy(providers=("local", "clipdrop")),
        key_policy=Policy(providers=("local", "openai")),
    )
    quotes = asked(wanted(), caller=caller)
    assert quotes["local"].possible
    assert refusal(quotes["openai"]) == ("PROVIDER_NOT_ALLOWED", {"provider": "openai", "scope": "organization"})
    assert refusal(quotes["clipdrop"]) == ("PROVIDER_NOT_ALLOWED", {"provider": "clipdrop", "scope": "key"})
    poor = Caller(organization_id="org_a", policy=Policy(usd_micro_per_month=1))
    quotes = asked(wanted(), caller=poor)
    assert quotes["local"].possible
    assert refusal(quotes["clipdrop"])[0] == "PROVIDER_NOT_CONFIGURED"


def test_a_quote_is_told_whole() -> None:
    told = asked(wanted(provider="clipdrop"))["clipdrop"]
    assert told.to_json() == {
        "provider": "clipdrop",
        "possible": True,
        "refusal": None,
        "canvas": "80x48+16+0",
        "output_size": "80x48",
        "calls": 1,
        "bills": True,
        "price": {
            "amount": "1",
            "unit": "credit",
            "per": "picture",
            "total": "1",
            "date": "2026-11",
            "source": "https://clipdrop.co/apis/docs/uncrop",
        },
        "expected_seconds": None,
        "memory_bytes": None,
    }


def test_what_is_made_here_tells_its_memory() -> None:
    told = asked(wanted(provider="local", sides=Sides(left=30, up=5)))["local"]
    assert told.memory_bytes == engine.peak_bytes(48, 64, 3, Sides(left=30, up=5))
    assert (told.to_json()["price"], told.calls, told.to_json()["bills"]) == (None, 1, False)


def test_the_time_is_what_was_measured_here() -> None:
    durations = Durations()
    durations.add("clipdrop", [StageTime(name="provider", milliseconds=2345.6789)])
    quotes = asked(wanted(), durations=durations)
    assert quotes["clipdrop"].to_json()["expected_seconds"] == 2.346
    assert quotes["local"].expected_seconds is None


def test_a_size_in_place_of_the_photo_gives_the_same_quote() -> None:
    by_photo, by_size = (asked(wanted(**kind)) for kind in ({}, {"extent": (64, 48)}))
    assert {name: told.to_json() for name, told in by_photo.items()} == {
        name: told.to_json() for name, told in by_size.items()
    }


def test_variations_are_calls_of_their_own() -> None:
    told = asked(wanted(provider="clipdrop", variations=3))["clipdrop"].to_json()
    assert (told["calls"], told["price"]["amount"], told["price"]["total"]) == (3, "1", "3")


def test_a_price_by_another_unit_has_no_total() -> None:
    rows = load_rows(())
    price = Price(amount=Decimal("0.5"), unit="USD", per="megapixel", date="2026-01", source="https://example.org")
    rows["clipdrop"] = replace(rows["clipdrop"], price=price)
    told = asked(wanted(provider="clipdrop"), make_registry(rows=rows))["clipdrop"].to_json()
    assert told["price"] == {
        "amount": "0.5",
        "unit": "USD",
        "per": "megapixel",
        "total": None,
        "date": "2026-01",
        "source": "https://example.org",
    }


@pytest.mark.parametrize(
    ("provider", "wishes", "code"),
    [
        ("local", {"prompt": "a beach"}, "INVALID_FIELD_VALUE"),
        ("clipdrop", {"seed": 10**7}, "INVALID_FIELD_VALUE"),
        ("clipdrop", {"extent": (4000, 3000)}, "IMAGE_TOO_LARGE"),
        ("local", {"extent": (8, 400)}, "INVALID_IMAGE"),
        ("local", {"extent": (6000, 6000), "sides": Sides(left=2000)}, "IMAGE_TOO_LARGE"),
        ("bria", {"sides": Sides(left=-8)}, "INVALID_EXTEND_PARAMETERS"),
    ],
)
def test_what_a_provider_cannot_do_is_told_with_the_code_of_its_refusal(
    provider: str, wishes: dict[str, Any], code: str
) -> None:
    told = asked(wanted(provider=provider, **wishes))[provider]
    assert (told.possible, told.calls, told.memory_bytes) == (False, None, None)
    body = told.to_json()
    assert told.refusal is not None
    assert body["refusal"] == {
        "code": code,
        "message": told.refusal.message,
        "status": 422,
        "details": told.refusal.details,
    }
    assert body["canvas"]


def test_a_file_that_is_too_long_is_told() -> None:
    rows = load_rows(())
    rows["clipdrop"] = replace(rows["clipdrop"], upload=replace(rows["clipdrop"].upload, max_bytes=10))
    quotes = asked(wanted(), make_registry(rows=rows))
    assert refusal(quotes["clipdrop"])[0] == "IMAGE_TOO_LARGE"
    assert quotes["local"].possible


def test_who_has_no_key_is_told_so() -> None:
    rows = load_rows(())
    registry = make_registry(settings={"clipdrop": make_settings(rows["clipdrop"], api_key=None)})
    told = asked(wanted(provider="clipdrop"), registry)["clipdrop"]
    assert refusal(told) == ("PROVIDER_NOT_CONFIGURED", {"provider": "clipdrop"})


def test_who_is_given_a_pause_is_told_so() -> None:
    registry = make_registry()
    breaker = registry.get("clipdrop").breaker
    assert breaker is not None
    for _ in range(10):
        with pytest.raises(ProviderError), breaker.watch():
            raise ProviderError
    assert refusal(asked(wanted(), registry)["clipdrop"])[0] == "PROVIDER_UNAVAILABLE"


def test_a_refusal_without_details_has_none() -> None:
    told = replace(asked(wanted(provider="local"))["local"], refusal=ProviderError())
    assert told.to_json()["refusal"] == {
        "code": "PROVIDER_ERROR",
        "message": "The provider failed to process the request",
        "status": 502,
    }


@pytest.mark.parametrize("provider", [ALL, "clipdrop"])
@pytest.mark.parametrize(
    ("wishes", "kind"),
    [
        ({"sides": Sides(left=2001)}, InvalidExtendParameters),
        ({"sides": Sides()}, InvalidExtendParameters),
        ({"aspect_ratio": "4:3"}, InvalidFieldValue),
        ({"aspect_ratio": "16:9", "zoom_out": 3}, InvalidFieldValue),
        ({"variations": 5}, InvalidFieldValue),
        ({"organization_id": "org"}, InvalidFieldValue),
        ({"image": b"no photo"}, UncropError),
        ({"extent": (0, 5)}, InvalidFieldValue),
        ({"extent": (5, -1)}, InvalidFieldValue),
        ({"extent": (100_000, 100_000)}, ImageTooLarge),
        ({"extent": (100_000, 4)}, ImageTooLarge),
    ],
)
def test_what_nobody_could_make_is_refused(provider: str, wishes: dict[str, Any], kind: type[UncropError]) -> None:
    with pytest.raises(kind):
        asked(wanted(provider=provider, **wishes))


def test_a_single_provider_refuses_as_the_pictures_request_would() -> None:
    with pytest.raises(MaskRequired):
        asked(wanted(provider="openai", sides=Sides()))
    with pytest.raises(InvalidMask):
        asked(wanted(provider="openai", mask=pictures.mask_png(10, 10)))
    with pytest.raises(InvalidImage):
        asked(wanted(provider="openai", image=PHOTO[:100]))


def test_a_mask_is_possible_for_those_who_take_one() -> None:
    quotes = asked(wanted(mask=pictures.mask_png(64, 48)))
    assert {name for name, told in quotes.items() if told.possible} == {"comfyui", "openai", "sdapi"}
    assert refusal(quotes["local"]) == ("INVALID_FIELD_VALUE", {"field": "mask_file", "provider": "local"})


def test_a_provider_that_nobody_knows_is_refused() -> None:
    with pytest.raises(InvalidFieldValue):
        asked(wanted(provider="nobody"))


def test_calls_are_what_the_planner_says() -> None:
    assert asked(wanted(provider="clipdrop"))["clipdrop"].calls == 1
    far = {"canvas_width": 64 + 2500, "canvas_height": 48, "canvas_x": 0, "canvas_y": 0}
    assert asked(wanted(provider="clipdrop", max_calls=2, **far))["clipdrop"].calls == 2
    refused = asked(wanted(provider="clipdrop", **far))["clipdrop"]
    assert refused.calls is None
    assert refused.refusal is not None
    assert (refused.refusal.details or {})["calls_needed"] == 2

"""What is told of the providers, and what is not."""

from __future__ import annotations

import json

from uncrop.providers.registry import load_rows
from uncrop.service.provider_list import entry_of
from uncrop.testing.workbench import KEY, make_registry, make_settings


def test_every_row_can_be_told_in_json_and_holds_no_secret() -> None:
    registry = make_registry()
    for name in registry.names():
        entry = entry_of(registry.get(name))
        told = entry.to_json()
        assert json.loads(json.dumps(told, allow_nan=False)) == told
        assert KEY not in json.dumps(told)
        assert (told["name"], told["configured"], told["title"]) == (name, True, entry.facts.title)
        assert told["bills"] is entry.facts.bills


def test_what_is_missing_is_told_in_words() -> None:
    row = load_rows(())["clipdrop"]
    entry = entry_of(make_registry(settings={"clipdrop": make_settings(row, api_key=None)}).get("clipdrop"))
    assert (entry.configured, entry.missing) == (False, "The provider clipdrop has no API key")
    assert entry.to_json()["configured"] is False


def test_limits_are_told_where_there_are_any() -> None:
    registry = make_registry(settings={"openai": make_settings(load_rows(())["openai"], model="gpt-image-1")})
    openai = entry_of(registry.get("openai")).to_json()
    assert openai["geometry"]["sizes"] == ["1024x1024", "1024x1536", "1536x1024"]
    assert "max_edge" not in openai["geometry"]
    assert {field["name"]: field.get("choices") for field in openai["fields"]}["size"] == [
        "1024x1024",
        "1024x1536",
        "1536x1024",
    ]
    clipdrop = entry_of(registry.get("clipdrop")).to_json()
    assert clipdrop["price"] == {
        "amount": "1",
        "unit": "credit",
        "per": "picture",
        "date": "2026-11",
        "source": "https://clipdrop.co/apis/docs/uncrop",
    }
    (seed,) = (field for field in clipdrop["fields"] if field["name"] == "seed")
    assert (seed["minimum"], seed["maximum"]) == (0, 100_000)
    assert entry_of(registry.get("local")).to_json()["price"] is None

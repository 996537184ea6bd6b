"""The form of a quote, and how quotes are told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from uncrop.errors import InvalidRequest
from uncrop.model import UncropRequest
from uncrop.providers.registry import load_rows
from uncrop.server.fields import FIELDS
from uncrop.server.openapi_quote import quote_form_schema
from uncrop.server.quote_wire import quotes_response, to_quote
from uncrop.service.durations import Durations
from uncrop.service.quote import ALL, QuoteRequest, makers_for, quote
from uncrop.testing.workbench import make_registry

WHO: list[tuple[str, str | bytes]] = [("provider", "all"), ("organization_id", "org_123abc")]
IMAGE: tuple[str, str | bytes] = ("image_file", b"photo")


def test_the_form_of_the_picture_is_one_of_the_quote() -> None:
    request = UncropRequest(provider="all", organization_id="org_123abc", image=b"photo", zoom_out=5)
    assert to_quote([*WHO, IMAGE, ("zoom_out", "5")]) == QuoteRequest(request=request)


def test_the_extent_may_stand_in_place_of_the_image() -> None:
    form = [*WHO, ("image_width", "1200"), ("image_height", " 800 "), ("image_file", b"")]
    request = UncropRequest(provider="all", organization_id="org_123abc", image=b"")
    assert to_quote(form) == QuoteRequest(request=request, extent=(1200, 800))


@pytest.mark.parametrize(
    ("form", "message", "details"),
    [
        (WHO, "image_file is required", {"fields": {"image_file": "is required"}}),
        ([*WHO, ("image_width", "5")], "image_height is required", {"fields": {"image_height": "is required"}}),
        (
            [("image_width", "x"), ("image_height", "5")],
            "provider is required; organization_id is required; image_width must be a whole number",
            {
                "fields": {
                    "provider": "is required",
                    "organization_id": "is required",
                    "image_width": "must be a whole number",
                }
            },
        ),
        (
            [*WHO, IMAGE, ("image_width", "5")],
            "image_file and image_width cannot be sent together: each says how large the photo is",
            {"fields": ["image_file", "image_width"]},
        ),
        (
            [*WHO, ("image_width", "5"), ("image_width", "6"), ("image_height", "5")],
            "image_width must be sent once",
            {"fields": {"image_width": "must be sent once"}},
        ),
    ],
)
def test_a_wrong_form_is_refused(form: list[tuple[str, str | bytes]], message: str, details: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        to_quote(form)
    assert (refused.value.message, refused.value.details) == (message, details)


def test_one_is_told_by_itself_and_all_as_a_list() -> None:
    asked = to_quote([*WHO, ("image_width", "64"), ("image_height", "48"), ("extend_left", "8")])
    makers = makers_for(ALL, make_registry(), ())
    quotes = quote(asked, makers, durations=Durations(), max_output_pixels=10**7)
    told = [each.to_json() for each in quotes]
    assert json.loads(bytes(quotes_response(quotes, one=False).body)) == told
    assert json.loads(bytes(quotes_response(quotes[:1], one=True).body)) == told[0]


def test_the_documents_form_has_every_field_and_needs_no_image() -> None:
    form = quote_form_schema(list(load_rows(()).values()))
    assert set(form["properties"]) == {*FIELDS, "image_width", "image_height"}
    assert form["required"] == ["provider", "organization_id"]
    # A quote tells of each provider whether it takes the value.
    assert form["properties"]["size"].keys() == form["properties"]["seed"].keys() == {"type", "description"}
    assert form["properties"]["zoom_out"]["maximum"] == 90
    assert form["properties"]["provider"]["enum"][-2:] == ["auto", "all"]

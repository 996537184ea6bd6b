"""Several pictures of one request over HTTP: calls, seeds, bookings, and what is told of those that failed."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_http import Refusal, ask, check, clipdrop_form
from fixtures_server import Real, request_lines
from uncrop.imaging.header import read_header
from uncrop.testing import EdgeEngine, outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

PHOTO = photo_jpeg(64, 48)
FORM = clipdrop_form(PHOTO)


@pytest.fixture
def edge(house: Real) -> Iterator[EdgeEngine]:
    """Put the engine's double in place of the engine."""
    double = EdgeEngine()
    local: Any = house.server.service.registry.get("local")
    real = local._context
    local._context = replace(real, engine=double)
    yield double
    local._context = real


def test_each_is_a_call_with_a_seed_and_is_booked(house: Real, caplog: pytest.LogCaptureFixture) -> None:
    calls, booked = house.calls(), house.booked()
    caplog.set_level("INFO", "uncrop.server")
    response = ask(house.url, FORM.but(variations="3", seed="6"), key=house.key)
    assert (response.status_code, response.headers["content-type"]) == (200, "application/json")
    assert response.headers["x-provider"] == "clipdrop"
    body = response.json()
    assert (body["success"], body["complete"], body["failures"]) == (True, True, [])
    assert [each["seed"] for each in body["images"]] == [6, 7, 4]
    for each in body["images"]:
        header = read_header(b64decode(each["base64"]))
        assert (header.width, header.height) == (each["width"], each["height"]) == (80, 48)
    assert (house.calls() - calls, house.booked() - booked) == (3, 3)
    (line,) = request_lines(caplog)
    assert (line["billed_calls"], line["failures"], len(line["pictures"])) == (3, [], 3)
    assert {each["provider"] for each in line["pictures"]} == {"clipdrop"}


def test_what_was_made_is_sent_with_what_was_not(house: Real) -> None:
    booked = house.booked()
    house.clipdrop.script(outcomes.Outcome(status=500))
    body = ask(house.url, FORM.but(variations="2"), key=house.key).json()
    assert (body["complete"], len(body["images"])) == (False, 1)
    assert body["failures"] == [
        {
            "code": "PROVIDER_ERROR",
            "message": "The provider failed to process the request",
            "status": 502,
            "details": {"provider": "clipdrop", "provider_status": 500},
        }
    ]
    assert house.booked() - booked == 1


def test_when_none_was_made_the_answer_is_the_error(house: Real) -> None:
    booked = house.booked()
    house.clipdrop.script(*[outcomes.Outcome(status=402)] * 2)
    refused = ask(house.url, FORM.but(variations="2"), key=house.key)
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "PROVIDER_QUOTA_EXHAUSTED")
    assert house.booked() == booked


@pytest.mark.parametrize("number", ["0", "5", "-1", "1000000000000000000000"])
def test_a_number_that_cannot_be_is_refused(quiet: Real, number: str) -> None:
    value = min(int(number), 10**18)
    check(
        ask(quiet.url, FORM.but(variations=number), key=quiet.key),
        Refusal(
            status=422,
            code="INVALID_FIELD_VALUE",
            message="variations must be between 1 and 4",
            details={"field": "variations", "value": value, "min_allowed": 1, "max_allowed": 4},
        ),
    )


def test_what_is_no_number_is_refused(quiet: Real) -> None:
    check(
        ask(quiet.url, FORM.but(variations="two"), key=quiet.key),
        Refusal(
            status=422,
            code="VALIDATION_ERROR",
            message="variations must be a whole number",
            details={"fields": {"variations": "must be a whole number"}},
        ),
    )


def test_the_local_engine_is_told_that_it_makes_several(house: Real, edge: EdgeEngine) -> None:
    body = ask(house.url, FORM.but(provider="local", variations="4", seed="13"), key=house.key).json()
    assert [each["seed"] for each in body["images"]] == [13, 14, 15, 12]
    assert sorted(edge.calls) == [(seed, "standard") for seed in (12, 13, 14, 15)]
    assert edge.variations == 4
    alone = ask(house.url, FORM.but(provider="local", seed="12"), key=house.key)
    assert alone.content == b64decode(body["images"][3]["base64"])
    assert edge.variations == 4


def test_one_picture_is_json_for_those_who_ask_for_it(house: Real) -> None:
    form = FORM.but(seed="3")
    as_json = ask(house.url, form, key=house.key, headers={"Accept": "application/json"})
    as_file = ask(house.url, form, key=house.key)
    body = as_json.json()
    assert b64decode(body["images"][0]["base64"]) == as_file.content
    assert (body["complete"], body["images"][0]["seed"]) == (True, 3)
    assert as_json.headers["x-seed"] == as_file.headers["x-seed"] == "3"

"""Several pictures in one answer, and one as JSON."""

from __future__ import annotations

import json
from base64 import b64decode
from decimal import Decimal
from typing import Any

import pytest

from fixtures_server import picture
from uncrop.errors import ProviderError, ProviderRateLimited
from uncrop.geometry.sides import placement_of_sides
from uncrop.model import PictureFacts, Sides, StageTime
from uncrop.server.pictures_wire import prefers_json, to_pictures_response
from uncrop.server.wire import to_response
from uncrop.service.pictures import MadePicture, MadePictures
from uncrop.service.report import Attempt


def made(*results: Any, failures: tuple[Any, ...] = ()) -> MadePictures:
    return MadePictures(pictures=tuple(MadePicture(result=result) for result in results), failures=failures)


@pytest.mark.parametrize(
    ("accept", "json_wanted"),
    [
        ("", False),
        ("*/*", False),
        ("image/*", False),
        ("application/json", True),
        ("Application/JSON; charset=utf-8", True),
        ("application/*", True),
        ("application/json, text/plain, */*", False),
        ("image/jpeg, application/json", False),
        ("image/jpeg;q=0.5, application/json;q=0.9", True),
        ("image/jpeg;q=0.5, application/json;q=0.1", False),
        ("*/*;q=0.1, application/json", True),
        ("application/json;q=0", False),
        ("image/*;q=0, application/json;q=0.1", True),
        ("application/json;q=often", True),
        ("nonsense;;,", False),
    ],
)
def test_json_is_sent_to_those_who_want_it_more_than_a_picture(accept: str, json_wanted: bool) -> None:
    assert prefers_json(accept, "image/jpeg") is json_wanted


def test_one_picture_is_its_file() -> None:
    response, plain = to_pictures_response(made(picture()), "*/*"), to_response(picture())
    assert (bytes(response.body), response.headers) == (bytes(plain.body), plain.headers)


def test_one_picture_is_json_on_request_with_the_same_headers() -> None:
    facts = PictureFacts(provider="clipdrop", request_id="req_1", credits_consumed=Decimal("1.50"))
    result = picture(
        facts=facts, placement=placement_of_sides(2, 2, Sides(left=1)), original="exact", warnings=("odd",)
    )
    whole = MadePictures(
        pictures=(
            MadePicture(result=result, tried=(Attempt(provider="bria", code="PROVIDER_ERROR", message="It failed"),)),
        )
    )
    response = to_pictures_response(whole, "application/json")
    known = {name for name in to_response(result).headers if name.startswith("x-")}
    assert known <= set(response.headers)
    body = json.loads(bytes(response.body))
    assert b64decode(body["images"][0].pop("base64")) == result.image
    assert body == {
        "success": True,
        "complete": True,
        "images": [
            {
                "media_type": "image/jpeg",
                "width": 3,
                "height": 2,
                "provider": "clipdrop",
                "provider_request_id": "req_1",
                "provider_calls": None,
                "seed": 42,
                "confidence": None,
                "advice": None,
                "warnings": ["odd"],
                "canvas": "3x2+1+0",
                "original": "exact",
                "repaint_difference": None,
                "detail": None,
                "stages": [{"name": stage.name, "milliseconds": 1.25} for stage in result.stages],
                "credits_consumed": "1.5",
                "tried": [{"provider": "bria", "code": "PROVIDER_ERROR", "message": "It failed"}],
            }
        ],
        "failures": [],
    }


def test_a_map_alone_stays_what_it_was() -> None:
    result = picture(confidence_map=b"map")
    responses = to_pictures_response(made(result), "application/json"), to_response(result)
    assert bytes(responses[0].body) == bytes(responses[1].body)


def test_several_pictures_are_json_with_what_was_not_made() -> None:
    slow = tuple(StageTime(name="provider", milliseconds=9000) for _ in range(1))
    results = (
        picture(warnings=("odd",)),
        picture(
            seed=43,
            confidence_map=b"map",
            stages=slow,
            facts=PictureFacts(provider="local", request_id="req_2"),
            warnings=("odd",),
        ),
    )
    failures = (ProviderRateLimited(), ProviderError(details={"provider": "clipdrop"}))
    response = to_pictures_response(made(*results, failures=failures), "image/jpeg")
    assert response.media_type == "application/json"
    assert response.headers["x-provider"] == "clipdrop, local"
    assert response.headers["x-provider-request-id"] == "req_abc123, req_2"
    assert response.headers["server-timing"] == "provider;dur=9000.0"
    assert response.headers["x-warnings"] == '"odd"'
    body = json.loads(bytes(response.body))
    assert (body["success"], body["complete"]) == (True, False)
    assert [(each["seed"], b64decode(each["base64"])) for each in body["images"]] == [
        (42, results[0].image),
        (43, results[1].image),
    ]
    assert "confidence_map" not in body["images"][0]
    assert body["images"][1]["confidence_map"] == {
        "media_type": "image/png",
        "width": 3,
        "height": 2,
        "base64": "bWFw",
    }
    assert body["failures"] == [
        {
            "code": "PROVIDER_RATE_LIMITED",
            "message": "The provider is limiting requests; try again later",
            "status": 429,
        },
        {
            "code": "PROVIDER_ERROR",
            "message": "The provider failed to process the request",
            "status": 502,
            "details": {"provider": "clipdrop"},
        },
    ]


def test_several_without_a_warning_have_no_header_of_it() -> None:
    assert "x-warnings" not in to_pictures_response(made(picture(), picture(seed=1)), "").headers

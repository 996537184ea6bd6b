from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import event, given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from fixtures_server import picture
from uncrop.errors import RateLimitState, ValidationError
from uncrop.geometry.sides import placement_of_sides
from uncrop.model import Detail, PictureFacts, Sides, StageTime, UncropRequest
from uncrop.server import wire
from uncrop.server.fields import FIELDS, REQUIRED

LEGAL = [("provider", "clipdrop"), ("organization_id", "org_123abc"), ("image_file", b"photo")]


def refused(form: list[tuple[str, str | bytes]]) -> tuple[str, object]:
    with pytest.raises(ValidationError) as caught:
        wire.to_request(form)
    return caught.value.message, caught.value.details


@pytest.mark.parametrize(
    ("sent", "expected"),
    [
        ([], ()),
        ([("X-API-Key", "a")], ("a",)),
        ([("x-api-key", "a")], ("a",)),
        ([("api-key", "a")], ("a",)),
        ([("Authorization", "Bearer a")], ("a",)),
        ([("Authorization", "bEARER   a ")], ("a",)),
        ([("Authorization", "Basic a")], ()),
        ([("Authorization", "Bearer")], ()),
        ([("Authorization", "Bearer ")], ()),
        ([("X-API-Key", " ")], ()),
        ([("Authorization", "Bearer c"), ("api-key", "b"), ("X-API-Key", "a")], ("a", "b", "c")),
        ([("Authorization", "Bearer a"), ("X-API-Key", "a")], ("a",)),
        ([("X-API-Key", str(number)) for number in range(10)], ("0", "1", "2", "3", "4", "5", "6", "7")),
        # However many there are of one form, the first of each of the others comes before them.
        (
            [*[("X-API-Key", str(number)) for number in range(10)], ("Authorization", "Bearer b"), ("api-key", "a")],
            ("0", "a", "b", "1", "2", "3", "4", "5"),
        ),
        (
            [
                *[("api-key", text) for text in ("", "x", "a", "c")],
                *[("Authorization", text) for text in ("Basic n", "Bearer x", "Bearer b")],
                ("X-API-Key", "x"),
            ],
            ("x", "a", "b", "c"),
        ),
    ],
)
def test_credentials_are_found_wherever_they_may_stand(sent: list[tuple[str, str]], expected: tuple[str, ...]) -> None:
    headers = Headers(raw=[(name.lower().encode(), value.encode()) for name, value in sent])
    assert wire.credentials(headers) == expected


def test_the_smallest_form_becomes_a_request_with_defaults() -> None:
    assert wire.to_request(LEGAL) == UncropRequest(provider="clipdrop", organization_id="org_123abc", image=b"photo")


def test_every_field_becomes_what_it_means() -> None:
    request = wire.to_request(
        [
            *LEGAL,
            ("extend_left", "1"),
            ("extend_right", "+2"),
            ("extend_up", "-3"),
            ("extend_down", " 4 "),
            ("seed", "0"),
            ("max_calls", "3"),
            ("detail", "off"),
            ("mask_file", b"mask"),
            ("prompt", " a beach\n"),
            ("negative_prompt", "people"),
            ("size", "1024x1024"),
            ("quality", "best"),
            ("confidence_map", "true"),
        ]
    )
    assert request == UncropRequest(
        provider="clipdrop",
        organization_id="org_123abc",
        image=b"photo",
        sides=Sides(left=1, right=2, up=-3, down=4),
        seed=0,
        max_calls=3,
        detail="off",
        mask=b"mask",
        prompt=" a beach\n",
        negative_prompt="people",
        size="1024x1024",
        quality="best",
        confidence_map=True,
    )


def test_empty_texts_and_unknown_fields_are_as_if_absent() -> None:
    empty: list[tuple[str, str | bytes]] = [
        (name, "")
        for name in (
            "extend_left",
            "seed",
            "prompt",
            "negative_prompt",
            "size",
            "quality",
            "confidence_map",
            "mask_file",
        )
    ]
    unknown: list[tuple[str, str | bytes]] = [("foo", "1"), ("foo", b"2"), ("extend_left[]", "x")]
    assert wire.to_request([*LEGAL, *empty, *unknown]) == wire.to_request(LEGAL)


def test_spaces_around_a_text_mean_nothing_but_in_prose() -> None:
    plain: list[tuple[str, str | bytes]] = [
        ("provider", "openai"),
        ("organization_id", "org_1"),
        ("image_file", b" photo "),
        ("extend_left", "16"),
        ("size", "1024x1024"),
        ("quality", "high"),
        ("aspect_ratio", "16:9"),
        ("anchor", "left"),
        ("output_size", "64x64"),
        ("output_format", "png"),
        ("confidence_map", "true"),
    ]
    spaced = [(name, f" \t{value}\r\n" if isinstance(value, str) else value) for name, value in plain]
    assert wire.to_request(spaced) == wire.to_request(plain)
    prose = wire.to_request([*plain, ("prompt", " a beach\n"), ("negative_prompt", " ")])
    assert (prose.prompt, prose.negative_prompt, prose.image) == (" a beach\n", " ", b" photo ")
    assert refused([("provider", " "), *plain[1:]])[1] == {"fields": {"provider": "is required"}}


@pytest.mark.parametrize(
    "text", ["NaN", "1.5", "1e3", "0x10", "1_000", "٣", "１", "1 2", "--1", "", "\x00", "+", "+-1"]
)
def test_what_is_no_number_is_named(text: str) -> None:
    if not text:
        assert wire.to_request([*LEGAL, ("seed", text)]).seed is None
        return
    assert refused([*LEGAL, ("seed", text)]) == (
        "seed must be a whole number",
        {"fields": {"seed": "must be a whole number"}},
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("9" * 18, 10**18 - 1),
        ("-" + "9" * 18, 1 - 10**18),
        ("9" * 19, 10**18),
        ("+1" + "0" * 5_000, 10**18),
        ("-" + "9" * 100_000, -(10**18)),
        ("0" * 100_000 + "12", 12),
        ("-" + "0" * 30 + "12", -12),
        ("0" * 20, 0),
        ("-0", 0),
    ],
)
def test_a_whole_number_of_any_length_reaches_the_checks_of_the_values(text: str, value: int) -> None:
    request = wire.to_request([*LEGAL, ("extend_up", text), ("seed", text)])
    assert (request.sides.up, request.seed) == (value, value)


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), (" TRUE ", True), ("false", False), ("False", False), (" ", False)],
)
def test_a_switch_is_on_or_off(text: str, value: bool) -> None:
    assert wire.to_request([*LEGAL, ("confidence_map", text)]).confidence_map is value


@pytest.mark.parametrize("text", ["1", "yes", "on", "null", "tru e", "truе"])
def test_a_switch_that_is_neither_is_named(text: str) -> None:
    assert refused([*LEGAL, ("confidence_map", text)]) == (
        "confidence_map must be true or false",
        {"fields": {"confidence_map": "must be true or false"}},
    )


def test_everything_that_is_wrong_is_said_at_once_in_the_order_of_the_document() -> None:
    assert refused([("seed", "x"), ("extend_down", "y"), ("prompt", b"file"), ("mask_file", "text")]) == (
        (
            "provider is required; organization_id is required; image_file is required; "
            "prompt must be text, not a file; extend_down must be a whole number; seed must be a whole number; "
            "mask_file must be a file"
        ),
        {
            "fields": {
                "provider": "is required",
                "organization_id": "is required",
                "image_file": "is required",
                "prompt": "must be text, not a file",
                "extend_down": "must be a whole number",
                "seed": "must be a whole number",
                "mask_file": "must be a file",
            }
        },
    )


def test_nothing_sent_names_the_three_required_fields() -> None:
    assert refused([]) == (
        "provider is required; organization_id is required; image_file is required",
        {"fields": dict.fromkeys(REQUIRED, "is required")},
    )


def test_an_empty_required_text_is_missing() -> None:
    assert refused([("provider", ""), *LEGAL[1:]]) == ("provider is required", {"fields": {"provider": "is required"}})


def test_an_image_sent_as_text_is_told_apart_from_a_missing_one() -> None:
    assert refused([*LEGAL[:2], ("image_file", "photo")]) == (
        "image_file must be a file",
        {"fields": {"image_file": "must be a file"}},
    )


@pytest.mark.parametrize(("name", "value"), [("provider", "openai"), ("image_file", b"other"), ("seed", "1")])
def test_a_field_sent_twice_is_refused(name: str, value: str | bytes) -> None:
    assert refused([*LEGAL, (name, value), (name, value)]) == (
        f"{name} must be sent once",
        {"fields": {name: "must be sent once"}},
    )


@given(st.lists(st.tuples(st.sampled_from([*FIELDS, "foo"]), st.one_of(st.text(), st.binary()))))
def test_any_form_is_read_or_refused_by_names_of_ours(form: list[tuple[str, str | bytes]]) -> None:
    try:
        request = wire.to_request(form)
        named = [request.provider, request.organization_id or ""]
        event("read")
    except ValidationError as error:
        named = [name for name in (error.details or {})["fields"] if name in FIELDS]
        event("refused")
    assert named
    assert all(named)


def test_the_answer_carries_the_facts_in_its_headers() -> None:
    response = wire.to_response(
        picture(facts=PictureFacts(provider="clipdrop", request_id="req_abc123", credits_consumed=Decimal("1.0")))
    )
    assert response.body == b"\xff\xd8 a picture"
    assert dict(response.headers) == {
        "content-length": "12",
        "content-type": "image/jpeg",
        "x-provider": "clipdrop",
        "x-provider-request-id": "req_abc123",
        "x-provider-credits-consumed": "1",
        "x-seed": "42",
        "server-timing": "intake;dur=1.2, admission;dur=1.2, provider;dur=1.2, finish;dur=1.2, encode;dur=1.2",
    }


def test_what_is_not_known_has_no_header() -> None:
    facts = PictureFacts(provider="local", request_id="req_1", confidence=0.98765)
    headers = wire.to_response(picture(seed=None, facts=facts, media_type="image/webp")).headers
    assert "x-seed" not in headers
    assert "x-advice" not in headers
    assert "x-provider-credits-consumed" not in headers
    assert headers["x-confidence"] == "0.988"
    assert headers["content-type"] == "image/webp"


def test_advice_is_a_dictionary_of_all_four_sides() -> None:
    facts = PictureFacts(provider="local", request_id="req_1", confidence=0.5, advice=Sides(left=256, down=128))
    assert wire.to_response(picture(facts=facts)).headers["x-advice"] == "left=256, right=0, up=0, down=128"


def test_with_a_map_the_answer_is_json_under_the_same_headers() -> None:
    facts = PictureFacts(
        provider="local", request_id="req_1", confidence=0.25, advice=Sides(left=4), warnings=("dark",)
    )
    placed = placement_of_sides(2, 2, Sides(left=1))
    result = picture(
        facts=facts,
        warnings=("dark",),
        confidence_map=b"\x89PNG a map",
        seed=None,
        placement=placed,
        original="exact",
        repaint_difference=1.5,
        provider_calls=2,
        detail=Detail(state="redrawn", factor=3.08),
    )
    plain, response = wire.to_response(replace(result, confidence_map=None)), wire.to_response(result)
    assert json.loads(response.body) == {
        "success": True,
        "image": {"media_type": "image/jpeg", "width": 3, "height": 2, "base64": "/9ggYSBwaWN0dXJl"},
        "confidence_map": {"media_type": "image/png", "width": 3, "height": 2, "base64": "iVBORyBhIG1hcA=="},
        "report": {
            "provider": "local",
            "provider_request_id": "req_1",
            "provider_calls": 2,
            "seed": None,
            "confidence": 0.25,
            "advice": {"left": 4, "right": 0, "up": 0, "down": 0},
            "warnings": ["dark"],
            "canvas": "3x2+1+0",
            "original": "exact",
            "repaint_difference": 1.5,
            "detail": "redrawn; factor=3.1",
            "stages": [
                {"name": name, "milliseconds": 1.25} for name in ("intake", "admission", "provider", "finish", "encode")
            ],
        },
    }
    assert response.headers["content-type"] == "application/json"
    size = {"content-type": "application/json", "content-length": str(len(response.body))}
    assert dict(response.headers) == {**plain.headers, **size}


def test_what_became_of_the_photo_stands_in_the_headers() -> None:
    told = picture(
        placement=placement_of_sides(30, 20, Sides(left=4, up=3, right=-1)),
        original="recompressed",
        repaint_difference=3.456,
        provider_calls=3,
        detail=Detail(state="skipped", factor=2.0, reason="no time was left"),
        warnings=('said "no"', "gr\u00fcn\n"),
    )
    headers = wire.to_response(told).headers
    assert headers["x-canvas"] == "33x23+4+3"
    assert headers["x-original"] == "recompressed"
    assert headers["x-repaint-difference"] == "3.46"
    assert headers["x-provider-calls"] == "3"
    assert headers["x-detail"] == "skipped; factor=2.0; reason=no time was left"
    assert headers["x-warnings"] == '"said \\"no\\"", "gr?n?"'
    silent = wire.to_response(picture()).headers
    assert not {"x-canvas", "x-original", "x-provider-calls", "x-repaint-difference", "x-warnings", "x-detail"} & set(
        silent
    )


def test_a_map_of_a_picture_of_which_nothing_was_made_has_no_advice() -> None:
    response = wire.to_response(picture(confidence_map=b"map"))
    assert json.loads(response.body)["report"]["advice"] is None


def test_a_providers_words_cannot_break_the_headers() -> None:
    facts = PictureFacts(provider="openai", request_id="req\r\nSet-Cookie: a=b\x00é" + "x" * 500)
    value = wire.to_response(picture(facts=facts)).headers["x-provider-request-id"]
    assert value == ("reqSet-Cookie:a=b" + "x" * 500)[:200]


@pytest.mark.parametrize(
    ("number", "text"),
    [
        ("1", "1"),
        ("1.0", "1"),
        ("0.50", "0.5"),
        ("10", "10"),
        ("1E+2", "100"),
        ("0", "0"),
        ("0.0", "0"),
        ("1E-3", "0.001"),
    ],
)
def test_credits_are_written_plainly(number: str, text: str) -> None:
    assert wire.plain(Decimal(number)) == text


def test_the_rate_limit_is_told_in_three_headers() -> None:
    assert wire.rate_headers(RateLimitState(limit=60, remaining=0, reset=1_700_000_000)) == {
        "X-RateLimit-Limit": "60",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset": "1700000000",
    }


def test_server_timing_rounds_to_a_tenth() -> None:
    stages = (StageTime(name="intake", milliseconds=0.04), StageTime(name="encode", milliseconds=12.36))
    assert wire.server_timing(stages) == "intake;dur=0.0, encode;dur=12.4"

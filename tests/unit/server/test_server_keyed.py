"""What a request under a key asks, as a fingerprint, and its answer, as it is kept."""

from __future__ import annotations

import itertools
import os
import random
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import Request
from starlette.responses import Response

from fixtures_server import picture
from uncrop.errors import ContentRejected
from uncrop.model import Answer, UncropRequest
from uncrop.server.exchange import Exchange
from uncrop.server.keyed import asked_under, fingerprint_of, from_answer, to_answer
from uncrop.service.pictures import MadePicture, MadePictures

if TYPE_CHECKING:
    from uncrop.server.form import FormItem
    from uncrop.service.once import Repeatable

FACTS = ("POST", "/api/v1/images/uncrop")
FORM: list[FormItem] = [("provider", "clipdrop"), ("image_file", b"photo"), ("mask_file", b"mask"), ("seed", "1")]


def test_the_order_of_fields_does_not_count() -> None:
    assert {fingerprint_of(FACTS, order) for order in itertools.permutations(FORM)} == {fingerprint_of(FACTS, FORM)}


OTHERS: list[list[FormItem]] = [
    [],
    FORM[:-1],
    [*FORM, ("seed", "1")],
    [*FORM, ("quality", "")],
    [("provider", "clipdrop "), *FORM[1:]],
    [("Provider", "clipdrop"), *FORM[1:]],
    [FORM[0], ("image_file", "photo"), *FORM[2:]],
    [FORM[0], ("image_file", b"mask"), ("mask_file", b"photo"), FORM[3]],
    [FORM[0], ("image_file", b"photp"), *FORM[2:]],
    [("provide", "rclipdrop"), *FORM[1:]],
    [("a", "b"), ("c", "d")],
    [("a", "bc"), ("d", "")],
    [("a", "b\0c"), ("d", "")],
]


def test_everything_else_does() -> None:
    found = [fingerprint_of(FACTS, form) for form in (FORM, *OTHERS)]
    found += [fingerprint_of(facts, FORM) for facts in (("GET", FACTS[1]), ("POST", "/v1"), (*FACTS, "image/png"), ())]
    assert len({*found}) == len(found)
    assert {len(each) for each in found} == {32}


def test_any_byte_of_a_large_file_counts() -> None:
    data = bytearray(os.urandom(20_000_000))
    before = fingerprint_of(FACTS, [("image_file", bytes(data))])
    for place in (0, len(data) - 1, *random.Random(1).choices(range(len(data)), k=2)):
        data[place] ^= 1
        assert fingerprint_of(FACTS, [("image_file", bytes(data))]) != before
        data[place] ^= 1
    assert fingerprint_of(FACTS, [("image_file", bytes(data))]) == before


def request(accept: str | None = None, path: str = FACTS[1]) -> Request:
    headers = [] if accept is None else [(b"accept", accept.encode())]
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": headers,
        "query_string": b"",
        "server": ("a", 1),
    }
    return Request({**scope, "scheme": "http"})


async def asked(accept: str | None = None, form: list[FormItem] = FORM, **fields: Any) -> Repeatable:
    found = await asked_under(
        "k",
        form,
        UncropRequest(provider="clipdrop", image=b"photo", **fields),
        request=request(accept),
        exchange=Exchange(trace_id="0f8fad5b-d9cb-469f-a165-70867728950e"),
        make_room=lambda _bytes: None,
    )
    assert found.request.provider == "clipdrop"
    assert found.repeatable is not None
    return found.repeatable


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (None, "*/*", True),
        ("image/*", "image/png, image/jpeg, image/webp", True),
        (None, "application/json", False),
        ("application/json", "application/json, image/*;q=0.1", True),
        ("image/png, application/json;q=0.5", "image/*", False),
    ],
)
async def test_the_kind_of_answer_counts_where_it_is_another(one: str, other: str, same: bool) -> None:
    assert ((await asked(one)).fingerprint == (await asked(other)).fingerprint) is same


@pytest.mark.parametrize("fields", [{"variations": 2}, {"confidence_map": True}])
async def test_where_the_answer_is_json_anyway_it_does_not(fields: dict[str, Any]) -> None:
    assert (await asked(None, **fields)).fingerprint == (await asked("application/json", **fields)).fingerprint


async def test_of_one_format_that_was_asked_for_the_others_do_not_count() -> None:
    one, other = "image/png, application/json;q=0.5", "image/*"
    assert (await asked(one, answer_format="PNG")).fingerprint == (await asked(other, answer_format="PNG")).fingerprint


async def test_a_large_form_is_hashed_in_a_thread_to_the_same_end() -> None:
    form: list[FormItem] = [("image_file", bytes(300_000))]
    assert (await asked(form=form)).fingerprint == fingerprint_of(FACTS, form)


async def test_answers_are_rendered_as_they_are_sent() -> None:
    repeatable = await asked()
    made = MadePictures(pictures=(MadePicture(result=picture()),))
    answer = repeatable.render(made)
    assert (answer.status, answer.body) == (200, picture().image)
    assert dict(answer.headers)["content-type"] == "image/jpeg"
    assert dict(answer.headers)["x-provider"] == "clipdrop"
    refusal = repeatable.render_error(ContentRejected())
    assert refusal.status == 422
    assert b"0f8fad5b-d9cb-469f-a165-70867728950e" in refusal.body


async def test_who_reads_the_log_sees_the_refusal_too() -> None:
    exchange = Exchange()
    found = await asked_under(
        "k",
        FORM,
        UncropRequest(provider="clipdrop", image=b""),
        request=request(),
        exchange=exchange,
        make_room=lambda _bytes: None,
    )
    assert found.repeatable is not None
    found.repeatable.render_error(ContentRejected())
    assert exchange.outcome == "CONTENT_REJECTED"


def test_an_answer_that_comes_again_says_so() -> None:
    answer = to_answer(Response(b"a picture", status_code=200, media_type="image/png", headers={"X-Seed": "7"}))
    assert answer == Answer(status=200, headers=(("x-seed", "7"), ("content-type", "image/png")), body=b"a picture")
    first = from_answer(answer)
    again = from_answer(Answer(status=answer.status, headers=answer.headers, body=answer.body, replayed=True))
    assert first.body == again.body == b"a picture"
    assert set(again.raw_headers) - set(first.raw_headers) == {(b"idempotent-replayed", b"true")}
    assert (b"content-length", b"9") in first.raw_headers

"""What is found of an error in an answer, wherever it stands."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncrop.providers.said import MAX_CHARACTERS, MAX_TEXTS, Said, plain, read_said
from uncrop.testing.pictures import photo_jpeg, photo_png, photo_webp


def said(body: object) -> Said:
    return read_said(json.dumps(body).encode())


PLACES = [
    {"error": "some_code"},
    {"error": {"code": "some_code"}},
    {"error": {"type": "some_code", "code": None}},
    {"error": ["some_code"]},
    {"error": [{"message": "some_code"}]},
    {"errors": ["some_code"]},
    {"errors": [{"reason": "some_code"}]},
    {"error": {"innererror": {"code": "some_code"}}},
    {"error": {"inner_error": {"code": "some_code"}}},
    {"detail": "some_code"},
    {"detail": ["some_code"]},
    {"detail": [{"loc": ["body"], "msg": "some_code", "type": "x"}]},
    {"detail": {"error": {"code": "some_code"}}},
    {"message": "some_code"},
    {"name": "some_code", "errors": []},
    {"code": "some_code"},
    {"status": "some_code"},
    {"error_code": "some_code"},
    {"errorCode": "some_code"},
    {"finish_reason": "some_code"},
    {"candidates": [{"finishReason": "some_code"}]},
    {"promptFeedback": {"blockReason": "some_code"}},
    {"data": [{"b64_json": None, "error": {"code": "some_code"}}]},
    {"data": {"error": "some_code"}},
    {"result": {"error": "some_code"}},
    {"error": {"message": "The maker said {'code': 'some_code'} and no more"}},
    [{"error": {"code": "some_code"}}],
    ["some_code"],
    "some_code",
]
SPELLINGS = ["some_code", "SOME_CODE", "someCode", "Some code", "some-code"]


@pytest.mark.parametrize("body", PLACES, ids=json.dumps)
def test_a_code_is_found_wherever_errors_stand(body: object) -> None:
    found = said(body)
    assert "somecode" in found.codes
    assert "some code" in found.words


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_code_is_one_in_every_spelling(spelling: str) -> None:
    assert "somecode" in said({"error": {"code": spelling}}).codes
    assert plain(spelling) == "somecode"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"Some words", "some words"),
        (b"Some\n  words", "some words"),
        (b"\xef\xbb\xbf" + b'{"error": "Some words"}', "some words"),
        (b"<html><head><title>Some</title></head><body><p>words</p></body></html>", "some words"),
        (b"<p>Some&#32;words", "some words"),
        (b"<style>p {}</style><script>'<p>no'</script>Some<br>words", "some words"),
        (b"<p>Some words</b></script>", "some words"),
        ("Gr\u00fcn".encode(), "gr\u00fcn"),
        (b'event: error\ndata: {"error": {"message": "Some words"}}\n\n', "some words"),
        (b'data: {"type": "x"}\ndata: [DONE]\ndata: {"error": "Some words"}\n\n', "x\nsome words"),
        (b'{"error": "Some words", ', '{"error": "some words",'),
    ],
)
def test_texts_pages_and_streams_are_read(body: bytes, words: str) -> None:
    assert read_said(body).words.strip() == words


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("text", ['{"error": {"message": "Some words"}}', "Some words", "<p>Some words</p>"])
def test_texts_of_utf_16_are_read(encoding: str, text: str) -> None:
    assert read_said(text.encode(encoding)).words.strip() == "some words"


@pytest.mark.parametrize("body", [b"a\0b\0" + b"\0\xd8" * 2, b"a\0b\0c", b"\0\0\0\0"])
def test_what_only_begins_like_utf_16_says_nothing(body: bytes) -> None:
    assert read_said(body) == Said()


FOUND = {"hate": {"filtered": False, "severity": "safe"}, "violence": {"filtered": True, "severity": "medium"}}


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "", "innererror": {"content_filter_result": FOUND}}},
        {"error": {"inner_error": {"content_filter_results": FOUND}}},
        {"data": [{"content_filter_results": FOUND}]},
        {"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": FOUND}]},
    ],
    ids=json.dumps,
)
def test_what_a_filter_found_is_read_without_a_code(body: object) -> None:
    assert "contentfilter" in said(body).codes
    passed = json.loads(json.dumps(body).replace("true", "false"))
    assert "contentfilter" not in said(passed).codes


def test_what_filters_found_has_bounds() -> None:
    deep: object = {"filtered": True}
    for _ in range(20):
        deep = {"x": deep}
    assert said({"content_filter_results": deep}) == Said()


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "some_code"},
        {"detail": [{"loc": ["some_code"], "input": "some_code", "ctx": {"error": 1}}]},
        {"error": {"param": "some_code"}},
        {"data": [{"b64_json": "some_code", "revised_prompt": "some_code"}]},
        {"data": ["some_code"]},
        {"result": "some_code"},
        {"url": "some_code"},
        {"error": None},
        {"error": True},
        {},
        [],
        None,
        7,
    ],
    ids=json.dumps,
)
def test_what_is_no_error_says_nothing(body: object) -> None:
    found = said(body)
    assert "somecode" not in found.codes
    assert "some code" not in found.words


@pytest.mark.parametrize("picture", [photo_png(64, 64), photo_jpeg(64, 64), photo_webp(64, 64), b""])
def test_a_picture_says_nothing(picture: bytes) -> None:
    assert read_said(picture).words == ""


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"error": {"code": 429}}, 429),
        ({"error": {"code": "429"}}, 429),
        ({"statusCode": 401, "error": "x"}, 401),
        ({"status": 503}, 503),
        ({"code": 0}, None),
        ({"code": 200}, None),
        ({"code": 600}, None),
        ({"code": "4e2"}, None),
        ({"code": "\u0664\u0662\u0669"}, None),
        ({"code": 429.5}, None),
        ({"code": True}, None),
        ({"type": 429}, None),
        ({"details": {"width": 429}}, None),
    ],
)
def test_a_status_in_the_body_is_read(body: object, status: int | None) -> None:
    assert said(body).status == status


@pytest.mark.parametrize(
    ("body", "seconds"),
    [({"retry_after": 5}, 5), ({"error": {"retryAfter": 2.5}}, 2.5), ({"retry_after": "soon"}, None), ({}, None)],
)
def test_when_to_come_again_is_read(body: object, seconds: float | None) -> None:
    assert said(body).retry_after == seconds


def test_what_is_read_has_bounds() -> None:
    assert len(said({"errors": ["x" * 9000]}).words) == MAX_CHARACTERS
    assert len(said({"errors": ["x"] * 9000}).words.splitlines()) == MAX_TEXTS
    nested: object = "some_code"
    for _ in range(60):
        nested = {"error": nested}
    assert said(nested) == Said(words="")
    assert len(read_said(b"x" * 9_000_000).words) == MAX_CHARACTERS
    assert read_said(b"[" * 200_000).words.strip("[") == ""


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["error", "code", "data", "detail", "status", "retry_after", "x"]), inner)
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_json_is_read(body: object) -> None:
    found = said(body)
    assert found.status is None or 400 <= found.status < 600


@given(st.binary(max_size=200) | st.text("<>/!-&;=\"'ascript \n").map(str.encode))
def test_any_bytes_are_read(body: bytes) -> None:
    read_said(body)

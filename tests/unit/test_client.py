import json
from pathlib import Path

import httpx2
import pytest

from uncrop.client import ApiError, Client, Retries
from uncrop.model import Sides

REFUSAL = {
    "success": False,
    "error": {
        "code": "RATE_LIMIT_EXCEEDED",
        "message": "Too many requests; try again later",
        "type": "client_error",
        "status": 429,
        "details": {"limit": 60},
        "system_message": "Too many requests; try again later",
        "trace_id": "0b0e7c0e-0000-4000-8000-000000000000",
        "timestamp": "2026-11-22T10:30:00Z",
    },
}


def client_of(answer: httpx2.Response, sent: list[httpx2.Request]) -> Client:
    def handle(request: httpx2.Request) -> httpx2.Response:
        request.read()
        sent.append(request)
        return answer

    transport, once = httpx2.MockTransport(handle), Retries(attempts=1)
    return Client("http://server", api_key="k", organization_id="org_a", transport=transport, retries=once)


def test_a_call_says_what_was_asked_and_returns_what_came(tmp_path: Path) -> None:
    headers = {
        "content-type": "image/png",
        "x-provider": "local",
        "x-provider-request-id": "req_1",
        "x-request-id": "r",
        "x-seed": "7",
        "x-confidence": "0.5",
        "x-provider-calls": "2",
    }
    sent: list[httpx2.Request] = []
    mask = tmp_path / "mask.png"
    mask.write_bytes(b"the mask")
    with client_of(httpx2.Response(200, headers=headers, content=b"picture"), sent) as client:
        picture = client.extend(b"the photo", left=8, down=-3, seed=7, quality="fast", mask=mask, max_calls=3)
    assert (picture.image, picture.media_type, picture.provider) == (b"picture", "image/png", "local")
    assert (picture.seed, picture.confidence, picture.credits_consumed) == (7, 0.5, None)
    assert picture.provider_calls == 2
    request = sent[0]
    assert (request.method, request.url.path) == ("POST", "/api/v1/images/uncrop")
    assert request.headers["x-api-key"] == "k"
    body = request.content.decode()
    for name, value in {
        "provider": "local",
        "organization_id": "org_a",
        "extend_left": "8",
        "extend_down": "-3",
        "seed": "7",
        "quality": "fast",
        "max_calls": "3",
    }.items():
        assert f'name="{name}"\r\n\r\n{value}\r\n' in body
    assert 'name="image_file"; filename="image"' in body
    assert "the photo" in body
    assert "the mask" in body
    assert "extend_right" not in body
    assert "prompt" not in body
    assert "confidence_map" not in body


def test_a_picture_without_facts_is_a_picture() -> None:
    with client_of(httpx2.Response(200, content=b"picture"), []) as client:
        picture = client.extend(b"photo", right=8)
    assert (picture.seed, picture.confidence, picture.provider) == (None, None, "")
    assert (picture.advice, picture.confidence_map, picture.provider_calls) == (None, None, None)


def test_a_map_comes_beside_the_picture() -> None:
    body = {
        "success": True,
        "image": {"media_type": "image/webp", "width": 1, "height": 1, "base64": "cGljdHVyZQ=="},
        "confidence_map": {"media_type": "image/png", "width": 1, "height": 1, "base64": "bWFw"},
        "report": {},
    }
    headers = {"x-provider": "local", "x-seed": "7", "x-advice": "left=8, right=0, up=3, down=0"}
    sent: list[httpx2.Request] = []
    with client_of(httpx2.Response(200, headers=headers, json=body), sent) as client:
        picture = client.extend(b"photo", left=9, up=3, confidence_map=True)
    assert b'name="confidence_map"\r\n\r\ntrue\r\n' in sent[0].content
    assert (picture.image, picture.media_type, picture.confidence_map) == (b"picture", "image/webp", b"map")
    assert (picture.provider, picture.seed, picture.advice) == ("local", 7, Sides(left=8, up=3))


@pytest.mark.parametrize("body", [b"no JSON", b"{}", b"[]", b'{"image": {"base64": "%"}}', b'{"image": {"base64": 1}}'])
def test_a_map_that_is_none_is_an_error(body: bytes) -> None:
    answer = httpx2.Response(200, headers={"content-type": "application/json"}, content=body)
    with client_of(answer, []) as client, pytest.raises(ApiError) as caught:
        client.extend(b"photo", left=8, confidence_map=True)
    assert (caught.value.status, caught.value.code) == (200, "UNEXPECTED_ANSWER")


def test_a_refusal_is_an_error_with_all_its_facts() -> None:
    answer = httpx2.Response(429, headers={"retry-after": "12"}, content=json.dumps(REFUSAL))
    with client_of(answer, []) as client, pytest.raises(ApiError) as caught:
        client.extend(b"photo", left=8)
    error = caught.value
    assert (error.status, error.code, error.details, error.retry_after) == (
        429,
        "RATE_LIMIT_EXCEEDED",
        {"limit": 60},
        12.0,
    )
    assert str(error) == (
        "Too many requests; try again later (429 RATE_LIMIT_EXCEEDED, trace 0b0e7c0e-0000-4000-8000-000000000000)"
    )


@pytest.mark.parametrize("body", [b"<html>502 Bad Gateway</html>", b"[]", b"{}", b'{"error": "no"}'])
def test_what_something_in_between_answers_is_an_error_too(body: bytes) -> None:
    with client_of(httpx2.Response(502, content=body), []) as client, pytest.raises(ApiError) as caught:
        client.extend(b"photo", left=8)
    assert (caught.value.status, caught.value.code, caught.value.retry_after) == (502, "UNEXPECTED_ANSWER", None)

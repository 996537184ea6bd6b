"""Quotes over HTTP: nobody is called, nothing is booked, and what is refused is refused as the picture would be."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest

from fixtures_http import Form, Refusal, ask, check, clipdrop_form
from fixtures_server import PATH, Real, real
from uncrop.testing.pictures import photo_jpeg

PHOTO = photo_jpeg(64, 48)
FORM = clipdrop_form(PHOTO)
SIZE = {"image_width": "64", "image_height": "48"}


def quote(house: Real, form: Form, *, key: str | None = None) -> httpx2.Response:
    headers = {} if key == "" else {"X-API-Key": key or house.key}
    files = [(name, (name, data)) for name, data in form.files.items()]
    # Without a file the form would not be multipart.
    files += [] if files else [(name, (None, value.encode())) for name, value in form.fields.items()]  # type: ignore[misc]
    data = dict(form.fields) if form.files else None
    return httpx2.post(f"{house.url}{PATH}/quote", headers=headers, data=data, files=files, timeout=60)


def test_one_provider_is_asked(quiet: Real) -> None:
    response = quote(quiet, FORM)
    assert response.status_code == 200
    told = response.json()
    assert (told["provider"], told["possible"], told["calls"]) == ("clipdrop", True, 1)
    assert (told["canvas"], told["price"]["total"]) == ("80x48+16+0", "1")
    assert response.headers["x-ratelimit-limit"] == "100000"


def test_all_are_asked_by_size_alone(quiet: Real) -> None:
    told = quote(quiet, FORM.but("image_file", provider="all", **SIZE)).json()
    assert [each["provider"] for each in told] == list(quiet.server.service.registry.names())
    assert {each["provider"] for each in told if each["possible"]} == {"clipdrop", "local", "openai"}
    codes = {each["refusal"]["code"] for each in told if not each["possible"]}
    assert codes == {"PROVIDER_NOT_CONFIGURED"}


def test_a_picture_that_was_made_tells_the_time_of_the_next(house: Real) -> None:
    assert ask(house.url, FORM, key=house.key).status_code == 200
    assert quote(house, FORM).json()["expected_seconds"] > 0


@pytest.mark.parametrize(
    "changes",
    [
        {"extend_left": "2001"},
        {"extend_left": "0"},
        {"extend_left": "x"},
        {"provider": "nobody"},
        {"provider": ""},
        {"organization_id": "org_other"},
        {"image_file": PHOTO[:99]},
        {"image_file": b""},
        {"aspect_ratio": "16:0", "extend_left": ""},
        {"aspect_ratio": "16:9"},
    ],
)
def test_what_nobody_could_make_is_refused_as_the_picture_is(quiet: Real, changes: dict[str, Any]) -> None:
    refused, expected = quote(quiet, FORM.but(**changes)), ask(quiet.url, FORM.but(**changes), key=quiet.key)
    assert refused.status_code == expected.status_code
    bodies = [response.json()["error"] for response in (refused, expected)]
    for body in bodies:
        del body["trace_id"], body["timestamp"]
    assert bodies[0] == bodies[1]


def test_spaces_around_a_text_say_nothing(quiet: Real) -> None:
    plain = FORM.but(extend_left="")
    told = [quote(quiet, plain.but(aspect_ratio=ratio)) for ratio in ("16:9", " 16:9", "16:9 ")]
    assert {response.status_code for response in told} == {200}
    assert len({str(response.json()["canvas"]) for response in told}) == 1


def test_what_one_provider_cannot_do_has_the_code_of_the_pictures_refusal(quiet: Real) -> None:
    form = FORM.but(prompt="a beach")
    told, refused = quote(quiet, form).json(), ask(quiet.url, form, key=quiet.key).json()["error"]
    assert told["possible"] is False
    assert told["refusal"] == {name: refused[name] for name in ("code", "message", "status", "details")}


def test_who_asks_must_have_a_key(quiet: Real) -> None:
    message = "Authentication is required: send the key as X-API-Key or as a Bearer token"
    check(quote(quiet, FORM, key=""), Refusal(status=401, code="AUTHENTICATION_REQUIRED", message=message))


def test_quotes_count_towards_the_limit_on_requests(tmp_path: Any) -> None:
    with real(tmp_path, settings={"rate_limit_per_minute": 1}) as house:
        assert quote(house, FORM).status_code == 200
        assert quote(house, FORM).json()["error"]["code"] == "RATE_LIMIT_EXCEEDED"
        assert (house.calls(), house.booked()) == (0, 0)


def test_only_posts_are_taken(quiet: Real) -> None:
    response = httpx2.get(f"{quiet.url}{PATH}/quote")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")

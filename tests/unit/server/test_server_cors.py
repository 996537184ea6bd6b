"""Web pages of other origins, over real HTTP: what their browsers ask and are told."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_http import Form, Refusal, ask, check, clipdrop_form
from fixtures_server import KEY, PATH, FakeUncropper, Running, already_open, fake_service, running
from uncrop.providers.registry import load_rows
from uncrop.server.form import BodyLimits
from uncrop.server.openapi import document
from uncrop.server.openapi_headers import header_components
from uncrop.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORM = clipdrop_form(b"photo")
OURS, OTHERS = "https://app.example.com", "https://evil.example"
INTERNAL = Refusal(
    status=500,
    code="INTERNAL_ERROR",
    message="Something went wrong. Please try again later.",
    type="server_error",
)


@contextmanager
def serving(folder: Path, origins: str, **parts: Any) -> Iterator[Running]:
    settings = Settings(data_dir=folder, cors_origins=origins, _env_file=None)
    with running(already_open(fake_service(folder, settings=settings, **parts))) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path, f"http://localhost:3000,{OURS}") as started:
        yield started


def names(listed: str) -> set[str]:
    return {name.strip().lower() for name in listed.split(",")}


def of_cors(response: httpx2.Response) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def preflight(url: str, origin: str, method: str = "POST", path: str = PATH) -> httpx2.Response:
    asked = "authorization,content-type,x-api-key,x-request-id"
    headers = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": asked}
    return httpx2.options(url + path, headers=headers)


# --- pages that may --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", ["http://localhost:3000", OURS])
def test_a_browser_that_asks_before_is_told_that_the_page_may(server: Running, origin: str) -> None:
    response = preflight(server.url, origin)
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["access-control-allow-origin"] == origin
    assert response.headers["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE"
    allowed = {"authorization", "x-api-key", "api-key", "content-type", "idempotency-key", "x-request-id"}
    assert names(response.headers["access-control-allow-headers"]) == allowed
    assert response.headers["access-control-max-age"] == "7200"
    assert "access-control-allow-credentials" not in response.headers
    assert response.headers["vary"] == "Origin"
    assert response.headers["x-request-id"]


def test_each_operation_of_the_document_may_be_asked_for(server: Running) -> None:
    paths = document(limits=BodyLimits(), providers=list(load_rows(()).values()))["paths"]
    operations = [(method.upper(), path) for path, item in paths.items() for method in item]
    assert {method for method, _ in operations} == {"GET", "POST", "PUT", "PATCH", "DELETE"}
    with httpx2.Client(base_url=server.url) as client:
        for method, path in operations:
            asked = {"Origin": OURS, "Access-Control-Request-Method": method}
            response = client.options(path.replace("{", "").replace("}", ""), headers=asked)
            allowed = response.headers["access-control-allow-methods"].split(", ")
            assert (response.status_code, method in allowed) == (204, True), (method, path)


@pytest.mark.parametrize("credentials", [{"X-API-Key": KEY}, {"Authorization": f"Bearer {KEY}"}])
def test_the_page_may_read_the_picture_and_all_headers_of_ours(server: Running, credentials: dict[str, str]) -> None:
    response = ask(server.url, FORM, key=None, headers={"Origin": OURS, **credentials})
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == OURS
    assert response.headers["vary"] == "Origin"
    exposed = names(response.headers["access-control-expose-headers"])
    safe = {"x-content-type-options", "x-frame-options"}
    assert {name for name in response.headers if name.startswith("x-")} - safe <= exposed
    assert {name.lower() for name in header_components()} == exposed
    assert {"retry-after", "server-timing", "x-ratelimit-reset", "x-provider-credits-consumed"} <= exposed


def test_the_page_may_read_every_error(tmp_path: Path) -> None:
    async def fail(*_: object) -> Any:
        raise KeyError

    with serving(tmp_path, OURS, rate_limit=2, uncropper=FakeUncropper(action=fail)) as server:
        origin = {"Origin": OURS}
        internal = ask(server.url, FORM, key=KEY, headers=origin)
        check(internal, INTERNAL)
        answers = [
            internal,
            ask(server.url, Form(files={"a": b""}), key=KEY, headers=origin),
            ask(server.url, FORM, key=KEY, headers=origin),
            ask(server.url, FORM, key=None, headers=origin),
            httpx2.get(server.url + "/nope", headers=origin),
            httpx2.put(server.url + PATH, headers=origin),
        ]
    assert [answer.status_code for answer in answers] == [500, 422, 429, 401, 404, 405]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == OURS
        assert "retry-after" in names(answer.headers["access-control-expose-headers"])


def test_every_page_may_where_every_origin_is_allowed(tmp_path: Path) -> None:
    with serving(tmp_path, "*") as server:
        asked = preflight(server.url, OTHERS)
        answer = ask(server.url, FORM, key=KEY, headers={"Origin": OTHERS})
    assert (asked.status_code, answer.status_code) == (204, 200)
    for response in (asked, answer):
        assert response.headers["access-control-allow-origin"] == "*"
        assert "vary" not in response.headers


# --- pages that may not ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("origin", [OTHERS, "null", "", f"{OURS}:443", f"{OURS}/", OURS.upper(), f"{OURS}.evil.it"])
def test_a_page_that_may_not_is_told_as_much_as_if_none_might(server: Running, origin: str) -> None:
    asked = preflight(server.url, origin)
    check(asked, Refusal(status=405, code="METHOD_NOT_ALLOWED", message="This address does not take that method"))
    answer = ask(server.url, FORM, key=KEY, headers={"Origin": origin})
    assert [of_cors(response) for response in (asked, answer)] == [{}, {}]
    # What a cache keeps of this answer must not go to a page that may.
    assert answer.headers["vary"] == "Origin"


def test_what_an_answer_varies_by_itself_stays_said(server: Running) -> None:
    answer = httpx2.get(server.url + "/", headers={"Origin": OURS})
    assert {name.strip() for name in answer.headers["vary"].split(",")} == {"Accept-Encoding", "Origin"}


def test_options_that_no_browser_asks_are_a_method_like_others(server: Running) -> None:
    for headers in ({}, {"Origin": OURS}, {"Access-Control-Request-Method": "POST"}):
        assert httpx2.options(server.url + PATH, headers=headers).status_code == 405


def test_without_the_setting_no_page_may_and_nothing_is_said(fake_server: Running) -> None:
    responses = [
        preflight(fake_server.url, OURS),
        ask(fake_server.url, FORM, key=KEY, headers={"Origin": OURS}),
        ask(fake_server.url, FORM, key=None, headers={"Origin": OURS}),
        httpx2.get(fake_server.url + "/", headers={"Origin": OURS}),
    ]
    assert [response.status_code for response in responses] == [405, 200, 401, 200]
    for response in responses:
        assert of_cors(response) == {}
        assert "Origin" not in response.headers.get("vary", "")

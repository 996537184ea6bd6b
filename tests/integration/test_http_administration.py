"""Organizations, keys, usage and the audit log over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from fixtures_http import ask, clipdrop_form
from fixtures_server import real
from fixtures_tenants import OURS, PROVIDER_KEY, THEIRS, Tenants, open_tenants
from uncrop.testing.pictures import photo_jpeg

API = "/api/v1"


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Tenants]:
    with open_tenants(tmp_path) as opened:
        yield opened


def operate(tenants: Tenants, method: str, path: str, status: int = 200, **options: object) -> dict:
    answer = tenants.ask(method, API + path, tenants.keys["operator"], **options)
    assert answer.status_code == status, answer.text
    body: dict = answer.json()
    return body


def test_an_organization_from_its_beginning_to_its_last_key(fresh: Tenants) -> None:
    made = operate(fresh, "POST", "/organizations", 201, body={"id": "org_new", "name": "New"})
    assert {name: made[name] for name in ("id", "name", "may_use_server_keys")} == {
        "id": "org_new",
        "name": "New",
        "may_use_server_keys": True,
    }
    assert operate(fresh, "GET", "/organizations/org_new") == made
    changed = operate(fresh, "PATCH", "/organizations/org_new", body={"may_use_server_keys": False})
    assert changed == {**made, "may_use_server_keys": False}

    new = operate(fresh, "POST", "/api-keys", 201, body={"organization_id": "org_new", "name": "web"})
    shown = operate(fresh, "GET", f"/api-keys/{new['id']}")
    assert (shown["scopes"], shown["state"], shown["prefix"]) == (
        ["images:write", "usage:read"],
        "active",
        new["key"][:17],
    )
    assert "key" not in shown
    rotated = operate(fresh, "POST", f"/api-keys/{new['id']}/rotate", 201, body={"overlap_seconds": 0})
    assert operate(fresh, "GET", f"/api-keys/{new['id']}")["replaced_by"] == rotated["id"]
    assert fresh.ask("GET", f"{API}/organizations", new["key"]).json()["error"]["code"] == "API_KEY_EXPIRED"
    own = fresh.ask("GET", f"{API}/organizations", rotated["key"]).json()
    assert own == {"data": [changed], "next_cursor": None}
    for verb, state in (("pause", "paused"), ("resume", "active"), ("revoke", "revoked")):
        assert operate(fresh, "POST", f"/api-keys/{rotated['id']}/{verb}")["state"] == state
    acts = operate(fresh, "GET", "/audit?organization_id=org_new")["data"]
    assert [act["action"] for act in acts] == [
        *("key.revoke", "key.resume", "key.pause", "key.rotate", "key.create", "key.create"),
        *("organization.change", "organization.create"),
    ]
    assert {act["actor"] for act in acts} == {fresh.ids["operator"]}


def test_a_rotation_needs_no_body(fresh: Tenants) -> None:
    new = operate(fresh, "POST", f"/api-keys/{fresh.ids['ours']}/rotate", 201)
    for key in (fresh.keys["ours"], new["key"]):
        assert fresh.ask("GET", f"{API}/organizations", key).status_code == 200


def test_pictures_are_made_with_the_organizations_own_key_of_the_provider(
    fresh: Tenants, caplog: pytest.LogCaptureFixture
) -> None:
    own, wrong, photo = "sk-own-key-of-ours-0123456789", "sk-wrong-key-of-ours-0123456789", photo_jpeg(64, 48)

    def extend() -> httpx2.Response:
        return ask(fresh.house.url, clipdrop_form(photo), key=fresh.keys["ours"])

    operate(fresh, "PUT", f"/organizations/{OURS}/provider-keys/clipdrop", body={"key": wrong})
    refused = extend().json()["error"]
    assert (refused["code"], refused["details"]["key"]) == ("PROVIDER_AUTHENTICATION_FAILED", "organization")
    operate(fresh, "DELETE", f"/organizations/{OURS}/provider-keys/clipdrop")
    assert extend().status_code == 200  # with the server's key
    fresh.house.clipdrop.api_key = own
    assert extend().json()["error"]["code"] == "PROVIDER_AUTHENTICATION_FAILED"
    operate(fresh, "PUT", f"/organizations/{OURS}/provider-keys/clipdrop", body={"key": own})
    assert extend().status_code == 200
    operate(fresh, "DELETE", f"/organizations/{OURS}/provider-keys/clipdrop")
    operate(fresh, "PATCH", f"/organizations/{OURS}", body={"may_use_server_keys": False})
    assert extend().json()["error"]["code"] == "PROVIDER_NOT_CONFIGURED"
    figures = httpx2.get(f"{fresh.house.url}/metrics").text
    for key in (own, wrong):
        assert key not in caplog.text + figures + json.dumps(refused)


def test_keys_of_providers_are_told_by_their_last_four(fresh: Tenants) -> None:
    body = operate(fresh, "PUT", f"/organizations/{OURS}/provider-keys/openai", body={"key": "sk-0123456789abcdef"})
    assert [(each["provider"], each["last4"], each["usable"]) for each in body["data"]] == [
        ("clipdrop", PROVIDER_KEY[-4:], True),
        ("openai", "cdef", True),
    ]
    assert fresh.ask("GET", f"{API}/organizations/{OURS}/provider-keys", fresh.keys["ours"]).json() == body
    left = operate(fresh, "DELETE", f"/organizations/{OURS}/provider-keys/openai")
    assert [each["provider"] for each in left["data"]] == ["clipdrop"]


def test_without_an_encryption_key_none_is_kept(tmp_path: Path) -> None:
    with open_tenants(tmp_path / "first") as opened:
        folder = opened.house.server.service.settings.data_dir
    with real(folder, key=False) as house:
        key = house.new_key("org_operators", scopes=["admin"]).key
        refused = httpx2.put(
            f"{house.url}{API}/organizations/{OURS}/provider-keys/openai",
            headers={"X-API-Key": key},
            json={"key": "sk-0123456789abcdef"},
        )
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ENCRYPTION_NOT_CONFIGURED")
        listed = httpx2.get(f"{house.url}{API}/organizations/{OURS}/provider-keys", headers={"X-API-Key": key}).json()
        assert [each["usable"] for each in listed["data"]] == [False]


def pages_of(tenants: Tenants, path: str, key: str, limit: int) -> list[list[dict]]:
    pages, cursor = [], None
    while True:
        query = {"limit": str(limit), **({"cursor": cursor} if cursor else {})}
        answer = tenants.ask("GET", path, key, params=query)
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["data"])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return pages


@pytest.mark.parametrize("limit", [1, 2, 3, 200])
@pytest.mark.parametrize("path", [f"{API}/organizations", f"{API}/api-keys", f"{API}/audit"])
def test_pages_of_every_list_join_without_gaps(tenants: Tenants, path: str, limit: int) -> None:
    whole = tenants.ask("GET", path, tenants.keys["operator"], params={"limit": "200"}).json()
    pages = pages_of(tenants, path, tenants.keys["operator"], limit)

    assert [each for page in pages for each in page] == whole["data"]
    assert len(whole["data"]) > 2
    assert all(len(page) == limit for page in pages[:-1])


def test_usage_is_read_by_day_and_provider(fresh: Tenants) -> None:
    photo = photo_jpeg(64, 48)
    fresh.do(fresh.store.provider_keys.remove(OURS, "clipdrop"))
    assert ask(fresh.house.url, clipdrop_form(photo), key=fresh.keys["ours"]).status_code == 200

    own = fresh.ask("GET", f"{API}/usage", fresh.keys["usage"]).json()
    (day,) = own["data"]
    assert (day["provider"], day["pictures"], day["failed"], day["open"]) == ("clipdrop", 1, 0, 0)
    assert day["unknown"] == 1
    assert operate(fresh, "GET", f"/usage?organization_id={OURS}") == own
    # The other one has made no picture; one of its own is in doubt, and counts where all are told together.
    (other,) = operate(fresh, "GET", f"/usage?organization_id={THEIRS}")["data"]
    assert (other["pictures"], other["unknown"], other["credits"]) == (0, 1, "0")
    assert operate(fresh, "GET", "/usage")["data"] == [{**day, "unknown": 2}]
    assert operate(fresh, "GET", f"/usage?organization_id={OURS}&since={day['day']}&until={day['day']}") == own
    assert operate(fresh, "GET", "/usage?until=2000-01-01")["data"] == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("limit=ten", "limit"),
        ("limit=", "limit"),
        ("limit=%D9%A1", "limit"),
        ("limit=1&limit=2", "limit"),
        ("cursor=", "cursor"),
        ("cursor=nonsense", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=W10", "cursor"),
        ("cursor=WyJhIiwiYiJd", "cursor"),
        ("cursor=WyIyMDI2LTExLTIyVDEyOjAwOjAwWiIsIlx1MDAwMCJd", "cursor"),
        ("cursor=" + "W" * 1000, "cursor"),
        ("organisation_id=org_ours", "organisation_id"),
        ("since=2026-11-22", "since"),
    ],
)
def test_queries_that_are_not_understood_are_refused(tenants: Tenants, query: str, field: str) -> None:
    for path in (f"{API}/organizations", f"{API}/api-keys"):
        answer = tenants.ask("GET", f"{path}?{query}", tenants.keys["operator"])
        assert answer.status_code == 422, answer.text
        details = answer.json()["error"]["details"]
        assert details.get("field") == field or list(details.get("fields", ())) == [field]


@pytest.mark.parametrize(
    "path", ["usage?since=yesterday", "usage?cursor=WyJhIiwiYiJd", "audit?since=x", "audit?cursor=WyJhIl0"]
)
def test_days_and_moments_that_are_none_are_refused(tenants: Tenants, path: str) -> None:
    answer = tenants.ask("GET", f"{API}/{path}", tenants.keys["operator"])
    assert (answer.status_code, answer.json()["error"]["type"]) == (422, "client_error")


BAD_BODIES = {
    "nothing": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"name": "\xff"}',
    "a list": b"[]",
    "a text": b'"name"',
    "twice": b'{"name": "a", "name": "b"}',
    "NaN": b'{"name": NaN}',
    "deep": b'{"name": ' + b"[" * 8000 + b"]" * 7000,
    "a long number": b'{"name": ' + b"9" * 5000 + b"}",
    "a number": b'{"name": 1}',
    "a list of texts": b'{"name": ["a"]}',
    "unknown": b'{"nam": "a"}',
    "long": b'{"name": "' + b"a" * 2001 + b'"}',
    "a zero character": b'{"name": "\\u0000"}',
    "half a character": b'{"name": "\\ud800"}',
    "a line's end": b'{"name": "a\\nb"}',
}


@pytest.mark.parametrize("body", BAD_BODIES)
def test_bodies_that_are_not_understood_are_refused(tenants: Tenants, body: str) -> None:
    for method, path in (("POST", f"{API}/organizations"), ("PATCH", f"{API}/organizations/{OURS}")):
        answer = tenants.ask(
            method,
            path,
            tenants.keys["operator"],
            content=BAD_BODIES[body],
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == 422, answer.text
        assert answer.json()["error"]["code"] in {"VALIDATION_ERROR", "INVALID_FIELD_VALUE"}


def test_a_body_is_json_of_a_bounded_size(tenants: Tenants) -> None:
    def post(content: bytes, **headers: str) -> httpx2.Response:
        kind = {"Content-Type": "application/json", **headers}
        return tenants.ask("POST", f"{API}/organizations", tenants.keys["operator"], content=content, headers=kind)

    assert post(b"{}", **{"Content-Type": "text/plain"}).status_code == 422
    assert post(b"{}", **{"Content-Encoding": "gzip"}).status_code == 422
    assert post(b" " * 16_385).json()["error"]["code"] == "REQUEST_TOO_LARGE"
    before = tenants.rows()
    body = json.dumps({"organization_id": OURS, "expires_at": "tomorrow"}).encode()
    answer = tenants.ask(
        "POST",
        f"{API}/api-keys",
        tenants.keys["operator"],
        content=body,
        headers={"Content-Type": "application/json; charset=utf-8"},
    )
    assert answer.json()["error"]["details"] == {"fields": {"expires_at": "must be a date or a time in ISO 8601"}}
    assert tenants.rows() == before


def test_a_stranger_need_not_send_a_body(tenants: Tenants) -> None:
    """Who may change nothing is told so before the body is read, however long it is."""
    for key, status in ((None, 401), (tenants.keys["ours"], 403)):
        answer = tenants.ask(
            "POST",
            f"{API}/organizations",
            key,
            content=b"x" * 100_000,
            headers={"Content-Type": "application/json"},
        )
        assert answer.status_code == status
        assert answer.headers["connection"] == "close"

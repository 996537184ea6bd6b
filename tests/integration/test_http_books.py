"""Limits and the ledger over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from fixtures_http import ask, clipdrop_form
from fixtures_tenants import OURS, Tenants, open_tenants
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


NONE = dict.fromkeys(
    ("requests_per_minute", "requests_at_once", "pictures_per_day", "usd_per_month", "providers"), None
)


def test_limits_are_set_and_hold_from_the_next_request_on(fresh: Tenants) -> None:
    fresh.do(fresh.store.provider_keys.remove(OURS, "clipdrop"))
    own, key = f"/organizations/{OURS}/limits", f"/api-keys/{fresh.ids['ours']}/limits"
    assert operate(fresh, "GET", own) == NONE
    assert operate(fresh, "PATCH", own, body={"usd_per_month": "12.50"}) == {**NONE, "usd_per_month": "12.5"}
    changed = operate(fresh, "PATCH", own, body={"usd_per_month": None, "providers": ["local"]})
    assert changed == {**NONE, "providers": ["local"]}
    refused = ask(fresh.house.url, clipdrop_form(photo_jpeg(64, 48)), key=fresh.keys["ours"])
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "PROVIDER_NOT_ALLOWED")
    assert operate(fresh, "PATCH", own, body={"providers": None}) == NONE
    assert operate(fresh, "PATCH", key, body={"requests_per_minute": 1})["requests_per_minute"] == 1
    assert fresh.ask("GET", API + key, fresh.keys["ours"]).json() == {**NONE, "requests_per_minute": 1}
    codes = [ask(fresh.house.url, clipdrop_form(photo_jpeg(64, 48)), key=fresh.keys["ours"]).status_code for _ in "12"]
    assert codes == [200, 429]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"usd_per_month": "a lot"}, "usd_per_month"),
        ({"usd_per_month": "-1"}, "usd_per_month"),
        ({"usd_per_month": "1e3"}, "usd_per_month"),
        ({"usd_per_month": "999999999"}, "usd_per_month"),
        ({"usd_per_month": 12.5}, "usd_per_month"),
        ({"requests_per_minute": -1}, "requests_per_minute"),
        ({"requests_per_minute": True}, "requests_per_minute"),
        ({"pictures_per_day": "7"}, "pictures_per_day"),
        ({"providers": []}, "providers"),
        ({"providers": "local"}, "providers"),
        ({"pictures_per_week": 1}, "pictures_per_week"),
    ],
)
def test_limits_that_are_none_are_refused(tenants: Tenants, body: dict, field: str) -> None:
    before = tenants.rows()
    for path in (f"/organizations/{OURS}/limits", f"/api-keys/{tenants.ids['ours']}/limits"):
        answer = tenants.ask("PATCH", API + path, tenants.keys["operator"], body=body)
        assert answer.status_code == 422, answer.text
        assert list(answer.json()["error"]["details"]["fields"]) == [field]
    assert tenants.rows() == before


def test_absurd_limits_and_unknown_providers_are_refused(tenants: Tenants) -> None:
    for body in ({"requests_per_minute": 10**18}, {"providers": ["nobody"]}):
        answer = tenants.ask("PATCH", f"{API}/organizations/{OURS}/limits", tenants.keys["operator"], body=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_FIELD_VALUE")


def test_the_ledger_is_read_and_what_is_in_doubt_is_settled(fresh: Tenants) -> None:
    own = fresh.ask("GET", f"{API}/ledger", fresh.keys["ours"]).json()
    assert [(each["id"], each["organization_id"], each["state"]) for each in own["data"]] == [
        ("use_ours", OURS, "unknown")
    ]
    whole = operate(fresh, "GET", "/ledger?limit=1")
    rest = operate(fresh, "GET", f"/ledger?cursor={whole['next_cursor']}")
    assert {each["id"] for each in whole["data"] + rest["data"]} == {"use_ours", "use_theirs"}
    assert operate(fresh, "GET", "/ledger?state=captured")["data"] == []
    assert operate(fresh, "GET", "/ledger?state=lost", 422)["error"]["details"] == {"field": "state"}

    shown = fresh.ask("GET", f"{API}/ledger/use_ours", fresh.keys["ours"]).json()
    assert [(each["kind"], each["unit"], each["amount"]) for each in shown["postings"]] == [("hold", "picture", 1)]
    foreign = [
        fresh.ask("GET", f"{API}/ledger/{name}", fresh.keys["ours"]) for name in ("use_theirs", "use_nobodys", "%00")
    ]
    assert [answer.status_code for answer in foreign] == [404] * 3
    settled = operate(fresh, "POST", "/ledger/use_ours/settle", body={"charged": False})
    assert settled["state"] == "released"
    operate(fresh, "POST", "/ledger/use_ours/settle", 422, body={"charged": False})
    assert operate(fresh, "GET", "/audit?limit=1")["data"][0]["action"] == "ledger.settle"

    adjusted = operate(fresh, "POST", "/ledger/use_ours/adjust", body={"credits": "1.5", "reason": "the bill"})
    assert (adjusted["postings"][-1]["kind"], adjusted["postings"][-1]["amount"]) == ("adjust", 1500)
    assert operate(fresh, "GET", "/audit?limit=1")["data"][0]["changes"]["reason"] == {"from": None, "to": "the bill"}
    all_of_them = {"charged": True, "older_than_seconds": 0}
    ours = operate(fresh, "POST", "/ledger/settle", body={**all_of_them, "organization_id": OURS})
    assert ours == {"settled": [], "left": 0}
    operate(fresh, "POST", "/ledger/settle", 404, body={**all_of_them, "organization_id": "org_nobodys"})
    theirs = operate(fresh, "POST", "/ledger/settle", body=all_of_them)
    assert ([each["id"] for each in theirs["settled"]], theirs["left"]) == (["use_theirs"], 0)


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({"reason": "a refund"}, ["usd", "credits"]),
        ({"reason": "a refund", "usd": "1", "credits": "1"}, ["usd", "credits"]),
        ({"reason": "a refund", "usd": "-1"}, ["usd"]),
        ({"reason": "a refund", "usd": "1e3"}, ["usd"]),
        ({"reason": "a refund", "credits": "NaN"}, ["credits"]),
        ({"reason": " ", "usd": "1"}, ["reason"]),
        ({"reason": "x" * 201, "usd": "1"}, ["reason"]),
        ({"usd": "1"}, ["reason"]),
    ],
)
def test_corrections_that_are_none_are_refused(tenants: Tenants, body: dict, fields: list[str]) -> None:
    before = tenants.rows()
    answer = operate(tenants, "POST", "/ledger/use_ours/adjust", 422, body=body)
    assert list(answer["error"]["details"]["fields"]) == fields
    assert tenants.rows() == before

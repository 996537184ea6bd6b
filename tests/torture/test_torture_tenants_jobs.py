"""Every operation of jobs and webhooks by every kind of caller. Row C3 of the trust plan."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from anyio.from_thread import start_blocking_portal

from fixtures_tenants import OURS, THEIRS, Tenants, fingerprint, open_tenants
from uncrop.testing.pictures import photo_png
from webhook_receivers import NO_CONTENT, answering, receiving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures_torture import Cases

API = "/api/v1"
PHOTO = photo_png(16, 16)
ABSENT = {"job_id": "job_" + "0" * 32, "webhook_id": "whk_" + "0" * 20, "delivery_id": "msg_" + "0" * 32}
# No letter of these is an id.
NONSENSE = dict.fromkeys(ABSENT, "nonsense%00")
KEY = "the same key"
# With these, an own thing is answered with success.
BODIES: dict[str, dict[str, Any]] = {"PATCH": {"description": "mine"}}
CREATES = ("POST", f"{API}/webhooks")


@contextmanager
def receiving_all() -> Iterator[str]:
    """Run a receiver that takes every message; yields its address."""
    taking = receiving(answering(NO_CONTENT))
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(taking) as receiver:
        yield receiver.url()


def submit(tenants: Tenants, key: str | None, organization: str, **headers: str) -> httpx2.Response:
    form = {"provider": "clipdrop", "organization_id": organization, "extend_left": "8"}
    sent = {**headers, **({} if key is None else {"X-API-Key": key})}
    return tenants.client.post(
        f"{tenants.house.url}{API}/jobs",
        data=form,
        files={"image_file": ("photo.png", PHOTO)},
        headers=sent,
        timeout=60,
    )


def until(tenants: Tenants, path: str, key: str, wanted: str) -> dict[str, Any]:
    """Ask until something has reached a state."""
    while True:
        told: dict[str, Any] = tenants.ask("GET", path, key).json()
        found = told["data"][0] if told.get("data") else told
        if found.get("state") == wanted:
            return found
        time.sleep(0.02)


@pytest.fixture
def things(tmp_path: Path) -> Iterator[tuple[Tenants, dict[str, dict[str, str]]]]:
    """Two organizations, each with a job that is done, a webhook, and the message that it was sent."""
    with receiving_all() as url, open_tenants(tmp_path, jobs=True, webhook_allowed_networks="127.0.0.0/8") as tenants:
        ids: dict[str, dict[str, str]] = {}
        for name, organization in (("ours", OURS), ("theirs", THEIRS)):
            key = tenants.keys[name]
            webhook = tenants.ask("POST", f"{API}/webhooks", key, body={"url": url}).json()["id"]
            job = submit(tenants, key, organization, **{"Idempotency-Key": KEY}).json()["id"]
            until(tenants, f"{API}/jobs/{job}", key, "done")
            message = until(tenants, f"{API}/webhooks/{webhook}/deliveries", key, "delivered")["id"]
            ids[name] = {"job_id": job, "webhook_id": webhook, "delivery_id": message}
        yield tenants, ids


def operations_of(tenants: Tenants) -> list[tuple[str, str]]:
    document = tenants.ask("GET", "/openapi.json").json()
    return [
        (method.upper(), path)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if {"jobs", "webhooks"} & set(operation["tags"]) and (method, path) != ("post", f"{API}/jobs")
    ]


def send(tenants: Tenants, method: str, path: str, key: str | None, named: dict[str, str]) -> httpx2.Response:
    body = {"url": "http://127.0.0.1:9/"} if (method, path) == CREATES else BODIES.get(method)
    return tenants.ask(method, path.format(**named), key, body=body)


def look_for_others(tenants: Tenants, ids: dict[str, dict[str, str]], method: str, path: str) -> int:
    """Ask for what is others': nothing of it can be told from what is not there; return how often it was asked."""
    ours, theirs = ids["ours"], ids["theirs"]

    def answer(named: dict[str, str]) -> tuple[int, dict[str, str], object]:
        return fingerprint(send(tenants, method, path, tenants.keys["ours"], named))

    absent = answer(ABSENT)
    assert absent[0] == 404, (method, path)
    others = [theirs, NONSENSE]
    if "{delivery_id}" in path:
        # Nor by the half of a name that is ours.
        others += [{**theirs, "delivery_id": ours["delivery_id"]}]
        absent_message = answer({**ours, "delivery_id": ABSENT["delivery_id"]})
        assert absent_message == answer({**ours, "delivery_id": theirs["delivery_id"]}), (method, path)
    for named in others:
        assert answer(named) == absent, (method, path, named)
    return 2 + len(others)


def test_each_operation_of_jobs_and_webhooks_by_each_kind_of_caller(
    things: tuple[Tenants, dict[str, dict[str, str]]], cases: Cases
) -> None:
    tenants, ids = things
    ours, theirs = ids["ours"], ids["theirs"]
    operations, ran = operations_of(tenants), 0
    assert len(operations) >= 13, "four of jobs and nine of webhooks"
    before = tenants.rows()
    no_key = {
        None: "AUTHENTICATION_REQUIRED",
        tenants.keys["ours"][:-4] + "AAAA": "INVALID_API_KEY",
        "uncrop_": "INVALID_API_KEY",
        tenants.keys["revoked"]: "API_KEY_DEACTIVATED",
        tenants.keys["expired"]: "API_KEY_EXPIRED",
        tenants.keys["paused"]: "API_KEY_PAUSED",
    }

    def ask(method: str, path: str, key: str | None, named: dict[str, str]) -> httpx2.Response:
        nonlocal ran
        ran += 1
        return send(tenants, method, path, key, named)

    for method, path in operations:
        for named in (ours, theirs):
            for key, code in no_key.items():
                refused = ask(method, path, key, named)
                assert (refused.status_code, refused.json()["error"]["code"]) == (401, code), (method, path)
            assert ask(method, path, tenants.keys["usage"], named).json()["error"]["code"] == "SCOPE_MISSING"
            if "/jobs" in path:  # an operator makes no pictures, and has none
                assert ask(method, path, tenants.keys["operator"], named).json()["error"]["code"] == "SCOPE_MISSING"
        if "{" in path:
            ran += look_for_others(tenants, ids, method, path)
    for kind, key in no_key.items():
        for organization in (OURS, THEIRS):
            assert submit(tenants, kind, organization).json()["error"]["code"] == key
    for name in ("ours", "images"):
        assert submit(tenants, tenants.keys[name], THEIRS).json()["error"]["code"] == "ORGANIZATION_ACCESS_DENIED"
    for name in ("usage", "operator"):
        assert submit(tenants, tenants.keys[name], OURS).json()["error"]["code"] == "SCOPE_MISSING"
    foreign = tenants.ask(
        "POST", f"{API}/webhooks", tenants.keys["ours"], body={"url": "http://127.0.0.1:9/", "organization_id": THEIRS}
    )
    assert foreign.status_code == 404
    assert tenants.rows() == before

    # The control: each is answered with success to whom it belongs, and lists name what is its own alone.
    last = sorted(operations, key=lambda each: (each[0] == "DELETE", each[1]))
    for method, path in last:
        answer = ask(method, path, tenants.keys["ours"], ours)
        assert answer.status_code < 300, (method, path, answer.text)
        assert not any(name in answer.text for name in theirs.values()), (method, path)
    # The same name of a submission is another one's for another organization.
    again = submit(tenants, tenants.keys["images"], OURS, **{"Idempotency-Key": KEY})
    assert again.json()["id"] == ours["job_id"]
    cases.ran(ran + 2 * len(no_key) + 6)

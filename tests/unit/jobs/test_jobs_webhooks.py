"""Webhooks over HTTP: who may do what with whose, and a job's message from its end to the receiver."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import TYPE_CHECKING, Any

import httpx2
import jsonschema_rs
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from uncrop.jobs.sweep import sweep_deliveries
from uncrop.server.app import create_app
from uncrop.testing.pictures import photo_png
from webhook_receivers import NO_CONTENT, answering, receiving, silent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager

    from conftest import Api

PHOTO = photo_png(16, 16)
ROUTE = "/api/v1/webhooks"
URL = "http://127.0.0.1:9/hook"
SETTINGS = {"webhook_allowed_networks": "127.0.0.0/8", "encryption_key": "n" * 32}


class Callers:
    """Two organizations and an operator, by their keys."""

    def __init__(self, api: Api, keys: dict[str, str]) -> None:
        self.api = api
        self._keys = keys

    async def call(self, method: str, path: str = "", *, by: str = "a", **options: Any) -> httpx2.Response:
        headers = {"X-API-Key": self._keys[by]}
        return await self.api.http.request(method, f"{ROUTE}{path}", headers=headers, **options)

    async def make(self, by: str = "a", **asked: Any) -> dict[str, Any]:
        response = await self.call("POST", by=by, json={"url": URL, **asked})
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def code(self, method: str, path: str = "", **options: Any) -> tuple[int, str]:
        response = await self.call(method, path, **options)
        return response.status_code, response.json()["error"]["code"]


@pytest.fixture
async def callers(open_api: Callable[..., AbstractAsyncContextManager[Api]], sqlite_url: str) -> AsyncIterator[Callers]:
    async with open_api(sqlite_url, **SETTINGS) as api:
        store = api.service.store
        keys = {"a": api.key, "b": (await store.keys.create("org_b")).key}
        for by, scopes in (("operator", ("admin",)), ("reader", ("usage:read",))):
            keys[by] = (await store.keys.create("org_a", scopes=frozenset(scopes))).key
        yield Callers(api, keys)


async def test_a_webhook_is_made_looked_at_changed_and_deleted(callers: Callers) -> None:
    made = await callers.make(description="Shop", events=["job.done"])
    assert made.pop("secret").startswith("whsec_")
    assert made["organization_id"] == "org_a"
    assert (made["url"], made["events"], made["enabled"], made["description"]) == (URL, ["job.done"], True, "Shop")
    path = f"/{made['id']}"
    assert (await callers.call("GET", path)).json() == made
    assert (await callers.call("GET")).json() == {"data": [made], "next_cursor": None}

    changed = (await callers.call("PATCH", path, json={"enabled": False, "events": ["job.failed"]})).json()
    assert (changed["enabled"], changed["disabled_reason"], changed["events"]) == (False, "by_hand", ["job.failed"])
    rotated = (await callers.call("POST", f"{path}/rotate-secret")).json()
    assert rotated["previous_secret_ends_at"] is not None
    at_once = (await callers.call("POST", f"{path}/rotate-secret", json={"overlap_seconds": 0})).json()
    assert (at_once["previous_secret_ends_at"], at_once["secret"] != rotated["secret"]) == (None, True)
    assert (await callers.call("DELETE", path)).json()["id"] == made["id"]
    assert await callers.code("GET", path) == (404, "NOT_FOUND")


async def test_addresses_that_are_not_sent_to_are_refused(callers: Callers) -> None:
    made = await callers.make()
    for url in ("https://10.0.0.1/", "http://8.8.8.8/", "https://2130706433/", "ftp://127.0.0.1/"):
        for method, path in (("POST", ""), ("PATCH", f"/{made['id']}")):
            assert await callers.code(method, path, json={"url": url}) == (422, "WEBHOOK_URL_FORBIDDEN")


async def test_what_is_anothers_is_like_what_is_not_there(callers: Callers) -> None:
    made = await callers.make(by="b")
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "", {}),
        ("PATCH", "", {"json": {"enabled": False}}),
        ("DELETE", "", {}),
        ("POST", "/rotate-secret", {}),
        ("GET", "/deliveries", {}),
        ("GET", f"/deliveries/msg_{0:032x}", {}),
        ("POST", f"/deliveries/msg_{0:032x}/redeliver", {}),
    ]
    for method, path, options in calls:
        told = []
        for webhook in (made["id"], f"whk_{0:020x}", "whk_", "x"):
            response = await callers.call(method, f"/{webhook}{path}", **options)
            error = response.json()["error"]
            told.append((response.status_code, error["code"], error["message"], error["system_message"]))
        assert set(told) == {told[0]}
        assert told[0][:2] == (404, "NOT_FOUND")
    assert (await callers.call("GET")).json()["data"] == []
    assert await callers.code("GET", params={"organization_id": "org_b"}) == (404, "NOT_FOUND")
    assert await callers.code("POST", json={"url": URL, "organization_id": "org_b"}) == (404, "NOT_FOUND")
    assert (await callers.call("GET", f"/{made['id']}", by="b")).json()["enabled"] is True


async def test_operators_reach_all(callers: Callers) -> None:
    theirs = await callers.make(by="b")
    made = await callers.make(by="operator", organization_id="org_b")
    own = await callers.make(by="operator")
    assert (made["organization_id"], own["organization_id"]) == ("org_b", "org_a")
    first = (await callers.call("GET", by="operator", params={"limit": "2"})).json()
    rest = (await callers.call("GET", by="operator", params={"cursor": first["next_cursor"]})).json()
    assert {each["id"] for each in first["data"] + rest["data"]} == {theirs["id"], made["id"], own["id"]}
    assert rest["next_cursor"] is None
    of_b = (await callers.call("GET", by="operator", params={"organization_id": "org_b"})).json()["data"]
    assert {each["id"] for each in of_b} == {theirs["id"], made["id"]}
    assert await callers.code("POST", by="operator", json={"url": URL, "organization_id": "org_none"}) == (
        422,
        "INVALID_FIELD_VALUE",
    )


async def test_a_key_for_reading_changes_nothing(callers: Callers) -> None:
    for method, path, options in (("POST", "", {"json": {"url": URL}}), ("GET", "", {}), ("DELETE", "/whk_0", {})):
        assert await callers.code(method, path, by="reader", **options) == (403, "SCOPE_MISSING")


async def test_what_is_wrong_is_told(callers: Callers) -> None:
    made = await callers.make()
    for options in (
        {"json": {"url": URL, "secrets": 1}},
        {"json": {"url": 7}},
        {"json": {"url": URL, "events": []}},
        {"json": {}},
    ):
        assert await callers.code("POST", **options) == (422, "VALIDATION_ERROR")
    for options in ({"json": {"url": URL, "secret": "x"}}, {"json": {"url": URL, "events": ["job.made"]}}):
        assert await callers.code("POST", **options) == (422, "INVALID_FIELD_VALUE")
    deliveries = f"/{made['id']}/deliveries"
    assert await callers.code("GET", deliveries, params={"state": "lost"}) == (422, "INVALID_FIELD_VALUE")
    assert await callers.code("GET", deliveries, params={"cursor": "x"}) == (422, "INVALID_FIELD_VALUE")
    assert (await callers.call("GET", deliveries, params={"state": "failed"})).json()["data"] == []


async def test_a_server_without_jobs_says_so(callers: Callers) -> None:
    app = create_app(callers.api.service)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://server") as http:
        response = await http.get(ROUTE, headers={"X-API-Key": callers.api.key})
    assert response.json()["error"]["code"] == "SERVER_BUSY"


async def ended_delivery(callers: Callers, webhook_id: str, number: int = 0) -> dict[str, Any]:
    """Wait until a message has ended, and return what is told of it."""
    while True:
        data = (await callers.call("GET", f"/{webhook_id}/deliveries")).json()["data"]
        if len(data) > number and data[number]["state"] != "waiting":
            told: dict[str, Any] = data[number]
            return told
        await asyncio.sleep(0.02)


async def test_a_jobs_end_is_told_and_told_again_by_hand(callers: Callers) -> None:
    async with receiving(answering(NO_CONTENT)) as receiver:
        made = await callers.make(url=receiver.url())
        await callers.make(url=receiver.url(), events=["job.failed"])
        job = (await callers.api.submit(PHOTO)).json()
        await receiver.wait_for(1)
        told = await ended_delivery(callers, made["id"])
        assert (told["job_id"], told["event"], told["state"]) == (job["id"], "job.done", "delivered")
        path = f"/{made['id']}/deliveries/{told['id']}"
        logged = (await callers.call("GET", path)).json()
        assert [(each["number"], each["status"], each["failure"]) for each in logged["log"]] == [(1, 204, None)]

        again = await callers.call("POST", f"{path}/redeliver")
        assert (again.status_code, again.json()["id"], again.json()["state"]) == (202, told["id"], "waiting")
        await receiver.wait_for(2)
        assert (await ended_delivery(callers, made["id"]))["attempts"] == 2
        first, second = receiver.requests
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == told["id"]
        for request in (first, second):
            Verifier(made["secret"]).verify(request.body, request.headers)
        body = json.loads(first.body)
        assert (body["type"], body["data"]["id"], body["data"]["organization_id"]) == ("job.done", job["id"], "org_a")

        other = await callers.make(by="b")
        for wrong in (f"/{other['id']}/deliveries/{told['id']}", f"/{made['id']}/deliveries/msg_0"):
            assert await callers.code("POST", f"{wrong}/redeliver", by="operator") == (404, "NOT_FOUND")
        await callers.call("PATCH", f"/{made['id']}", json={"enabled": False})
        assert await callers.code("POST", f"{path}/redeliver") == (422, "INVALID_FIELD_VALUE")
        assert len(receiver.requests) == 2


async def test_answers_are_as_the_document_says(callers: Callers) -> None:
    document = (await callers.api.http.get("/openapi.json")).json()
    made = await callers.make(url="http://127.0.0.1:1/")
    await callers.call("POST", f"/{made['id']}/rotate-secret")
    await callers.api.ended((await callers.api.submit(PHOTO)).json()["id"])
    path = f"/{made['id']}/deliveries"
    while (message := (await callers.call("GET", path)).json()["data"][0])["attempts"] == 0:
        await callers.api.service.tasks.drain()
    for method, place, template, options in (
        ("GET", "", "", {}),
        ("POST", "", "", {"json": {"url": URL}}),
        ("GET", f"/{made['id']}", "/{webhook_id}", {}),
        ("PATCH", f"/{made['id']}", "/{webhook_id}", {"json": {"description": "Shop"}}),
        ("POST", f"/{made['id']}/rotate-secret", "/{webhook_id}/rotate-secret", {}),
        ("GET", path, "/{webhook_id}/deliveries", {}),
        ("GET", f"{path}/{message['id']}", "/{webhook_id}/deliveries/{delivery_id}", {}),
        ("POST", f"{path}/{message['id']}/redeliver", "/{webhook_id}/deliveries/{delivery_id}/redeliver", {}),
        ("DELETE", f"/{made['id']}", "/{webhook_id}", {}),
        ("GET", f"/{made['id']}", "/{webhook_id}", {}),
        ("POST", "", "", {"json": {"url": "https://10.0.0.1/"}}),
    ):
        answer = await callers.call(method, place, **options)
        described = document["paths"][ROUTE + template][method.lower()]["responses"][str(answer.status_code)]
        if "$ref" in described:
            described = document["components"]["responses"][described["$ref"].rpartition("/")[2]]
        schema = described["content"]["application/json"]["schema"]
        jsonschema_rs.validate({**document, **schema}, answer.json())


async def test_a_cancelled_job_is_told_of(callers: Callers) -> None:
    async with receiving(answering(NO_CONTENT)) as receiver:
        made = await callers.make(url=receiver.url())

        async def wait(_request: Any, _commitment: Any) -> Any:
            await asyncio.Event().wait()

        callers.api.uncropper.action = wait
        job = (await callers.api.submit(PHOTO)).json()
        await callers.api.http.delete(f"/api/v1/jobs/{job['id']}", headers={"X-API-Key": callers.api.key})
        assert (await ended_delivery(callers, made["id"]))["event"] == "job.cancelled"


async def test_who_never_answers_holds_up_nobody(callers: Callers) -> None:
    async with receiving(silent) as bad, receiving(answering(NO_CONTENT)) as good:
        slow = await callers.make(url=bad.url())
        quick = await callers.make(url=good.url())
        for _ in range(4):
            await callers.api.submit(PHOTO)
        await good.wait_for(4)
        await bad.wait_for(1)
        # One message at a time: the others wait for it, and nobody else does.
        assert len(bad.requests) == 1
        waiting = (await callers.call("GET", f"/{slow['id']}/deliveries")).json()["data"]
        assert [each["state"] for each in waiting] == ["waiting"] * 4
        for number in range(4):
            assert (await ended_delivery(callers, quick["id"], number))["state"] == "delivered"


async def test_pages_of_messages(callers: Callers) -> None:
    made = await callers.make()
    await callers.call("PATCH", f"/{made['id']}", json={"url": "http://127.0.0.1:1/"})
    for _ in range(3):
        await callers.api.ended((await callers.api.submit(PHOTO)).json()["id"])
    path = f"/{made['id']}/deliveries"
    first = (await callers.call("GET", path, params={"limit": "2", "state": "waiting"})).json()
    rest = (await callers.call("GET", path, params={"cursor": first["next_cursor"]})).json()
    ids = [each["id"] for each in first["data"] + rest["data"]]
    assert (len(ids), ids) == (3, sorted(ids, reverse=True))


async def test_what_is_kept_too_long_is_deleted_and_what_was_lost_is_sent(callers: Callers) -> None:
    async with receiving(answering(NO_CONTENT)) as receiver:
        made = await callers.make(url=receiver.url())
        await callers.api.submit(PHOTO)
        told = await ended_delivery(callers, made["id"])
        store, jobs = callers.api.service.store, callers.api.jobs
        sweep = partial(sweep_deliveries, store, jobs.queue, jobs.webhooks.adding)
        assert await sweep() == 0
        await callers.call("DELETE", f"/{made['id']}")
        assert await sweep() == 1
        assert await store.deliveries.attempts(told["id"]) == ()

        lost = await callers.make(url=receiver.url())
        await lose(callers, lost["id"])
        assert await sweep() == 0
        assert (await ended_delivery(callers, lost["id"]))["state"] == "delivered"


async def lose(callers: Callers, webhook_id: str) -> None:
    """Have a message that should have been sent two hours ago, and that no queue knows."""
    from datetime import UTC, datetime, timedelta

    import sqlalchemy as sa

    from uncrop.store.tables import webhook_deliveries

    past = datetime.now(UTC) - timedelta(hours=2)
    row = {
        "id": f"msg_{7:032x}",
        "webhook_id": webhook_id,
        "organization_id": "org_a",
        "job_id": "job_1",
        "event": "job.done",
        "payload": "{}",
        "state": "waiting",
        "attempts": 0,
        "tries": 0,
        "round": 3,
        "created_at": past,
        "next_attempt_at": past,
    }
    transactions = callers.api.service.store._transactions
    await transactions.write(lambda connection: connection.execute(sa.insert(webhook_deliveries).values(row)))  # type: ignore[arg-type]


async def test_a_webhook_that_goes_between_two_looks_is_not_there(
    callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = callers.api.service.store
    made = await callers.make()
    found = await store.webhooks.find(made["id"])
    assert found is not None
    await lose(callers, made["id"])
    delivery = await store.deliveries.find(f"msg_{7:032x}")
    assert delivery is not None
    await store.webhooks.delete(made["id"])

    async def still_there(*_arguments: Any, **_options: Any) -> Any:
        return found

    async def its_message_too(*_arguments: Any) -> Any:
        return delivery

    monkeypatch.setattr(store.webhooks, "find", still_there)
    monkeypatch.setattr(store.deliveries, "find", its_message_too)
    path = f"/{made['id']}"
    assert await callers.code("PATCH", path, json={"enabled": True}) == (404, "NOT_FOUND")
    assert await callers.code("POST", f"{path}/rotate-secret") == (404, "NOT_FOUND")
    assert await callers.code("POST", f"{path}/deliveries/{delivery.id}/redeliver") == (404, "NOT_FOUND")

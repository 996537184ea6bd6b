"""Webhooks by both clients."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from test_client_both import Caller, Server, caller, refusal

from uncrop.client import ApiError, InvalidRequest

__all__ = ["caller"]  # the fixture

WEBHOOK: dict[str, Any] = {
    "id": "whk_1",
    "organization_id": "org_a",
    "url": "https://hooks.example/",
    "description": None,
    "events": ["job.done", "job.failed"],
    "enabled": True,
    "disabled_reason": None,
    "disabled_at": None,
    "failing_since": None,
    "delivered_at": None,
    "previous_secret_ends_at": None,
    "created_at": "2026-11-27T05:00:00Z",
}
DELIVERY: dict[str, Any] = {
    "id": "msg_1",
    "webhook_id": "whk_1",
    "job_id": "job_1",
    "event": "job.done",
    "state": "waiting",
    "attempts": 1,
    "failure": "status",
    "created_at": "2026-11-27T05:00:00Z",
    "next_attempt_at": "2026-11-27T05:00:05Z",
    "ended_at": None,
}
ATTEMPT = {"number": 1, "at": "2026-11-27T05:00:00Z", "status": 500, "failure": "status", "duration_ms": 12}


def sent(server: Server) -> tuple[str, str, Any]:
    """Return method, path and body of the last request."""
    request = server.requests[-1]
    return request.method, request.url.path, json.loads(request.content or "null")


def test_a_webhook_is_made_with_a_secret(caller: Caller) -> None:
    server = Server(httpx2.Response(201, json={**WEBHOOK, "secret": "whsec_x"}))
    made = caller.call(server, "webhooks.create", "https://hooks.example/", events=("job.done",), description="Shop")
    assert (made.id, made.events, made.secret) == ("whk_1", ("job.done", "job.failed"), "whsec_x")
    assert "whsec_x" not in repr(made)
    asked = {"url": "https://hooks.example/", "events": ["job.done"], "description": "Shop"}
    assert sent(server) == ("POST", "/api/v1/webhooks", asked)


def test_webhooks_are_looked_at_changed_and_deleted(caller: Caller) -> None:
    server = Server(httpx2.Response(200, json=WEBHOOK))
    assert caller.call(server, "webhooks.get", "whk_1").secret is None
    assert sent(server) == ("GET", "/api/v1/webhooks/whk_1", None)
    caller.call(server, "webhooks.change", "whk_1", enabled=False)
    assert sent(server) == ("PATCH", "/api/v1/webhooks/whk_1", {"enabled": False})
    caller.call(server, "webhooks.delete", "whk_1")
    assert sent(server)[:2] == ("DELETE", "/api/v1/webhooks/whk_1")
    caller.call(server, "webhooks.rotate_secret", "whk_1", overlap_s=0)
    assert sent(server) == ("POST", "/api/v1/webhooks/whk_1/rotate-secret", {"overlap_seconds": 0})
    caller.call(server, "webhooks.rotate_secret", "whk_1")
    assert sent(server)[2] == {}


def test_lists_have_pages(caller: Caller) -> None:
    server = Server(httpx2.Response(200, json={"data": [WEBHOOK], "next_cursor": "c"}))
    page = caller.call(server, "webhooks.list", limit=1, cursor="b")
    assert (page.webhooks[0].id, page.next) == ("whk_1", "c")
    assert dict(server.requests[-1].url.params) == {"limit": "1", "cursor": "b"}
    server = Server(httpx2.Response(200, json={"data": [DELIVERY], "next_cursor": None}))
    page = caller.call(server, "webhooks.deliveries", "whk_1", state="waiting")
    assert (page.deliveries[0].id, page.deliveries[0].log, page.next) == ("msg_1", (), None)
    assert sent(server)[:2] == ("GET", "/api/v1/webhooks/whk_1/deliveries")
    assert dict(server.requests[-1].url.params) == {"limit": "50", "state": "waiting"}


def test_a_message_with_its_log(caller: Caller) -> None:
    server = Server(httpx2.Response(200, json={**DELIVERY, "log": [ATTEMPT]}))
    told = caller.call(server, "webhooks.delivery", "whk_1", "msg_1")
    assert (told.log[0].status, told.log[0].duration_ms) == (500, 12)
    assert sent(server)[:2] == ("GET", "/api/v1/webhooks/whk_1/deliveries/msg_1")
    again = Server(httpx2.Response(202, json={**DELIVERY, "log": []}))
    assert caller.call(again, "webhooks.redeliver", "whk_1", "msg_1").state == "waiting"
    assert sent(again)[:2] == ("POST", "/api/v1/webhooks/whk_1/deliveries/msg_1/redeliver")


def test_refusals_and_what_is_no_answer(caller: Caller) -> None:
    with pytest.raises(InvalidRequest) as raised:
        caller.call(Server(refusal(422, "WEBHOOK_URL_FORBIDDEN")), "webhooks.create", "http://10.0.0.1/")
    assert raised.value.code == "WEBHOOK_URL_FORBIDDEN"
    for call, answer in (("get", {}), ("get", []), ("list", {"data": [{}]}), ("get", {**WEBHOOK, "events": 7})):
        with pytest.raises(ApiError):
            caller.call(
                Server(httpx2.Response(200, json=answer)), f"webhooks.{call}", *(["x"] if call == "get" else [])
            )

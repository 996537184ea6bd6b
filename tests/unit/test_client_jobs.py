"""Jobs by both clients."""

from __future__ import annotations

from typing import Any

import httpx2
import pytest
from test_client_both import PICTURE, Caller, Server, caller, refusal

from uncrop.client import ApiError, NoAnswer

__all__ = ["caller"]  # the fixture

JOB: dict[str, Any] = {
    "id": "job_1",
    "state": "queued",
    "provider": "local",
    "stage": None,
    "progress": None,
    "calls_billed": 0,
    "cancel_requested": False,
    "created_at": "2026-11-27T05:00:00.000Z",
    "started_at": None,
    "ended_at": None,
    "expires_at": None,
    "address": "/api/v1/jobs/job_1",
    "result": None,
    "error": None,
}


def told(status: int = 200, **changes: Any) -> httpx2.Response:
    return httpx2.Response(status, json={**JOB, **changes})


def test_a_job_is_submitted_under_a_name_of_its_own(caller: Caller) -> None:
    server = Server(refusal(503, "SERVER_BUSY", retry_after="1"), told(202))
    job = caller.call(server, "jobs.submit", b"photo", left=8, seed=7)
    assert (job.id, job.state, job.ended) == ("job_1", "queued", False)
    first, second = server.requests
    assert (first.method, first.url.path) == ("POST", "/api/v1/jobs")
    assert 'name="extend_left"\r\n\r\n8' in server.body
    # The repeat is the same submission.
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    other = Server(told(202))
    caller.call(other, "jobs.submit", b"photo", left=8, idempotency_key="mine")
    assert other.requests[0].headers["idempotency-key"] == "mine"
    caller.call(other, "jobs.submit", b"photo", left=8)
    assert other.requests[1].headers["idempotency-key"] != first.headers["idempotency-key"]


def test_jobs_are_looked_at_listed_fetched_and_cancelled(caller: Caller) -> None:
    server = Server(told(state="running", progress=0.5, stage="provider"))
    job = caller.call(server, "jobs.get", "job_1")
    assert (job.state, job.progress, job.stage, server.requests[-1].url.path) == (
        "running",
        0.5,
        "provider",
        "/api/v1/jobs/job_1",
    )
    server = Server(httpx2.Response(200, json={"jobs": [JOB], "next": "job_1"}))
    page = caller.call(server, "jobs.list", limit=1, cursor="job_2", state="queued")
    assert ([each.id for each in page.jobs], page.next) == (["job_1"], "job_1")
    assert dict(server.requests[-1].url.params) == {"limit": "1", "cursor": "job_2", "state": "queued"}
    server = Server(PICTURE)
    assert caller.call(server, "jobs.result", "job_1").image == b"picture"
    assert server.requests[-1].url.path == "/api/v1/jobs/job_1/result"
    server = Server(told(state="cancelled"))
    assert caller.call(server, "jobs.cancel", "job_1").ended
    assert server.requests[-1].method == "DELETE"


@pytest.mark.parametrize("name", ["jobs.get", "jobs.list"])
def test_what_is_no_job_is_not_the_servers(caller: Caller, name: str) -> None:
    arguments = ["job_1"] if name == "jobs.get" else []
    for answer in (httpx2.Response(200, json={}), httpx2.Response(200, content=b"no JSON")):
        with pytest.raises(ApiError) as raised:
            caller.call(Server(answer), name, *arguments)
        assert raised.value.code == "UNEXPECTED_ANSWER"


def test_one_can_wait_for_a_job(caller: Caller) -> None:
    server = Server(told(), told(state="running"), told(state="failed", error={"code": "CONTENT_REJECTED"}))
    job = caller.call(server, "jobs.wait", "job_1", every_s=3)
    assert (job.state, job.error, caller.waits) == ("failed", {"code": "CONTENT_REJECTED"}, [3, 3])
    with pytest.raises(NoAnswer, match="still queued"):
        caller.call(Server(told()), "jobs.wait", "job_1", timeout_s=0, every_s=3)

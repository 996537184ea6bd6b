"""When a message is sent again, and what it says."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from uncrop.errors import ContentRejected
from uncrop.jobs.answers import error_to_text
from uncrop.model.jobs import BackgroundJob
from uncrop.store.deliveries import Next
from uncrop.webhooks.payload import payload_of
from uncrop.webhooks.schedule import TRIES, WAITS_S, next_of

SECRET_PROMPT = "a prompt that is nobody's business"
JOB = BackgroundJob(
    id="job_1",
    organization_id="org_a",
    key_id="0123456789",
    provider="local",
    request=json.dumps({"fields": {"prompt": SECRET_PROMPT}}),
    accept="",
    state="done",
    attempt=1,
    deaths=1,
    calls_sent=1,
    stage=None,
    fraction=None,
    result_bytes=7,
    error=None,
    fingerprint=None,
    created_at=datetime(2026, 11, 27, 10, tzinfo=UTC),
    started_at=None,
    cancel_requested_at=None,
    ended_at=datetime(2026, 11, 27, 13, 0, 1, 234567, tzinfo=timezone(timedelta(hours=1))),
    expires_at=None,
)


def test_ten_tries_in_three_days() -> None:
    assert (TRIES, timedelta(seconds=sum(WAITS_S))) == (10, timedelta(hours=75, minutes=35, seconds=5))
    waits = [next_of("status", tries, draw=lambda: 0.5) for tries in range(1, 10)]
    assert waits == [Next(state="waiting", wait_s=wait) for wait in WAITS_S]
    assert next_of("status", 10) == next_of("timeout", 11) == Next(state="failed", disable="failing")


@pytest.mark.parametrize(("drawn", "share"), [(0.0, 0.9), (1.0, 1.1)])
def test_those_that_failed_together_come_back_apart(drawn: float, share: float) -> None:
    assert next_of("timeout", 3, draw=lambda: drawn).wait_s == pytest.approx(1800 * share)
    assert len({next_of("status", 5).wait_s for _ in range(20)}) > 1


@pytest.mark.parametrize(("tries", "asked", "wait"), [(1, 120, 120), (1, 2, 5), (4, 3600, 7200), (3, None, 1800)])
def test_time_that_is_asked_for_is_given_where_it_is_longer(tries: int, asked: float | None, wait: float) -> None:
    assert next_of("status", tries, asked_s=asked, draw=lambda: 0.5).wait_s == wait


def test_what_ends_it_at_once() -> None:
    assert next_of(None, 1) == Next(state="delivered")
    assert next_of("gone", 1) == Next(state="failed", disable="gone")
    assert next_of("disabled", 1) == Next(state="failed")


def test_a_message_says_which_job_and_what_became_of_it() -> None:
    text = payload_of(JOB)
    assert json.loads(text) == {
        "type": "job.done",
        "timestamp": "2026-11-27T12:00:01.234Z",
        "data": {
            "id": "job_1",
            "organization_id": "org_a",
            "provider": "local",
            "state": "done",
            "error_code": None,
            "address": "/api/v1/jobs/job_1",
        },
    }
    assert SECRET_PROMPT not in text


def test_of_an_error_it_says_the_code() -> None:
    error = error_to_text(ContentRejected("The provider says no", details={"why": SECRET_PROMPT}))
    text = payload_of(replace(JOB, state="failed", error=error, ended_at=None))
    told = json.loads(text)
    assert (told["type"], told["timestamp"]) == ("job.failed", "2026-11-27T10:00:00.000Z")
    assert told["data"]["error_code"] == "CONTENT_REJECTED"
    assert SECRET_PROMPT not in text

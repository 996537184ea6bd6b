"""The errors of jobs, provoked over real HTTP, the whole body compared."""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest
import sqlalchemy as sa

from fixtures_http import Refusal, check, clipdrop_form
from fixtures_server import Real, real, wait_until
from uncrop.jobs.worker import MOST_DEATHS
from uncrop.server.jobs_wire import JOBS_PATH
from uncrop.store.tables import jobs
from uncrop.store.transactions import execute
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIPDROP = clipdrop_form(photo_jpeg(64, 48))


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A server that works on one job at a time, so that a second one waits."""
    settings = {"rate_limit_per_minute": 100_000, "jobs_at_once": 1}
    with real(tmp_path_factory.mktemp("worked"), settings=settings, jobs=True) as running:
        yield running


@contextmanager
def waiting(house: Real) -> Iterator[str]:
    """Submit a job that waits until the block ends; returns its address."""
    until = threading.Event()
    calls = house.calls()
    house.clipdrop.script(outcomes.hold(until))
    try:
        first = submitted(house)
        wait_until(lambda: house.calls() > calls)
        yield submitted(house)
    finally:
        until.set()
    ended(house, first)


def submitted(house: Real) -> str:
    files = {name: ("photo", data) for name, data in CLIPDROP.files.items()}
    answer = httpx2.post(house.url + JOBS_PATH, headers={"X-API-Key": house.key}, data=CLIPDROP.fields, files=files)
    assert answer.status_code == 202, answer.text
    return house.url + answer.headers["location"]


def ended(house: Real, address: str) -> None:
    wait_until(lambda: asked(house, address).json()["ended_at"] is not None)


def asked(house: Real, address: str, method: str = "GET") -> httpx2.Response:
    return httpx2.request(method, address, headers={"X-API-Key": house.key})


def rewrite(house: Real, address: str, **values: int) -> None:
    """Give a job's row what only the deaths of processes would write."""
    change = sa.update(jobs).where(jobs.c.id == address.rpartition("/")[2]).values(**values)
    house.server.do(house.server.service.store._transactions.write(execute(change)))


OF_JOBS = {
    "JOB_NOT_DONE": Refusal(
        status=409, code="JOB_NOT_DONE", message="The job is not done yet", details={"state": "queued"}
    ),
    "JOB_CANCELLED": Refusal(status=409, code="JOB_CANCELLED", message="The job was cancelled"),
    "RESULT_EXPIRED": Refusal(status=410, code="RESULT_EXPIRED", message="The job's result is no longer kept"),
    "JOB_ABANDONED": Refusal(
        status=500,
        code="JOB_ABANDONED",
        message="The job was given up: every process that worked on it came to an end; nothing was billed",
        type="server_error",
    ),
    "JOB_OUTCOME_UNKNOWN": Refusal(
        status=500,
        code="JOB_OUTCOME_UNKNOWN",
        message="It is not known what became of the job: its process came to an end when a billed call may have been "
        "sent; it is not sent a second time",
        type="server_error",
    ),
}


def test_a_job_that_waits_has_no_result_and_neither_has_one_that_is_cancelled(worked: Real) -> None:
    with waiting(worked) as address:
        early = asked(worked, f"{address}/result")
        check(early, OF_JOBS["JOB_NOT_DONE"])
        assert early.headers["retry-after"] == "1"
        assert asked(worked, address, "DELETE").json()["state"] == "cancelled"
        check(asked(worked, f"{address}/result"), OF_JOBS["JOB_CANCELLED"])


def test_a_result_is_not_kept_for_ever(worked: Real) -> None:
    address = submitted(worked)
    ended(worked, address)
    assert asked(worked, f"{address}/result").status_code == 200
    worked.server.do(worked.server.service.store.jobs.expire((address.rpartition("/")[2],)))
    check(asked(worked, f"{address}/result"), OF_JOBS["RESULT_EXPIRED"])


@pytest.mark.parametrize(
    ("code", "left"), [("JOB_ABANDONED", {"deaths": MOST_DEATHS}), ("JOB_OUTCOME_UNKNOWN", {"calls_sent": 1})]
)
def test_a_job_whose_process_died_says_what_is_known(worked: Real, code: str, left: dict[str, int]) -> None:
    with waiting(worked) as address:
        rewrite(worked, address, **left)
    calls = worked.calls()
    ended(worked, address)
    check(asked(worked, f"{address}/result"), OF_JOBS[code])
    assert worked.calls() == calls

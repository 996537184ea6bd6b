from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from fixtures_server import picture
from uncrop import settings as configuration
from uncrop.cli import doctor_services
from uncrop.errors import ContentRejected, InternalError, ResultExpired, SettingsError
from uncrop.jobs.dbos import DbosQueue
from uncrop.jobs.opening import jobs_of_dead_workers
from uncrop.jobs.port import Queue
from uncrop.jobs.sweep import sweep
from uncrop.service.report import RunReport
from uncrop.testing.pictures import photo_png

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from conftest import Api
    from uncrop.model import UncropRequest, UncropResult
    from uncrop.providers.commitment import Commitment

    OpenApi = Callable[..., AbstractAsyncContextManager[Api]]

PHOTO = photo_png(64, 48)


async def test_a_job_is_taken_made_and_fetched(open_api: OpenApi, database_url: str) -> None:
    async with open_api(database_url) as api:
        taken = await api.submit(PHOTO, headers={"Accept": "image/*"})
        job = taken.json()
        assert (taken.status_code, taken.headers["location"]) == (202, f"/api/v1/jobs/{job['id']}")
        assert (job["state"], job["provider"], job["result"], job["calls_billed"]) == ("queued", "local", None, 0)
        ended = await api.ended(job["id"])
        assert (ended["state"], ended["progress"], ended["error"]) == ("done", 1.0, None)
        made = await api.http.get(ended["result"], headers={"X-API-Key": api.key})
        assert (made.status_code, made.content, made.headers["x-seed"]) == (200, b"\xff\xd8 a picture", "42")
        assert made.headers["content-type"] == "image/jpeg"
        (request,) = api.uncropper.requests
        assert (request.image, request.sides.left, request.organization_id) == (PHOTO, 8, "org_a")
        listed = (await api.get()).json()
        assert [each["id"] for each in listed["jobs"]] == [job["id"]]


async def test_it_is_the_answer_of_the_pictures_own_request(open_api: OpenApi, sqlite_url: str) -> None:
    async with open_api(sqlite_url) as api:
        headers = {"X-API-Key": api.key, "Accept": "application/json"}
        sent = {"data": {"provider": "local", "organization_id": "org_a", "extend_left": "8"}}
        direct = await api.http.post("/api/v1/images/uncrop", **sent, files={"image_file": PHOTO}, headers=headers)
        job = (await api.submit(PHOTO, headers={"Accept": "application/json"})).json()
        await api.ended(job["id"])
        fetched = await api.get(f"/{job['id']}/result")
    assert (fetched.status_code, fetched.content) == (direct.status_code, direct.content)
    differing = {"x-request-id", "x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset"}
    left, right = ({k: v for k, v in each.headers.items() if k not in differing} for each in (fetched, direct))
    assert left == right


async def test_a_failure_is_answered_as_the_picture_would_have_been(open_api: OpenApi, sqlite_url: str) -> None:
    async def refuse(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
        raise ContentRejected(details={"provider": "openai"})

    async with open_api(sqlite_url) as api:
        api.uncropper.action = refuse
        job = (await api.submit(PHOTO)).json()
        ended = await api.ended(job["id"])
        assert (ended["state"], ended["result"]) == ("failed", None)
        assert ended["error"] == {
            "code": "CONTENT_REJECTED",
            "message": ContentRejected.default_message,
            "status": 422,
            "details": {"provider": "openai"},
        }
        answer = await api.get(f"/{job['id']}/result")
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "CONTENT_REJECTED")
        assert answer.json()["error"]["details"] == {"provider": "openai"}


async def test_the_same_idempotency_key_is_the_same_job(open_api: OpenApi, database_url: str) -> None:
    async with open_api(database_url) as api:
        key = {"headers": {"Idempotency-Key": "k"}}
        first, again = await api.submit(PHOTO, **key), await api.submit(PHOTO, **key)
        assert (first.json()["id"], again.status_code) == (again.json()["id"], 202)
        assert ("idempotent-replayed" in first.headers, again.headers["idempotent-replayed"]) == (False, "true")
        other = await api.submit(PHOTO, extend_left="9", **key)
        assert (other.status_code, other.json()["error"]["details"]) == (422, {"job_id": first.json()["id"]})
        await api.ended(first.json()["id"])
        assert len(api.uncropper.requests) == 1
        for wrong in (b"", b"k" * 256, "schlüssel".encode()):
            refused = await api.submit(PHOTO, headers={"Idempotency-Key": wrong})
            assert (refused.status_code, refused.json()["error"]["code"]) == (400, "IDEMPOTENCY_KEY_INVALID")
        many = await asyncio.gather(*(api.submit(PHOTO, headers={"Idempotency-Key": "m"}) for _ in range(5)))
        assert len({each.json()["id"] for each in many}) == 1
        await api.ended(many[0].json()["id"])
        assert len(api.uncropper.requests) == 2


async def test_what_can_never_be_made_is_refused_at_once_and_nothing_is_kept(
    open_api: OpenApi, sqlite_url: str, tmp_path: Path
) -> None:
    async with open_api(sqlite_url, max_open_jobs=1) as api:
        for sent, code in (
            ({"extend_left": "5000"}, "INVALID_EXTEND_PARAMETERS"),
            ({"organization_id": "org_b"}, "ORGANIZATION_ACCESS_DENIED"),
            ({"provider": "nobody"}, "INVALID_FIELD_VALUE"),
            ({"provider": "clipdrop"}, "PROVIDER_NOT_CONFIGURED"),
            ({"provider": "auto", "extend_left": "0"}, "INVALID_EXTEND_PARAMETERS"),
            ({"variations": "9"}, "INVALID_FIELD_VALUE"),
        ):
            refused = await api.submit(PHOTO, **sent)
            assert refused.json()["error"]["code"] == code
        assert (await api.submit(b"no photo")).status_code == 422
        assert (await api.submit(PHOTO, key="wrong")).status_code == 401
        stopped = asyncio.Event()

        async def wait(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
            await stopped.wait()
            raise ContentRejected

        api.uncropper.action = wait
        job = (await api.submit(PHOTO)).json()
        full = await api.submit(PHOTO)
        assert (full.status_code, full.headers["retry-after"]) == (503, "5")
        assert [path.name for path in (tmp_path / "objects" / "jobs").iterdir()] == [job["id"]]
        stopped.set()
        await api.ended(job["id"])


async def test_another_organizations_job_is_like_an_unknown_one(open_api: OpenApi, sqlite_url: str) -> None:
    async with open_api(sqlite_url) as api:
        job = (await api.submit(PHOTO)).json()
        await api.ended(job["id"])
        api.key = (await api.service.store.keys.create("org_b")).key
        for method, end in (("GET", ""), ("GET", "/result"), ("DELETE", "")):
            foreign, unknown = [
                await api.http.request(method, f"/api/v1/jobs/{job_id}{end}", headers={"X-API-Key": api.key})
                for job_id in (job["id"], "job_of_nobody")
            ]
            for answer in (foreign, unknown):
                assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")
            same = [{**each.json()["error"], "trace_id": "", "timestamp": ""} for each in (foreign, unknown)]
            assert same[0] == same[1]
        assert (await api.get()).json() == {"jobs": [], "next": None}
        api.key = (await api.service.store.keys.create("org_a", scopes=frozenset({"usage:read"}))).key
        assert (await api.get()).json()["error"]["code"] == "SCOPE_MISSING"
        assert (await api.submit(PHOTO)).json()["error"]["code"] == "SCOPE_MISSING"


async def test_jobs_are_listed_in_pages(open_api: OpenApi, sqlite_url: str) -> None:
    async with open_api(sqlite_url) as api:
        ids = [(await api.submit(PHOTO, seed=str(number))).json()["id"] for number in range(3)]
        for job_id in ids:
            await api.ended(job_id)
        first = (await api.get(params={"limit": "2"})).json()
        second = (await api.get(params={"limit": "2", "cursor": first["next"]})).json()
        assert [[job["id"] for job in page["jobs"]] for page in (first, second)] == [[ids[2], ids[1]], [ids[0]]]
        assert second["next"] is None
        assert len((await api.get(params={"state": "done"})).json()["jobs"]) == 3
        assert (await api.get(params={"state": "failed"})).json()["jobs"] == []
        for wrong in ({"limit": "0"}, {"limit": "101"}, {"limit": "-1"}, {"limit": "9" * 9}, {"state": "lost"}):
            assert (await api.get(params=wrong)).json()["error"]["code"] == "INVALID_FIELD_VALUE"


async def test_a_running_job_is_cancelled(open_api: OpenApi, sqlite_url: str) -> None:
    begun = asyncio.Event()

    async def work(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async with open_api(sqlite_url) as api:
        api.uncropper.action = work
        job = (await api.submit(PHOTO)).json()
        await begun.wait()
        early = await api.get(f"/{job['id']}/result")
        assert (early.status_code, early.headers["retry-after"]) == (409, "1")
        assert early.json()["error"]["details"] == {"state": "running"}
        asked = await api.http.delete(f"/api/v1/jobs/{job['id']}", headers={"X-API-Key": api.key})
        assert (asked.status_code, asked.json()["cancel_requested"]) == (200, True)
        assert (await api.ended(job["id"]))["state"] == "cancelled"
        assert (await api.get(f"/{job['id']}/result")).json()["error"]["code"] == "JOB_CANCELLED"


async def test_a_job_that_waits_is_cancelled_at_once(open_api: OpenApi, sqlite_url: str) -> None:
    stopped = asyncio.Event()

    async def wait(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
        await stopped.wait()
        raise ContentRejected

    async with open_api(sqlite_url, jobs_at_once=1) as api:
        api.uncropper.action = wait
        first, second = [(await api.submit(PHOTO)).json()["id"] for _ in range(2)]
        asked = await api.http.delete(f"/api/v1/jobs/{second}", headers={"X-API-Key": api.key})
        assert (asked.status_code, asked.json()["state"]) == (200, "cancelled")
        answer = await api.get(f"/{second}/result")
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "JOB_CANCELLED")
        stopped.set()
        assert (await api.ended(first))["state"] == "failed"


async def test_results_expire_with_all_that_is_kept(open_api: OpenApi, database_url: str, tmp_path: Path) -> None:
    async with open_api(database_url) as api:
        job = (await api.submit(PHOTO)).json()
        await api.ended(job["id"])
        jobs, store = api.jobs, api.service.store
        assert await sweep(store.jobs, jobs.files, jobs.queue) == 0
        store.jobs._clock = lambda clock=store.jobs._clock: clock() + timedelta(hours=25)
        assert await sweep(store.jobs, jobs.files, jobs.queue) == 1
        assert list((tmp_path / "objects" / "jobs").iterdir()) == []
        answer = await api.get(f"/{job['id']}/result")
        assert (answer.status_code, answer.json()["error"]["code"]) == (410, "RESULT_EXPIRED")
        assert (await api.get(f"/{job['id']}")).json()["state"] == "done"
        table = "workflow_status" if "sqlite" in database_url else "dbos.workflow_status"
        left = await store._transactions.read(lambda c: c.execute(sa.text(f"SELECT count(*) FROM {table}")))
        assert left.scalar_one() == 0


async def test_a_result_that_goes_while_it_is_fetched_has_expired(open_api: OpenApi, sqlite_url: str) -> None:
    async with open_api(sqlite_url) as api:
        job = (await api.submit(PHOTO)).json()
        await api.ended(job["id"])
        await api.jobs.files.delete(job["id"])
        with pytest.raises(InternalError):
            await api.jobs.answer([api.key], job["id"], RunReport())
        real, store = api.jobs.files.read, api.service.store

        async def read(job_id: str, name: str) -> bytes:
            await store.jobs.expire((job_id,))
            return await real(job_id, name)

        api.jobs.files.read = read  # type: ignore[method-assign]
        with pytest.raises(ResultExpired):
            await api.jobs.answer([api.key], job["id"], RunReport())


async def test_a_job_outlives_its_server(open_api: OpenApi, database_url: str) -> None:
    async with open_api(database_url, jobs_at_once=1) as api:
        begun = asyncio.Event()

        async def work(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
            begun.set()
            await asyncio.Event().wait()
            raise AssertionError

        api.uncropper.action = work
        ids = [(await api.submit(PHOTO)).json()["id"] for _ in range(2)]
        await begun.wait()
    async with open_api(database_url) as api:
        for job_id in ids:
            assert (await api.ended(job_id))["state"] == "done"
        refused: Any = api.service
        refused.stop()
        assert (await api.submit(PHOTO)).status_code == 503


async def test_a_place_without_the_queues_package_is_told(
    open_api: OpenApi, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "uncrop.jobs.dbos", None)
    with pytest.raises(SettingsError, match=r"uncrop\[jobs\]"):
        async with open_api(sqlite_url):
            pass


def test_the_queue_is_what_its_port_says() -> None:
    assert {name for name in vars(Queue) if not name.startswith("_")} <= set(dir(DbosQueue))


async def test_one_who_has_many_jobs_does_not_hold_up_another(open_api: OpenApi, sqlite_url: str) -> None:
    order: list[str | None] = []
    all_are_there = asyncio.Event()

    async def note(request: UncropRequest, _commitment: Commitment) -> UncropResult:
        await all_are_there.wait()
        order.append(request.organization_id)
        return picture()

    async with open_api(sqlite_url, jobs_at_once=1, rate_limit_per_minute=1000) as api:
        api.uncropper.action = note
        other = (await api.service.store.keys.create("org_b")).key
        many = [(await api.submit(PHOTO)).json()["id"] for _ in range(16)]
        await api.submit(PHOTO, key=other, organization_id="org_b")
        all_are_there.set()
        for job_id in many:
            await api.ended(job_id)
    # Their turns are drawn: that it is the last of all all the same happens once in 30,000 times.
    assert "org_b" in order[:-1]


async def test_jobs_of_a_worker_that_died_and_was_not_started_again_are_told(
    open_api: OpenApi, database_url: str, tmp_path: Path
) -> None:
    begun, end = asyncio.Event(), asyncio.Event()

    async def work(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
        begun.set()
        await end.wait()
        return picture()

    configured = configuration.load(_env_file=None, data_dir=tmp_path, database_url=database_url)
    async with open_api(database_url) as api:
        store = api.service.store
        assert await jobs_of_dead_workers(configured, store) == {}
        api.uncropper.action = work
        job = (await api.submit(PHOTO)).json()
        await begun.wait()
        assert await jobs_of_dead_workers(configured, store) == {}
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("uncrop.jobs.opening.held_slots", _nobody)
            assert await jobs_of_dead_workers(configured, store) == {0: 1}
            (finding,) = await asyncio.to_thread(doctor_services.check_workers, configured)
            assert finding.says == "1 jobs belong to workers that died (worker's number: jobs; 0: 1)"
        assert await asyncio.to_thread(doctor_services.check_workers, configured) == []
        end.set()
        await api.ended(job["id"])


async def _nobody(_url: str) -> frozenset[int]:
    return frozenset()

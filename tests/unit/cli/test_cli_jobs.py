from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop import settings
from uncrop.bootstrap import open_store_from
from uncrop.cli import app
from uncrop.errors import ContentRejected
from uncrop.jobs.answers import Answer, error_to_text, pack
from uncrop.jobs.files import KIND, JobFiles
from uncrop.model.jobs import NewJob
from uncrop.objects.objects import Objects
from uncrop.store.jobs import Ending

DONE, FAILED, QUEUED, RUNNING = (f"job_{number:032x}" for number in range(1, 5))
KEEP = timedelta(hours=24)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["jobs", *arguments])


@pytest.fixture(autouse=True)
def kept(database: Path) -> None:
    """Keep a job of each kind."""

    async def nothing(_connection: object) -> None:
        pass

    async def keep() -> None:
        async with open_store_from(settings.load()) as store:
            key = await store.keys.create("org_a")
            for job_id in (DONE, FAILED, QUEUED, RUNNING):
                new = NewJob(id=job_id, organization_id="org_a", key_id=key.id, provider="local", request="{}")
                await store.jobs.submit(new, most_open=9, also=nothing)
            for job_id in (DONE, RUNNING):
                await store.jobs.begin(job_id)
            data = pack(Answer(media_type="image/png", headers={}, body=b"a picture"))
            objects = Objects(settings.load().objects_place(KIND))
            await JobFiles(objects, database / "jobs").write(DONE, "result-1", data)
            await store.jobs.end(DONE, 1, Ending(state="done", result_bytes=len(data)), keep=KEEP)
            failed = Ending(state="failed", error=error_to_text(ContentRejected()))
            await store.jobs.end(FAILED, 0, failed, keep=KEEP)

    asyncio.run(keep())


def test_jobs_are_listed_newest_first() -> None:
    lines = run("list").output.splitlines()
    assert lines[0].split() == ["ID", "ORGANIZATION", "PROVIDER", "STATE", "CALLS", "CREATED", "ENDED", "EXPIRES"]
    assert [line.split()[0] for line in lines[1:]] == [RUNNING, QUEUED, FAILED, DONE]
    assert [line.split()[3] for line in lines[1:]] == ["running", "queued", "failed", "done"]
    assert [line.split()[0] for line in run("list", "--state", "done").output.splitlines()[1:]] == [DONE]
    assert len(run("list", "--limit", "1").output.splitlines()) == 2
    assert run("list", "--organization", "org_b").output.splitlines()[1:] == []


def test_a_state_that_does_not_exist_is_wrong_use() -> None:
    refused = run("list", "--state", "lost")
    assert (refused.exit_code, "--state lost: must be one of queued, running" in refused.output) == (2, True)


def test_a_job_is_shown_as_the_api_tells_it() -> None:
    told = json.loads(run("show", DONE).output)
    assert (told["id"], told["state"], told["result"]) == (DONE, "done", f"/api/v1/jobs/{DONE}/result")
    unknown = run("show", "job_of_nobody")
    assert (unknown.exit_code, unknown.output) == (3, "uncrop: job_of_nobody: there is no such job\n")


def test_a_picture_is_written_to_a_file(tmp_path: Path) -> None:
    assert run("result", DONE, "--output", "wide.png").exit_code == 0
    assert (tmp_path / "wide.png").read_bytes() == b"a picture"
    assert run("result", DONE, "--output", "wide.png").exit_code == 2
    assert run("result", DONE, "--output", "wide.png", "--force").exit_code == 0


def test_why_there_is_no_picture_is_said(database: Path) -> None:
    failed = run("result", FAILED, "--output", "wide.png")
    assert (failed.exit_code, ContentRejected.default_message in failed.output) == (3, True)
    queued = run("result", QUEUED, "--output", "wide.png")
    assert (queued.exit_code, "there is no picture (the job is queued)" in queued.output) == (3, True)
    (database / "objects" / "jobs" / DONE / "result-1").unlink()
    gone = run("result", DONE, "--output", "wide.png")
    assert (gone.exit_code, "its picture lies where this machine does not see it" in gone.output) == (2, True)


def test_jobs_are_cancelled() -> None:
    assert run("cancel", QUEUED).output == f"{QUEUED} is cancelled\n"
    assert run("cancel", RUNNING).output == f"{RUNNING} is asked to end\n"
    assert run("cancel", DONE).output == f"{DONE} is done\n"
    assert run("cancel", "job_of_nobody").exit_code == 3

"""`uncrop webhooks`, and what the doctor says of them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from uncrop import settings
from uncrop.bootstrap import open_store_from
from uncrop.cli import app
from uncrop.cli.doctor_services import look_at_webhooks
from uncrop.jobs import opening
from uncrop.jobs.dbos import working
from uncrop.model.jobs import NewJob
from uncrop.store.database import Store
from uncrop.store.deliveries import Next, Sent
from uncrop.webhooks.signing import check_secret

URL = "http://127.0.0.1:9/hook"
KEEP = timedelta(hours=24)


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["webhooks", *arguments])


@pytest.fixture(autouse=True)
def prepared(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UNCROP_ENCRYPTION_KEY", "n" * 32)
    monkeypatch.setenv("UNCROP_WEBHOOK_ALLOWED_NETWORKS", "127.0.0.0/8")
    with_store(lambda store: store.organizations.create("org_a"))


def with_store(work: Any) -> Any:
    async def open_and_work() -> Any:
        async with open_store_from(settings.load()) as store:
            return await work(store)

    return asyncio.run(open_and_work())


def make(*options: str) -> str:
    made = run("create", "org_a", URL, *options)
    assert made.exit_code == 0, made.output
    assert check_secret(made.stdout.strip())
    return next(word for word in made.stderr.split() if word.startswith("whk_"))


async def with_queue(work: Any) -> Any:
    """Do something while the queue's engine is there, as it is wherever a server has run; it works on nothing."""
    async with working(opening.synchronous(settings.load().database), "worker-0", {}):
        return await work()


async def submit(store: Store) -> None:
    async def nothing(_connection: object) -> None:
        pass

    new = NewJob(id=f"job_{1:032x}", organization_id="org_a", key_id=None, provider="local", request="{}")
    await store.jobs.submit(new, most_open=9, also=nothing)


def test_a_webhook_from_its_making_to_its_end() -> None:
    webhook = make("--event", "job.done", "--event", "job.failed", "--description", "Shop")
    lines = run("list").stdout.splitlines()
    assert lines[0].split("  ")[0] == "ID"
    assert lines[1].split()[:3] == [webhook, "org_a", "enabled"]
    assert run("list", "org_b").stdout.splitlines()[1:] == []
    told = json.loads(run("show", webhook).stdout)
    assert (told["description"], told["events"]) == ("Shop", ["job.done", "job.failed"])
    assert "secret" not in told

    assert run("change", webhook, "--disable").stdout == f"{webhook} is disabled\n"
    assert "disabled (by_hand)" in run("list", "org_a").stdout
    assert run("change", webhook, "--enable", "--url", f"{URL}2").stdout == f"{webhook} is enabled\n"
    assert json.loads(run("show", webhook).stdout)["url"] == f"{URL}2"
    assert check_secret(run("rotate-secret", webhook, "--overlap", "1h").stdout.strip())
    assert json.loads(run("show", webhook).stdout)["previous_secret_ends_at"] is not None
    assert run("delete", webhook).stdout == f"{webhook} is deleted\n"
    for command in ("show", "change", "delete", "rotate-secret"):
        ended = run(command, webhook)
        assert (ended.exit_code, ended.stderr) == (3, f"uncrop: {webhook}: there is no such webhook\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("create", "org_a", "https://10.0.0.1/"), "names a host that cannot be found, or that messages may not be"),
        (("create", "org_b", URL), "org_b: there is no such organization"),
        (("create", "org_a", URL, "--event", "job.made"), "events must be some of job.done"),
        (("rotate-secret", "whk_0", "--overlap", "1"), "is no time such as 24h"),
        (("deliveries", "whk_0", "--state", "lost"), "must be one of waiting, delivered, failed"),
        (("delivery", "msg_0"), "there is no such message"),
        (("redeliver", "msg_0"), "there is no such message"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(arguments: tuple[str, ...], said: str) -> None:
    ended = run(*arguments)
    assert ended.exit_code in {2, 3}
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_job_that_is_cancelled_is_told_of_and_told_again() -> None:
    webhook = make()
    with_store(submit)
    job_id = f"job_{1:032x}"

    async def cancel() -> None:
        ended = await asyncio.to_thread(CliRunner().invoke, app, ["jobs", "cancel", job_id])
        assert ended.stdout == f"{job_id} is cancelled\n", ended.output

    asyncio.run(with_queue(cancel))
    lines = run("deliveries", webhook).stdout.splitlines()
    message = lines[1].split()[0]
    assert lines[1].split()[1:5] == ["job.cancelled", job_id, "waiting", "0"]
    assert queued() == [f"{message}:0-0"]

    async def give_up(store: Store) -> None:
        due = await store.deliveries.take(message, 0)
        assert due is not None
        sent, adding = Sent(status=500, failure="status", duration_ms=7), opening.adding_to
        await store.deliveries.record(due, sent, Next(state="failed"), keep=KEEP, adding=adding)  # type: ignore[arg-type]

    with_store(give_up)
    told = json.loads(run("delivery", message).stdout)
    assert (told["state"], told["failure"], told["log"][0]["status"]) == ("failed", "status", 500)
    assert run("deliveries", webhook, "--state", "waiting").stdout.splitlines()[1:] == []
    assert run("deliveries", webhook, "--before", message).stdout.splitlines()[1:] == []

    run("change", webhook, "--disable")
    ended = run("redeliver", message)
    assert (ended.exit_code, "--enable" in ended.stderr) == (3, True)
    run("change", webhook, "--enable")
    assert run("redeliver", message).stdout == f"{message} is sent anew\n"
    assert json.loads(run("delivery", message).stdout)["state"] == "waiting"
    assert queued() == [f"{message}:0-0", f"{message}:1-0"]


def queued() -> list[str]:
    """Return the entries of the queue."""
    path = settings.load().data_dir / "uncrop.db"
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT workflow_uuid FROM workflow_status WHERE queue_name = 'webhooks'").fetchall()
    connection.close()
    return sorted(row[0] for row in rows)


def looked_at() -> list[tuple[str, str]]:
    return [(found.state, found.says) for found in with_store(look_at_webhooks)]


def test_the_doctor_says_which_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    assert looked_at() == []
    webhooks = [make(), make(), make(), make()]
    assert looked_at() == [("ok", "4, none of them fails")]
    run("change", webhooks[0], "--disable")
    assert looked_at()[0][0] == "ok"
    path = settings.load().data_dir / "uncrop.db"
    connection = sqlite3.connect(path)
    now = "2026-11-27 12:00:00.000000"
    with connection:
        changes = "UPDATE webhooks SET disabled_at = ?, disabled_reason = 'gone' WHERE id = ?"
        connection.execute(changes, (now, webhooks[1]))
        connection.execute("UPDATE webhooks SET failing_since = ? WHERE id = ?", (now, webhooks[2]))
    connection.close()
    assert looked_at() == [("off", "of 4, 1 are disabled for taking no messages, 1 are failing now")]
    assert "2026-11-27T12:00:00Z" in run("list").stdout
    monkeypatch.setenv("UNCROP_ENCRYPTION_KEY", "o" * 32)
    assert looked_at() == [("bad", "of 4 the secret cannot be decrypted")]

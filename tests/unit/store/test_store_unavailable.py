"""A database that is locked elsewhere, full, or away, and comes back."""

from __future__ import annotations

import asyncio
import resource
import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy import event, exc

from uncrop.errors import ServerBusy
from uncrop.store.database import open_store
from uncrop.store.engine import make_engine, parse_url
from uncrop.store.transactions import Transactions, execute
from uncrop.store.unavailable import reason_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def check(error: object) -> None:
    assert isinstance(error, ServerBusy)
    assert error.message == "The server cannot use its database at the moment; try again later"
    assert error.system_message == "The database could not be used"
    assert error.retry_after == 5


@contextmanager
def locked(sqlite_url: str) -> Iterator[None]:
    """Hold the database as another program does that is in the middle of a long transaction."""
    other = sqlite3.connect(parse_url(sqlite_url).database or "", isolation_level=None, timeout=0)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.close()


@contextmanager
def no_file_can_grow() -> Iterator[None]:
    """Let every write to a file fail, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_those_who_wait_behind_one_that_finds_it_locked_do_not_wait_in_their_turn(
    sqlite_url: str, pepper: bytes
) -> None:
    tries: list[str] = []
    async with open_store(sqlite_url, pepper=pepper, lock_timeout_ms=50) as store:
        engine = store._transactions._engine.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *seen: tries.append(seen[2]))
        with locked(sqlite_url), structlog.testing.capture_logs() as logs:
            outcomes = await asyncio.gather(
                *(store.organizations.ensure(f"org_{number}") for number in range(20)), return_exceptions=True
            )
        for outcome in outcomes:
            check(outcome)
        # One found out; the nineteen behind it did not try.
        assert tries == ["BEGIN IMMEDIATE"]
        assert [(line["event"], line["reason"]) for line in logs] == [("the database cannot be used", "SQLITE_BUSY")]
        assert (await store.organizations.ensure("org_a")).id == "org_a"


async def test_whoever_comes_after_a_failure_tries_anew(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper, lock_timeout_ms=0) as store:
        for _ in range(2):
            with locked(sqlite_url), pytest.raises(ServerBusy):
                await store.ping()
            await store.ping()


async def test_a_table_that_is_locked_elsewhere_is_not_waited_for_long(
    postgres_url: str, postgres_server, pepper: bytes
) -> None:
    async with open_store(postgres_url, pepper=pepper, lock_timeout_ms=20) as store:
        address = parse_url(postgres_url)
        with psycopg.connect(host=address.query["host"], user=address.username, dbname=address.database) as other:
            other.execute("LOCK TABLE organizations")
            with structlog.testing.capture_logs() as logs, pytest.raises(ServerBusy) as caught:
                await store.organizations.ensure("org_a")
            check(caught.value)
            assert logs[0]["reason"] == "55P03"
        assert (await store.organizations.ensure("org_a")).id == "org_a"


async def test_a_disk_without_room_is_found_by_a_ping_and_used_again_when_there_is_some(
    sqlite_url: str, pepper: bytes
) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        await store.ping()
        with no_file_can_grow(), structlog.testing.capture_logs() as logs:
            for use in (store.ping(), store.organizations.ensure("org_a")):
                with pytest.raises(ServerBusy) as caught:
                    await use
                check(caught.value)
        assert {line["reason"].partition("_")[0] for line in logs} == {"SQLITE"}
        await store.ping()
        assert (await store.organizations.ensure("org_a")).id == "org_a"


async def test_a_ping_leaves_everything_as_it_was(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as store:
        key = (await store.keys.create("org_a")).key
        await asyncio.gather(*(store.ping() for _ in range(5)))
    async with open_store(database_url, pepper=pepper) as store:
        assert await store.keys.verify(key) is not None


async def test_a_server_that_is_away_is_no_fault_of_ours(tmp_path: Path) -> None:
    engine = make_engine(parse_url(f"postgresql://nobody@/nothing?host={tmp_path}"))
    with structlog.testing.capture_logs() as logs, pytest.raises(ServerBusy) as caught:
        await Transactions(engine).read(execute(sa.text("SELECT 1")))
    check(caught.value)
    assert [line["reason"] for line in logs] == ["no connection"]
    await engine.dispose()


def of_sqlite(statement: str) -> sqlite3.Error:
    connection = sqlite3.connect(":memory:")
    with pytest.raises(sqlite3.Error) as caught:
        connection.execute(statement)
    connection.close()
    return caught.value


class WithState(psycopg.Error):
    def __init__(self, state: str | None) -> None:
        super().__init__("CANARY")
        self.sqlstate = state


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (exc.TimeoutError("CANARY"), "no connection became free"),
        (exc.InvalidRequestError("CANARY"), None),
        (exc.OperationalError("s", {}, of_sqlite("SELECT * FROM nothing")), None),
        (exc.OperationalError("s", {}, WithState(None)), "no connection"),
        (exc.ProgrammingError("s", {}, WithState(None)), None),
        (exc.OperationalError("s", {}, WithState("53100")), "53100"),
        (exc.DBAPIError("s", {}, WithState("25006")), "25006"),
        (exc.DBAPIError("s", {}, WithState("40P01")), "40P01"),
        (exc.IntegrityError("s", {}, WithState("23503")), None),
        (exc.ProgrammingError("s", {}, WithState("42P01")), None),
    ],
)
def test_only_what_may_pass_is_told_as_such(error: exc.SQLAlchemyError, reason: str | None) -> None:
    assert reason_of(error) == reason

"""Which servers may run beside one another, and that the lock ends with a server and comes back with its database."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
import sqlalchemy as sa

from uncrop.errors import SettingsError
from uncrop.store import server_lock
from uncrop.store.engine import make_session_engine, parse_url
from uncrop.store.lock_session import LockSession
from uncrop.store.server_lock import AnotherServerError, hold_server_lock, register_server
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from fixtures_postgres import PostgresServer

VARIABLE = "UNCROP_DATABASE_URL"
ON_SQLITE = f"{VARIABLE}: another server uses this SQLite database; several servers need PostgreSQL"
WITHOUT_REDIS = (
    "UNCROP_REDIS_URL: another server uses this database; several servers must count rate limits in one Redis"
)
BESIDE_ONE_WITHOUT = "UNCROP_REDIS_URL: a server without it uses this database; stop that one first"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@asynccontextmanager
async def server(url: str, *, redis: bool) -> AsyncIterator[None]:
    async with register_server(url, variable=VARIABLE, counts_together=redis):
        yield


async def refusal(url: str, *, redis: bool) -> str:
    with pytest.raises(SettingsError) as caught:
        async with server(url, redis=redis):
            pytest.fail("a second server started")
    [problem] = caught.value.problems
    return problem


@pytest.mark.parametrize("redis", [False, True])
async def test_on_sqlite_there_is_one_server(sqlite_url: str, redis: bool) -> None:
    async with server(sqlite_url, redis=redis):
        assert await refusal(sqlite_url, redis=False) == ON_SQLITE
        assert await refusal(sqlite_url, redis=True) == ON_SQLITE
    async with server(sqlite_url, redis=redis):
        pass


async def test_two_names_of_one_file_are_one_database(sqlite_url: str, tmp_path: Path) -> None:
    async with server(sqlite_url, redis=False):
        (tmp_path / "other").symlink_to(tmp_path / "made")
        assert await refusal(sqlite_url.replace("/made/", "/other/"), redis=False) == ON_SQLITE


async def test_on_postgresql_those_that_count_together_run_together(postgres_url: str) -> None:
    async with server(postgres_url, redis=True), server(postgres_url, redis=True):
        assert await refusal(postgres_url, redis=False) == WITHOUT_REDIS
    async with server(postgres_url, redis=False):
        assert await refusal(postgres_url, redis=False) == WITHOUT_REDIS
        assert await refusal(postgres_url, redis=True) == BESIDE_ONE_WITHOUT
    async with server(postgres_url, redis=False):
        pass


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:shared?mode=memory&uri=true"])
async def test_a_database_in_memory_has_no_other_server(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with server(url, redis=False), server(url, redis=False):
        assert names_in(tmp_path) == []


HOLD = """
import asyncio, sys
from uncrop.store.server_lock import hold_server_lock

async def hold():
    async with hold_server_lock(sys.argv[1], variable=""):
        print("held", flush=True)
        await asyncio.Event().wait()

asyncio.run(hold())
"""


async def test_a_server_that_is_killed_holds_nothing(database_url: str) -> None:
    async with await anyio.open_process([sys.executable, "-c", HOLD, database_url]) as other:
        assert other.stdout is not None
        assert (await other.stdout.receive()).startswith(b"held")
        assert not await is_free(database_url)
        other.kill()
        await other.wait()
    # PostgreSQL notices a moment later that somebody has gone.
    await until(lambda: is_free(database_url))


async def is_free(url: str) -> bool:
    try:
        async with hold_server_lock(url, variable=VARIABLE):
            return True
    except AnotherServerError:
        return False


def holders(postgres_server: PostgresServer) -> list[int]:
    with postgres_server.connect() as connection:
        found = connection.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted")
        return [pid for (pid,) in found]


async def until_held(postgres_server: PostgresServer, *, by_another_than: int) -> None:
    await until(lambda: holders(postgres_server) not in ([], [by_another_than]))


async def test_a_session_that_was_cut_off_is_followed_by_another(
    postgres_url: str, postgres_server: PostgresServer
) -> None:
    async with hold_server_lock(postgres_url, variable=VARIABLE, look_every_s=0.01):
        [first] = holders(postgres_server)
        postgres_server.execute(f"SELECT pg_terminate_backend({first})")
        await until_held(postgres_server, by_another_than=first)
        assert await refusal(postgres_url, redis=False) == WITHOUT_REDIS
    assert holders(postgres_server) == []


async def test_a_database_that_restarts_gives_the_lock_back(postgres_url: str, postgres_server: PostgresServer) -> None:
    async with hold_server_lock(postgres_url, variable=VARIABLE, look_every_s=0.01):
        postgres_server.crash()
        await asyncio.sleep(0.05)  # some looks fail meanwhile
        postgres_server.start()
        await until_held(postgres_server, by_another_than=0)


async def test_another_server_that_came_in_between_is_told_of(
    postgres_url: str, postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with hold_server_lock(postgres_url, variable=VARIABLE, look_every_s=3600):
        try_lock = sa.text("SELECT pg_try_advisory_lock(:number)")
        session = LockSession(make_session_engine(parse_url(postgres_url)), try_lock)
        values = {"number": server_lock._LOCK}
        looking = asyncio.create_task(session.look_after(values, 0.01, server_lock._another_has_started))
        await until(lambda: "another server has started on this database meanwhile" in caplog.text)
    await until_held(postgres_server, by_another_than=0)  # the other has gone
    looking.cancel()
    await asyncio.wait([looking])
    await session.close()


async def test_a_file_system_without_locks_is_told_of(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_descriptor: int, _operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    async with server(sqlite_url, redis=False), server(sqlite_url, redis=False):
        assert caplog.text.count("nothing keeps a second server away") == 2


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    assert (
        await refusal(f"sqlite:///{tmp_path}/file/uncrop.db", redis=False)
        == f"{VARIABLE}: the database cannot be opened (File exists)"
    )


async def test_a_database_that_does_not_answer_is_told_without_its_password() -> None:
    assert (
        await refusal("postgresql+psycopg://u:hunter2@127.0.0.1:1/db", redis=True)
        == f"{VARIABLE}: the database cannot be opened (OperationalError)"
    )

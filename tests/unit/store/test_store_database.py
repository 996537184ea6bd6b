from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import sys
from contextlib import suppress
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from bookkeeping import hold
from places import read_only
from uncrop.errors import InternalError, SettingsError
from uncrop.store.database import Store, open_store, utc_now
from uncrop.store.engine import parse_url
from uncrop.store.pepper import fingerprint
from uncrop.store.tables import metadata
from uncrop.store.transactions import begin


def test_now_is_aware() -> None:
    assert utc_now().tzinfo is not None


async def test_what_was_stored_is_there_after_opening_again(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as store:
        new = await store.keys.create("org_a", name="first")
    async with open_store(database_url, pepper=pepper) as store:
        found = await store.keys.verify(new.key)

    assert found is not None
    assert (found.id, found.name) == (new.id, "first")


async def test_a_healthy_store_answers(store: Store) -> None:
    await store.ping()


async def _write(store: Store, statement: str) -> None:
    async with begin(store._transactions._engine, writes=True) as connection:
        await connection.execute(sa.text(statement))


async def test_the_tables_of_another_version_are_not_ready(store: Store) -> None:
    await _write(store, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(InternalError) as caught:
        await store.ping()
    assert caught.value.message == "Something went wrong. Please try again later."
    assert caught.value.system_message == "The database has the tables of another version"


async def test_a_database_without_tables_is_not_ready(store: Store) -> None:
    await _write(store, "DROP TABLE alembic_version")

    with pytest.raises(InternalError) as caught:
        await store.ping()
    assert caught.value.system_message == "The database could not be used"


async def test_a_database_of_the_future_is_not_touched(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as store:
        await _write(store, "UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(SettingsError) as caught:
        async with open_store(database_url, pepper=pepper):
            pytest.fail("opened")
    assert caught.value.problems == ["UNCROP_DATABASE_URL: the database was made by a newer version of uncrop"]


async def test_servers_that_start_together_migrate_once(database_url: str, pepper: bytes) -> None:
    async def start() -> int:
        async with open_store(database_url, pepper=pepper) as store:
            await store.ping()
            return len(await store.keys.all())

    assert await asyncio.gather(*(start() for _ in range(6))) == [0] * 6


async def test_migrations_are_quiet(sqlite_url: str, pepper: bytes, caplog: pytest.LogCaptureFixture, capfd) -> None:
    with caplog.at_level(logging.INFO):
        async with open_store(sqlite_url, pepper=pepper):
            pass

    assert caplog.messages == []
    assert capfd.readouterr() == ("", "")


async def test_a_file_that_is_no_database_is_told(tmp_path: Path, pepper: bytes) -> None:
    (tmp_path / "photo.db").write_bytes(b"\xff\xd8\xff\xe0" + bytes(5000))

    with pytest.raises(SettingsError) as caught:
        async with open_store(f"sqlite:///{tmp_path}/photo.db", pepper=pepper):
            pytest.fail("opened")
    assert caught.value.problems == ["UNCROP_DATABASE_URL: the database cannot be opened (file is not a database)"]


async def test_a_folder_instead_of_a_file_is_told(tmp_path: Path, pepper: bytes) -> None:
    with pytest.raises(SettingsError) as caught:
        async with open_store(f"sqlite:///{tmp_path}", pepper=pepper):
            pytest.fail("opened")
    assert caught.value.problems == [
        "UNCROP_DATABASE_URL: the database cannot be opened (unable to open database file)"
    ]


@pytest.mark.parametrize("harm", ["DROP TABLE {0}", "ALTER TABLE {0} RENAME COLUMN {1} TO other"])
@pytest.mark.parametrize("table", [table.name for table in metadata.sorted_tables])
async def test_a_table_that_is_missing_or_another_stops_the_start(
    sqlite_url: str, pepper: bytes, table: str, harm: str
) -> None:
    async with open_store(sqlite_url, pepper=pepper):
        pass
    other = sqlite3.connect(parse_url(sqlite_url).database or "")
    other.execute(harm.format(table, [*metadata.tables[table].c][-1].name))
    other.close()
    with pytest.raises(SettingsError) as caught:
        async with open_store(sqlite_url, pepper=pepper, variable="UNCROP_DATA_DIR"):
            pytest.fail("opened")
    [problem] = caught.value.problems
    missing = f"no such table: {table}" if "DROP" in harm else "no such column: "
    assert problem.startswith(f"UNCROP_DATA_DIR: the database cannot be opened ({missing}")


async def test_a_missing_table_of_postgresql_stops_the_start(postgres_url: str, pepper: bytes) -> None:
    async with open_store(postgres_url, pepper=pepper) as store:
        await _write(store, "DROP TABLE entries")
    with pytest.raises(SettingsError) as caught:
        async with open_store(postgres_url, pepper=pepper):
            pytest.fail("opened")
    assert caught.value.problems == ["UNCROP_DATABASE_URL: the database cannot be opened (UndefinedTable)"]


OPEN = """
import asyncio, sys
from uncrop.errors import SettingsError
from uncrop.store.database import open_store

async def opened():
    async with open_store(sys.argv[1], pepper=bytes(range(32))):
        print("opened")

try:
    asyncio.run(opened())
except SettingsError as error:
    print(error.problems)
"""


async def test_a_file_that_cannot_be_written_to_stops_the_start(sqlite_url: str, pepper: bytes, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/kept/u.db"
    async with open_store(url, pepper=pepper) as store:
        await store.keys.create("org_a")
    command = read_only(tmp_path / "kept", [sys.executable, "-c", OPEN, url])
    done = await anyio.run_process(command)
    expected = {
        "attempt to write a readonly database",  # all is read-only
        "unable to open database file",  # the folder is, and the journal has no place
    }
    assert done.stdout.decode().strip() in {
        str([f"UNCROP_DATABASE_URL: the database cannot be opened ({reason})"]) for reason in expected
    }


async def test_a_server_that_does_not_answer_is_told_without_its_password(pepper: bytes) -> None:
    with socket.socket() as taken:
        # Bound and not listening: a connection is refused, and nobody else can take the port.
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError) as caught:
            async with open_store(f"postgresql+psycopg://u:hunter2@127.0.0.1:{port}/db", pepper=pepper):
                pytest.fail("opened")

    assert caught.value.problems == ["UNCROP_DATABASE_URL: the database cannot be opened (OperationalError)"]


async def test_keys_of_another_pepper_stop_the_start(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as store:
        await store.keys.create("org_a")

    with pytest.raises(SettingsError) as caught:
        async with open_store(database_url, pepper=bytes(32)):
            pytest.fail("opened")
    (problem,) = caught.value.problems
    assert problem == (
        "UNCROP_DATABASE_URL: its API keys belong to another pepper; restore the file pepper or UNCROP_KEY_PEPPER, "
        "or name the earlier one in UNCROP_KEY_PEPPER_PREVIOUS"
    )
    async with open_store(database_url, pepper=pepper) as store:
        assert len(await store.keys.all()) == 1


async def test_without_keys_a_new_pepper_takes_over(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=bytes(32)):
        pass
    async with open_store(database_url, pepper=pepper) as store:
        await store.keys.create("org_a")
        async with begin(store._transactions._engine, writes=False) as connection:
            noted = (await connection.execute(sa.text("SELECT id, fingerprint FROM pepper_fingerprint"))).all()

    assert [(number, bytes(digest)) for number, digest in noted] == [(1, fingerprint(pepper))]


async def test_a_failure_while_running_is_an_internal_error(store: Store) -> None:
    await _write(store, "DROP TABLE entries")

    with pytest.raises(InternalError) as caught:
        await store.usage.by_day()
    assert caught.value.system_message == "The database could not be used"
    assert caught.value.__cause__ is not None


async def test_a_server_that_was_restarted_is_used_again(postgres_url: str, postgres_server, pepper: bytes) -> None:
    async with open_store(postgres_url, pepper=pepper) as store:
        new = await store.keys.create("org_a")
        # Every connection of the pool is cut off, as by a restart.
        others = "usename = 'uncrop' AND pid <> pg_backend_pid()"
        postgres_server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
        assert await store.keys.verify(new.key) is not None
        assert (await store.keys.pause(new.id)).paused_at is not None


async def test_cancelled_calls_lose_no_connection(store: Store) -> None:
    """Cancel a read and a write after every possible number of steps; the next call must still be served."""
    new = await store.keys.create("org_a")
    for number, steps in enumerate([*range(40)] * 2):
        calls = [
            asyncio.ensure_future(store.keys.verify(new.key)),
            asyncio.ensure_future(hold(store, number, key_id=new.id)),
        ]
        for _ in range(steps):
            await asyncio.sleep(0)
        for call in calls:
            call.cancel()
        for call in calls:
            with suppress(asyncio.CancelledError):
                await call
        assert await asyncio.wait_for(store.keys.verify(new.key), 10) is not None
    # A transaction that stayed open would keep this from being written.
    assert (await asyncio.wait_for(store.keys.pause(new.id), 10)).paused_at is not None


async def test_a_transaction_that_was_cut_off_is_gone(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        halfway = asyncio.Event()

        async def hang() -> None:
            async with begin(store._transactions._engine, writes=True) as connection:
                await connection.execute(sa.text("UPDATE organizations SET pictures_per_day = 7"))
                halfway.set()
                await asyncio.Event().wait()

        hanging = asyncio.ensure_future(hang())
        await halfway.wait()
        hanging.cancel()
        with suppress(asyncio.CancelledError):
            await hanging
        assert (await store.organizations.get("org_a")).policy.pictures_per_day is None
        other = sqlite3.connect(parse_url(sqlite_url).database or "", timeout=0, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        other.close()

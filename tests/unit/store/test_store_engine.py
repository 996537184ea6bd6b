from __future__ import annotations

import asyncio
import sqlite3
import stat
import sys
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncConnection

from uncrop.errors import SettingsError
from uncrop.settings import Settings
from uncrop.store.database import Store, open_store
from uncrop.store.engine import make_engine, parse_url
from uncrop.store.sqlite import journal_mode, open_sqlite
from uncrop.store.transactions import begin


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///x.db", "sqlite+aiosqlite"),
        ("postgres://u:p@host/db", "postgresql+psycopg"),
        ("postgresql://u:p@host/db", "postgresql+psycopg"),
        ("postgresql+psycopg://u:p@host/db", "postgresql+psycopg"),
    ],
)
def test_the_driver_is_chosen(url: str, driver: str) -> None:
    assert parse_url(url).drivername == driver


@pytest.mark.parametrize("url", ["mysql://u:hunter2@host/db", "sqlite+pysqlite:///x.db", "postgresql+asyncpg://u@h/d"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_url(url)

    assert caught.value.problems == [
        "UNCROP_DATABASE_URL: must begin with sqlite+aiosqlite:/// or postgresql+psycopg://"
    ]


@pytest.mark.parametrize("url", ["", "hunter2", "postgresql://u:hunter2@host:port/db"])
def test_what_is_no_address_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_url(url)

    assert caught.value.problems == ["UNCROP_DATABASE_URL: is not a database address"]


@pytest.mark.parametrize(
    ("version", "mode"),
    [
        ((3, 7, 0), "TRUNCATE"),
        ((3, 40, 1), "TRUNCATE"),
        ((3, 51, 2), "TRUNCATE"),
        ((3, 51, 3), "WAL"),
        ((3, 52, 0), "WAL"),
        ((4, 0, 0), "WAL"),
    ],
)
def test_wal_only_where_it_is_safe(version: tuple[int, int, int], mode: str) -> None:
    assert journal_mode(version) == mode


async def test_sqlite_is_set_up_to_keep_what_was_committed(sqlite_url: str, pepper: bytes) -> None:
    async with (
        open_store(sqlite_url, pepper=pepper) as store,
        begin(store._transactions._engine, writes=False) as connection,
    ):
        pragmas = {
            name: (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }

    assert pragmas == {
        "journal_mode": journal_mode(sqlite3.sqlite_version_info).lower(),
        "synchronous": 2,  # FULL
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


@pytest.mark.parametrize(("version", "mode"), [((3, 51, 2), "truncate"), ((3, 51, 3), "wal")])
async def test_the_journal_mode_follows_the_library(
    sqlite_url: str, pepper: bytes, monkeypatch: pytest.MonkeyPatch, version: tuple[int, int, int], mode: str
) -> None:
    # Both ways, on one file: what a newer library left in WAL mode, an older one brings back.
    for present in ((3, 51, 3), version):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", present)
        async with (
            open_store(sqlite_url, pepper=pepper) as store,
            begin(store._transactions._engine, writes=False) as connection,
        ):
            found = (await connection.exec_driver_sql("PRAGMA journal_mode")).scalar_one()
    assert found == mode


async def test_writers_take_the_lock_first_and_readers_do_not(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        statements: list[str] = []
        engine = store._transactions._engine.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *seen: statements.append(seen[2]))
        await store.organizations.ensure("org_a")
        await store.organizations.get("org_a")

    assert [statement for statement in statements if statement.startswith("BEGIN")] == ["BEGIN IMMEDIATE"]


async def test_the_folder_is_made_for_its_owner_alone(tmp_path: Path, pepper: bytes) -> None:
    async with open_store(f"sqlite+aiosqlite:///{tmp_path}/a/b/uncrop.db", pepper=pepper):
        pass

    assert (tmp_path / "a" / "b" / "uncrop.db").stat().st_size > 0
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(SettingsError) as caught:
        make_engine(parse_url(f"sqlite:///{tmp_path}/file/uncrop.db"))

    assert caught.value.problems == ["UNCROP_DATABASE_URL: the folder of the SQLite file cannot be made: File exists"]


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:shared?mode=memory&uri=true"])
async def test_a_database_in_memory_makes_no_folder(
    url: str, pepper: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store(url, pepper=pepper) as store:
        assert (await store.organizations.ensure("org_a")).id == "org_a"

    assert names_in(tmp_path) == set()


async def test_a_file_in_the_present_folder(pepper: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store("sqlite:///here.db", pepper=pepper) as store:
        await store.ping()

    assert "here.db" in names_in(tmp_path)


async def test_another_process_that_writes_is_waited_for(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        other = sqlite3.connect(parse_url(sqlite_url).database or "", isolation_level=None, timeout=0)
        other.execute("BEGIN IMMEDIATE")
        waiting = asyncio.ensure_future(store.organizations.ensure("org_a"))
        done, _ = await asyncio.wait([waiting], timeout=0.05)
        assert not done
        other.execute("COMMIT")
        other.close()
        assert (await waiting).id == "org_a"


async def test_an_error_in_the_middle_rolls_back(store: Store) -> None:
    await store.organizations.ensure("org_a")

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("UPDATE organizations SET pictures_per_day = 7"))
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        await store._transactions.write(work)

    assert (await store.organizations.get("org_a")).policy.pictures_per_day is None


def threads() -> set[threading.Thread]:
    return set(threading.enumerate())


async def test_a_connection_that_fails_leaves_no_thread(tmp_path: Path) -> None:
    before = threads()
    with pytest.raises(sqlite3.OperationalError):
        await open_sqlite(str(tmp_path))
    assert threads() == before


async def test_a_connection_that_cannot_be_set_up_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 51, 3))
    (tmp_path / "photo.db").write_bytes(b"\xff\xd8\xff\xe0" + bytes(5000))
    before = threads()
    with pytest.raises(sqlite3.DatabaseError):
        await open_sqlite(str(tmp_path / "photo.db"))
    assert threads() == before


@pytest.mark.parametrize("steps", range(10))
async def test_a_connection_that_is_cut_off_while_opening_is_closed(tmp_path: Path, steps: int) -> None:
    before = threads()
    opening = asyncio.ensure_future(open_sqlite(str(tmp_path / "new.db")))
    for _ in range(steps):
        await asyncio.sleep(0)
    opening.cancel()
    await asyncio.wait([opening])
    if not opening.cancelled():
        await opening.result().close()
    assert threads() - before == set()


ODD = ["a#b", "a?b", "a%41b", "a%b", "a b", "a:b", "a@b:c@d", "file:a", "größe", "a'b", 'a"b', "a;b", "a&b=c", "a\nb"]


@pytest.mark.parametrize("name", ODD)
async def test_a_data_folder_of_any_name(name: str, pepper: bytes, tmp_path: Path) -> None:
    configured = Settings(data_dir=tmp_path / name, _env_file=None)
    async with open_store(configured.database, pepper=pepper) as store:
        await store.keys.create("org_a")
    assert names_in(tmp_path) == {name}
    assert "uncrop.db" in names_in(tmp_path / name)


@pytest.mark.parametrize("name", ODD)
async def test_a_relative_data_folder_of_any_name(
    name: str, pepper: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UNCROP_DATA_DIR", name)
    async with open_store(Settings(_env_file=None).database, pepper=pepper):
        pass
    assert names_in(tmp_path) == {name}


def test_what_follows_a_files_name_is_refused() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_url("sqlite+aiosqlite:////tmp/a?b.db")
    assert caught.value.problems == ["UNCROP_DATABASE_URL: takes nothing behind a ?; in a file's name, write it as %3F"]


def test_a_driver_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(SettingsError) as caught:
        make_engine(parse_url("postgresql://u@h/d"))
    assert caught.value.problems == ["UNCROP_DATABASE_URL: PostgreSQL needs a package that comes with uncrop[postgres]"]

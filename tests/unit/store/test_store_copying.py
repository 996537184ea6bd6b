"""A copy of everything: what arrives, what is refused, and what is left of a copy that was cut off."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import sqlalchemy as sa

from bookkeeping import amounts, capture, doubt, hold
from uncrop.errors import SettingsError
from uncrop.model.jobs import NewJob
from uncrop.model.ledger import USD, Amount
from uncrop.store import copying
from uncrop.store.copying import CopiedTable, copy_store, copy_tables, digest_of
from uncrop.store.database import open_store, upgrade_database
from uncrop.store.engine import make_engine, parse_url
from uncrop.store.migration import latest_revision
from uncrop.store.server_lock import hold_server_lock
from uncrop.store.tables import metadata
from uncrop.store.transactions import begin
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

VARIABLE = "UNCROP_DATABASE_URL"


@pytest.fixture(params=["sqlite to postgresql", "postgresql to sqlite", "sqlite to sqlite"])
def both(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Return the addresses of two empty databases."""
    files = [f"sqlite+aiosqlite:///{tmp_path}/{name}/uncrop.db" for name in ("one", "other")]
    if request.param == "sqlite to sqlite":
        return files[0], files[1]
    url: str = request.getfixturevalue("postgres_url")
    return (files[0], url) if request.param.startswith("sqlite") else (url, files[1])


@asynccontextmanager
async def connection_to(url: str, *, writes: bool = False) -> AsyncIterator[AsyncConnection]:
    engine = make_engine(parse_url(url))
    try:
        async with begin(engine, writes=writes) as connection:
            yield connection
    finally:
        await engine.dispose()


async def fill(url: str, pepper: bytes, clock: Any) -> list[str]:
    """Put something of everything into a database, and return its keys."""
    keys = []
    async with open_store(url, pepper=pepper, clock=clock) as store:
        for number in range(3):
            clock.advance(hours=13, microseconds=number * 333_333)
            organization = f"org_{number}"
            new = await store.keys.create(
                organization, name=f"für Größe {number} 🦝", expires_at=clock() + timedelta(9)
            )
            keys.append(new.key)
            await store.policies.change_organization(organization, pictures_per_day=number or None)
            await hold(store, number, organization=organization, key_id=new.id, per_call=[Amount(unit=USD, value=7)])
        await capture(store, 1, *amounts("clipdrop", millicredits=1500))
        await doubt(store, 2)
        await store.keys.revoke(new.id)
    return keys


async def digests(url: str) -> dict[str, tuple[int, int]]:
    async with connection_to(url) as connection:
        return {table.name: await digest_of(connection, table) for table in metadata.sorted_tables}


async def tables_of(url: str) -> list[str]:
    async with connection_to(url) as connection:
        return await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())


async def copy(source: str, target: str) -> list[CopiedTable]:
    told: list[CopiedTable] = []
    assert await copy_store(source, target, variable=VARIABLE, tell=told.append) == []
    return told


async def refusal(source: str, target: str) -> str:
    with pytest.raises(SettingsError) as caught:
        await copy_store(source, target, variable=VARIABLE, tell=lambda _: None)
    [problem] = caught.value.problems
    return problem


async def test_everything_arrives_and_goes_on(both: tuple[str, str], pepper: bytes, clock: Any) -> None:
    source, target = both
    keys = await fill(source, pepper, clock)
    before = await digests(source)

    told = await copy(source, target)

    assert {table.name: table.rows for table in told} == {name: count for name, (count, _) in before.items()}
    assert before["api_keys"][0] == 3
    assert await digests(source) == await digests(target) == before
    async with open_store(target, pepper=pepper, clock=clock) as store:
        assert [(await store.keys.verify(key)).organization_id for key in keys] == ["org_0", "org_1", "org_2"]  # type: ignore[union-attr]
        await store.keys.create("org_new")
        assert await store.books.verify() == ()
        assert [hold.state for hold in await store.books.holds()] == ["unknown", "captured", "held"]
        await hold(store, 3, organization="org_new")


async def test_back_again_nothing_has_changed(
    sqlite_url: str, postgres_url: str, tmp_path: Path, pepper: bytes, clock: Any
) -> None:
    await fill(sqlite_url, pepper, clock)
    await copy(sqlite_url, postgres_url)
    back = f"sqlite+aiosqlite:///{tmp_path}/back.db"
    await copy(postgres_url, back)
    assert await digests(back) == await digests(sqlite_url)


async def test_a_target_that_was_brought_up_to_date_holds_nothing(both: tuple[str, str], pepper: bytes) -> None:
    source, target = both
    async with open_store(source, pepper=pepper) as store:
        await store.keys.create("org_a")
    assert await upgrade_database(target, pepper=bytes(32)) == (None, latest_revision())
    assert await upgrade_database(target, pepper=bytes(32)) == (latest_revision(), latest_revision())
    await copy(source, target)
    async with open_store(target, pepper=pepper) as store:
        assert len(await store.keys.all()) == 1


async def test_a_target_that_holds_something_is_refused(both: tuple[str, str], pepper: bytes) -> None:
    source, target = both
    for url in both:
        async with open_store(url, pepper=pepper) as store:
            await store.keys.create("org_a")
    before = await digests(target)
    told = await refusal(source, target)
    assert told.startswith("--to: the database holds something already, in api_keys, ")
    assert "organizations" in told
    assert await digests(target) == before


async def test_jobs_that_are_open_are_not_left_behind(both: tuple[str, str], pepper: bytes) -> None:
    source, target = both

    async def nothing(_connection: AsyncConnection) -> None:
        """Put nothing into a queue."""

    async with open_store(source, pepper=pepper) as store:
        key = await store.keys.create("org_a")
        new = NewJob(id="job_1", organization_id="org_a", key_id=key.id, provider="local", request="{}")
        await store.jobs.submit(new, most_open=9, also=nothing)
    assert await refusal(source, target) == (
        "--to: 1 jobs are queued or worked on, and the queue is not copied; "
        "let a worker end them, or cancel them: uncrop jobs list"
    )
    async with open_store(source, pepper=pepper) as store:
        await store.jobs.cancel("org_a", "job_1", keep=timedelta(hours=1))
    await copy(source, target)


async def test_another_programs_rows_are_something(both: tuple[str, str], pepper: bytes) -> None:
    source, target = both
    async with open_store(source, pepper=pepper):
        pass
    async with connection_to(target, writes=True) as connection:
        await connection.exec_driver_sql("CREATE TABLE guests (name TEXT)")
        await connection.exec_driver_sql("INSERT INTO guests VALUES ('somebody')")
    assert await refusal(source, target) == "--to: the database holds something already, in guests"


async def test_another_programs_table_in_the_source_is_told_and_left(both: tuple[str, str], pepper: bytes) -> None:
    source, target = both
    async with open_store(source, pepper=pepper):
        pass
    async with connection_to(source, writes=True) as connection:
        await connection.exec_driver_sql("CREATE TABLE guests (name TEXT)")
    assert await copy_store(source, target, variable=VARIABLE, tell=lambda _: None) == ["guests"]


async def test_no_server_may_run_meanwhile(both: tuple[str, str], pepper: bytes) -> None:
    source, target = both
    async with open_store(source, pepper=pepper):
        pass
    async with hold_server_lock(source, variable=VARIABLE):
        assert await refusal(source, target) == f"{VARIABLE}: a server uses this database; stop it first"
    async with hold_server_lock(target, variable=VARIABLE):
        assert await refusal(source, target) == "--to: a server uses this database; stop it first"


async def test_onto_itself_is_refused(sqlite_url: str, postgres_url: str, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "other").symlink_to(tmp_path / "made")
    itself = "--to: is the database that is to be copied"
    assert await refusal(sqlite_url, sqlite_url.replace("/made/", "/other/")) == itself
    assert await refusal(postgres_url, postgres_url) == itself


async def test_nobody_writes_to_the_source_meanwhile(both: tuple[str, str], pepper: bytes, clock: Any) -> None:
    source, target = both
    await fill(source, pepper, clock)

    async with open_store(source, pepper=pepper, lock_timeout_ms=50) as store:
        tried: list[asyncio.Future[Any]] = []

        def tell(_: CopiedTable) -> None:
            tried.append(asyncio.ensure_future(store.organizations.ensure("org_late")))

        await copy_store(source, target, variable=VARIABLE, tell=tell)
        await asyncio.wait(tried)
    assert await digests(target) != {}
    async with connection_to(target) as connection:
        found = await connection.execute(sa.text("SELECT count(*) FROM organizations WHERE id = 'org_late'"))
        assert found.scalar_one() == 0


@pytest.mark.parametrize(
    ("target", "line"),
    [
        ("mysql://u:hunter2@h/d", "--to: must begin with sqlite+aiosqlite:/// or postgresql+psycopg://"),
        ("hunter2", "--to: is not a database address"),
        ("postgresql+psycopg://u:hunter2@127.0.0.1:1/d", "--to: the database cannot be opened (OperationalError)"),
        ("sqlite+aiosqlite:////dev/null/x.db", "--to: the database cannot be opened (File exists)"),
    ],
)
async def test_a_target_that_cannot_be_is_told_in_a_line(
    sqlite_url: str, pepper: bytes, target: str, line: str
) -> None:
    async with open_store(sqlite_url, pepper=pepper):
        pass
    assert await refusal(sqlite_url, target) == line


async def test_a_target_that_is_no_database_is_told(sqlite_url: str, pepper: bytes, tmp_path: Path) -> None:
    async with open_store(sqlite_url, pepper=pepper):
        pass
    (tmp_path / "photo.db").write_bytes(b"\xff\xd8\xff\xe0" + bytes(5000))
    assert (
        await refusal(sqlite_url, f"sqlite+aiosqlite:///{tmp_path}/photo.db")
        == "--to: the copy failed, and nothing is kept (file is not a database)"
    )


KILLED = """
import asyncio, os, signal, sys
from uncrop.store.copying import copy_store

told = []

def tell(table):
    told.append(table)
    if len(told) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(copy_store(sys.argv[1], sys.argv[2], variable="", tell=tell))
"""


async def test_of_a_copy_that_is_killed_nothing_is_left_and_it_is_made_again(
    both: tuple[str, str], pepper: bytes, clock: Any
) -> None:
    source, target = both
    await fill(source, pepper, clock)
    command = [sys.executable, "-c", KILLED, source, target, str(len(metadata.tables))]
    done = await anyio.run_process(command, check=False)
    assert done.returncode == -signal.SIGKILL

    async def is_copied() -> bool:
        try:
            await copy(source, target)
        except SettingsError:
            return False  # PostgreSQL notices a moment later that somebody has gone
        return True

    await until(is_copied)
    assert await digests(source) == await digests(target)


async def test_of_a_copy_that_fails_nothing_is_left(
    both: tuple[str, str], pepper: bytes, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = both
    await fill(source, pepper, clock)

    async def other(connection: AsyncConnection, table: sa.Table) -> tuple[int, int]:
        return (0, id(connection))

    monkeypatch.setattr(copying, "digest_of", other)
    first = metadata.sorted_tables[0].name
    assert await refusal(source, target) == f"--to: {first} did not arrive as it was sent; nothing is kept"
    assert await tables_of(target) == []


# --- tables of every kind ---------------------------------------------------------------------------------------------

KINDS = sa.MetaData()
numbered = sa.Table(
    "numbered", KINDS, sa.Column("id", sa.Integer, primary_key=True), sa.Column("text", sa.String(9), nullable=True)
)
pairs = sa.Table(
    "pairs",
    KINDS,
    sa.Column("one", sa.String(9), primary_key=True),
    sa.Column("two", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("whole", sa.Boolean, nullable=False),
    sa.Column("bytes", sa.LargeBinary, nullable=True),
    sa.Column("data", sa.JSON, nullable=True),
    sa.Column("day", sa.Date, nullable=True),
    sa.Column("real", sa.Float, nullable=True),
    sa.Column("amount", sa.BigInteger, nullable=False),
    sa.Column("twice", sa.BigInteger, sa.Computed("amount * 2", persisted=True)),
)
rounding = sa.MetaData()
pairs.to_metadata(rounding).c.amount.type = sa.REAL()
ROWS = [
    {
        "one": f"ä{number % 3}",
        "two": number,
        "whole": number % 2 == 0,
        "bytes": bytes([number]) or None,
        "data": {"b": [number, None], "a": "ß"},
        "day": date(2026, 11, 1) + timedelta(number),
        "real": number / 3,
        "amount": 2**60 + number,
    }
    for number in range(10)
]


async def make_kinds(url: str, *, rows: bool) -> None:
    async with connection_to(url, writes=True) as connection:
        await connection.run_sync(KINDS.create_all)
        if rows:
            await connection.execute(sa.insert(numbered), [{"id": 7, "text": "seven"}, {"id": 3, "text": None}])
            await connection.execute(sa.insert(pairs), ROWS)


async def test_rows_of_every_kind_arrive_in_pieces(both: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "BATCH", 3)
    source, target = both
    await make_kinds(source, rows=True)
    await make_kinds(target, rows=False)
    told: list[CopiedTable] = []
    async with connection_to(source) as old, connection_to(target, writes=True) as new:
        await copy_tables(old, new, KINDS.sorted_tables, told.append)
        assert [(table.name, table.rows) for table in told] == [("numbered", 2), ("pairs", 10)]
        found = (await new.execute(sa.select(pairs).order_by(pairs.c.two))).mappings().all()
        assert [dict(row) for row in found] == [{**row, "twice": 2 * row["amount"]} for row in ROWS]
        # Numbers that the database gives out go on behind those that came.
        given = await new.execute(sa.insert(numbered).values(text="new").returning(numbered.c.id))
        assert given.scalar_one() == 8


async def test_numbers_that_arrive_rounded_are_noticed(both: tuple[str, str]) -> None:
    source, target = both
    await make_kinds(source, rows=True)
    async with connection_to(target, writes=True) as connection:
        await connection.run_sync(rounding.create_all)
    with pytest.raises(SettingsError) as caught:
        async with connection_to(source) as old, connection_to(target, writes=True) as new:
            await copy_tables(old, new, [pairs], lambda _: None)
    assert caught.value.problems == ["--to: pairs did not arrive as it was sent; nothing is kept"]
    async with connection_to(target) as connection:
        assert (await connection.exec_driver_sql("SELECT count(*) FROM pairs")).scalar_one() == 0


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (Decimal("1.50"), Decimal("1.5"), True),
        (datetime(2026, 1, 1, 12, tzinfo=UTC), datetime.fromisoformat("2026-01-01T13:00+01:00"), True),
        (b"a", memoryview(b"a"), True),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, True),
        (1, "1", False),
        (1, True, False),
        (None, "None", False),
        (b"a", "a", False),
    ],
)
def test_what_counts_as_the_same(one: object, other: object, same: bool) -> None:
    assert (copying._canonical({"x": one}) == copying._canonical({"x": other})) is same


def test_every_table_can_be_read_in_pieces() -> None:
    assert all(table.primary_key.columns for table in metadata.sorted_tables)

"""Scripts: several committed together on SQLite, few round trips to PostgreSQL, and none that takes another with it."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import InvalidRequestError

from uncrop.errors import InternalError, ServerBusy
from uncrop.store import engine, scripts
from uncrop.store.database import Store, open_store
from uncrop.store.prepared import Ask, Prepared, Script, one_or_none
from uncrop.store.tables import organizations
from uncrop.store.transactions import begin
from waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

NAME = Prepared(sa.update(organizations).where(organizations.c.id == "org_a").values(name=sa.bindparam("new_name")))
ADD = Prepared(
    sa.text("UPDATE organizations SET pictures_per_day = coalesce(pictures_per_day, 0) + 1 WHERE id = :organization")
)
READ = Prepared(sa.select(organizations.c.pictures_per_day, organizations.c.name).where(organizations.c.id == "org_a"))
BROKEN = Prepared(sa.text("SELECT * FROM nothing"))
NO_SUCH = Prepared(sa.text("UPDATE api_keys SET organization_id = 'nobody' WHERE organization_id = 'org_a'"))


@pytest.fixture
async def opened(store: Store) -> Store:
    await store.organizations.ensure("org_a")
    return store


def adding(*, error: Exception | None = None, ask: Prepared | None = None) -> Callable[[], Script[int]]:
    """Return a script that adds one, and perhaps fails then."""

    def script() -> Script[int]:
        changed = (yield Ask(ADD, {"organization": "org_a"})).changed
        if ask is not None:
            yield Ask(ask, {})
        if error is not None:
            raise error
        return changed

    return script


async def number_of(store: Store) -> int:
    row = await store._transactions.read_script(lambda: one_or_none(READ, {}))
    assert row is not None
    return row["pictures_per_day"] or 0


async def statements_of(store: Store) -> list[str]:
    """Return a list to which SQLite adds every statement that it runs from now on."""
    seen: list[str] = []
    async with store._transactions._engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        await driver.visit(lambda raw: raw.set_trace_callback(seen.append))
    return seen


async def test_what_a_script_returns_is_returned_and_what_it_did_is_kept(opened: Store) -> None:
    assert await opened._transactions.write_script(adding()) == 1
    assert await number_of(opened) == 1


async def test_lists_in_a_statement_are_written_out(opened: Store) -> None:
    """Of rows of a day: dates and lists are turned into what each database takes."""
    after = datetime(2026, 11, 1, tzinfo=UTC)
    wanted = organizations.c.id.in_(["org_a", "org_b"]) & (organizations.c.created_at > after)
    change = Prepared(sa.update(organizations).where(wanted).values(name="both"))

    def script() -> Script[int]:
        return (yield Ask(change, {})).changed

    assert await opened._transactions.write_script(script) == 1
    with pytest.raises(InvalidRequestError, match="is required"):
        Prepared(change.statement.where(organizations.c.name == sa.bindparam("wanted"))).text_for(
            opened._transactions._engine.dialect
        )


async def test_what_a_script_raises_undoes_it(opened: Store) -> None:
    with pytest.raises(KeyError, match="mine"):
        await opened._transactions.write_script(adding(error=KeyError("mine")))
    with pytest.raises(InternalError):
        await opened._transactions.write_script(adding(ask=BROKEN))
    assert await number_of(opened) == 0
    assert await opened._transactions.write_script(adding()) == 1


async def test_of_many_at_once_each_has_its_own_end(opened: Store) -> None:
    await opened.keys.create("org_a")
    failing: list[dict[str, Any]] = [{"error": KeyError(3)}, {"ask": BROKEN}, {"ask": NO_SUCH}]
    wanted = [adding(**(failing[place // 5] if place % 5 == 4 and place < 15 else {})) for place in range(24)]

    ends = await asyncio.gather(*map(opened._transactions.write_script, wanted), return_exceptions=True)

    assert [type(end) for end in ends if end != 1] == [KeyError, InternalError, InternalError]
    assert await number_of(opened) == 21


async def test_those_that_wait_are_committed_together(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        seen = await statements_of(store)
        await asyncio.gather(*(store._transactions.write_script(adding()) for _ in range(scripts.MOST_TOGETHER + 5)))
        assert (seen.count("COMMIT"), seen.count("BEGIN IMMEDIATE")) == (2, 2)
        assert await number_of(store) == scripts.MOST_TOGETHER + 5


async def test_nothing_is_written_where_all_that_wait_have_failed(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        seen = await statements_of(store)
        with pytest.raises(KeyError):
            await store._transactions.write_script(adding(error=KeyError()))
        assert "COMMIT" not in seen
        assert seen[-1] == "ROLLBACK"


async def test_each_is_answered_once_it_is_there_for_others(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        other = sqlite3.connect(engine.parse_url(sqlite_url).database or "")
        seen = []

        async def one() -> None:
            await store._transactions.write_script(adding())
            seen.append(other.execute("SELECT pictures_per_day FROM organizations").fetchone()[0])

        await asyncio.gather(*(one() for _ in range(10)))
        other.close()
        assert seen == [10] * 10


async def test_a_commit_that_cannot_be_made_is_told_to_all_of_them(sqlite_url: str, pepper: bytes) -> None:
    """Who reads keeps a writer without a write-ahead log from its commit; and who writes, any from its beginning."""
    async with open_store(sqlite_url, pepper=pepper, lock_timeout_ms=0) as store:
        await store.organizations.ensure("org_a")
        other = sqlite3.connect(engine.parse_url(sqlite_url).database or "", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        ends = await asyncio.gather(
            *(store._transactions.write_script(adding()) for _ in range(5)), return_exceptions=True
        )
        assert {type(end) for end in ends} == {ServerBusy}
        other.execute("ROLLBACK")
        if other.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            other.execute("BEGIN")
            other.execute("SELECT * FROM organizations").fetchall()
            with pytest.raises(ServerBusy):
                await store._transactions.write_script(adding())
        other.close()
        assert await number_of(store) == 0
        assert await store._transactions.write_script(adding()) == 1


async def test_those_behind_a_failure_are_not_tried(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper, lock_timeout_ms=50) as store:
        await store.organizations.ensure("org_a")
        other = sqlite3.connect(engine.parse_url(sqlite_url).database or "", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        seen = await statements_of(store)
        first = asyncio.ensure_future(store._transactions.write_script(adding()))
        await until(lambda: bool(seen))
        behind = [store._transactions.write_script(adding()) for _ in range(20)]
        ends = await asyncio.gather(first, *behind, return_exceptions=True)
        assert {type(end) for end in ends} == {ServerBusy}
        assert seen == ["BEGIN IMMEDIATE"]
        other.close()
        assert await store._transactions.write_script(adding()) == 1


async def test_a_connection_that_was_closed_is_opened_anew(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        assert await store._transactions.write_script(adding()) == 1
        if not database_url.endswith(":memory:"):
            await store._transactions._engine.dispose()
        assert await store._transactions.write_script(adding()) == 1
        assert await number_of(store) == 2


async def test_scripts_and_longer_transactions_take_turns(opened: Store) -> None:
    async def longer() -> None:
        async def work(connection: Any) -> None:
            await connection.execute(ADD.statement, {"organization": "org_a"})
            await asyncio.sleep(0)
            await connection.execute(ADD.statement, {"organization": "org_a"})

        await opened._transactions.write(work)

    await asyncio.gather(
        *(longer() if place % 2 else opened._transactions.write_script(adding()) for place in range(20))
    )
    assert await number_of(opened) == 30


async def test_whoever_is_told_to_stop_leaves_a_script_that_ends(opened: Store) -> None:
    waiting = [asyncio.ensure_future(opened._transactions.write_script(adding())) for _ in range(4)]
    await asyncio.sleep(0)
    for each in waiting:
        each.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await opened.drain()
    assert await number_of(opened) == 4


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


async def test_what_nobody_waits_for_is_undone_with_the_rest(postgres_url: str, pepper: bytes) -> None:
    """A statement that fails where nobody looked is told at the next one that is waited for, or at the commit."""

    def script(*, wait: bool) -> Script[None]:
        yield Ask(NAME, {"new_name": "new"}, later=True)
        yield Ask(BROKEN, {}, later=True)
        if wait:
            yield Ask(READ, {})

    async with open_store(postgres_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        for wait in (True, False):
            with pytest.raises(InternalError):
                await store._transactions.write_script(lambda wait=wait: script(wait=wait))
        assert (await store.organizations.get("org_a")).name is None
        assert await store._transactions.write_script(adding()) == 1


async def test_rows_that_nobody_waited_for_are_there_with_the_next(opened: Store) -> None:
    def script() -> Script[tuple[int, ...]]:
        before = yield Ask(READ, {}, later=True)
        yield Ask(ADD, {"organization": "org_a"}, later=True)
        after = yield Ask(READ, {})
        return before.rows[0]["pictures_per_day"] or 0, after.rows[0]["pictures_per_day"]

    assert await opened._transactions.write_script(script) == (0, 1)


async def test_of_what_is_asked_nothing_may_be(opened: Store) -> None:
    def script() -> Script[int]:
        yield from ()
        return 7

    assert await opened._transactions.write_script(script) == 7


async def test_what_stood_behind_a_failure_can_be_run_again(postgres_url: str, pepper: bytes) -> None:
    """What PostgreSQL was to prepare behind a statement that failed it has not, whatever the driver believes."""

    def failing() -> Script[None]:
        yield Ask(NO_SUCH, {}, later=True)
        yield Ask(ADD, {"organization": "org_a"})

    async with open_store(postgres_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        await store.keys.create("org_a")
        for number in range(12):
            with pytest.raises(InternalError):
                await store._transactions.write_script(failing)
            assert await store._transactions.write_script(adding()) == 1
            assert await number_of(store) == number + 1


async def test_the_last_statement_is_committed_with_what_came_before(postgres_url: str, pepper: bytes) -> None:
    def script() -> Script[int]:
        yield Ask(NAME, {"new_name": "new"}, later=True)
        return (yield Ask(ADD, {"organization": "org_a"}, last=True)).changed

    async with open_store(postgres_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        assert await store._transactions.write_script(script) == 1
        assert ((await store.organizations.get("org_a")).name, await number_of(store)) == ("new", 1)


async def test_of_two_scripts_that_wait_for_each_other_both_end_well(postgres_url: str, pepper: bytes) -> None:
    async with open_store(postgres_url, pepper=pepper) as store:
        for name in ("org_a", "org_b"):
            await store.organizations.ensure(name)
        begun: list[str] = []

        def script(first: str, second: str) -> Script[None]:
            begun.append(first)
            yield Ask(ADD, {"organization": first})
            yield Ask(SLEEP, {})
            yield Ask(ADD, {"organization": second})

        pairs = [("org_a", "org_b"), ("org_b", "org_a")]
        await asyncio.gather(*(store._transactions.write_script(lambda pair=pair: script(*pair)) for pair in pairs))
        assert len(begun) >= 2
        assert [found.policy.pictures_per_day for found in await store.organizations.all()] == [2, 2]


SLEEP = Prepared(sa.text("SELECT pg_sleep(0.05)"))
KILL = Prepared(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))


async def test_a_session_that_ends_takes_no_more_than_its_script(postgres_url: str, pepper: bytes) -> None:
    async with open_store(postgres_url, pepper=pepper) as store:
        await store.organizations.ensure("org_a")
        with pytest.raises(ServerBusy):
            await store._transactions.write_script(adding(ask=KILL))
        assert await store._transactions.write_script(adding()) == 1
        assert await number_of(store) == 1


@pytest.mark.parametrize("trusted_s", [0.0, 3600.0])
@pytest.mark.parametrize("looks", [True, False])
@pytest.mark.parametrize("way", ["script", "statement", "longer"])
async def test_a_session_that_ended_while_nobody_used_it_is_no_hindrance(
    postgres_url: str, pepper: bytes, monkeypatch: pytest.MonkeyPatch, trusted_s: float, looks: bool, way: str
) -> None:
    """It is noticed before a transaction, or by it, which is begun anew as long as nothing was to be committed."""
    monkeypatch.setattr(engine, "TRUSTED_S", trusted_s)
    if not looks:
        monkeypatch.setattr(engine, "_something_arrived", lambda _connection: False)

    async def add(connection: AsyncConnection) -> int:
        return (await connection.execute(cast("Any", ADD.statement), {"organization": "org_a"})).rowcount

    def lone() -> Script[int]:
        return (yield Ask(ADD, {"organization": "org_a"}, last=True)).changed

    async with open_store(postgres_url, pepper=pepper) as store, open_store(postgres_url, pepper=pepper) as other:
        await store.organizations.ensure("org_a")
        async with begin(other._transactions._engine, writes=False) as connection:
            others = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname = current_database()"
            await connection.execute(sa.text(f"SELECT pg_terminate_backend(pid) {others}"))
            while (await connection.execute(sa.text(f"SELECT count(*) {others}"))).scalar_one():
                await connection.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
        writes = {
            "script": lambda: store._transactions.write_script(adding()),
            "statement": lambda: store._transactions.write_script(lone),
            "longer": lambda: store._transactions.write(add),
        }
        if way == "statement" and trusted_s and not looks:
            # It may have been carried out, for all that can be known.
            with pytest.raises(ServerBusy):
                await writes[way]()
            assert await number_of(store) == 0
        assert await writes[way]() == 1
        assert await number_of(store) == 1


async def test_a_longer_transaction_is_begun_anew_once(postgres_url: str, pepper: bytes) -> None:
    tries: list[int] = []

    async def killed(connection: AsyncConnection) -> None:
        tries.append(1)
        await connection.execute(cast("Any", KILL.statement))

    async with open_store(postgres_url, pepper=pepper) as store:
        with pytest.raises(ServerBusy):
            await store._transactions.write(killed)
        assert len(tries) == 2
        assert await store.organizations.all() == ()


async def test_a_server_that_is_away_is_told_to_scripts_too(tmp_path: Any) -> None:
    from uncrop.store.transactions import Transactions

    away = engine.make_engine(engine.parse_url(f"postgresql://nobody@/nothing?host={tmp_path}"))
    transactions = Transactions(away)
    for run in (transactions.write_script, transactions.read_script):
        with pytest.raises(ServerBusy):
            await run(adding())
    await away.dispose()

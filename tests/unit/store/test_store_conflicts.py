"""PostgreSQL in trouble: conflicts, a pool without a free connection, backends and servers that end."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from uncrop.errors import ServerBusy
from uncrop.store import engine, transactions
from uncrop.store.database import Store, open_store
from uncrop.store.transactions import begin
from waiting import until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncConnection

    from fixtures_postgres import PostgresServer


@pytest.fixture
async def store(postgres_url: str, pepper: bytes) -> AsyncIterator[Store]:
    async with open_store(postgres_url, pepper=pepper) as opened:
        yield opened


async def test_of_two_that_wait_for_each_other_both_end_well(store: Store) -> None:
    for name in ("org_a", "org_b"):
        await store.organizations.ensure(name)
    halfway = asyncio.Barrier(2)
    tries: list[str] = []

    async def change(first: str, second: str) -> None:
        async def work(connection: AsyncConnection) -> None:
            tries.append(first)
            add = "UPDATE organizations SET pictures_per_day = coalesce(pictures_per_day, 0) + 1 WHERE id = :id"
            await connection.execute(sa.text(add), {"id": first})
            if len(tries) <= 2:
                await halfway.wait()
            await connection.execute(sa.text(add), {"id": second})

        await store._transactions.write(work)

    await asyncio.gather(change("org_a", "org_b"), change("org_b", "org_a"))

    assert len(tries) >= 3  # PostgreSQL has undone one of them, and it was done again
    assert [found.policy.pictures_per_day for found in await store.organizations.all()] == [2, 2]


@pytest.mark.parametrize("code", ["40001", "40P01"])
async def test_a_conflict_that_does_not_end_is_given_up(store: Store, code: str) -> None:
    tries: list[None] = []

    async def work(connection: AsyncConnection) -> None:
        tries.append(None)
        await connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '{code}'; END $$")

    waiting = asyncio.ensure_future(store.organizations.ensure("org_a"))
    with pytest.raises(ServerBusy) as caught:
        await store._transactions.write(work)
    assert caught.value.system_message == "The database could not be used"
    assert len(tries) == transactions.TRIES
    assert (await waiting).id == "org_a"  # nobody else is refused for it


async def test_another_error_is_not_tried_again(store: Store) -> None:
    tries: list[None] = []

    async def work(connection: AsyncConnection) -> None:
        tries.append(None)
        await connection.exec_driver_sql("DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '53100'; END $$")

    with pytest.raises(ServerBusy):
        await store._transactions.write(work)
    assert len(tries) == 1


async def test_a_pool_without_a_free_connection_is_told_soon(
    postgres_url: str, pepper: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(engine, "POOL_TIMEOUT_S", 0.05)
    async with open_store(postgres_url, pepper=pepper) as store:
        async with AsyncExitStack() as stack:
            for _ in range(engine.POOL):
                await stack.enter_async_context(begin(store._transactions._engine, writes=False))
            with pytest.raises(ServerBusy):
                await store.organizations.ensure("org_a")
            assert "no connection became free" in caplog.text
        assert (await store.organizations.ensure("org_a")).id == "org_a"


async def again(store: Store) -> None:
    """Wait until the database can be used again."""

    async def answers() -> bool:
        try:
            await store.ping()
        except ServerBusy:
            return False
        return True

    await until(answers)


async def test_a_backend_that_is_killed_takes_no_more_than_its_transaction(store: Store) -> None:
    await store.organizations.ensure("org_a")

    async def work(connection: AsyncConnection) -> None:
        await connection.execute(sa.text("UPDATE organizations SET pictures_per_day = 7"))
        pid = (await connection.execute(sa.text("SELECT pg_backend_pid()"))).scalar_one()
        os.kill(pid, signal.SIGKILL)
        await connection.execute(sa.text("UPDATE organizations SET pictures_per_day = 8"))

    with pytest.raises(ServerBusy):
        await store._transactions.write(work)
    await again(store)  # PostgreSQL begins anew with all of them
    assert (await store.organizations.get("org_a")).policy.pictures_per_day is None
    assert (await store.policies.change_organization("org_a", pictures_per_day=9)).pictures_per_day == 9


async def test_a_server_that_is_gone_is_told_and_used_when_it_is_back(
    store: Store, postgres_server: PostgresServer
) -> None:
    await store.organizations.ensure("org_a")
    postgres_server.crash()
    try:
        for _ in range(2):
            with pytest.raises(ServerBusy):
                await store.policies.change_organization("org_a", pictures_per_day=1)
    finally:
        postgres_server.start()
    await again(store)
    assert (await store.organizations.get("org_a")).policy.pictures_per_day is None


async def test_settings_by_which_something_may_be_lost_are_found(store: Store, postgres_server: PostgresServer) -> None:
    assert await store.what_may_be_lost() == ("fsync=off",)
    try:
        for change in ("fsync = on", "synchronous_commit = off"):
            postgres_server.execute(f"ALTER SYSTEM SET {change}")
        postgres_server.execute("SELECT pg_reload_conf()")

        async def changed() -> bool:
            return await store.what_may_be_lost() == ("synchronous_commit=off",)

        await until(changed)
    finally:
        postgres_server.execute("ALTER SYSTEM RESET ALL")
        postgres_server.execute("SELECT pg_reload_conf()")


async def test_sqlite_is_set_up_by_us(sqlite_url: str, pepper: bytes) -> None:
    async with open_store(sqlite_url, pepper=pepper) as store:
        assert await store.what_may_be_lost() == ()

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from uncrop.store import migration
from uncrop.store.database import Store
from uncrop.store.tables import UtcTime, entries, holds, metadata, organizations, pepper_fingerprint
from uncrop.store.transactions import begin

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_what_the_models_say(store: Store) -> None:
    async with begin(store._transactions._engine, writes=False) as connection:
        assert await connection.run_sync(_differences) == []


def test_the_revisions_are_those_that_alembic_finds_in_the_files() -> None:
    """They are read from the files' names, since importing Alembic for it takes each command a while."""
    script = ScriptDirectory.from_config(migration._config())
    found = [revision.revision for revision in script.walk_revisions()]
    assert migration._revisions() == tuple(reversed(found))
    assert migration.latest_revision() == script.get_current_head()


async def test_of_a_database_without_tables_there_is_no_revision(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path}/empty.db")
    with engine.connect() as connection:
        assert migration.revision_of(connection) is None
    engine.dispose()


def _constraints(connection: sa.Connection) -> dict[str, set[str | None]]:
    inspector = sa.inspect(connection)
    return {
        table: {check["name"] for check in inspector.get_check_constraints(table)}
        | {key["name"] for key in inspector.get_foreign_keys(table)}
        | {inspector.get_pk_constraint(table)["name"]}
        for table in metadata.tables
    }


async def test_the_migrations_make_the_constraints_too(store: Store) -> None:
    """Alembic does not compare check constraints and names, so the catalogue is read."""
    async with begin(store._transactions._engine, writes=False) as connection:
        found = await connection.run_sync(_constraints)

    assert found == {
        name: {constraint.name for constraint in table.constraints} for name, table in metadata.tables.items()
    }


ORGANIZATION = {"id": "org_a", "created_at": NOON}
HOLD = {
    "id": "u",
    "organization_id": "org_a",
    "provider": "local",
    "state": "held",
    "calls_planned": 1,
    "calls_sent": 0,
    "calls_settled": 0,
    "day": NOON,
    "created_at": NOON,
}
ENTRY = {
    "hold_id": "u",
    "organization_id": "org_a",
    "key_id": "",
    "provider": "local",
    "kind": "hold",
    "unit": "picture",
    "period": "2026-11-22",
    "source": "available",
    "target": "held",
    "amount": 1,
    "day": NOON,
    "created_at": NOON,
}


async def test_the_database_refuses_what_cannot_be(store: Store) -> None:
    wrong = [
        sa.insert(holds).values({**HOLD, "id": "v", "state": "lost", "settled_at": NOON}),
        sa.insert(holds).values({**HOLD, "id": "v", "state": "captured"}),
        sa.insert(holds).values({**HOLD, "id": "v", "settled_at": NOON}),
        sa.insert(holds).values({**HOLD, "id": "v", "calls_settled": 1}),
        sa.insert(holds).values({**HOLD, "id": "v", "calls_settled": -1}),
        sa.insert(holds).values({**HOLD, "id": "v", "organization_id": "org_b"}),
        sa.insert(holds).values({**HOLD, "id": "v", "key_id": "0123456789"}),
        sa.insert(entries).values({**ENTRY, "amount": 0}),
        sa.insert(entries).values({**ENTRY, "amount": -1}),
        sa.insert(entries).values({**ENTRY, "target": "available"}),
        sa.insert(entries).values({**ENTRY, "target": "mine"}),
        sa.insert(entries).values({**ENTRY, "hold_id": "nobody's"}),
        sa.insert(pepper_fingerprint).values(id=2, fingerprint=bytes(32)),
        sa.insert(organizations).values(id="org_b", pictures_per_day=-1, created_at=NOON),
        sa.insert(organizations).values(id="org_b", usd_micro_per_month=-1, created_at=NOON),
    ]
    async with begin(store._transactions._engine, writes=True) as connection:
        await connection.execute(sa.insert(organizations).values(ORGANIZATION))
        await connection.execute(sa.insert(holds).values(HOLD))
        await connection.execute(sa.insert(entries).values(ENTRY))
    for statement in wrong:
        async with store._transactions._engine.connect() as connection:
            with pytest.raises(sa.exc.IntegrityError, match=r"CHECK|FOREIGN KEY|check|foreign key"):
                await connection.execute(statement)


async def test_the_database_refuses_to_change_or_delete_an_entry(store: Store) -> None:
    async with begin(store._transactions._engine, writes=True) as connection:
        await connection.execute(sa.insert(organizations).values(ORGANIZATION))
        await connection.execute(sa.insert(holds).values(HOLD))
        await connection.execute(sa.insert(entries).values(ENTRY))
    wrong = ["UPDATE entries SET amount = 2", "DELETE FROM entries"]
    if store._transactions._engine.dialect.name == "postgresql":
        wrong.append("TRUNCATE entries")
    for statement in wrong:
        async with store._transactions._engine.connect() as connection:
            with pytest.raises(sa.exc.DBAPIError, match="entries are never changed"):
                await connection.execute(sa.text(statement))


async def test_a_second_start_applies_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "upgrade", lambda *_: pytest.fail("applied again"))
    async with begin(store._transactions._engine, writes=True) as connection:
        await connection.run_sync(migration.upgrade)


async def test_down_and_up_again(store: Store) -> None:
    def down(connection: sa.Connection) -> set[str]:
        config = migration._config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        return set(sa.inspect(connection).get_table_names())

    async with begin(store._transactions._engine, writes=True) as connection:
        assert await connection.run_sync(down) == {"alembic_version"}
        await connection.run_sync(migration.upgrade)
    await store.ping()
    async with begin(store._transactions._engine, writes=False) as connection:
        assert await connection.run_sync(_differences) == []


async def test_a_migration_that_fails_changes_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def half(connection: sa.Connection) -> None:
        connection.execute(sa.text("CREATE TABLE half (id INTEGER)"))
        raise RuntimeError("in the middle of a migration")

    with pytest.raises(RuntimeError):
        async with begin(store._transactions._engine, writes=True) as connection:
            await connection.run_sync(half)
    async with begin(store._transactions._engine, writes=False) as connection:
        assert "half" not in await connection.run_sync(lambda sync: sa.inspect(sync).get_table_names())


async def test_a_moment_without_time_zone_is_a_mistake(store: Store) -> None:
    async with begin(store._transactions._engine, writes=True) as connection:
        with pytest.raises(sa.exc.StatementError, match="a moment without time zone cannot be stored"):
            await connection.execute(
                sa.insert(organizations).values(id="org_a", created_at=datetime(2026, 11, 22))  # noqa: DTZ001
            )


async def test_moments_are_compared_as_moments(store: Store, clock) -> None:
    await store.organizations.ensure("org_a")
    clock.now = datetime.fromisoformat("2026-11-22T14:00:00+03:00")
    await store.organizations.ensure("org_b")

    async with begin(store._transactions._engine, writes=False) as connection:
        found = (await connection.execute(sa.select(organizations).order_by(organizations.c.created_at))).all()
    assert [(row.id, row.created_at) for row in found] == [
        ("org_b", datetime(2026, 11, 22, 11, tzinfo=UTC)),
        ("org_a", datetime(2026, 11, 22, 12, tzinfo=UTC)),
    ]
    assert isinstance(organizations.c.created_at.type, UtcTime)

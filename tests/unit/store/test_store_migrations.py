from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext

from uncrop.store import migration
from uncrop.store.database import Store
from uncrop.store.tables import UtcTime, metadata, organizations, pepper_fingerprint, usage
from uncrop.store.transactions import begin

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def _differences(connection: sa.Connection) -> list[object]:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_what_the_models_say(store: Store) -> None:
    async with begin(store._transactions._engine, writes=False) as connection:
        assert await connection.run_sync(_differences) == []


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
ATTEMPT = {
    "id": "u",
    "organization_id": "org_a",
    "provider": "local",
    "state": "reserved",
    "day": NOON,
    "created_at": NOON,
}


async def test_the_database_refuses_what_cannot_be(store: Store) -> None:
    wrong = [
        sa.insert(usage).values({**ATTEMPT, "state": "lost", "settled_at": NOON}),
        sa.insert(usage).values({**ATTEMPT, "state": "captured"}),
        sa.insert(usage).values({**ATTEMPT, "settled_at": NOON}),
        sa.insert(usage).values({**ATTEMPT, "millicredits": -1}),
        sa.insert(usage).values({**ATTEMPT, "organization_id": "org_b"}),
        sa.insert(usage).values({**ATTEMPT, "key_id": "0123456789"}),
        sa.insert(pepper_fingerprint).values(id=2, fingerprint=bytes(32)),
        sa.insert(organizations).values(id="org_b", daily_limit=-1, created_at=NOON),
    ]
    async with begin(store._transactions._engine, writes=True) as connection:
        await connection.execute(sa.insert(organizations).values(ORGANIZATION))
        await connection.execute(sa.insert(usage).values(ATTEMPT))
    for statement in wrong:
        async with store._transactions._engine.connect() as connection:
            with pytest.raises(sa.exc.IntegrityError, match=r"CHECK|FOREIGN KEY|check|foreign key"):
                await connection.execute(statement.values(id="v") if statement.table is usage else statement)


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

"""Keys that were made before scopes and several peppers were known go on working."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import command

from uncrop.store import migration
from uncrop.store.database import open_store
from uncrop.store.pepper import Peppers, fingerprint, pepper_id
from uncrop.store.transactions import begin

PEPPER = b"p" * 32
KEY = "uncrop_0123456789_" + "k" * 43


def _down(connection: sa.Connection) -> None:
    config = migration._config()
    config.attributes["connection"] = connection
    command.downgrade(config, "0001")


async def test_old_keys_keep_working_after_the_upgrade(database_url: str) -> None:
    async with (
        open_store(database_url, pepper=PEPPER) as store,
        begin(store._transactions._engine, writes=True) as connection,
    ):
        await connection.run_sync(_down)
        await connection.execute(sa.text("DELETE FROM pepper_fingerprint"))
        await connection.execute(
            sa.text("INSERT INTO pepper_fingerprint (id, fingerprint) VALUES (1, :print)"),
            {"print": fingerprint(PEPPER)},
        )
        await connection.execute(
            sa.text("INSERT INTO organizations (id, created_at, daily_limit) VALUES ('org_a', :at, 7)").bindparams(
                sa.bindparam("at", datetime(2026, 11, 22, 12), sa.DateTime())  # noqa: DTZ001 - as SQLite has it
            )
        )
        await connection.execute(
            sa.text(
                "INSERT INTO api_keys (id, organization_id, digest, created_at) "
                "VALUES ('0123456789', 'org_a', :digest, :at)"
            ).bindparams(sa.bindparam("at", datetime(2026, 11, 22, 12), sa.DateTime())),  # noqa: DTZ001
            {"digest": Peppers(PEPPER).digest(KEY)},
        )

    async with open_store(database_url, pepper=PEPPER) as store:
        key = await store.keys.verify(KEY)
        assert key is not None
        assert (key.organization_id, key.scopes, key.replaced_by) == ("org_a", {"images:write", "usage:read"}, None)
        assert key.state(datetime(2027, 1, 1, tzinfo=UTC)) == "active"
        assert [use.pepper_id for use in await store.keys.pepper_uses()] == [pepper_id(PEPPER)]
        (organization,) = await store.organizations.all()
        assert organization.may_use_server_keys is True
    async with open_store(database_url, pepper=Peppers(b"n" * 32, [PEPPER])) as store:
        assert await store.keys.verify(KEY) is not None
    async with open_store(database_url, pepper=b"n" * 32) as store:
        assert await store.keys.verify(KEY) is not None

"""From a database as it was before the ledger to the present one, with rows of every state."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command

from uncrop.errors import SettingsError
from uncrop.model.ledger import OPEN
from uncrop.store import database, migration
from uncrop.store.database import open_store
from uncrop.store.engine import make_engine, parse_url
from uncrop.store.migration import _config
from uncrop.store.pepper import fingerprint
from uncrop.store.transactions import begin
from uncrop.store.usage import DayOfUsage

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LATER = datetime(2026, 11, 22, 12, 1, tzinfo=UTC)
KEY = "0123456789"
PEPPER = bytes(range(32))


def usage_row(number: int, state: str, **values: Any) -> dict[str, Any]:
    return {
        "id": f"use_{number}",
        "organization_id": "org_a",
        "key_id": KEY,
        "provider": "clipdrop",
        "model": None,
        "state": state,
        "millicredits": 0,
        "input_tokens": 0,
        "output_tokens": 0,
        "day": date(2026, 11, 22),
        "created_at": NOON,
        "settled_at": None if state == "reserved" else LATER,
        **values,
    }


ROWS = [
    usage_row(0, "reserved"),
    usage_row(1, "captured", millicredits=1500, model="m"),
    usage_row(2, "captured", key_id=None, provider="openai", input_tokens=7, output_tokens=9, model="gpt-image-2"),
    usage_row(3, "released"),
    usage_row(4, "released", millicredits=500),
    usage_row(5, "captured", organization_id="org_b", key_id=None, day=date(2026, 12, 1)),
    usage_row(6, "reserved", organization_id="org_b", key_id=None, provider="local"),
]


async def make_old_database(url: str, rows: list[dict[str, Any]]) -> None:
    """Make the database of the version before the ledger, with two organizations and a key."""
    engine = make_engine(parse_url(url))

    def old(connection: sa.Connection) -> None:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        meta = sa.MetaData()
        meta.reflect(connection)
        organizations, keys, usage = (meta.tables[name] for name in ("organizations", "api_keys", "usage"))
        sqlite = connection.dialect.name == "sqlite"

        def stored(row: dict[str, Any]) -> dict[str, Any]:
            return {
                name: value.replace(tzinfo=None) if sqlite and isinstance(value, datetime) else value
                for name, value in row.items()
            }

        for number, name in enumerate(("org_a", "org_b")):
            row = {"id": name, "daily_limit": number or None, "created_at": NOON}
            connection.execute(sa.insert(organizations).values(stored(row)))
        noted = {"id": 1, "fingerprint": fingerprint(PEPPER)}
        connection.execute(sa.insert(meta.tables["pepper_fingerprint"]).values(noted))
        key = {"id": KEY, "organization_id": "org_a", "digest": bytes(32), "created_at": NOON}
        connection.execute(sa.insert(keys).values(stored(key)))
        for row in rows:
            connection.execute(sa.insert(usage).values(stored(row)))

    try:
        async with begin(engine, writes=True) as connection:
            await connection.run_sync(old)
    finally:
        await engine.dispose()


async def test_what_was_used_is_in_the_ledger(database_url: str, pepper: bytes, clock) -> None:
    await make_old_database(database_url, ROWS)
    clock.now = NOON
    async with open_store(database_url, pepper=pepper, clock=clock) as store:
        day = date(2026, 11, 22)
        assert await store.usage.by_day() == (
            DayOfUsage(day=day, provider="clipdrop", pictures=1, failed=2, unknown=1, credits=Decimal(2)),
            DayOfUsage(day=day, provider="local", unknown=1),
            DayOfUsage(day=day, provider="openai", pictures=1, input_tokens=7, output_tokens=9),
            DayOfUsage(day=date(2026, 12, 1), provider="clipdrop", pictures=1),
        )
        found = {hold.id: (hold.state, hold.calls_sent, hold.calls_settled) for hold in await store.books.holds()}
        assert found == {
            "use_0": ("unknown", 1, 0),
            "use_1": ("captured", 1, 1),
            "use_2": ("captured", 1, 1),
            "use_3": ("released", 1, 1),
            "use_4": ("released", 1, 1),
            "use_5": ("captured", 1, 1),
            "use_6": ("unknown", 1, 0),
        }
        (first,) = [hold for hold in await store.books.holds() if hold.id == "use_1"]
        assert (first.model, first.key_id, first.created_at, first.settled_at) == ("m", KEY, NOON, LATER)
        assert [hold.id for hold in await store.books.holds("org_a", states=OPEN)] == ["use_0"]
        assert await store.books.verify() == ()
        policies = [organization.policy.pictures_per_day for organization in await store.organizations.all()]
        assert policies == [None, 1]


@pytest.mark.parametrize("rows", [[], ROWS])
async def test_an_upgrade_that_breaks_off_changes_nothing(
    database_url: str, pepper: bytes, rows: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    await make_old_database(database_url, rows)

    def interrupted(connection: sa.Connection) -> None:
        migration.upgrade(connection)
        raise OSError("the power went")

    with monkeypatch.context() as patched:
        patched.setattr(database, "upgrade", interrupted)
        with pytest.raises(SettingsError):
            async with open_store(database_url, pepper=pepper):
                pytest.fail("opened")
    async with open_store(database_url, pepper=pepper) as store:
        assert len(await store.books.holds()) == len(rows)
        assert await store.books.verify() == ()

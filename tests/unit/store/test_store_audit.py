"""Every administrative act is noted in the transaction that does it, and no note is ever changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from uncrop.errors import InvalidFieldValue
from uncrop.store.audit import Act, AuditEntry
from uncrop.store.database import Store, ensure_first_key
from uncrop.store.tables import audit_log
from uncrop.store.transactions import begin

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def told(entry: AuditEntry) -> tuple[str, str, str | None, str]:
    return entry.actor, entry.action, entry.organization_id, entry.target


async def test_every_act_is_noted_with_who_and_what(store: Store, clock) -> None:
    await store.organizations.create("org_a", name="A shop")
    key = await store.keys.create("org_a", name="web", actor="operator01")
    await store.keys.pause(key.id, actor="operator01")
    await store.keys.pause(key.id)  # nothing changes
    await store.keys.resume(key.id)
    clock.advance(hours=1)
    new = await store.keys.rotate(key.id, overlap=timedelta(hours=2), actor="operator01")
    await store.keys.revoke(key.id)
    await store.keys.revoke(key.id)
    await store.organizations.change("org_a", name="B shop", may_use_server_keys=False)
    other = await store.keys.create("org_b")

    entries = (await store.audit.page())[::-1]
    assert [told(entry) for entry in entries] == [
        ("command line", "organization.create", "org_a", "org_a"),
        ("operator01", "key.create", "org_a", key.id),
        ("operator01", "key.pause", "org_a", key.id),
        ("command line", "key.resume", "org_a", key.id),
        ("operator01", "key.create", "org_a", new.id),
        ("operator01", "key.rotate", "org_a", key.id),
        ("command line", "key.revoke", "org_a", key.id),
        ("command line", "organization.change", "org_a", "org_a"),
        ("command line", "organization.create", "org_b", "org_b"),
        ("command line", "key.create", "org_b", other.id),
    ]
    assert [entry.changes for entry in entries[:4]] == [
        {"name": (None, "A shop")},
        {"name": (None, "web"), "scopes": (None, "images:write usage:read"), "expires_at": (None, None)},
        {"state": ("active", "paused")},
        {"state": ("paused", "active")},
    ]
    assert entries[4].changes["rotated_from"] == (None, key.id)
    assert entries[5].changes == {
        "replaced_by": (None, new.id),
        "expires_at": (None, (NOON + timedelta(hours=3)).isoformat()),
    }
    assert entries[7].changes == {"name": ("A shop", "B shop"), "may_use_server_keys": (True, False)}
    assert [entry.at for entry in entries[3:5]] == [NOON, NOON + timedelta(hours=1)]


async def test_what_is_refused_is_not_noted(store: Store) -> None:
    await store.organizations.create("org_a")
    before = await store.audit.page()

    for refused in (
        store.organizations.create("org_a"),
        store.organizations.change("org_b", name="b"),
        store.keys.create("org_a", name=""),
        store.keys.revoke("nobody"),
        store.keys.rotate("nobody"),
    ):
        with pytest.raises(InvalidFieldValue):
            await refused
    assert await store.audit.page() == before


async def test_what_is_rolled_back_is_not_noted(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_arguments: object, **_options: object) -> None:
        raise InvalidFieldValue("seeded")

    monkeypatch.setattr("uncrop.store.keys.note", fail)
    with pytest.raises(InvalidFieldValue, match="seeded"):
        await store.keys.create("org_a")
    assert await store.audit.page() == ()
    assert await store.keys.all() == ()
    assert await store.organizations.all() == ()


@pytest.mark.parametrize("statement", [sa.update(audit_log).values(actor="nobody"), sa.delete(audit_log)])
async def test_no_note_can_be_changed_or_taken_away(store: Store, statement: sa.Update | sa.Delete) -> None:
    await store.organizations.create("org_a")
    before = await store.audit.page()

    with pytest.raises(sa.exc.DBAPIError, match="the audit log can only be added to"):
        async with begin(store._transactions._engine, writes=True) as connection:
            await connection.execute(statement)
    assert await store.audit.page() == before


async def test_it_is_read_by_organization_time_and_page(store: Store, clock) -> None:
    await store.audit.add(Act(actor="command line", action="pepper.rotate", target="0123"))
    await store.organizations.create("org_a")
    clock.advance(seconds=1)
    await store.organizations.create("org_b")
    whole = await store.audit.page()

    assert [entry.target for entry in whole] == ["org_b", "org_a", "0123"]
    assert [entry.target for entry in await store.audit.page(organization_id="org_a")] == ["org_a"]
    assert [entry.target for entry in await store.audit.page(since=NOON + timedelta(seconds=1))] == ["org_b"]
    first = await store.audit.page(limit=2)
    assert first == whole[:2]
    assert await store.audit.page(limit=2, before=first[-1].id) == whole[2:]
    assert whole[0].to_json() == {
        "id": whole[0].id,
        "at": "2026-11-22T12:00:01+00:00",
        "actor": "command line",
        "action": "organization.create",
        "organization_id": "org_b",
        "target": "org_b",
        "changes": {"name": {"from": None, "to": None}},
    }


async def test_no_secret_is_in_it(store: Store) -> None:
    first = await ensure_first_key(store)
    assert first is not None
    new = await store.keys.rotate(first.id)
    async with begin(store._transactions._engine, writes=False) as connection:
        rows = repr((await connection.execute(sa.select(audit_log))).all())

    assert first.id in rows
    for key in (first, new):
        assert key.key[-43:] not in rows

"""Rotation of keys, and their scopes, on either database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from uncrop.errors import InvalidFieldValue, UncropError
from uncrop.model import DEFAULT_SCOPES
from uncrop.store.api_key import ApiKey, NewKey
from uncrop.store.database import Store
from uncrop.store.tables import api_keys
from uncrop.store.transactions import begin

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


async def state_of(store: Store, key: NewKey, now: datetime) -> str:
    found = await store.keys.verify(key.key)
    assert found is not None
    return found.state(now)


async def row_of(store: Store, key_id: str) -> ApiKey:
    found = await store.keys.find(key_id)
    assert found is not None
    return found


async def test_both_keys_work_until_the_overlap_ends(store: Store, clock) -> None:
    old = await store.keys.create("org_a", name="web shop", scopes=["usage:read"])
    new = await store.keys.rotate(old.id, overlap=DAY)

    assert new.id != old.id
    assert new.organization_id == "org_a"
    assert [await state_of(store, key, NOON) for key in (old, new)] == ["active", "active"]
    assert await state_of(store, old, NOON + DAY - timedelta(seconds=1)) == "active"
    assert await state_of(store, old, NOON + DAY) == "expired"
    assert await state_of(store, new, NOON + DAY) == "active"
    made, ended = await row_of(store, new.id), await row_of(store, old.id)
    assert (made.name, made.scopes, made.expires_at, made.replaced_by) == ("web shop", {"usage:read"}, None, None)
    assert (ended.replaced_by, ended.expires_at) == (new.id, NOON + DAY)


async def test_without_an_overlap_the_old_one_ends_at_once(store: Store) -> None:
    old = await store.keys.create("org_a")
    await store.keys.rotate(old.id)

    assert await state_of(store, old, NOON) == "expired"


async def test_the_old_one_never_lives_longer_than_it_would_have(store: Store) -> None:
    old = await store.keys.create("org_a", expires_at=NOON + timedelta(hours=1))
    await store.keys.rotate(old.id, overlap=DAY)

    assert (await row_of(store, old.id)).expires_at == NOON + timedelta(hours=1)


async def test_the_new_one_is_made_for_as_long_as_the_old_one_was(store: Store, clock) -> None:
    old = await store.keys.create("org_a", expires_at=NOON + 30 * DAY)
    clock.advance(days=29)
    new = await store.keys.rotate(old.id)
    assert (await row_of(store, new.id)).expires_at == NOON + 59 * DAY

    last = await store.keys.rotate(new.id, expires_at=NOON + 40 * DAY)
    assert (await row_of(store, last.id)).expires_at == NOON + 40 * DAY


async def test_what_is_decided_about_a_key_is_decided_about_the_one_in_its_place(store: Store) -> None:
    old = await store.keys.create("org_a")
    await store.keys.note_use(await row_of(store, old.id))
    new = await store.keys.rotate(old.id, overlap=DAY)

    async with begin(store.keys._transactions._engine, writes=False) as connection:
        rows = {row["id"]: row for row in (await connection.execute(sa.select(api_keys))).mappings()}
    different = {name for name in rows[old.id] if rows[old.id][name] != rows[new.id][name]}
    assert different == {"id", "digest", "expires_at", "last_used_at", "replaced_by"}


async def test_a_key_is_rotated_once(store: Store) -> None:
    old = await store.keys.create("org_a")
    new = await store.keys.rotate(old.id, overlap=DAY)

    with pytest.raises(InvalidFieldValue, match="The key was rotated before") as caught:
        await store.keys.rotate(old.id, overlap=DAY)
    assert caught.value.details == {"id": old.id, "replaced_by": new.id}
    assert len(await store.keys.all()) == 2
    assert await store.keys.rotate(new.id, overlap=DAY)


async def test_of_many_rotations_at_once_one_succeeds(store: Store) -> None:
    old = await store.keys.create("org_a")
    tries = await asyncio.gather(*(store.keys.rotate(old.id, overlap=DAY) for _ in range(12)), return_exceptions=True)

    (new,) = [each for each in tries if isinstance(each, NewKey)]
    assert all(isinstance(each, NewKey | UncropError) for each in tries)
    assert {key.id for key in await store.keys.all()} == {old.id, new.id}
    assert (await row_of(store, old.id)).replaced_by == new.id


async def test_a_key_that_does_not_work_is_not_rotated_into_one_that_does(store: Store, clock) -> None:
    paused, revoked = await store.keys.create("org_a"), await store.keys.create("org_a")
    expired = await store.keys.create("org_a", expires_at=NOON + timedelta(seconds=1))
    await store.keys.pause(paused.id)
    await store.keys.revoke(revoked.id)
    clock.advance(seconds=1)

    for key, state in ((paused, "paused"), (revoked, "revoked"), (expired, "expired")):
        with pytest.raises(InvalidFieldValue, match=f"The key is {state}, so that it cannot be rotated"):
            await store.keys.rotate(key.id)
    with pytest.raises(InvalidFieldValue, match="There is no such key"):
        await store.keys.rotate("nobody")
    assert len(await store.keys.all()) == 3


@pytest.mark.parametrize("overlap", [timedelta(seconds=-1), timedelta(days=90, seconds=1), timedelta.max])
async def test_an_overlap_has_limits(store: Store, overlap: timedelta) -> None:
    old = await store.keys.create("org_a")
    with pytest.raises(InvalidFieldValue, match="An overlap is at most 90 days"):
        await store.keys.rotate(old.id, overlap=overlap)
    with pytest.raises(InvalidFieldValue, match="The expiry lies in the past"):
        await store.keys.rotate(old.id, expires_at=NOON)
    assert (await row_of(store, old.id)).replaced_by is None


async def test_a_revoked_key_can_be_in_its_overlap(store: Store) -> None:
    """Revoking wins: whoever fears that the old one is known to others need not wait."""
    old = await store.keys.create("org_a")
    new = await store.keys.rotate(old.id, overlap=DAY)
    await store.keys.revoke(old.id)

    assert await state_of(store, old, NOON) == "revoked"
    assert await state_of(store, new, NOON) == "active"


async def test_scopes_are_kept_in_their_own_order(store: Store) -> None:
    both = await store.keys.create("org_a", scopes=["admin", "images:write"])

    assert (await row_of(store, both.id)).scopes == {"images:write", "admin"}
    assert (await row_of(store, (await store.keys.create("org_a")).id)).scopes == DEFAULT_SCOPES


@pytest.mark.parametrize("scopes", [[], ["images:read"], ["admin", ""], ["Admin"], ["images:write usage:read"]])
async def test_unknown_scopes_are_refused(store: Store, scopes: list) -> None:
    with pytest.raises(InvalidFieldValue, match="at least one of the scopes images:write, usage:read, admin"):
        await store.keys.create("org_a", scopes=scopes)
    assert await store.keys.all() == ()


async def test_pages_of_keys_join_without_gaps(store: Store, clock) -> None:
    made = [await store.keys.create(f"org_{number % 2}") for number in range(5)]
    clock.advance(seconds=1)
    made += [await store.keys.create(f"org_{number % 2}") for number in range(4)]

    found: list[ApiKey] = []
    while page := await store.keys.page(
        limit=2, after=None if not found else (found[-1].created_at, found[-1].id), organization_id="org_0"
    ):
        assert len(page) <= 2
        found += page
    assert found == list(await store.keys.all("org_0"))
    assert {key.id for key in found} == {key.id for key in made if key.organization_id == "org_0"}

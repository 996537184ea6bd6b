"""Organizations' own keys of providers, on either database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from uncrop.errors import EncryptionNotConfigured, InvalidFieldValue, SettingsError
from uncrop.store.database import Store, open_store
from uncrop.store.provider_keys import LONGEST_KEY, ProviderKeyEntry
from uncrop.store.tables import provider_keys
from uncrop.store.transactions import begin

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW = "o" * 32, "n" * 32
KEY, OTHER = "sk-live-0123456789abcdef", "sk-live-fedcba9876543210"


@pytest.fixture
async def keeper(database_url: str, clock, pepper: bytes):
    async with open_store(database_url, pepper=pepper, clock=clock, encryption_keys=[NEW]) as opened:
        for organization in ("org_a", "org_b"):
            await opened.organizations.create(organization)
        yield opened


def contents_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


async def rows_of(store: Store) -> list[sa.Row]:
    async with begin(store._transactions._engine, writes=False) as connection:
        return list((await connection.execute(sa.select(provider_keys))).all())


async def test_a_key_is_kept_and_given_back_for_its_organization_alone(keeper: Store) -> None:
    await keeper.provider_keys.put("org_a", "clipdrop", KEY)
    await keeper.provider_keys.put("org_a", "openai", OTHER)
    await keeper.provider_keys.put("org_b", "openai", "short")

    assert await keeper.provider_keys.of("org_a") == {"clipdrop": KEY, "openai": OTHER}
    assert await keeper.provider_keys.of("org_b") == {"openai": "short"}
    assert await keeper.provider_keys.of("org_c") == {}
    told = ProviderKeyEntry(organization_id="org_a", provider="clipdrop", last4="cdef", created_at=NOON, usable=True)
    assert (await keeper.provider_keys.all("org_a"))[0] == told
    assert [(entry.organization_id, entry.last4) for entry in await keeper.provider_keys.all()] == [
        ("org_a", "cdef"),
        ("org_a", "3210"),
        ("org_b", ""),
    ]


async def test_it_is_in_no_row_in_clear(keeper: Store, tmp_path: Path) -> None:
    await keeper.provider_keys.put("org_a", "clipdrop", KEY)
    (row,) = await rows_of(keeper)

    assert KEY.encode() not in row.sealed
    assert KEY not in repr(row)
    files = contents_of(tmp_path)
    assert KEY.encode() not in files
    assert NEW.encode() not in files


async def test_a_sealed_key_that_is_moved_to_another_row_is_not_used(
    keeper: Store, caplog: pytest.LogCaptureFixture
) -> None:
    await keeper.provider_keys.put("org_a", "openai", KEY)
    async with begin(keeper._transactions._engine, writes=True) as connection:
        await connection.execute(sa.update(provider_keys).values(organization_id="org_b"))

    assert await keeper.provider_keys.of("org_b") == {"openai": None}
    assert "cannot be decrypted" in caplog.text
    assert KEY not in caplog.text


async def test_a_key_takes_the_place_of_another(keeper: Store, clock) -> None:
    await keeper.provider_keys.put("org_a", "openai", KEY)
    clock.advance(days=1)
    await keeper.provider_keys.put("org_a", "openai", OTHER, actor="operator01")

    assert await keeper.provider_keys.of("org_a") == {"openai": OTHER}
    last, first, *_ = await keeper.audit.page()
    assert (first.action, first.target, first.changes) == ("provider_key.set", "openai", {"last4": (None, "cdef")})
    assert (last.actor, last.changes) == ("operator01", {"last4": ("cdef", "3210")})


async def test_a_key_is_forgotten(keeper: Store) -> None:
    await keeper.provider_keys.put("org_a", "openai", KEY)

    assert await keeper.provider_keys.remove("org_a", "openai")
    assert await keeper.provider_keys.of("org_a") == {}
    assert not await keeper.provider_keys.remove("org_a", "openai")
    assert [entry.action for entry in (await keeper.audit.page())[:2]] == ["provider_key.remove", "provider_key.set"]
    with pytest.raises(InvalidFieldValue, match="There is no such organization"):
        await keeper.provider_keys.remove("org_c", "openai")


@pytest.mark.parametrize("key", ["", "two words", "line\n", "schlüssel", "k" * (LONGEST_KEY + 1), "\0"])
async def test_a_key_that_no_header_can_carry_is_refused(keeper: Store, key: str) -> None:
    with pytest.raises(InvalidFieldValue, match="visible ASCII characters") as caught:
        await keeper.provider_keys.put("org_a", "openai", key)
    assert not key or key not in repr((caught.value.message, caught.value.details, caught.value.system_message))
    assert await rows_of(keeper) == []


async def test_an_organization_that_is_not_there_has_no_keys(keeper: Store) -> None:
    with pytest.raises(InvalidFieldValue, match="There is no such organization"):
        await keeper.provider_keys.put("org_c", "openai", KEY)


async def test_many_changes_at_once_leave_one_key(keeper: Store) -> None:
    keys = [f"sk-{number:020}" for number in range(12)]
    await asyncio.gather(*(keeper.provider_keys.put("org_a", "openai", key) for key in keys))

    assert (await keeper.provider_keys.of("org_a"))["openai"] in keys
    assert len(await rows_of(keeper)) == 1


async def test_without_an_encryption_key_none_is_kept(store: Store) -> None:
    await store.organizations.create("org_a")
    with pytest.raises(EncryptionNotConfigured):
        await store.provider_keys.put("org_a", "openai", KEY)
    with pytest.raises(EncryptionNotConfigured):
        await store.provider_keys.seal_anew()
    assert await store.provider_keys.of("org_a") == {}


async def test_without_its_encryption_key_a_key_is_not_usable(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper, encryption_keys=[OLD]) as store:
        await store.organizations.create("org_a")
        await store.provider_keys.put("org_a", "openai", KEY)
    for keys in ([], [NEW]):
        async with open_store(database_url, pepper=pepper, encryption_keys=keys) as store:
            assert await store.provider_keys.of("org_a") == {"openai": None}
            (entry,) = await store.provider_keys.all("org_a")
            assert not entry.usable
    async with open_store(database_url, pepper=pepper, encryption_keys=[NEW]) as store:
        with pytest.raises(SettingsError, match="the key of org_a for openai cannot be decrypted"):
            await store.provider_keys.seal_anew()


async def test_all_are_encrypted_anew_and_the_earlier_key_can_go(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper, encryption_keys=[OLD]) as store:
        for organization in ("org_a", "org_b"):
            await store.organizations.create(organization)
            await store.provider_keys.put(organization, "openai", KEY)
    async with open_store(database_url, pepper=pepper, encryption_keys=[NEW, OLD]) as store:
        await store.provider_keys.put("org_a", "clipdrop", OTHER)
        before = await rows_of(store)
        assert await store.provider_keys.seal_anew() == 2
        assert await store.provider_keys.seal_anew() == 0
        after = await rows_of(store)
        assert len({row.encryption_key for row in before}) == 2
        assert len({row.encryption_key for row in after}) == 1
        (entry,) = [each for each in await store.audit.page() if each.changes.get("keys") == (None, 2)]
        assert entry.action == "encryption.rotate"
    async with open_store(database_url, pepper=pepper, encryption_keys=[NEW]) as store:
        assert await store.provider_keys.of("org_a") == {"openai": KEY, "clipdrop": OTHER}
        assert await store.provider_keys.of("org_b") == {"openai": KEY}


async def test_one_that_cannot_be_read_leaves_all_as_they_were(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper, encryption_keys=[OLD]) as store:
        await store.organizations.create("org_a")
        await store.provider_keys.put("org_a", "openai", KEY)
    async with open_store(database_url, pepper=pepper, encryption_keys=["x" * 32]) as store:
        await store.provider_keys.put("org_a", "bria", KEY)
    async with open_store(database_url, pepper=pepper, encryption_keys=[NEW, OLD]) as store:
        before = await rows_of(store)
        with pytest.raises(SettingsError, match="for bria"):
            await store.provider_keys.seal_anew()
        assert await rows_of(store) == before


async def test_a_verified_key_says_what_its_organization_has(keeper: Store) -> None:
    key = await keeper.keys.create("org_a")

    async def facts() -> tuple[bool, bool]:
        found = await keeper.keys.verify(key.key)
        assert found is not None
        return found.may_use_server_keys, found.has_provider_keys

    assert await facts() == (True, False)
    await keeper.provider_keys.put("org_b", "openai", KEY)
    assert await facts() == (True, False)
    await keeper.provider_keys.put("org_a", "openai", KEY)
    await keeper.organizations.change("org_a", may_use_server_keys=False)
    assert await facts() == (False, True)

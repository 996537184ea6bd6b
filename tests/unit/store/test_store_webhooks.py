"""Webhooks and their secrets, on either database."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from uncrop.errors import EncryptionNotConfigured, InvalidFieldValue, SettingsError
from uncrop.model.webhooks import JOB_EVENTS, Webhook
from uncrop.store.database import Store, open_store
from uncrop.store.tables import webhooks
from uncrop.store.transactions import begin
from uncrop.store.webhooks import NewWebhook, WebhookChanges

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

OLD, NEW = "o" * 32, "n" * 32
SECRET, OTHER = "whsec_first-0123456789", "whsec_other-0123456789"
URL = "https://hooks.example/uncrop?token=hush"
NEW_WEBHOOK = NewWebhook(organization_id="org_a", url=URL, description="Shop", events=JOB_EVENTS, secret=SECRET)


@pytest.fixture
async def keeper(database_url: str, clock: Any, pepper: bytes) -> AsyncIterator[Store]:
    async with open_store(database_url, pepper=pepper, clock=clock, encryption_keys=[NEW]) as opened:
        for organization in ("org_a", "org_b"):
            await opened.organizations.create(organization)
        yield opened


async def make(store: Store, **changes: Any) -> Webhook:
    return await store.webhooks.create(replace(NEW_WEBHOOK, **changes), most=10)


async def row_of(store: Store, webhook_id: str) -> Any:
    async with begin(store._transactions._engine, writes=False) as connection:
        return (await connection.execute(sa.select(webhooks).where(webhooks.c.id == webhook_id))).one_or_none()


async def secrets(store: Store, webhook_id: str) -> tuple[str, ...]:
    return store.webhooks.secrets_of(await row_of(store, webhook_id))


async def acts(store: Store) -> list[tuple[str, str, Any]]:
    entries = await store.audit.page(organization_id="org_a")
    return [(entry.actor, entry.action, entry.changes) for entry in entries if entry.action.startswith("webhook.")]


async def test_a_webhook_is_kept_with_all_that_was_said(keeper: Store, clock: Any) -> None:
    made = await keeper.webhooks.create(NEW_WEBHOOK, most=1, actor="0123456789")

    assert (made.url, made.description, made.events, made.enabled) == (URL, "Shop", JOB_EVENTS, True)
    assert (made.created_at, made.disabled_reason, made.failing_since, made.delivered_at) == (
        clock.now,
        None,
        None,
        None,
    )
    assert await keeper.webhooks.find(made.id) == await keeper.webhooks.find(made.id, organization_id="org_a") == made
    assert await keeper.webhooks.find(made.id, organization_id="org_b") is None
    assert await keeper.webhooks.find("whk_0") is None
    assert await secrets(keeper, made.id) == (SECRET,)
    assert await acts(keeper) == [("0123456789", "webhook.create", {"events": (None, " ".join(JOB_EVENTS))})]


async def test_neither_secret_nor_address_is_told_where_it_need_not(keeper: Store, tmp_path: Path) -> None:
    made = await make(keeper)
    await keeper.webhooks.rotate(made.id, OTHER, overlap=timedelta(1))
    await keeper.webhooks.change(made.id, WebhookChanges(url="https://other.example/hush"))
    row = await row_of(keeper, made.id)

    assert SECRET.encode() not in row.sealed + row.previous_sealed
    assert OTHER.encode() not in row.sealed + row.previous_sealed
    told = str(await keeper.audit.page())
    assert not any(secret in told for secret in (SECRET, OTHER, "hush", "hooks.example"))
    assert SECRET not in repr(NEW_WEBHOOK)


async def test_they_are_listed_in_pages(keeper: Store) -> None:
    made = [await make(keeper, organization_id=each, description="") for each in ("org_a", "org_b", "org_a")]
    made.sort(key=lambda webhook: webhook.id)
    own = [webhook for webhook in made if webhook.organization_id == "org_a"]

    assert [webhook.description for webhook in made] == [None] * 3
    assert await keeper.webhooks.page() == tuple(made)
    assert await keeper.webhooks.page(organization_id="org_a", limit=1) == (own[0],)
    assert await keeper.webhooks.page(organization_id="org_a", after=own[0].id, limit=5) == (own[1],)


async def test_an_organization_has_as_many_as_it_may(keeper: Store) -> None:
    tries = [keeper.webhooks.create(NEW_WEBHOOK, most=2) for _ in range(4)]
    ended = await asyncio.gather(*tries, return_exceptions=True)
    refused = [each for each in ended if isinstance(each, InvalidFieldValue)]

    assert (len(await keeper.webhooks.page()), len(refused)) == (2, 2)
    assert refused[0].details == {"max_webhooks": 2}
    await make(keeper, organization_id="org_b")
    await keeper.webhooks.delete((await keeper.webhooks.page(organization_id="org_a"))[0].id)
    await keeper.webhooks.create(NEW_WEBHOOK, most=2)
    with pytest.raises(InvalidFieldValue, match="no such organization"):
        await make(keeper, organization_id="org_c")


async def test_what_is_given_is_changed(keeper: Store) -> None:
    made = await make(keeper)
    assert await keeper.webhooks.change(made.id, WebhookChanges()) == made

    events = ("job.done", "job.failed")
    changed = await keeper.webhooks.change(made.id, WebhookChanges(events=events, description=""), actor="k")
    assert changed == replace(made, events=events, description=None) == await keeper.webhooks.find(made.id)
    assert (await acts(keeper))[0] == (
        "k",
        "webhook.change",
        {"description": (None, "changed"), "events": (" ".join(JOB_EVENTS), "job.done job.failed")},
    )
    assert await keeper.webhooks.change("whk_0", WebhookChanges()) is None


async def test_one_is_disabled_by_hand_and_enabled_again(keeper: Store, clock: Any) -> None:
    made = await make(keeper)
    off = await keeper.webhooks.change(made.id, WebhookChanges(enabled=False))
    assert off is not None
    assert (off.enabled, off.disabled_at, off.disabled_reason) == (False, clock.now, "by_hand")
    clock.advance(hours=1)
    assert await keeper.webhooks.change(made.id, WebhookChanges(enabled=False)) == off

    on = await keeper.webhooks.change(made.id, WebhookChanges(enabled=True))
    assert on == made


async def test_what_is_deleted_is_not_there(keeper: Store) -> None:
    made, other = await make(keeper), await make(keeper)
    assert await keeper.webhooks.delete(made.id, actor="k")

    assert await keeper.webhooks.find(made.id) is None
    assert await keeper.webhooks.page() == (other,)
    assert not await keeper.webhooks.delete(made.id)
    assert await keeper.webhooks.change(made.id, WebhookChanges(url=URL)) is None
    assert await keeper.webhooks.rotate(made.id, OTHER, overlap=timedelta(0)) is None
    assert (await acts(keeper))[0] == ("k", "webhook.delete", {})
    await keeper.webhooks.purge()
    assert await row_of(keeper, made.id) is None
    assert await keeper.webhooks.page() == (other,)


async def test_two_secrets_sign_while_a_rotation_lasts(keeper: Store, clock: Any) -> None:
    made = await make(keeper)
    rotated = await keeper.webhooks.rotate(made.id, OTHER, overlap=timedelta(hours=1), actor="k")
    assert rotated is not None
    ends = clock.now + timedelta(hours=1)
    assert rotated.previous_secret_ends_at == ends
    assert await secrets(keeper, made.id) == (OTHER, SECRET)
    assert (await acts(keeper))[0] == ("k", "webhook.rotate", {"previous_secret_ends_at": (None, ends.isoformat())})

    clock.advance(hours=1)
    assert await secrets(keeper, made.id) == (OTHER,)

    at_once = await keeper.webhooks.rotate(made.id, SECRET, overlap=timedelta(0))
    assert at_once is not None
    assert at_once.previous_secret_ends_at is None
    assert await secrets(keeper, made.id) == (SECRET,)
    assert (await acts(keeper))[0][2] == {"previous_secret_ends_at": (None, None)}


async def test_secrets_are_encrypted_anew_with_the_keys(keeper: Store, database_url: str, pepper: bytes) -> None:
    made, gone = await make(keeper), await make(keeper)
    await keeper.webhooks.rotate(made.id, OTHER, overlap=timedelta(10_000))
    await keeper.webhooks.delete(gone.id)
    await keeper.provider_keys.put("org_a", "openai", "sk-0123456789")
    async with open_store(database_url, pepper=pepper, encryption_keys=[OLD, NEW]) as store:
        assert await store.webhooks.lost() == 0
        assert await store.provider_keys.seal_anew() == 2
        assert await store.provider_keys.seal_anew() == 0
        plain = await make(store)
    async with open_store(database_url, pepper=pepper, encryption_keys=[OLD]) as store:
        assert await secrets(store, made.id) == (OTHER, SECRET)
        assert await secrets(store, plain.id) == (SECRET,)

    assert await keeper.webhooks.lost() == 2
    assert await secrets(keeper, made.id) == ()
    await keeper.provider_keys.remove("org_a", "openai")
    with pytest.raises(
        SettingsError, match=r"secret of the webhook whk_.* cannot be decrypted; add the encryption key"
    ):
        await keeper.provider_keys.seal_anew()


async def test_without_an_encryption_key_no_secret_is_kept(keeper: Store, store: Store) -> None:
    made = await make(keeper)
    for call in (make(store), store.webhooks.rotate(made.id, OTHER, overlap=timedelta(0))):
        with pytest.raises(EncryptionNotConfigured):
            await call
    assert await secrets(store, made.id) == ()
    assert await store.webhooks.lost() == 1


async def test_a_secret_belongs_to_its_row(keeper: Store) -> None:
    made, other = await make(keeper), await make(keeper, secret=OTHER)
    moved = (await row_of(keeper, other.id)).sealed
    async with begin(keeper._transactions._engine, writes=True) as connection:
        await connection.execute(sa.update(webhooks).where(webhooks.c.id == made.id).values(sealed=moved))
    assert await secrets(keeper, made.id) == ()

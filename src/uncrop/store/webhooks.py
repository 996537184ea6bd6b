"""Webhooks: organizations' own servers that are told of their jobs, and the secrets that messages are signed with."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
import structlog

from uncrop.errors import EncryptionNotConfigured, InvalidFieldValue, SettingsError
from uncrop.model.webhooks import JOB_EVENTS, Webhook
from uncrop.store.audit import COMMAND_LINE, Act, note
from uncrop.store.organizations import get_organization
from uncrop.store.sealing import CannotUnseal, Sealed
from uncrop.store.tables import webhook_deliveries, webhooks
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.model.webhooks import JobEvent
    from uncrop.store.audit import Changes, Value
    from uncrop.store.sealing import Sealer
    from uncrop.store.transactions import Transactions

_THERE = webhooks.c.deleted_at.is_(None)
_log = structlog.stdlib.get_logger("uncrop.store")


@dataclass(frozen=True, kw_only=True, slots=True)
class NewWebhook:
    """A webhook that is to be made; ``secret`` is what its messages are signed with."""

    organization_id: str
    url: str
    description: str | None
    events: tuple[JobEvent, ...]
    secret: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookChanges:
    """What is to be changed of a webhook; ``None``: it stays. An empty description is none."""

    url: str | None = None
    description: str | None = None
    events: tuple[JobEvent, ...] | None = None
    enabled: bool | None = None


class Webhooks:
    """Webhooks in the database.

    Parameters
    ----------
    sealer
        Encrypts secrets; ``None`` where the settings name no encryption key.
    clock
        The present moment, aware.
    """

    def __init__(self, transactions: Transactions, sealer: Sealer | None, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._sealer = sealer
        self._clock = clock

    async def create(self, new: NewWebhook, *, most: int, actor: str = COMMAND_LINE) -> Webhook:
        """Make a webhook, of which an organization has ``most`` at most.

        Raises
        ------
        EncryptionNotConfigured
            The settings name no encryption key.
        InvalidFieldValue
            There is no such organization, or it has as many as it may.
        """
        sealer, webhook_id, now = self._needed(), new_webhook_id(), self._clock()
        sealed = sealer.seal(new.secret, belongs_to=_place(webhook_id))
        row = {
            "id": webhook_id,
            "organization_id": new.organization_id,
            "url": new.url,
            "description": new.description or None,
            "events": " ".join(new.events),
            "sealed": sealed.data,
            "encryption_key": sealed.key_id,
            "created_at": now,
        }

        async def work(connection: AsyncConnection) -> Webhook:
            # Locked, so that two at once are not both the last one that there may be.
            await get_organization(connection, new.organization_id, locked=True)
            own = sa.select(sa.func.count()).where(webhooks.c.organization_id == new.organization_id, _THERE)
            if (await connection.execute(own)).scalar_one() >= most:
                said = f"The organization has {most} webhooks, which is as many as it may"
                raise InvalidFieldValue(said, details={"max_webhooks": most})
            made = webhook_of((await connection.execute(sa.insert(webhooks).values(row).returning(webhooks))).one())
            changes: Changes = {"events": (None, " ".join(new.events))}
            await self._note(connection, made, "webhook.create", changes, actor)
            return made

        return await self._transactions.write(work)

    async def find(self, webhook_id: str, *, organization_id: str | None = None) -> Webhook | None:
        """Return a webhook; another organization's is as if there were none."""
        query = sa.select(webhooks).where(webhooks.c.id == webhook_id, _THERE)
        if organization_id is not None:
            query = query.where(webhooks.c.organization_id == organization_id)
        row = (await self._transactions.read(execute(query))).one_or_none()
        return None if row is None else webhook_of(row)

    async def page(
        self, *, organization_id: str | None = None, after: str | None = None, limit: int | None = None
    ) -> tuple[Webhook, ...]:
        """Return webhooks, oldest first: of one organization or of all, behind that of the id ``after``."""
        query = sa.select(webhooks).where(_THERE).order_by(webhooks.c.id)
        if organization_id is not None:
            query = query.where(webhooks.c.organization_id == organization_id)
        if after is not None:
            query = query.where(webhooks.c.id > after)
        if limit is not None:
            query = query.limit(limit)
        return tuple(webhook_of(row) for row in (await self._transactions.read(execute(query))).all())

    async def change(self, webhook_id: str, changes: WebhookChanges, *, actor: str = COMMAND_LINE) -> Webhook | None:
        """Change what is given, and return the webhook as it is then; ``None`` where there is none."""

        async def work(connection: AsyncConnection) -> Webhook | None:
            before = await _locked(connection, webhook_id)
            if before is None:
                return None
            after = self._changed(before, changes)
            values = {name: getattr(after, name) for name in _CHANGED} | {"events": " ".join(after.events)}
            await connection.execute(sa.update(webhooks).where(webhooks.c.id == webhook_id).values(values))
            told = {name: (_told(before, name), _told(after, name)) for name in _TOLD}
            noted: dict[str, tuple[Value, Value]] = {name: pair for name, pair in told.items() if pair[0] != pair[1]}
            await self._note(connection, after, "webhook.change", noted, actor)
            return after

        return await self._transactions.write(work)

    async def delete(self, webhook_id: str, *, actor: str = COMMAND_LINE) -> bool:
        """Delete a webhook, and what is kept of its messages; none of them is sent any more. False: there is none."""
        now = self._clock()
        its = webhook_deliveries.c.webhook_id == webhook_id
        unsent = {"state": "failed", "failure": "disabled", "ended_at": now, "next_attempt_at": None}

        async def work(connection: AsyncConnection) -> bool:
            found = await _locked(connection, webhook_id)
            if found is None:
                return False
            change = sa.update(webhooks).where(webhooks.c.id == webhook_id).values(deleted_at=now)
            await connection.execute(change)
            waiting = sa.update(webhook_deliveries).where(its, webhook_deliveries.c.state == "waiting")
            await connection.execute(waiting.values(unsent))
            await connection.execute(sa.update(webhook_deliveries).where(its).values(expires_at=now))
            await self._note(connection, found, "webhook.delete", {}, actor)
            return True

        return await self._transactions.write(work)

    async def purge(self) -> None:
        """Let go of deleted webhooks that no message refers to any more."""
        referred = sa.exists().where(webhook_deliveries.c.webhook_id == webhooks.c.id)
        await self._transactions.write(
            execute(sa.delete(webhooks).where(webhooks.c.deleted_at.is_not(None), ~referred))
        )

    async def rotate(
        self, webhook_id: str, secret: str, *, overlap: timedelta, actor: str = COMMAND_LINE
    ) -> Webhook | None:
        """Sign with another secret from now on, and for the time of ``overlap`` with the present one too.

        Returns
        -------
        Webhook or None
            ``None`` where there is none.

        Raises
        ------
        EncryptionNotConfigured
        """
        sealed, now = self._needed().seal(secret, belongs_to=_place(webhook_id)), self._clock()
        values: dict[str, Any] = {"sealed": sealed.data, "encryption_key": sealed.key_id, **_NO_PREVIOUS}
        if overlap:
            values |= {
                "previous_sealed": webhooks.c.sealed,
                "previous_encryption_key": webhooks.c.encryption_key,
                "previous_secret_ends_at": now + overlap,
            }
        change = sa.update(webhooks).where(webhooks.c.id == webhook_id, _THERE).values(values).returning(webhooks)

        async def work(connection: AsyncConnection) -> Webhook | None:
            row = (await connection.execute(change)).one_or_none()
            if row is None:
                return None
            after = webhook_of(row)
            ends = after.previous_secret_ends_at
            changes: Changes = {"previous_secret_ends_at": (None, None if ends is None else ends.isoformat())}
            await self._note(connection, after, "webhook.rotate", changes, actor)
            return after

        return await self._transactions.write(work)

    async def lost(self) -> int:
        """Return of how many webhooks the secret cannot be decrypted here."""
        known = () if self._sealer is None else self._sealer.ids
        query = sa.select(sa.func.count()).where(_THERE, webhooks.c.encryption_key.not_in(known))
        return int((await self._transactions.read(execute(query))).scalar_one())

    def secrets_of(self, row: Any) -> tuple[str, ...]:
        """Return what a webhook's messages are signed with, by its row; nothing where that cannot be decrypted."""
        places = [(row.encryption_key, row.sealed)]
        if row.previous_secret_ends_at is not None and row.previous_secret_ends_at > self._clock():
            places.append((row.previous_encryption_key, row.previous_sealed))
        try:
            if self._sealer is None:
                raise CannotUnseal("the settings name no encryption key")
            place = _place(row.id)
            return tuple(
                self._sealer.unseal(Sealed(key_id=key_id, data=data), belongs_to=place) for key_id, data in places
            )
        except CannotUnseal as error:
            _log.error("a webhook's secret cannot be decrypted", webhook=row.id, reason=str(error))
            return ()

    def _needed(self) -> Sealer:
        if self._sealer is None:
            raise EncryptionNotConfigured(system_message="UNCROP_ENCRYPTION_KEY is not set")
        return self._sealer

    def _changed(self, before: Webhook, changes: WebhookChanges) -> Webhook:
        after = replace(
            before,
            url=before.url if changes.url is None else changes.url,
            description=before.description if changes.description is None else changes.description or None,
            events=before.events if changes.events is None else changes.events,
        )
        if changes.enabled is None or changes.enabled == before.enabled:
            return after
        if changes.enabled:
            return replace(after, disabled_at=None, disabled_reason=None, failing_since=None)
        return replace(after, disabled_at=self._clock(), disabled_reason="by_hand")

    async def _note(
        self, connection: AsyncConnection, webhook: Webhook, action: str, changes: Changes, actor: str
    ) -> None:
        await note_act(connection, webhook, action, changes, actor=actor, at=self._clock())


_NO_PREVIOUS = dict.fromkeys(("previous_sealed", "previous_encryption_key", "previous_secret_ends_at"))
_CHANGED = ("url", "description", "disabled_at", "disabled_reason", "failing_since")
# Not the address and the description, which may hold a secret: only whether they are others.
_TOLD = ("url", "description", "events", "disabled_reason")


def _told(webhook: Webhook, name: str) -> Value:
    value = getattr(webhook, name)
    return " ".join(value) if name == "events" else value


async def note_act(
    connection: AsyncConnection, webhook: Webhook, action: str, changes: Changes, *, actor: str, at: datetime
) -> None:
    """Note an act on a webhook within the caller's transaction; of address and description only that they changed."""
    hidden = {name: (None, "changed") if name in {"url", "description"} else pair for name, pair in changes.items()}
    act = Act(actor=actor, action=action, target=webhook.id, organization_id=webhook.organization_id, changes=hidden)
    await note(connection, act, at=at)


async def seal_anew(connection: AsyncConnection, sealer: Sealer) -> int:
    """Encrypt all secrets of webhooks with the present key within the caller's transaction; returns how many.

    Raises
    ------
    SettingsError
        One cannot be decrypted with any key that is known.
    """
    earlier = sa.or_(
        webhooks.c.encryption_key != sealer.present_id, webhooks.c.previous_encryption_key != sealer.present_id
    )
    rows = (await connection.execute(sa.select(webhooks).where(earlier, _THERE).with_for_update())).all()
    for row in rows:
        place = _place(row.id)
        values: dict[str, Any] = {}
        for prefix in ("", "previous_"):
            data = getattr(row, f"{prefix}sealed")
            if data is None:
                continue
            try:
                text = sealer.unseal(
                    Sealed(key_id=getattr(row, f"{prefix}encryption_key"), data=data), belongs_to=place
                )
            except CannotUnseal as error:
                said = f"UNCROP_ENCRYPTION_KEY: the secret of the webhook {row.id} cannot be decrypted"
                raise SettingsError([f"{said}; add the encryption key that it was set under"]) from error
            sealed = sealer.seal(text, belongs_to=place)
            values |= {f"{prefix}sealed": sealed.data, f"{prefix}encryption_key": sealed.key_id}
        await connection.execute(sa.update(webhooks).where(webhooks.c.id == row.id).values(values))
    return len(rows)


def new_webhook_id() -> str:
    """Return an id; later ones are greater, by the millisecond."""
    return f"whk_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(4)}"


async def _locked(connection: AsyncConnection, webhook_id: str) -> Webhook | None:
    query = sa.select(webhooks).where(webhooks.c.id == webhook_id, _THERE).with_for_update()
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else webhook_of(row)


def webhook_of(row: Any) -> Webhook:
    """Return the webhook of a row of its table."""
    names: Sequence[str] = [name for name in Webhook.__dataclass_fields__ if name != "events"]
    chosen = row.events.split()
    return Webhook(
        **{name: getattr(row, name) for name in names}, events=tuple(each for each in JOB_EVENTS if each in chosen)
    )


def _place(webhook_id: str) -> str:
    return f"webhook/{webhook_id}"

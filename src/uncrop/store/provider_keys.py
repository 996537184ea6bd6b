"""Keys of providers that are an organization's own, encrypted in the database."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog

from uncrop.errors import EncryptionNotConfigured, InvalidFieldValue, SettingsError
from uncrop.store.audit import COMMAND_LINE, Act, note
from uncrop.store.organizations import get_organization
from uncrop.store.sealing import CannotUnseal, Sealed
from uncrop.store.tables import provider_keys
from uncrop.store.transactions import execute
from uncrop.store.webhooks import seal_anew as seal_webhooks_anew

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.audit import Changes
    from uncrop.store.sealing import Sealer
    from uncrop.store.transactions import Transactions

LONGEST_KEY = 1000
# Of a shorter key, four characters would be too much of it.
SHORTEST_TOLD = 16
_SENDABLE = re.compile(r"[!-~]+")
_log = structlog.stdlib.get_logger("uncrop.store")


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderKeyEntry:
    """What may be told of an organization's key for a provider.

    Attributes
    ----------
    last4
        Its last characters; empty where it is short.
    usable
        Whether the encryption key that it needs is known here.
    """

    organization_id: str
    provider: str
    last4: str
    created_at: datetime
    usable: bool


class ProviderKeys:
    """Organizations' own keys in the database.

    Parameters
    ----------
    sealer
        Encrypts them; ``None`` where the settings name no encryption key.
    clock
        The present moment, aware.
    """

    def __init__(self, transactions: Transactions, sealer: Sealer | None, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._sealer = sealer
        self._clock = clock

    async def put(self, organization_id: str, provider: str, key: str, *, actor: str = COMMAND_LINE) -> None:
        """Keep a key in the place of the one that may be there.

        Raises
        ------
        EncryptionNotConfigured
            The settings name no encryption key.
        InvalidFieldValue
            No HTTP header can carry the key, or there is no such organization.
        """
        if self._sealer is None:
            raise EncryptionNotConfigured(system_message="UNCROP_ENCRYPTION_KEY is not set")
        if not (_SENDABLE.fullmatch(key) and len(key) <= LONGEST_KEY):
            raise InvalidFieldValue(f"A provider's key has 1 to {LONGEST_KEY} visible ASCII characters, without spaces")
        sealed = self._sealer.seal(key, belongs_to=_place(organization_id, provider))
        values = {
            "encryption_key": sealed.key_id,
            "sealed": sealed.data,
            "last4": key[-4:] if len(key) >= SHORTEST_TOLD else "",
            "created_at": self._clock(),
        }

        async def work(connection: AsyncConnection) -> None:
            # The organization's row is locked, so that of two changes one comes after the other.
            await get_organization(connection, organization_id, locked=True)
            before = await _take(connection, organization_id, provider)
            row = {"organization_id": organization_id, "provider": provider, **values}
            await connection.execute(sa.insert(provider_keys).values(row))
            changes = {"last4": (before, str(values["last4"]))}
            await self._note(connection, "provider_key.set", organization_id, provider, changes, actor)

        await self._transactions.write(work)

    async def remove(self, organization_id: str, provider: str, *, actor: str = COMMAND_LINE) -> bool:
        """Forget a key; false if there was none.

        Raises
        ------
        InvalidFieldValue
            There is no such organization.
        """

        async def work(connection: AsyncConnection) -> bool:
            await get_organization(connection, organization_id, locked=True)
            before = await _take(connection, organization_id, provider)
            if before is not None:
                changes = {"last4": (before, None)}
                await self._note(connection, "provider_key.remove", organization_id, provider, changes, actor)
            return before is not None

        return await self._transactions.write(work)

    async def all(self, organization_id: str | None = None) -> tuple[ProviderKeyEntry, ...]:
        """Return what may be told of the keys, of one organization or of all."""
        query = sa.select(provider_keys).order_by(provider_keys.c.organization_id, provider_keys.c.provider)
        if organization_id is not None:
            query = query.where(provider_keys.c.organization_id == organization_id)
        known = frozenset() if self._sealer is None else self._sealer.ids
        return tuple(
            ProviderKeyEntry(
                organization_id=row.organization_id,
                provider=row.provider,
                last4=row.last4,
                created_at=row.created_at,
                usable=row.encryption_key in known,
            )
            for row in (await self._transactions.read(execute(query))).all()
        )

    async def of(self, organization_id: str) -> dict[str, str | None]:
        """Return an organization's keys by provider; ``None`` for one that cannot be decrypted here.

        The place of such a key is not empty: the server's own would be billed to somebody else.
        """
        query = sa.select(provider_keys).where(provider_keys.c.organization_id == organization_id)
        rows = (await self._transactions.read(execute(query))).all()
        return {row.provider: self._unsealed(row) for row in rows}

    async def seal_anew(self, *, actor: str = COMMAND_LINE) -> int:
        """Encrypt all keys with the present encryption key that are under an earlier one; returns how many.

        All are, and the secrets of webhooks with them, or none.

        Raises
        ------
        EncryptionNotConfigured
            The settings name no encryption key.
        SettingsError
            A key or a secret cannot be decrypted with any that is known.
        """
        sealer = self._sealer
        if sealer is None:
            raise EncryptionNotConfigured(system_message="UNCROP_ENCRYPTION_KEY is not set")

        async def work(connection: AsyncConnection) -> int:
            earlier = provider_keys.c.encryption_key != sealer.present_id
            rows = (await connection.execute(sa.select(provider_keys).where(earlier).with_for_update())).all()
            for row in rows:
                text = self._unsealed(row)
                if text is None:
                    raise SettingsError([_lost(row.organization_id, row.provider)])
                sealed = sealer.seal(text, belongs_to=_place(row.organization_id, row.provider))
                change = sa.update(provider_keys).where(_at(row.organization_id, row.provider))
                await connection.execute(change.values(encryption_key=sealed.key_id, sealed=sealed.data))
            secrets = await seal_webhooks_anew(connection, sealer)
            changes = {"keys": (None, len(rows)), "webhooks": (None, secrets)}
            act = Act(actor=actor, action="encryption.rotate", target=sealer.present_id, changes=changes)
            await note(connection, act, at=self._clock())
            return len(rows) + secrets

        return await self._transactions.write(work)

    def _unsealed(self, row: sa.Row[tuple[object, ...]]) -> str | None:
        try:
            if self._sealer is None:
                raise CannotUnseal("the settings name no encryption key")
            sealed = Sealed(key_id=row.encryption_key, data=row.sealed)
            return self._sealer.unseal(sealed, belongs_to=_place(row.organization_id, row.provider))
        except CannotUnseal as error:
            _log.error(
                "an organization's key for a provider cannot be decrypted",
                organization=row.organization_id,
                provider=row.provider,
                reason=str(error),
            )
            return None

    async def _note(
        self,
        connection: AsyncConnection,
        action: str,
        organization_id: str,
        provider: str,
        changes: Changes,
        actor: str,
    ) -> None:
        act = Act(actor=actor, action=action, target=provider, organization_id=organization_id, changes=changes)
        await note(connection, act, at=self._clock())


def _lost(organization_id: str, provider: str) -> str:
    return (
        f"UNCROP_ENCRYPTION_KEY: the key of {organization_id} for {provider} cannot be decrypted; "
        "add the encryption key that it was set under"
    )


def _place(organization_id: str, provider: str) -> str:
    return f"{organization_id}/{provider}"


def _at(organization_id: str, provider: str) -> sa.ColumnElement[bool]:
    return sa.and_(provider_keys.c.organization_id == organization_id, provider_keys.c.provider == provider)


async def _take(connection: AsyncConnection, organization_id: str, provider: str) -> str | None:
    """Delete the row, if there is one, and return the last characters of its key."""
    change = sa.delete(provider_keys).where(_at(organization_id, provider)).returning(provider_keys.c.last4)
    last4: str | None = (await connection.execute(change)).scalar_one_or_none()
    return last4

"""API keys: made once, shown once, known afterwards only by a keyed hash.

A key is ``uncrop_``, then its id of 10 letters and digits, then ``_`` and 43 characters of base64url: 256 random bits.
The id finds the row, the HMAC-SHA256 of the whole key under the pepper proves the key. The secret is random and long,
so a slow password hash would add cost for the server and none for a guesser.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import sqlalchemy as sa

from uncrop.errors import InvalidFieldValue
from uncrop.store.organizations import check_name, check_organization_id, ensure_organization, new_organization_id
from uncrop.store.tables import api_keys, organizations
from uncrop.store.transactions import execute, lock_database

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.sql.elements import ColumnElement

    from uncrop.store.transactions import Transactions

KEY_PREFIX = "uncrop_"
# How often the database is told that a key is in use.
LAST_USED_EVERY = timedelta(minutes=1)

KeyState: TypeAlias = Literal["active", "paused", "expired", "revoked"]

_PATTERN = re.compile(KEY_PREFIX + r"([0-9A-Za-z]{10})_[0-9A-Za-z_-]{43}", re.ASCII)
_ALPHABET = string.ascii_letters + string.digits
_COLUMNS = [column for column in api_keys.c if column is not api_keys.c.digest]


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """What may be known about a key: everything but its secret."""

    id: str
    organization_id: str
    name: str | None
    created_at: datetime
    expires_at: datetime | None
    paused_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def prefix(self) -> str:
        """The part of the key that may be shown, to recognise it by."""
        return KEY_PREFIX + self.id

    def state(self, now: datetime) -> KeyState:
        """Return whether the key can be used; the state that is hardest to leave wins."""
        if self.revoked_at is not None:
            return "revoked"
        if self.expires_at is not None and self.expires_at <= now:
            return "expired"
        return "active" if self.paused_at is None else "paused"


@dataclass(frozen=True, kw_only=True, slots=True)
class NewKey:
    """A key at the only moment at which its text is known."""

    id: str
    organization_id: str
    key: str = field(repr=False)


_BY_ID = sa.select(api_keys).where(api_keys.c.id == sa.bindparam("key"))  # built once, as every request needs it


class ApiKeys:
    """The keys in the database.

    Parameters
    ----------
    pepper
        The secret under which keys are hashed.
    clock
        The present moment, aware.
    """

    def __init__(self, transactions: Transactions, pepper: bytes, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._pepper = pepper
        self._clock = clock

    async def create(
        self, organization_id: str, *, name: str | None = None, expires_at: datetime | None = None
    ) -> NewKey:
        """Make a key, and its organization if there is none of that id yet.

        Raises
        ------
        InvalidFieldValue
            The organization's id is malformed, the name cannot be shown on one line, or the key would be expired from
            the start.
        """
        check_organization_id(organization_id)
        check_name(name)
        if expires_at is not None and expires_at <= self._clock():
            raise InvalidFieldValue("The expiry lies in the past", details={"expires": expires_at.isoformat()})
        return await self._transactions.write(
            lambda connection: self._insert(connection, organization_id, name, expires_at)
        )

    async def create_first(self) -> NewKey | None:
        """Make an organization and a key if the database has no organization yet; else ``None``."""

        async def work(connection: AsyncConnection) -> NewKey | None:
            await lock_database(connection)
            if (await connection.execute(sa.select(organizations.c.id).limit(1))).first() is not None:
                return None
            return await self._insert(connection, new_organization_id(), "first key", None)

        return await self._transactions.write(work)

    async def verify(self, text: str) -> ApiKey | None:
        """Return the key that a caller has sent, in whatever state it is, or ``None`` if it is none of ours.

        A malformed text is refused without a query. An unknown id costs the same work as a wrong secret.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            return None
        found = await self._transactions.read(execute(_BY_ID, key=match[1]))
        row = found.mappings().one_or_none()
        expected = bytes(32) if row is None else row["digest"]
        genuine = hmac.compare_digest(self._digest(text), expected)
        if row is None or not genuine:
            return None
        return ApiKey(**{name: value for name, value in row.items() if name != "digest"})

    async def note_use(self, key: ApiKey) -> None:
        """Note that the key was used now; writes at most once a minute and key."""
        now = self._clock()
        if key.last_used_at is not None and now - key.last_used_at < LAST_USED_EVERY:
            return
        # Repeated in the statement, since other requests with this key may have read the same row.
        due = sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= now - LAST_USED_EVERY)
        change = sa.update(api_keys).where(api_keys.c.id == key.id, due).values(last_used_at=now)
        await self._transactions.write(execute(change))

    async def all(self, organization_id: str | None = None) -> tuple[ApiKey, ...]:
        """Return the keys, of one organization or of all, oldest first."""
        query = sa.select(*_COLUMNS).order_by(api_keys.c.created_at, api_keys.c.id)
        if organization_id is not None:
            query = query.where(api_keys.c.organization_id == organization_id)
        found = await self._transactions.read(execute(query))
        return tuple(ApiKey(**row) for row in found.mappings())

    async def pause(self, key_id: str) -> ApiKey:
        """Refuse the key until it is resumed.

        Raises
        ------
        InvalidFieldValue
            There is no such key, or it is revoked.
        """
        return await self._change(key_id, paused_at=sa.func.coalesce(api_keys.c.paused_at, self._now()))

    async def resume(self, key_id: str) -> ApiKey:
        """Take a paused key again; errors as in ``pause``."""
        return await self._change(key_id, paused_at=sa.null())

    async def revoke(self, key_id: str) -> ApiKey:
        """Refuse the key for good; a second time changes nothing.

        Raises
        ------
        InvalidFieldValue
            There is no such key.
        """
        revoked_at = sa.func.coalesce(api_keys.c.revoked_at, self._now())
        return await self._change(key_id, even_revoked=True, revoked_at=revoked_at)

    def _now(self) -> ColumnElement[datetime]:
        return sa.literal(self._clock(), api_keys.c.created_at.type)

    def _digest(self, text: str) -> bytes:
        return hmac.digest(self._pepper, text.encode("ascii"), hashlib.sha256)

    async def _insert(
        self, connection: AsyncConnection, organization_id: str, name: str | None, expires_at: datetime | None
    ) -> NewKey:
        now = self._clock()
        key_id = "".join(secrets.choice(_ALPHABET) for _ in range(10))
        text = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        await ensure_organization(connection, organization_id, name=None, now=now)
        await connection.execute(
            sa.insert(api_keys).values(
                id=key_id,
                organization_id=organization_id,
                name=name,
                digest=self._digest(text),
                created_at=now,
                expires_at=expires_at,
            )
        )
        return NewKey(id=key_id, organization_id=organization_id, key=text)

    async def _change(self, key_id: str, *, even_revoked: bool = False, **values: ColumnElement[Any]) -> ApiKey:
        change = sa.update(api_keys).where(api_keys.c.id == key_id).values(**values).returning(*_COLUMNS)

        async def work(connection: AsyncConnection) -> ApiKey:
            row = (await connection.execute(change)).mappings().one_or_none()
            if row is None:
                raise InvalidFieldValue("There is no such key", details={"id": key_id[:100]})
            key = ApiKey(**row)
            if key.revoked_at is not None and not even_revoked:
                raise InvalidFieldValue("The key is revoked for good", details={"id": key_id})
            return key

        return await self._transactions.write(work)

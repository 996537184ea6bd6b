"""API keys: made once, shown once, known afterwards only by a keyed hash.

A key is ``uncrop_``, then its id of 10 letters and digits, then ``_`` and 43 characters of base64url: 256 random bits.
The id finds the row, the HMAC-SHA256 of the whole key under the pepper proves the key. The secret is random and long,
so a slow password hash would add cost for the server and none for a guesser. A key is never changed: a rotation makes
another one, and lets the old one end.
"""

from __future__ import annotations

import contextlib
import hmac
import re
import secrets
import string
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from uncrop.errors import InvalidFieldValue, ServerBusy
from uncrop.model import DEFAULT_SCOPES
from uncrop.store.api_key import (
    KEY_PREFIX,
    SECRET_COLUMNS,
    ApiKey,
    NewKey,
    PepperUse,
    key_of,
    scopes_text,
    verified_key_of,
)
from uncrop.store.audit import COMMAND_LINE, Act, note
from uncrop.store.organizations import (
    behind,
    check_name,
    check_organization_id,
    ensure_organization,
    new_organization_id,
)
from uncrop.store.policies import policy_columns
from uncrop.store.prepared import Prepared, one_or_none
from uncrop.store.tables import api_keys, organizations, provider_keys
from uncrop.store.transactions import execute, lock_database

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection
    from sqlalchemy.sql.elements import ColumnElement

    from uncrop.model import Scope
    from uncrop.store.audit import Changes
    from uncrop.store.pepper import Peppers
    from uncrop.store.transactions import Transactions

# How often the database is told that a key is in use.
LAST_USED_EVERY = timedelta(minutes=1)
MOST_NOTED = 10_000  # keys whose use is remembered at once
# A key that is to be replaced is replaced by then.
LONGEST_OVERLAP = timedelta(days=90)

_PATTERN = re.compile(KEY_PREFIX + r"([0-9A-Za-z]{10})_[0-9A-Za-z_-]{43}", re.ASCII)
_ALPHABET = string.ascii_letters + string.digits
# What a rotation does not take over from the old key.
_OF_ONE_KEY = frozenset({"id", "digest", "pepper", "created_at", "last_used_at", "paused_at", "replaced_by"})
_COLUMNS = [column for column in api_keys.c if column.name not in SECRET_COLUMNS]


# Built once, as every request needs it. What is to be known of the organization comes along, at no further cost.
_BY_ID = Prepared(
    sa.select(
        api_keys,
        organizations.c.may_use_server_keys,
        sa.exists().where(provider_keys.c.organization_id == api_keys.c.organization_id).label("has_provider_keys"),
        *policy_columns(organizations, "organization_"),
    )
    .join_from(api_keys, organizations)
    .where(api_keys.c.id == sa.bindparam("key"))
)


class ApiKeys:
    """The keys in the database.

    Parameters
    ----------
    peppers
        The secrets under which keys are hashed.
    clock
        The present moment, aware.
    """

    def __init__(self, transactions: Transactions, peppers: Peppers, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._peppers = peppers
        self._clock = clock
        # When this process has noted a use of each key.
        self._noted: dict[str, datetime] = {}

    async def create(
        self,
        organization_id: str,
        *,
        name: str | None = None,
        expires_at: datetime | None = None,
        scopes: Collection[Scope] = DEFAULT_SCOPES,
        actor: str = COMMAND_LINE,
    ) -> NewKey:
        """Make a key, and its organization if there is none of that id yet.

        Raises
        ------
        InvalidFieldValue
            The organization's id is malformed, the name cannot be shown on one line, there is no scope, or the key
            would be expired from the start.
        """
        check_organization_id(organization_id)
        check_name(name)
        self._check_expiry(expires_at)
        values = {"name": name, "expires_at": expires_at, "scopes": scopes_text(scopes)}

        async def work(connection: AsyncConnection) -> NewKey:
            await ensure_organization(connection, organization_id, name=None, now=self._clock(), actor=actor)
            return await self._insert(connection, organization_id, values, actor=actor)

        return await self._transactions.write(work)

    async def create_first(self) -> NewKey | None:
        """Make an organization and a key if the database has no organization yet; else ``None``."""

        async def work(connection: AsyncConnection) -> NewKey | None:
            await lock_database(connection)
            if (await connection.execute(sa.select(organizations.c.id).limit(1))).first() is not None:
                return None
            made = new_organization_id()
            await ensure_organization(connection, made, name=None, now=self._clock(), actor=COMMAND_LINE)
            values = {"name": "first key", "expires_at": None, "scopes": scopes_text(DEFAULT_SCOPES)}
            return await self._insert(connection, made, values, actor=COMMAND_LINE)

        return await self._transactions.write(work)

    async def rotate(
        self,
        key_id: str,
        *,
        overlap: timedelta = timedelta(0),
        expires_at: datetime | None = None,
        actor: str = COMMAND_LINE,
    ) -> NewKey:
        """Make another key of the same organization, name, scopes and limits, and let the old one end.

        Of two rotations of one key at the same moment one is refused, so that never two keys take the place of one.

        Parameters
        ----------
        overlap
            For how long both keys work, unless the old one ends before.
        expires_at
            When the new one ends; if absent, after the time that the old one was made for.

        Raises
        ------
        InvalidFieldValue
            There is no such key, it cannot be used, it was rotated before, the overlap is negative or too long, or the
            new one would be expired from the start.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise InvalidFieldValue(
                f"An overlap is at most {LONGEST_OVERLAP.days} days",
                details={"overlap_seconds": overlap.total_seconds()},
            )
        self._check_expiry(expires_at)

        async def work(connection: AsyncConnection) -> NewKey:
            now = self._clock()
            query = sa.select(api_keys).where(api_keys.c.id == key_id).with_for_update()
            row = (await connection.execute(query)).mappings().one_or_none()
            old = _found(None if row is None else key_of(row), key_id)
            _check_rotatable(old, now)
            lifetime = None if old.expires_at is None else old.expires_at - old.created_at
            ends = expires_at or (None if lifetime is None else now + lifetime)
            # Whatever is decided about a key, such as its limits, is decided about the one in its place.
            kept = {name: value for name, value in dict(row or {}).items() if name not in _OF_ONE_KEY}
            new = await self._insert(
                connection, old.organization_id, {**kept, "expires_at": ends}, actor=actor, rotated_from=key_id
            )
            end = now + overlap if old.expires_at is None else min(old.expires_at, now + overlap)
            change = sa.update(api_keys).where(api_keys.c.id == key_id)
            await connection.execute(change.values(replaced_by=new.id, expires_at=end))
            changes = {"replaced_by": (None, new.id), "expires_at": (_text(old.expires_at), _text(end))}
            await self._note(connection, "key.rotate", old, changes, actor)
            return new

        return await self._transactions.write(work)

    async def verify(self, text: str) -> ApiKey | None:
        """Return the key that a caller has sent, in whatever state it is, or ``None`` if it is none of ours.

        A malformed text is refused without a query. An unknown id costs the same work as a wrong secret. A key that was
        hashed under an earlier pepper is hashed anew under the present one.
        """
        match = _PATTERN.fullmatch(text)
        if match is None:
            return None
        row = await self._transactions.read_script(partial(one_or_none, _BY_ID, {"key": match[1]}))
        expected = bytes(32) if row is None else row["digest"]
        genuine = hmac.compare_digest(self._peppers.digest(text, None if row is None else row["pepper"]), expected)
        if row is None or not genuine:
            return None
        if row["pepper"] != self._peppers.present_id:
            await self._rehash(text, match[1], row["pepper"])
        return verified_key_of(row)

    async def note_use(self, key: ApiKey) -> None:
        """Note that the key was used now; writes at most once a minute and key, and waits for nobody who does so too.

        Hundreds of requests that begin at once with one key have all read the same row; they would queue for its lock,
        each with a connection in its hands.
        """
        now = self._clock()
        noted = self._noted.get(key.id, key.last_used_at)
        if noted is not None and now - noted < LAST_USED_EVERY:
            return
        if len(self._noted) >= MOST_NOTED:
            self._noted.clear()
        self._noted[key.id] = now
        # Another process may be about to.
        due = sa.or_(api_keys.c.last_used_at.is_(None), api_keys.c.last_used_at <= now - LAST_USED_EVERY)
        row = sa.select(api_keys.c.id).where(api_keys.c.id == key.id, due).with_for_update(skip_locked=True)
        change = sa.update(api_keys).where(api_keys.c.id.in_(row)).values(last_used_at=now)
        try:
            await self._transactions.write(execute(change))
        except BaseException:
            self._noted.pop(key.id, None)
            raise

    async def find(self, key_id: str, *, organization_id: str | None = None) -> ApiKey | None:
        """Return the key of that id, or ``None``; another organization's is as if absent where one is named."""
        query = sa.select(*_COLUMNS).where(api_keys.c.id == key_id)
        if organization_id is not None:
            query = query.where(api_keys.c.organization_id == organization_id)
        row = (await self._transactions.read(execute(query))).mappings().one_or_none()
        return None if row is None else key_of(row)

    async def all(self, organization_id: str | None = None) -> tuple[ApiKey, ...]:
        """Return the keys, of one organization or of all, oldest first."""
        return await self.page(organization_id=organization_id)

    async def page(
        self,
        *,
        organization_id: str | None = None,
        after: tuple[datetime, str] | None = None,
        limit: int | None = None,
    ) -> tuple[ApiKey, ...]:
        """Return keys, oldest first.

        Parameters
        ----------
        organization_id
            Whose; all when absent.
        after
            Only those behind the one of this age and id.
        limit
            How many at most.
        """
        query = sa.select(*_COLUMNS).order_by(api_keys.c.created_at, api_keys.c.id)
        if organization_id is not None:
            query = query.where(api_keys.c.organization_id == organization_id)
        if after is not None:
            query = query.where(behind(api_keys.c.created_at, api_keys.c.id, after))
        found = await self._transactions.read(execute(query if limit is None else query.limit(limit)))
        return tuple(key_of(row) for row in found.mappings())

    @property
    def earlier_peppers(self) -> frozenset[str]:
        """The ids of the peppers that are known beside the present one."""
        return self._peppers.ids - {self._peppers.present_id}

    async def pepper_uses(self) -> tuple[PepperUse, ...]:
        """Return how many keys that may still be used need which pepper, the present one first."""
        query = (
            sa.select(
                api_keys.c.pepper, sa.func.count().label("number"), sa.func.max(api_keys.c.last_used_at).label("at")
            )
            .where(api_keys.c.revoked_at.is_(None))
            .group_by(api_keys.c.pepper)
        )
        found = (await self._transactions.read(execute(query))).all()
        present = self._peppers.present_id
        uses = [
            PepperUse(pepper_id=row.pepper, present=row.pepper == present, keys=row.number, last_used_at=row.at)
            for row in found
        ]
        return tuple(sorted(uses, key=lambda use: (not use.present, use.pepper_id)))

    async def pause(self, key_id: str, *, actor: str = COMMAND_LINE) -> ApiKey:
        """Refuse the key until it is resumed.

        Raises
        ------
        InvalidFieldValue
            There is no such key, or it is revoked.
        """
        paused_at = sa.func.coalesce(api_keys.c.paused_at, self._now())
        return await self._change(key_id, "key.pause", actor, paused_at=paused_at)

    async def resume(self, key_id: str, *, actor: str = COMMAND_LINE) -> ApiKey:
        """Take a paused key again; errors as in ``pause``."""
        return await self._change(key_id, "key.resume", actor, paused_at=sa.null())

    async def revoke(self, key_id: str, *, actor: str = COMMAND_LINE) -> ApiKey:
        """Refuse the key for good; a second time changes nothing.

        Raises
        ------
        InvalidFieldValue
            There is no such key.
        """
        revoked_at = sa.func.coalesce(api_keys.c.revoked_at, self._now())
        return await self._change(key_id, "key.revoke", actor, even_revoked=True, revoked_at=revoked_at)

    def _now(self) -> ColumnElement[datetime]:
        return sa.literal(self._clock(), api_keys.c.created_at.type)

    def _check_expiry(self, expires_at: datetime | None) -> None:
        if expires_at is not None and expires_at <= self._clock():
            raise InvalidFieldValue("The expiry lies in the past", details={"expires": expires_at.isoformat()})

    async def _rehash(self, text: str, key_id: str, pepper: str) -> None:
        """Hash a key under the present pepper; where that cannot be written now, the next use does it."""
        # Another server may have done it, with another pepper.
        unchanged = sa.and_(api_keys.c.id == key_id, api_keys.c.pepper == pepper)
        values = {"digest": self._peppers.digest(text), "pepper": self._peppers.present_id}
        with contextlib.suppress(ServerBusy):
            await self._transactions.write(execute(sa.update(api_keys).where(unchanged).values(values)))

    async def _insert(
        self,
        connection: AsyncConnection,
        organization_id: str,
        values: Mapping[str, Any],
        *,
        actor: str,
        rotated_from: str | None = None,
    ) -> NewKey:
        now = self._clock()
        key_id = "".join(secrets.choice(_ALPHABET) for _ in range(10))
        text = f"{KEY_PREFIX}{key_id}_{secrets.token_urlsafe(32)}"
        row = {
            **values,
            "id": key_id,
            "organization_id": organization_id,
            "digest": self._peppers.digest(text),
            "pepper": self._peppers.present_id,
            "created_at": now,
        }
        found = await connection.execute(sa.insert(api_keys).values(row).returning(*_COLUMNS))
        made = key_of(found.mappings().one())
        changes = {
            "name": (None, made.name),
            "scopes": (None, scopes_text(made.scopes)),
            "expires_at": (None, _text(made.expires_at)),
            **({} if rotated_from is None else {"rotated_from": (None, rotated_from)}),
        }
        await self._note(connection, "key.create", made, changes, actor)
        return NewKey(id=key_id, organization_id=organization_id, key=text)

    async def _change(
        self, key_id: str, action: str, actor: str, *, even_revoked: bool = False, **values: ColumnElement[Any]
    ) -> ApiKey:
        change = sa.update(api_keys).where(api_keys.c.id == key_id).values(**values).returning(*_COLUMNS)
        looked_at = sa.select(*_COLUMNS).where(api_keys.c.id == key_id).with_for_update()

        async def work(connection: AsyncConnection) -> ApiKey:
            row = (await connection.execute(looked_at)).mappings().one_or_none()
            before = _found(None if row is None else key_of(row), key_id)
            if before.revoked_at is not None and not even_revoked:
                raise InvalidFieldValue("The key is revoked for good", details={"id": key_id})
            after = key_of((await connection.execute(change)).mappings().one())
            if after == before:
                return after
            state = {"state": (before.state(self._clock()), after.state(self._clock()))}
            await self._note(connection, action, after, state, actor)
            return after

        return await self._transactions.write(work)

    async def _note(self, connection: AsyncConnection, action: str, key: ApiKey, changes: Changes, actor: str) -> None:
        act = Act(actor=actor, action=action, target=key.id, organization_id=key.organization_id, changes=changes)
        await note(connection, act, at=self._clock())


def _found(key: ApiKey | None, key_id: str) -> ApiKey:
    if key is None:
        raise InvalidFieldValue("There is no such key", details={"id": key_id[:100]})
    return key


def _check_rotatable(key: ApiKey, now: datetime) -> None:
    """Refuse to replace a key that no longer works: the new one would work again."""
    if key.replaced_by is not None:
        raise InvalidFieldValue("The key was rotated before", details={"id": key.id, "replaced_by": key.replaced_by})
    state = key.state(now)
    if state != "active":
        raise InvalidFieldValue(f"The key is {state}, so that it cannot be rotated", details={"id": key.id})


def _text(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat()

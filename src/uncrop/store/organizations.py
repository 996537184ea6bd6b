"""Organizations: who is billed."""

from __future__ import annotations

import secrets
import string
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from uncrop.errors import InvalidFieldValue
from uncrop.model import ORGANIZATION_ID, ORGANIZATION_ID_RULE
from uncrop.model.policies import UNLIMITED, Policy
from uncrop.store.audit import COMMAND_LINE, Act, note
from uncrop.store.policies import policy_of
from uncrop.store.tables import organizations
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.transactions import Transactions

MAX_NAME = 200  # characters, as the table has it
_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, kw_only=True, slots=True)
class Organization:
    """One organization.

    Attributes
    ----------
    may_use_server_keys
        Whether it may use the server's keys of providers of which it has none itself.
    policy
        How much it may do.
    """

    id: str
    name: str | None
    created_at: datetime
    may_use_server_keys: bool = True
    policy: Policy = UNLIMITED


def new_organization_id() -> str:
    """Draw an id, ``org_`` and 12 letters and digits."""
    return "org_" + "".join(secrets.choice(_ALPHABET) for _ in range(12))


def check_organization_id(organization_id: str) -> None:
    """Refuse what cannot be an organization's id.

    Raises
    ------
    InvalidFieldValue
        It does not follow ``ORGANIZATION_ID``.
    """
    if not ORGANIZATION_ID.fullmatch(organization_id):
        raise InvalidFieldValue(
            f"An organization id is {ORGANIZATION_ID_RULE}",
            details={"organization_id": organization_id[:100]},
        )


def check_name(name: str | None) -> None:
    """Refuse what cannot be the name of an organization or of a key.

    Raises
    ------
    InvalidFieldValue
        It is empty, too long, or cannot be printed.
    """
    if name is not None and not (name.isprintable() and 0 < len(name) <= MAX_NAME):
        raise InvalidFieldValue(f"A name has 1 to {MAX_NAME} characters, all of them printable")


class Organizations:
    """The organizations in the database."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def ensure(self, organization_id: str, *, name: str | None = None, actor: str = COMMAND_LINE) -> Organization:
        """Return the organization, making it first if it does not exist yet.

        Raises
        ------
        InvalidFieldValue
            The id is malformed.
        """
        check_organization_id(organization_id)

        async def work(connection: AsyncConnection) -> Organization:
            await ensure_organization(connection, organization_id, name=name, now=self._clock(), actor=actor)
            return await get_organization(connection, organization_id)

        return await self._transactions.write(work)

    async def get(self, organization_id: str) -> Organization:
        """Return the organization.

        Raises
        ------
        InvalidFieldValue
            The id is malformed, or there is no such organization.
        """
        check_organization_id(organization_id)
        return await self._transactions.read(lambda connection: get_organization(connection, organization_id))

    async def find(self, organization_id: str) -> Organization | None:
        """Return the organization, or ``None`` where there is none of that id, whatever the id looks like."""
        query = sa.select(organizations).where(organizations.c.id == organization_id)
        row = (await self._transactions.read(execute(query))).mappings().one_or_none()
        return None if row is None else _organization(row)

    async def create(self, organization_id: str, *, name: str | None = None, actor: str = COMMAND_LINE) -> Organization:
        """Make an organization that does not exist yet.

        Raises
        ------
        InvalidFieldValue
            The id or the name is malformed, or there is such an organization.
        """
        check_organization_id(organization_id)
        check_name(name)

        async def work(connection: AsyncConnection) -> Organization:
            made = await ensure_organization(connection, organization_id, name=name, now=self._clock(), actor=actor)
            if not made:
                raise InvalidFieldValue(
                    "There is such an organization already", details={"organization_id": organization_id}
                )
            return await get_organization(connection, organization_id)

        return await self._transactions.write(work)

    async def all(self) -> tuple[Organization, ...]:
        """Return all organizations, oldest first."""
        query = sa.select(organizations).order_by(organizations.c.created_at, organizations.c.id)
        found = await self._transactions.read(execute(query))
        return tuple(_organization(row) for row in found.mappings())

    async def page(
        self, *, after: tuple[datetime, str] | None = None, limit: int, organization_id: str | None = None
    ) -> tuple[Organization, ...]:
        """Return organizations, oldest first.

        Parameters
        ----------
        after
            Only those behind the one of this age and id.
        limit
            How many at most.
        organization_id
            This one alone, if it is there.
        """
        age, key = organizations.c.created_at, organizations.c.id
        query = sa.select(organizations).order_by(age, key).limit(limit)
        if organization_id is not None:
            query = query.where(key == organization_id)
        if after is not None:
            query = query.where(behind(age, key, after))
        found = await self._transactions.read(execute(query))
        return tuple(_organization(row) for row in found.mappings())

    async def change(
        self,
        organization_id: str,
        *,
        name: str | None = None,
        may_use_server_keys: bool | None = None,
        actor: str = COMMAND_LINE,
    ) -> Organization:
        """Change what is given, and leave the rest.

        Raises
        ------
        InvalidFieldValue
            There is no such organization, or the name is malformed.
        """
        check_name(name)
        given = {"name": name, "may_use_server_keys": may_use_server_keys}

        async def work(connection: AsyncConnection) -> Organization:
            before = await get_organization(connection, organization_id, locked=True)
            old = {field: getattr(before, field) for field in given}
            wanted = {field: value for field, value in given.items() if value not in (None, old[field])}
            if not wanted:
                return before
            change = sa.update(organizations).where(organizations.c.id == organization_id).values(**wanted)
            await connection.execute(change)
            changes = {field: (old[field], value) for field, value in wanted.items()}
            act = Act(
                actor=actor,
                action="organization.change",
                target=organization_id,
                organization_id=organization_id,
                changes=changes,
            )
            await note(connection, act, at=self._clock())
            return await get_organization(connection, organization_id)

        return await self._transactions.write(work)


def behind(
    age: sa.ColumnElement[datetime], key: sa.ColumnElement[str], place: tuple[datetime, str]
) -> sa.ColumnElement[bool]:
    """Return the condition that a row comes after a place in a list that is ordered by age and id."""
    moment = sa.literal(place[0], age.type)
    return sa.or_(age > moment, sa.and_(age == moment, key > place[1]))


async def ensure_organization(
    connection: AsyncConnection, organization_id: str, *, name: str | None, now: datetime, actor: str
) -> bool:
    """Make the organization within the caller's transaction unless it is there; tell whether it was made."""
    # The two dialects spell the same statement alike, but SQLAlchemy has no common name for it.
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = insert(organizations).values(id=organization_id, name=name, created_at=now)
    unless_there = row.on_conflict_do_nothing(index_elements=[organizations.c.id]).returning(organizations.c.id)
    if (await connection.execute(unless_there)).first() is None:
        return False
    act = Act(
        actor=actor,
        action="organization.create",
        target=organization_id,
        organization_id=organization_id,
        changes={"name": (None, name)},
    )
    await note(connection, act, at=now)
    return True


async def get_organization(connection: AsyncConnection, organization_id: str, *, locked: bool = False) -> Organization:
    """Return the organization within the caller's transaction, which can keep others from changing it meanwhile.

    Raises
    ------
    InvalidFieldValue
        There is no such organization.
    """
    query = sa.select(organizations).where(organizations.c.id == organization_id)
    found = await connection.execute(query.with_for_update() if locked else query)
    row = found.mappings().one_or_none()
    if row is None:
        raise InvalidFieldValue("There is no such organization", details={"organization_id": organization_id[:100]})
    return _organization(row)


def _organization(row: sa.RowMapping) -> Organization:
    names = ("id", "name", "created_at", "may_use_server_keys")
    return Organization(**{name: row[name] for name in names}, policy=policy_of(row))

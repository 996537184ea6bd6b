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
    """One organization. ``daily_limit``: pictures a UTC day, 0 for no limit, ``None`` for the server's default."""

    id: str
    name: str | None
    daily_limit: int | None
    created_at: datetime


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

    async def ensure(self, organization_id: str, *, name: str | None = None) -> Organization:
        """Return the organization, making it first if it does not exist yet.

        Raises
        ------
        InvalidFieldValue
            The id is malformed.
        """
        check_organization_id(organization_id)

        async def work(connection: AsyncConnection) -> Organization:
            await ensure_organization(connection, organization_id, name=name, now=self._clock())
            return await _get(connection, organization_id)

        return await self._transactions.write(work)

    async def get(self, organization_id: str) -> Organization:
        """Return the organization.

        Raises
        ------
        InvalidFieldValue
            The id is malformed, or there is no such organization.
        """
        check_organization_id(organization_id)
        return await self._transactions.read(lambda connection: _get(connection, organization_id))

    async def create(self, organization_id: str, *, name: str | None = None) -> Organization:
        """Make an organization that does not exist yet.

        Raises
        ------
        InvalidFieldValue
            The id or the name is malformed, or there is such an organization.
        """
        check_organization_id(organization_id)
        check_name(name)

        async def work(connection: AsyncConnection) -> Organization:
            made = await ensure_organization(connection, organization_id, name=name, now=self._clock())
            if not made:
                raise InvalidFieldValue(
                    "There is such an organization already", details={"organization_id": organization_id}
                )
            return await _get(connection, organization_id)

        return await self._transactions.write(work)

    async def all(self) -> tuple[Organization, ...]:
        """Return all organizations, oldest first."""
        query = sa.select(organizations).order_by(organizations.c.created_at, organizations.c.id)
        found = await self._transactions.read(execute(query))
        return tuple(Organization(**row) for row in found.mappings())

    async def set_daily_limit(self, organization_id: str, daily_limit: int | None) -> Organization:
        """Set how many pictures a UTC day it may make: 0 for no limit, ``None`` for the server's default.

        Raises
        ------
        InvalidFieldValue
            There is no such organization, or the limit is negative.
        """
        if daily_limit is not None and daily_limit < 0:
            raise InvalidFieldValue("A daily limit cannot be negative", details={"daily_limit": daily_limit})
        change = sa.update(organizations).where(organizations.c.id == organization_id).values(daily_limit=daily_limit)

        async def work(connection: AsyncConnection) -> Organization:
            await connection.execute(change)
            return await _get(connection, organization_id)

        return await self._transactions.write(work)


async def ensure_organization(
    connection: AsyncConnection, organization_id: str, *, name: str | None, now: datetime
) -> bool:
    """Make the organization within the caller's transaction unless it is there; tell whether it was made."""
    # The two dialects spell the same statement alike, but SQLAlchemy has no common name for it.
    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    row = insert(organizations).values(id=organization_id, name=name, created_at=now)
    unless_there = row.on_conflict_do_nothing(index_elements=[organizations.c.id]).returning(organizations.c.id)
    return (await connection.execute(unless_there)).first() is not None


async def _get(connection: AsyncConnection, organization_id: str) -> Organization:
    found = await connection.execute(sa.select(organizations).where(organizations.c.id == organization_id))
    row = found.mappings().one_or_none()
    if row is None:
        raise InvalidFieldValue("There is no such organization", details={"organization_id": organization_id[:100]})
    return Organization(**row)

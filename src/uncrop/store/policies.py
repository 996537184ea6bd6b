"""Policies of organizations and keys, as the database has them."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from uncrop.errors import InvalidFieldValue
from uncrop.model.ledger import MAX_AMOUNT
from uncrop.model.policies import Policies, Policy
from uncrop.store.audit import COMMAND_LINE, Act, note
from uncrop.store.prepared import Ask, Prepared
from uncrop.store.tables import api_keys, organizations

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.prepared import Ran, Row, Script
    from uncrop.store.transactions import Transactions

MOST = 1_000_000_000
NAMES = tuple(field.name for field in fields(Policy))
MOST_SEEN = 4096
_PREFIX = "key_"
_MAX_LIST = 1000  # characters, as the table has it


def policy_columns(table: sa.Table, prefix: str = "") -> list[sa.Label[Any]]:
    """Return the columns of a policy under names with a prefix."""
    return [table.c[name].label(f"{prefix}{name}") for name in NAMES]


def policy_of(row: Row, prefix: str = "") -> Policy:
    """Return the policy that a row of a table, or of a query, holds."""
    values = {name: row[f"{prefix}{name}"] for name in NAMES}
    listed = values["providers"]
    return Policy(**{**values, "providers": None if listed is None else tuple(filter(None, listed.split(",")))})


def checked(policy: Policy) -> dict[str, Any]:
    """Return a policy as a row has it.

    Raises
    ------
    InvalidFieldValue
        A limit is negative or absurd, or a list of providers is too long.
    """
    row = {name: getattr(policy, name) for name in NAMES}
    for name, value in row.items():
        most = MAX_AMOUNT if name.startswith("usd") else MOST
        if isinstance(value, int) and not 0 <= value <= most:
            raise InvalidFieldValue(
                f"{name} must be from 0 to {most}", details={"field": name, "value": str(value)[:40]}
            )
    if policy.providers is not None:
        row["providers"] = ",".join(policy.providers)
        if len(row["providers"]) > _MAX_LIST:
            raise InvalidFieldValue("Too many providers are named", details={"field": "providers"})
    return row


_BOTH = Prepared(
    sa.select(*policy_columns(organizations), *policy_columns(api_keys, _PREFIX))
    .select_from(organizations.outerjoin(api_keys, api_keys.c.id == sa.bindparam("key")))
    .where(organizations.c.id == sa.bindparam("organization"))
)


def read_policies(organization_id: str, key_id: str | None) -> Script[Policies]:
    """Return what counts for an organization and a key of it, as a part of a script; no limits where there are none."""
    return policies_in((yield ask_policies(organization_id, key_id)))


def ask_policies(organization_id: str, key_id: str | None, *, later: bool = False) -> Ask:
    """Return what asks for the policies of an organization and a key of it."""
    return Ask(_BOTH, {"organization": organization_id, "key": key_id or ""}, later=later)


def policies_in(ran: Ran) -> Policies:
    """Return the policies that were asked for; no limits where there are none."""
    row = ran.one_or_none()
    return Policies() if row is None else Policies(organization=policy_of(row), key=policy_of(row, _PREFIX))


class OtherPoliciesError(Exception):
    """What counts is not what was guessed."""


class SeenPolicies:
    """What counted for organizations and keys when it was last read: a guess at what counts now."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], Policies] = {}

    def guess(self, organization_id: str, key_id: str | None) -> Policies | None:
        """Return what counted; ``None`` where that is not remembered."""
        return self._found.get((organization_id, key_id))

    def forget(self, organization_id: str, key_id: str | None) -> None:
        """Forget what counted."""
        self._found.pop((organization_id, key_id), None)

    def remember(self, organization_id: str, key_id: str | None, found: Policies) -> None:
        """Note what counts; of all others nothing is remembered any more where they are too many."""
        if len(self._found) >= MOST_SEEN:
            self._found.clear()
        self._found[organization_id, key_id] = found


class PolicyTable:
    """Reads and changes policies."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def of_organization(self, organization_id: str) -> Policy:
        """Return an organization's policy.

        Raises
        ------
        InvalidFieldValue
            There is no such organization.
        """
        return await self._transactions.read(lambda connection: _get(connection, organizations, organization_id))

    async def of_key(self, key_id: str) -> Policy:
        """Return a key's policy; errors as of an organization's."""
        return await self._transactions.read(lambda connection: _get(connection, api_keys, key_id))

    async def change_organization(self, organization_id: str, *, actor: str = COMMAND_LINE, **changes: Any) -> Policy:
        """Change some limits of an organization, by the names of ``Policy``, and return what counts now.

        ``actor`` is who does so, for the audit log.

        Raises
        ------
        InvalidFieldValue
            There is no such organization, or a limit is negative or absurd.
        """
        return await self._change(organizations, organization_id, changes, actor)

    async def change_key(self, key_id: str, *, actor: str = COMMAND_LINE, **changes: Any) -> Policy:
        """Change some limits of a key; as of an organization."""
        return await self._change(api_keys, key_id, changes, actor)

    async def _change(self, table: sa.Table, owner: str, changes: Mapping[str, Any], actor: str) -> Policy:
        async def work(connection: AsyncConnection) -> Policy:
            before = await _get(connection, table, owner)
            policy = replace(before, **changes)
            old, new = checked(before), checked(policy)
            changed = {name: (old[name], value) for name, value in new.items() if value != old[name]}
            if not changed:
                return policy
            is_key = table is api_keys
            whose = table.c.organization_id if is_key else table.c.id
            change = sa.update(table).where(table.c.id == owner).values(**new).returning(whose)
            organization_id = (await connection.execute(change)).scalar_one()
            act = Act(
                actor=actor,
                action="key.limit" if is_key else "organization.limit",
                target=owner,
                organization_id=organization_id,
                changes=changed,
            )
            await note(connection, act, at=self._clock())
            return policy

        return await self._transactions.write(work)


async def _get(connection: AsyncConnection, table: sa.Table, owner: str) -> Policy:
    found = await connection.execute(sa.select(*policy_columns(table)).where(table.c.id == owner))
    row = found.mappings().one_or_none()
    if row is None:
        what, field = ("organization", "organization_id") if table is organizations else ("key", "id")
        raise InvalidFieldValue(f"There is no such {what}", details={field: owner[:100]})
    return policy_of(row)

"""The audit log: who did what to whose organizations and keys, when. Rows are added and never changed."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import sqlalchemy as sa

from uncrop.store.prepared import Ask, Prepared
from uncrop.store.tables import audit_log
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.prepared import Script
    from uncrop.store.transactions import Transactions

_INSERT = Prepared(
    sa.insert(audit_log).values({each.name: sa.bindparam(each.name) for each in audit_log.c if not each.primary_key})
)

COMMAND_LINE = "command line"
"""Who acts on the command line; over HTTP it is a key's id."""

Value: TypeAlias = "str | int | bool | None"
Changes: TypeAlias = "Mapping[str, tuple[Value, Value]]"
"""For each field, the value before and the one after; never a secret."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Act:
    """One administrative act, to be noted in the transaction that does it."""

    actor: str
    action: str
    target: str
    organization_id: str | None = None
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEntry:
    """An act as it was noted; ``id`` grows from entry to entry."""

    id: int
    at: datetime
    actor: str
    action: str
    organization_id: str | None
    target: str
    changes: Changes

    def to_json(self) -> dict[str, object]:
        """Return it as the API and the command line tell it."""
        return {
            "id": self.id,
            "at": self.at.isoformat(),
            "actor": self.actor,
            "action": self.action,
            "organization_id": self.organization_id,
            "target": self.target,
            "changes": {name: {"from": before, "to": after} for name, (before, after) in self.changes.items()},
        }


async def note(connection: AsyncConnection, act: Act, *, at: datetime) -> None:
    """Add an act to the log within the caller's transaction: it is noted if it is done, and only then."""
    await connection.execute(sa.insert(audit_log).values(_row(act, at)))


def noting(act: Act, *, at: datetime) -> Script[None]:
    """Add an act to the log, as ``note`` does, as a part of a script."""
    yield Ask(_INSERT, _row(act, at))


def _row(act: Act, at: datetime) -> dict[str, object]:
    changes = {name: list(values) for name, values in act.changes.items()}
    return {
        "at": at,
        "actor": act.actor,
        "action": act.action,
        "organization_id": act.organization_id,
        "target": act.target,
        "changes": json.dumps(changes, ensure_ascii=False, sort_keys=True),
    }


class AuditLog:
    """The log in the database."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def add(self, act: Act) -> None:
        """Note an act that no transaction of the database does."""
        await self._transactions.write(lambda connection: note(connection, act, at=self._clock()))

    async def page(
        self,
        *,
        organization_id: str | None = None,
        since: datetime | None = None,
        before: int | None = None,
        limit: int | None = None,
    ) -> tuple[AuditEntry, ...]:
        """Return entries, newest first.

        Parameters
        ----------
        organization_id
            Whose; all when absent.
        since
            The moment from which on.
        before
            Only those with a smaller id.
        limit
            How many at most.
        """
        query = sa.select(audit_log).order_by(audit_log.c.id.desc())
        if organization_id is not None:
            query = query.where(audit_log.c.organization_id == organization_id)
        if since is not None:
            query = query.where(audit_log.c.at >= since)
        if before is not None:
            query = query.where(audit_log.c.id < before)
        found = await self._transactions.read(execute(query if limit is None else query.limit(limit)))
        return tuple(AuditEntry(**{**row, "changes": _changes(row["changes"])}) for row in found.mappings())


def _changes(text: str) -> Changes:
    return {name: (before, after) for name, (before, after) in json.loads(text).items()}

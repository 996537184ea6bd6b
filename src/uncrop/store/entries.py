"""Entries: written, never changed; and the rows of holds that they belong to."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa

from uncrop.model.ledger import Hold, Posting, period_of
from uncrop.store.balances import change_balances, changes_of
from uncrop.store.prepared import Ask, Prepared, one_or_none
from uncrop.store.tables import UtcTime, entries, holds

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from uncrop.model.policies import LimitScope
    from uncrop.store.balances import Change
    from uncrop.store.prepared import Row, Script

_HOLD_COLUMNS = tuple(column for column in holds.c if column is not holds.c.day)
_POSTED = Prepared(
    sa.select(entries.c.kind, entries.c.unit, entries.c.source, entries.c.target, entries.c.amount, entries.c.call)
    .where(entries.c.hold_id == sa.bindparam("hold"))
    .order_by(entries.c.id)
)
_LOCKED = Prepared(sa.select(*_HOLD_COLUMNS).where(holds.c.id == sa.bindparam("hold")).with_for_update())


def hold_of(row: Row) -> Hold:
    """Return a row of the table as a hold."""
    return Hold(**{column.name: row[column.name] for column in _HOLD_COLUMNS})


def locked_hold(hold_id: str) -> Script[Hold | None]:
    """Return a hold that nobody else changes until the transaction ends, as a part of a script."""
    row = yield from one_or_none(_LOCKED, {"hold": hold_id})
    return None if row is None else hold_of(row)


def postings_of(hold_id: str) -> Script[tuple[Posting, ...]]:
    """Return the postings of a hold, in the order in which they were written, as a script or a part of one."""
    found = yield Ask(_POSTED, {"hold": hold_id})
    return tuple(Posting(**row) for row in found.rows)


def locked_with_postings(hold_id: str) -> Script[tuple[Hold | None, tuple[Posting, ...]]]:
    """Return a hold that nobody else changes until the transaction ends, and its postings, as a part of a script."""
    # Two statements and not one: the second sees what those wrote for whom the first had to wait.
    locked = yield Ask(_LOCKED, {"hold": hold_id}, later=True)
    so_far = yield from postings_of(hold_id)
    row = locked.one_or_none()
    return None if row is None else hold_of(row), so_far


def post(
    hold: Hold,
    postings: Sequence[Posting],
    *,
    now: datetime,
    limits: Mapping[tuple[LimitScope, str], int] | None = None,
) -> Script[tuple[Change, ...]]:
    """Write postings and change the balances by them, as a part of a script.

    Parameters
    ----------
    limits
        Of the balances; where there are none, even no empty ones, it is not waited for what comes of it.

    Returns
    -------
    tuple
        The changes that a limit refused; whoever gets any must roll the transaction back.
    """
    if not postings:
        return ()
    day = hold.created_at.date()
    moved: dict[tuple[str, str], tuple[int, int]] = {}
    for posting in postings:
        name = posting.unit, period_of(posting.unit, day)
        held, spent = moved.get(name, (0, 0))
        held += posting.amount * ((posting.target == "held") - (posting.source == "held"))
        spent += posting.amount * ((posting.target == "spent") - (posting.source == "spent"))
        moved[name] = held, spent
    values: dict[str, object] = {
        "hold": hold.id,
        "organization": hold.organization_id,
        "key": hold.key_id or "",
        "provider": hold.provider,
        "day": day,
        "now": now,
    }
    for number, posting in enumerate(postings):
        values |= {
            f"kind{number}": posting.kind,
            f"unit{number}": posting.unit,
            f"period{number}": period_of(posting.unit, day),
            f"source{number}": posting.source,
            f"target{number}": posting.target,
            f"amount{number}": posting.amount,
            f"call{number}": posting.call,
        }
    changes = changes_of(hold.key_id, moved, limits or {})
    written = Ask(_insert(len(postings)), values)
    return (yield from change_balances(hold.organization_id, changes, written, look=limits is not None))


@cache
def _insert(rows: int) -> Prepared:
    """Return the statement that writes so many entries."""
    each = ", ".join(
        f"(:hold, :organization, :key, :provider, :kind{n}, :unit{n}, :period{n}, :source{n}, :target{n}, :amount{n}, "
        f":call{n}, :day, :now)"
        for n in range(rows)
    )
    text = (
        "INSERT INTO entries (hold_id, organization_id, key_id, provider, kind, unit, period, source, target, amount, "  # noqa: S608 - no value is in it
        f"call, day, created_at) VALUES {each}"
    )
    return Prepared(sa.text(text).bindparams(sa.bindparam("day", type_=sa.Date), sa.bindparam("now", type_=UtcTime)))

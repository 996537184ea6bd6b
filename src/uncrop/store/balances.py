"""Balances: what the entries of a period add up to, changed by one statement that cannot overspend."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import sqlalchemy as sa

from uncrop.store.prepared import Ask, Prepared, one_or_none

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from uncrop.model.policies import LimitScope
    from uncrop.store.prepared import Script

WHOLE = ""  # in place of a key: the whole organization


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """By how much one balance changes.

    Attributes
    ----------
    key_id
        Whose balance: a key's, or ``WHOLE``.
    most
        What ``held`` and ``spent`` may come to together; ``None``: any amount.
    """

    key_id: str
    unit: str
    period: str
    held: int = 0
    spent: int = 0
    most: int | None = None

    @property
    def scope(self) -> LimitScope:
        """Whether it is the organization's or a key's."""
        return "organization" if self.key_id == WHOLE else "key"

    @property
    def name(self) -> tuple[str, str, str]:
        """Which balance it is, of its organization."""
        return self.key_id, self.unit, self.period


def change_balances(
    organization_id: str, changes: Sequence[Change], along: Ask | None = None, *, look: bool = True
) -> Script[tuple[Change, ...]]:
    """Change balances, as a part of a script, and return those changes that were refused.

    A change is refused where it would exceed its limit. Whoever gets any back must roll the transaction back, since the
    others were made. The rows are locked in the order of their names, so that no two transactions wait for each other.
    A balance that would fall below zero, because the books do not agree with themselves, breaks a constraint, which
    undoes the transaction.

    Parameters
    ----------
    along
        A statement that is sent behind the one that changes them, before it is looked what came of that.
    look
        Whether to look at all; needed where a change has a limit.
    """
    # The statement looks at the rows that are there; a first row must keep to its limit too.
    beyond = tuple(each for each in changes if each.most is not None and each.held + each.spent > each.most)
    ordered = sorted((each for each in changes if each not in beyond), key=lambda change: change.name)
    if not ordered:
        return beyond
    values: dict[str, object] = {"organization": organization_id}
    limited = []
    for number, change in enumerate(ordered):
        values |= {f"key{number}": change.key_id, f"unit{number}": change.unit, f"period{number}": change.period}
        values |= {f"held{number}": change.held, f"spent{number}": change.spent}
        if change.most is not None:
            limited.append(number)
            values[f"most{number}"] = change.most
    taken = tuple(number for number, change in enumerate(ordered) if change.held < 0 or change.spent < 0)
    statement = _statement(len(ordered), tuple(limited), taken)
    rows = (yield Ask(statement, values, later=along is not None or not look)).rows
    if along is not None:
        yield along._replace(later=not look)
    if not look:
        return beyond
    changed = {(row["key_id"], row["unit"], row["period"]) for row in rows}
    return (*beyond, *(change for change in ordered if change.name not in changed))


def read_balance(organization_id: str, change: Change) -> Script[int]:
    """Return what is held and spent of the balance that a change is about, as a part of a script."""
    names = {"organization": organization_id, "key": change.key_id, "unit": change.unit, "period": change.period}
    row = yield from one_or_none(_READ, names)
    return 0 if row is None else int(row["used"])


def changes_of(
    key_id: str | None, moved: Mapping[tuple[str, str], tuple[int, int]], limits: Mapping[tuple[LimitScope, str], int]
) -> tuple[Change, ...]:
    """Return the changes of an organization's balances, and of its key's where there is one.

    Parameters
    ----------
    moved
        By unit and period: by how much ``held`` and ``spent`` change.
    limits
        By scope and unit: what there may be at most.
    """
    owners = (WHOLE,) if key_id is None else (WHOLE, key_id)
    return tuple(
        Change(
            key_id=owner,
            unit=unit,
            period=period,
            held=held,
            spent=spent,
            most=limits.get(("organization" if owner == WHOLE else "key", unit)),
        )
        for owner in owners
        for (unit, period), (held, spent) in sorted(moved.items())
    )


_READ = Prepared(
    sa.text(
        "SELECT held + spent AS used FROM balances "
        "WHERE organization_id = :organization AND key_id = :key AND unit = :unit AND period = :period"
    )
)


@cache
def _statement(rows: int, limited: tuple[int, ...], taken: tuple[int, ...]) -> Prepared:
    """Return the one statement that changes so many balances, some of which have limits.

    Both databases spell it alike. From some, something is taken: such a row must be there, and what it comes to below
    zero is no number, which no row may have.
    """
    values = ", ".join(
        f"(:organization, :key{n}, :unit{n}, :period{n}, {_if_there(n) if n in taken else f':held{n}'}, :spent{n})"
        for n in range(rows)
    )
    within = " AND ".join(
        f"(balances.key_id <> :key{n} OR balances.unit <> :unit{n} OR balances.period <> :period{n} "
        f"OR balances.held + balances.spent + excluded.held + excluded.spent <= :most{n})"
        for n in limited
    )
    text = (
        f"INSERT INTO balances (organization_id, key_id, unit, period, held, spent) VALUES {values} "  # noqa: S608
        "ON CONFLICT (organization_id, key_id, unit, period) DO UPDATE SET "
        "held = CASE WHEN balances.held + excluded.held >= 0 THEN balances.held + excluded.held END, "
        "spent = CASE WHEN balances.spent + excluded.spent >= 0 THEN balances.spent + excluded.spent END"
        f"{' WHERE ' + within if within else ''} RETURNING key_id, unit, period, held, spent"
    )
    return Prepared(sa.text(text))


def _if_there(n: int) -> str:
    # PostgreSQL would take a value for one kind of text where it is compared, and for another where it is inserted.
    name = {"organization_id": "organization", "key_id": f"key{n}", "unit": f"unit{n}", "period": f"period{n}"}
    those = " AND ".join(f"{column} = CAST(:{value} AS VARCHAR)" for column, value in name.items())
    return f"(SELECT :held{n} WHERE EXISTS (SELECT 1 FROM balances WHERE {those}))"  # noqa: S608 - no value is in it

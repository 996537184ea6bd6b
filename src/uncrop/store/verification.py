"""Recomputes what the ledger says: every balance from its entries, and every hold from its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

MOST_TOLD = 100
_HELD = "sum(CASE WHEN target = 'held' THEN amount WHEN source = 'held' THEN -amount ELSE 0 END)"
_SPENT = "sum(CASE WHEN target = 'spent' THEN amount WHEN source = 'spent' THEN -amount ELSE 0 END)"

_OWNERS = f"""
SELECT organization_id, '' AS key_id, unit, period, {_HELD} AS held, {_SPENT} AS spent
FROM entries GROUP BY organization_id, unit, period
UNION ALL
SELECT organization_id, key_id, unit, period, {_HELD}, {_SPENT}
FROM entries WHERE key_id <> '' GROUP BY organization_id, key_id, unit, period
"""  # noqa: S608 - no value is in it
# Side by side, since a row may be missing on either.
_BALANCES = f"""
SELECT organization_id, key_id, unit, period, sum(held) AS held, sum(spent) AS spent,
       sum(told_held) AS told_held, sum(told_spent) AS told_spent
FROM (
  SELECT organization_id, key_id, unit, period, held, spent, 0 AS told_held, 0 AS told_spent FROM ({_OWNERS}) AS e
  UNION ALL
  SELECT organization_id, key_id, unit, period, 0, 0, held, spent FROM balances
) AS both_sides
GROUP BY organization_id, key_id, unit, period HAVING sum(held) <> sum(told_held) OR sum(spent) <> sum(told_spent)
ORDER BY 1, 2, 3, 4 LIMIT {MOST_TOLD}
"""  # noqa: S608
_BELOW_ZERO = f"""
SELECT organization_id, key_id, unit, period, held, spent FROM balances WHERE held < 0 OR spent < 0
ORDER BY 1, 2, 3, 4 LIMIT {MOST_TOLD}
"""  # noqa: S608
_BY_HOLD = f"""
SELECT hold_id, min(organization_id) AS organization_id, max(organization_id) AS other_organization,
       min(key_id) AS key_id, max(key_id) AS other_key, min(provider) AS provider, max(provider) AS other_provider,
       min(day) AS day, max(day) AS other_day,
       sum(CASE WHEN unit = 'picture' AND target = 'held' THEN amount
                WHEN unit = 'picture' AND source = 'held' THEN -amount ELSE 0 END) AS picture_held,
       sum(CASE WHEN unit = 'picture' AND target = 'spent' THEN amount
                WHEN unit = 'picture' AND source = 'spent' THEN -amount ELSE 0 END) AS picture_spent,
       sum(CASE WHEN unit = 'picture' AND kind = 'hold' THEN amount ELSE 0 END) AS picture_begun,
       {_HELD} AS held
FROM entries GROUP BY hold_id
"""  # noqa: S608
_HOLDS = f"""
SELECT h.id, h.state,
       CASE
         WHEN e.hold_id IS NULL THEN 'has no entries'
         WHEN e.organization_id <> h.organization_id OR e.other_organization <> h.organization_id
           THEN 'has entries of another organization'
         WHEN e.key_id <> coalesce(h.key_id, '') OR e.other_key <> coalesce(h.key_id, '')
           THEN 'has entries of another key'
         WHEN e.provider <> h.provider OR e.other_provider <> h.provider THEN 'has entries of another provider'
         WHEN e.day <> h.day OR e.other_day <> h.day THEN 'has entries of another day'
         WHEN e.picture_begun <> 1 THEN 'was not held once'
         WHEN h.state IN ('held', 'unknown') AND e.picture_held <> 1 THEN 'is open and holds no picture'
         WHEN h.state NOT IN ('held', 'unknown') AND e.held <> 0 THEN 'is closed and holds something'
         WHEN h.state = 'released' AND e.picture_spent <> 0 THEN 'was given back and is spent'
         WHEN h.state = 'expired' AND e.picture_spent <> 0 THEN 'was given back and is spent'
         WHEN h.state = 'held' AND e.picture_spent <> 0 THEN 'is open and is spent'
         WHEN h.state = 'captured' AND e.picture_spent <> 1 THEN 'was made and is not spent once'
         WHEN h.calls_settled > h.calls_sent THEN 'knows the cost of calls that were not sent'
         WHEN h.state IN ('captured', 'released', 'expired') AND h.calls_settled <> h.calls_sent
           THEN 'is closed, and the cost of a call is not known'
       END AS fault
FROM holds AS h LEFT JOIN ({_BY_HOLD}) AS e ON e.hold_id = h.id
"""  # noqa: S608
_FAULTY_HOLDS = f"SELECT id, state, fault FROM ({_HOLDS}) AS f WHERE fault IS NOT NULL ORDER BY id LIMIT {MOST_TOLD}"  # noqa: S608
# By hold and unit: more left an account than had come to it.
_OVERDRAWN = f"""
SELECT hold_id, unit FROM entries GROUP BY hold_id, unit HAVING {_HELD} < 0 OR {_SPENT} < 0
ORDER BY 1, 2 LIMIT {MOST_TOLD}
"""  # noqa: S608
_PERIODS = f"""
SELECT id, hold_id, unit, period FROM entries
WHERE period <> CASE WHEN unit = 'picture' THEN {{day}} ELSE substr({{day}}, 1, 7) END ORDER BY id LIMIT {MOST_TOLD}
"""  # noqa: S608
_ORPHANS = f"""
SELECT e.id, e.hold_id FROM entries AS e LEFT JOIN holds AS h ON h.id = e.hold_id WHERE h.id IS NULL
ORDER BY e.id LIMIT {MOST_TOLD}
"""  # noqa: S608
_TWICE = f"""
SELECT hold_id, unit, call FROM entries WHERE kind = 'capture' AND call IS NOT NULL AND source = 'held'
GROUP BY hold_id, unit, call HAVING count(*) > 1 ORDER BY 1, 2, 3 LIMIT {MOST_TOLD}
"""  # noqa: S608


async def discrepancies(connection: AsyncConnection) -> tuple[str, ...]:
    """Return a line for each thing on which the books do not agree with themselves; none is as it should be."""
    day = "strftime('%Y-%m-%d', day)" if connection.dialect.name == "sqlite" else "to_char(day, 'YYYY-MM-DD')"
    lines = [
        f"balance of {_owner(row)}: held {row.told_held} and spent {row.told_spent}, "
        f"by the entries held {row.held} and spent {row.spent}"
        for row in await _rows(connection, _BALANCES)
    ]
    lines += [
        f"balance of {_owner(row)}: held {row.held} and spent {row.spent}, which is below zero"
        for row in await _rows(connection, _BELOW_ZERO)
    ]
    lines += [f"picture {row.id} ({row.state}) {row.fault}" for row in await _rows(connection, _FAULTY_HOLDS)]
    lines += [
        f"picture {row.hold_id}: more {row.unit} left an account than had come to it"
        for row in await _rows(connection, _OVERDRAWN)
    ]
    lines += [
        f"entry {row.id} of picture {row.hold_id}: {row.unit} counts in {row.period}, not in its own time"
        for row in await _rows(connection, _PERIODS.format(day=day))
    ]
    lines += [f"entry {row.id} belongs to no picture: {row.hold_id}" for row in await _rows(connection, _ORPHANS)]
    lines += [
        f"picture {row.hold_id}: call {row.call} was captured twice, in {row.unit}"
        for row in await _rows(connection, _TWICE)
    ]
    return tuple(lines)


async def _rows(connection: AsyncConnection, query: str) -> list[sa.Row[tuple[object, ...]]]:
    return list((await connection.execute(sa.text(query))).all())


def _owner(row: sa.Row[tuple[object, ...]]) -> str:
    key = f", key {row.key_id}" if row.key_id else ""
    return f"{row.organization_id}{key}, {row.unit} of {row.period}"

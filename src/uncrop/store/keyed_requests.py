"""Requests under a key: one row each, claimed in the transaction of its first hold.

Where a request stands is not written but worked out, from whether its answer is kept, its lease, and its holds. So a
process can die between any two statements, and what it leaves still says what is true.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import sqlalchemy as sa

from uncrop.model.claims import MOST_HOLDS, KeptAnswer, KeyedRequest, hold_ids
from uncrop.model.ledger import OPEN
from uncrop.store.prepared import Ask, Prepared, one_or_none
from uncrop.store.tables import entries, holds, keyed_requests
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime
    from typing import Any

    from uncrop.model.claims import Standing
    from uncrop.store.books import Part
    from uncrop.store.prepared import Script
    from uncrop.store.transactions import Transactions

RETENTION = timedelta(hours=24)
_BATCH = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class NewClaim:
    """What claims a key."""

    organization_id: str
    key: str
    claim_id: str
    fingerprint: bytes
    lease: timedelta


_ROW = (keyed_requests.c.organization_id == sa.bindparam("organization")) & (
    keyed_requests.c.key == sa.bindparam("wanted")
)
_LOOK = Prepared(sa.select(keyed_requests).where(_ROW))
_LOOK_LOCKED = Prepared(sa.select(keyed_requests).where(_ROW).with_for_update())
_MINE = keyed_requests.c.claim_id == sa.bindparam("claim")
_MINE_LOCKED = Prepared(sa.select(keyed_requests).where(_MINE).with_for_update())
_ANSWER_NAMES = ("status", "headers", "object_name", "size", "answered_at")
_ANSWER = Prepared(sa.update(keyed_requests).where(_MINE).values({name: sa.bindparam(name) for name in _ANSWER_NAMES}))
_COLUMNS = tuple(keyed_requests.c)
# The row that is there is waited for, if its transaction has not ended: one of two wins.
_INSERT = Prepared(
    sa.text(
        f"INSERT INTO keyed_requests ({', '.join(each.name for each in _COLUMNS)}) "  # noqa: S608 - no value is in it
        f"VALUES ({', '.join(f':{each.name}' for each in _COLUMNS)}) ON CONFLICT (organization_id, key) DO NOTHING"
    ).bindparams(*(sa.bindparam(each.name, value=None, type_=each.type) for each in _COLUMNS))
)
_TAKE_OVER = Prepared(
    sa.update(keyed_requests).where(_ROW).values({each.name: sa.bindparam(f"new_{each.name}") for each in _COLUMNS})
)
_END = Prepared(sa.update(keyed_requests).where(_MINE).values(lease_until=sa.bindparam("until")))
_DELETE = Prepared(sa.delete(keyed_requests).where(_MINE))
# The holds of a claim, each with whether anything was spent for it; of one moment, since it is one statement.
_HOLDS = Prepared(
    sa.select(
        holds.c.state,
        holds.c.settled_at,
        sa.exists().where(entries.c.hold_id == holds.c.id, entries.c.target == "spent").label("spent"),
    ).where(holds.c.id.in_([sa.bindparam(f"id{number}", type_=sa.String) for number in range(MOST_HOLDS)]))
)


class KeyedRequests:
    """The requests under keys in the database."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def look(self, organization_id: str, key: str) -> KeyedRequest | None:
        """Return the request under a key, where it stands; ``None`` where there was none, or none that still counts."""
        names = {"organization": organization_id, "wanted": key}
        row = await self._transactions.read_script(partial(one_or_none, _LOOK, names))
        if row is None:
            return None
        standing = await self._transactions.read_script(partial(_standing, row, self._clock()))
        return _request(row, standing)

    def claim(self, new: NewClaim, refuse: Callable[[KeyedRequest], Exception]) -> Part:
        """Return what claims a key within the transaction of a hold; a second hold of the same claim changes nothing.

        Parameters
        ----------
        refuse
            Returns what is raised where another request has the key, which rolls the transaction back.
        """

        def script() -> Script[None]:
            now = self._clock()
            values = {
                "organization_id": new.organization_id,
                "key": new.key,
                "claim_id": new.claim_id,
                "fingerprint": new.fingerprint,
                "created_at": now,
                "lease_until": now + new.lease,
            }
            if (yield from _inserted(values)):
                return
            names = {"organization": new.organization_id, "wanted": new.key}
            (row,) = (yield Ask(_LOOK_LOCKED, names)).rows
            if row["claim_id"] == new.claim_id:
                return
            standing = yield from _standing(row, now)
            if standing != "free":
                raise refuse(_request(row, standing))
            yield Ask(_TAKE_OVER, {**names, **{f"new_{each.name}": values.get(each.name) for each in _COLUMNS}})

        return script

    def answer(self, claim_id: str, answer: KeptAnswer, then: Callable[[], None] = lambda: None) -> Part:
        """Return what notes the answer of a claim, within the transaction that books its picture.

        Parameters
        ----------
        then
            Called when it is noted, before the transaction ends.
        """

        def script() -> Script[None]:
            values = {
                "claim": claim_id,
                "status": answer.status,
                "headers": json.dumps(answer.headers),
                "object_name": answer.object_name,
                "size": answer.size,
                "answered_at": self._clock(),
            }
            yield Ask(_ANSWER, values, later=True)
            then()

        return script

    async def note_answer(self, claim_id: str, answer: KeptAnswer) -> None:
        """Note the answer of a claim in a transaction of its own."""
        await self._transactions.write_script(self.answer(claim_id, answer))

    async def end(self, claim_id: str, *, keep: bool = False) -> Standing:
        """Say that nobody works on a claim any more, and return where that leaves it; one that is free is deleted.

        Parameters
        ----------
        keep
            Not to delete it, since an answer follows.
        """
        now = self._clock()

        def script() -> Script[Standing]:
            row = yield from one_or_none(_MINE_LOCKED, {"claim": claim_id})
            if row is None:
                return "free"
            standing = yield from _standing({**row, "lease_until": now}, now)
            if standing == "free" and not keep:
                yield Ask(_DELETE, {"claim": claim_id})
            else:
                yield Ask(_END, {"claim": claim_id, "until": now})
            return standing

        return await self._transactions.write_script(script)

    async def renew(self, claim_ids: Sequence[str], lease: timedelta) -> None:
        """Say that these claims are still worked on."""
        unanswered = keyed_requests.c.claim_id.in_(claim_ids) & keyed_requests.c.answered_at.is_(None)
        change = sa.update(keyed_requests).where(unanswered).values(lease_until=self._clock() + lease)
        await self._transactions.write(execute(change))

    async def end_leases(self) -> int:
        """Say that nobody works on any claim; for a database that has one process, when that begins."""
        now = self._clock()
        unanswered = keyed_requests.c.answered_at.is_(None) & (keyed_requests.c.lease_until > now)
        change = sa.update(keyed_requests).where(unanswered).values(lease_until=now)
        return (await self._transactions.write(execute(change))).rowcount

    async def purge(self, most: int = _BATCH) -> tuple[str, ...]:
        """Delete requests that do not count any more, and return the names of their objects, which nobody has now.

        Parameters
        ----------
        most
            How many at most, so that the transaction is short.
        """
        now = self._clock()
        horizon = now - RETENTION
        answered = keyed_requests.c.answered_at <= horizon
        silent = keyed_requests.c.answered_at.is_(None) & (keyed_requests.c.lease_until <= horizon)
        # Apart, since those without an answer may have to stay, and must not be in the way of the others. They are few:
        # each is left by a process that died, or by a disk that was full.
        kinds = [
            Prepared(sa.select(keyed_requests).where(kind).limit(most).with_for_update(skip_locked=True))
            for kind in (answered, silent)
        ]

        def script() -> Script[tuple[str, ...]]:
            names: list[str] = []
            rows: list[dict[str, Any]] = []
            for kind in kinds:
                rows += (yield Ask(kind, {})).rows
            for row in rows:
                if (yield from _standing(row, now)) != "free":
                    continue
                yield Ask(_DELETE, {"claim": row["claim_id"]})
                names += [row["object_name"]] if row["object_name"] else []
            return tuple(names)

        return await self._transactions.write_script(script)

    async def having(self, object_names: Sequence[str]) -> frozenset[str]:
        """Return which of these objects belong to a request that still has a row."""
        query = sa.select(keyed_requests.c.object_name).where(keyed_requests.c.object_name.in_(object_names))
        rows = await self._transactions.read(execute(query))
        return frozenset(rows.scalars())


def _inserted(values: Mapping[str, Any]) -> Script[bool]:
    """Insert a row unless one is there, as a part of a script, and tell which."""
    return (yield Ask(_INSERT, values)).changed == 1


def _simply(row: Mapping[str, Any], now: datetime) -> Standing | None:
    """Tell where a request stands where its own row says so."""
    if row["answered_at"] is not None:
        return "free" if row["answered_at"] + RETENTION <= now else "answered"
    return "running" if row["lease_until"] > now else None


def _standing(row: Mapping[str, Any], now: datetime) -> Script[Standing]:
    """Work out where a request stands, from its row and its holds, as a script or a part of one."""
    if (simple := _simply(row, now)) is not None:
        return simple
    ids = {f"id{number}": each for number, each in enumerate(hold_ids(row["claim_id"]))}
    found = (yield Ask(_HOLDS, ids)).rows
    states = {hold["state"] for hold in found}
    if "held" in states:
        return "abandoned"
    if states & set(OPEN):
        return "unknown"
    if not any(hold["spent"] for hold in found):
        return "free"
    return "lost" if max(hold["settled_at"] for hold in found) + RETENTION > now else "free"


def _request(row: Mapping[str, Any], standing: Standing) -> KeyedRequest:
    answer = None
    if row["answered_at"] is not None:
        headers = tuple((name, value) for name, value in json.loads(row["headers"]))
        answer = KeptAnswer(status=row["status"], headers=headers, object_name=row["object_name"], size=row["size"])
    return KeyedRequest(
        organization_id=row["organization_id"],
        key=row["key"],
        claim_id=row["claim_id"],
        fingerprint=bytes(row["fingerprint"]),
        standing=standing,
        lease_until=row["lease_until"],
        answer=answer,
    )

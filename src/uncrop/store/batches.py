"""Batches as their commands see them: begun, planned, put into the queue, looked at.

::

    planning ──▶ open ──▶ ended
       ▲          │
       └── stopped ◀┘   its command was interrupted; the same command begins the next round

What a command does not name again stays as it is and is nobody's work: it is of an earlier round.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa

from uncrop.model.batches import OPEN_PHOTO_STATES, Batch, BatchPhoto
from uncrop.model.claims import hold_ids
from uncrop.model.ledger import OPEN
from uncrop.store.tables import batch_photos, batches, holds
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.model.batches import PhotoState, PlannedPhoto
    from uncrop.store.jobs import Also
    from uncrop.store.transactions import Transactions

Adding: TypeAlias = Callable[[int], "Also"]
"""Returns what puts a chunk into the queue, in a transaction of the store's."""

IS_OPEN = batch_photos.c.state.in_(OPEN_PHOTO_STATES)
_AT_A_TIME = 500
# An error's text begins with its code; so many characters tell codes apart.
_CODE = 32
_NEVER_BEGUN: dict[str, Any] = {"deaths": 0, "calls_sent": 0, "claim_id": None, "chunk": None}
_RESULT = (
    *("provider", "width", "height", "seed", "confidence", "calls", "usd_micro", "sha256", "bytes", "milliseconds"),
    "error",
)
_PHOTO = (
    *("batch_id", "number", "source", "output", "request", "billed", "price_usd_micro", "calls_planned", "replace"),
    *("round", "state", "attempt", "deaths", "calls_sent", "claim_id", *_RESULT),
)
# By their places in the row: looked up by name, the columns of 10,000 photos take half a second.
_in_order = itemgetter(*(batch_photos.c.keys().index(name) for name in _PHOTO))


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """What a batch's photos of the present round add up to.

    Attributes
    ----------
    states
        How many are in which state.
    calls, usd_micro
        Of those that have ended.
    calls_planned, usd_micro_planned
        Of those that are open.
    without_price
        How many open photos may be billed at a price that is not known.
    """

    states: dict[PhotoState, int]
    calls: int = 0
    usd_micro: int = 0
    calls_planned: int = 0
    usd_micro_planned: int = 0
    without_price: int = 0

    @property
    def photos(self) -> int:
        """How many there are."""
        return sum(self.states.values())

    def of(self, *states: PhotoState) -> int:
        """Return how many are in any of these states."""
        return sum(self.states.get(state, 0) for state in states)


def batch_id_of(place: str) -> str:
    """Return the id of the batch of a place."""
    return _digest(place)


class Batches:
    """The batches in the database."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def begin(self, place: str, organization_id: str) -> tuple[Batch, bool]:
        """Begin a batch, or the next round of one.

        Returns
        -------
        batch, is_resumed
            Whether an earlier round of it had not ended.
        """
        batch_id = batch_id_of(place)

        async def work(connection: AsyncConnection) -> tuple[Batch, bool]:
            found = await connection.execute(sa.select(batches).where(batches.c.id == batch_id).with_for_update())
            row = found.one_or_none()
            if row is None:
                values = {"id": batch_id, "place": _text(place), "organization_id": organization_id, "round": 1}
                values |= dict.fromkeys(("photos", "chunks", "hand_backs", "usd_micro"), 0)
                new = sa.insert(batches).values(**values, state="planning", created_at=self._clock())
                return _batch((await connection.execute(new.returning(batches))).one()), False
            change = sa.update(batches).where(batches.c.id == batch_id)
            # What an earlier one has spent is no part of this one's money.
            spent = 0 if row.state == "ended" else batches.c.usd_micro
            values = {"state": "planning", "round": batches.c.round + 1, "usd_micro": spent, "ended_at": None}
            changed = await connection.execute(
                change.values(**values, organization_id=organization_id).returning(batches)
            )
            return _batch(changed.one()), row.state != "ended"

        return await self._transactions.write(work)

    async def find(self, batch_id: str) -> Batch | None:
        """Return a batch."""
        row = (await self._transactions.read(execute(sa.select(batches).where(batches.c.id == batch_id)))).one_or_none()
        return None if row is None else _batch(row)

    async def unfinished(self) -> tuple[Batch, ...]:
        """Return the batches that are planned or worked on."""
        query = sa.select(batches).where(batches.c.state.in_(("planning", "open")))
        return tuple(_batch(row) for row in await self._transactions.read(execute(query)))

    async def open(self, batch_id: str, *, max_usd_micro: int | None) -> None:
        """Let a planned batch be worked on."""
        change = sa.update(batches).where(batches.c.id == batch_id)
        await self._transactions.write(execute(change.values(state="open", max_usd_micro=max_usd_micro)))

    async def stop(self, batch_id: str) -> None:
        """Let nobody work on a batch until its command is given again."""
        change = sa.update(batches).where(batches.c.id == batch_id, batches.c.state != "ended")
        await self._transactions.write(execute(change.values(state="stopped")))

    async def end(self, batch_id: str) -> None:
        """Note that nothing is left to do."""
        change = sa.update(batches).where(batches.c.id == batch_id)
        await self._transactions.write(execute(change.values(state="ended", ended_at=self._clock())))

    # --- the plan -----------------------------------------------------------------------------------------------------

    async def named(self, batch_id: str, outputs: Sequence[str]) -> dict[str, BatchPhoto]:
        """Return what is known of photos, by the names of their pictures."""
        digests = [_digest(output) for output in outputs]
        query = sa.select(batch_photos).where(
            batch_photos.c.batch_id == batch_id, batch_photos.c.output_digest.in_(digests)
        )
        rows = await self._transactions.read(execute(query))
        return {photo.output: photo for photo in map(photo_of, rows)}

    async def is_settled(self, photo: BatchPhoto) -> bool:
        """Tell whether the books say of all calls of a photo what became of them."""
        ids = () if photo.claim_id is None else hold_ids(photo.claim_id)
        query = sa.select(holds.c.id).where(holds.c.id.in_(ids), holds.c.state.in_(OPEN)).limit(1)
        return (await self._transactions.read(execute(query))).first() is None

    async def calls_in_books(self, photo: BatchPhoto) -> int:
        """Return of how many calls of a photo the books say that they may have been sent."""
        ids = () if photo.claim_id is None else hold_ids(photo.claim_id)
        query = sa.select(sa.func.coalesce(sa.func.sum(holds.c.calls_sent), 0)).where(holds.c.id.in_(ids))
        return int((await self._transactions.read(execute(query))).scalar_one())

    async def plan(self, batch: Batch, *, kept: Sequence[int], new: Sequence[tuple[int | None, PlannedPhoto]]) -> None:
        """Write down what this round is of.

        Parameters
        ----------
        kept
            The numbers of photos that stay as they are.
        new
            Photos that are planned anew, with their numbers where they have any.
        """
        fresh = [planned for number, planned in new if number is None]
        again = [(number, planned) for number, planned in new if number is not None]

        async def work(connection: AsyncConnection) -> None:
            own = batch_photos.c.batch_id == batch.id
            if kept:
                change = sa.update(batch_photos).where(own, batch_photos.c.number.in_(kept))
                await connection.execute(change.values(round=batch.round))
            for number, planned in again:
                # Who works on it has it no more: nothing is begun, marked or ended but in the state "running".
                values = {**_planned(batch, planned), **_NEVER_BEGUN, **dict.fromkeys(_RESULT), "error": planned.error}
                change = sa.update(batch_photos).where(own, batch_photos.c.number == number)
                await connection.execute(change.values(values))
            if fresh:
                taken = sa.update(batches).where(batches.c.id == batch.id)
                taken = taken.values(photos=batches.c.photos + len(fresh)).returning(batches.c.photos)
                last = (await connection.execute(taken)).scalar_one()
                rest = {**_NEVER_BEGUN, "batch_id": batch.id, "attempt": 0}
                rows = [
                    {**_planned(batch, planned), **rest, "number": number, "error": planned.error}
                    for number, planned in enumerate(fresh, last - len(fresh) + 1)
                ]
                await connection.execute(sa.insert(batch_photos), rows)

        await self._transactions.write(work)

    async def sums(self, batch: Batch) -> Sums:
        """Return what the photos of the present round add up to."""
        photos, is_open = batch_photos.c, IS_OPEN
        price = sa.func.coalesce(photos.price_usd_micro, 0)
        query = (
            sa.select(
                photos.state,
                sa.func.count().label("photos"),
                sa.func.coalesce(sa.func.sum(photos.calls), 0).label("calls"),
                sa.func.coalesce(sa.func.sum(photos.usd_micro), 0).label("usd"),
                sa.func.sum(sa.case((is_open, photos.calls_planned), else_=0)).label("planned"),
                sa.func.sum(sa.case((is_open, photos.calls_planned * price), else_=0)).label("usd_planned"),
                sa.func.sum(sa.case((is_open & photos.billed & photos.price_usd_micro.is_(None), 1), else_=0)).label(
                    "unpriced"
                ),
            )
            .where(photos.batch_id == batch.id, photos.round == batch.round)
            .group_by(photos.state)
        )
        rows = (await self._transactions.read(execute(query))).all()
        return Sums(
            states={row.state: row.photos for row in rows},
            calls=sum(row.calls for row in rows),
            usd_micro=int(sum(row.usd for row in rows)),
            calls_planned=int(sum(row.planned for row in rows)),
            usd_micro_planned=int(sum(row.usd_planned for row in rows)),
            without_price=int(sum(row.unpriced for row in rows)),
        )

    async def page(self, batch: Batch, *, after: int, most: int) -> tuple[BatchPhoto, ...]:
        """Return photos of the present round in the order of their numbers."""
        query = (
            sa.select(batch_photos)
            .where(
                batch_photos.c.batch_id == batch.id,
                batch_photos.c.round == batch.round,
                batch_photos.c.number > after,
            )
            .order_by(batch_photos.c.number)
            .limit(most)
        )
        return tuple(map(photo_of, (await self._transactions.read(execute(query))).all()))

    async def errors(self, batch: Batch) -> tuple[str, ...]:
        """Return why photos of the present round failed: each reason once, but for its details one a code."""
        photos = batch_photos.c
        query = (
            sa.select(sa.func.min(photos.error))
            .where(photos.batch_id == batch.id, photos.round == batch.round, photos.state == "failed")
            .group_by(sa.func.substr(photos.error, 1, _CODE))
        )
        return tuple((await self._transactions.read(execute(query))).scalars())

    # --- the queue ----------------------------------------------------------------------------------------------------

    async def forget_chunks(self, batch: Batch, alive: frozenset[int]) -> None:
        """Take the open photos of this round out of the chunks that no entry of the queue is of any more."""
        open_here = (batch_photos.c.batch_id == batch.id, IS_OPEN, batch_photos.c.chunk.is_not(None))
        query = sa.select(batch_photos.c.chunk).where(*open_here).distinct()
        found = (await self._transactions.read(execute(query))).scalars()
        lost = [chunk for chunk in found if chunk not in alive]
        for begin in range(0, len(lost), _AT_A_TIME):
            some = lost[begin : begin + _AT_A_TIME]
            change = sa.update(batch_photos).where(*open_here, batch_photos.c.chunk.in_(some)).values(chunk=None)
            await self._transactions.write(execute(change))

    async def put_into_chunks(self, batch: Batch, *, size: int, adding: Callable[[int, bool], Also]) -> int:
        """Put the next open photos into chunks, and these into the queue, in one transaction.

        Parameters
        ----------
        size
            How many photos of makers that bill nothing a chunk has; of others, one.
        adding
            Returns what adds a chunk's entry, by its number and whether it is of a photo that may be billed.

        Returns
        -------
        int
            How many photos these were; 0: all are in a chunk.
        """
        photos = batch_photos.c
        query = (
            sa.select(photos.number, photos.billed)
            .where(photos.batch_id == batch.id, photos.round == batch.round, IS_OPEN, photos.chunk.is_(None))
            .order_by(photos.number)
            .limit(size)
        )

        async def work(connection: AsyncConnection) -> int:
            rows = (await connection.execute(query)).all()
            if not rows:
                return 0
            free = [row.number for row in rows if not row.billed]
            groups = [*([free] if free else []), *([row.number] for row in rows if row.billed)]
            taken = sa.update(batches).where(batches.c.id == batch.id)
            taken = taken.values(chunks=batches.c.chunks + len(groups)).returning(batches.c.chunks)
            last = (await connection.execute(taken)).scalar_one()
            for chunk, numbers in enumerate(groups, last - len(groups) + 1):
                change = sa.update(batch_photos).where(photos.batch_id == batch.id, photos.number.in_(numbers))
                await connection.execute(change.values(chunk=chunk))
                await adding(chunk, numbers is not free)(connection)
            return len(rows)

        return await self._transactions.write(work)


def photo_of(row: sa.Row[Any]) -> BatchPhoto:
    """Return a photo as its row has it, which is of all columns of the table."""
    values = dict(zip(_PHOTO, _in_order(row), strict=True))
    values["source"], values["output"] = json.loads(values["source"]), json.loads(values["output"])
    return BatchPhoto(**values)


def _planned(batch: Batch, planned: PlannedPhoto) -> dict[str, Any]:
    return {
        "source": _text(planned.source),
        "output": _text(planned.output),
        "output_digest": _digest(planned.output),
        "request": planned.request,
        "billed": planned.billed,
        "price_usd_micro": planned.usd_micro,
        "calls_planned": planned.calls_planned,
        "replace": planned.replace,
        "round": batch.round,
        "state": planned.state,
    }


def _text(name: str) -> str:
    """Write a name so that every database takes it: bytes that are no UTF-8 are halves of characters in Python."""
    return json.dumps(name)


def _digest(name: str) -> str:
    return hashlib.blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _batch(row: sa.Row[Any]) -> Batch:
    return Batch(
        id=row.id,
        place=json.loads(row.place),
        organization_id=row.organization_id,
        state=row.state,
        round=row.round,
        max_usd_micro=row.max_usd_micro,
        usd_micro=row.usd_micro,
    )

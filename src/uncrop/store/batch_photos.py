"""The photos of batches as their workers see them: begun, marked, ended.

A worker changes a row only under the number of its own attempt and in the state ``running``, so that one which was
given up for dead and wakes changes nothing any more.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from uncrop.model.batches import PhotoEnding
from uncrop.store.batches import IS_OPEN, photo_of
from uncrop.store.prepared import Ask, Prepared, one_or_none
from uncrop.store.tables import batch_photos, batches
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from collections.abc import Callable

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.model.batches import BatchPhoto
    from uncrop.store.books import Part
    from uncrop.store.jobs import Also
    from uncrop.store.prepared import Script
    from uncrop.store.transactions import Transactions

_PHOTO, _BATCH = batch_photos.c, batches.c


class BatchPhotos:
    """The photos of batches in the database."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def open_numbers(self, batch_id: str, chunk: int) -> tuple[int, ...]:
        """Return which photos of a chunk are left to do; none where nobody shall work on the batch now."""
        query = (
            sa.select(_PHOTO.number)
            .join(batches, _BATCH.id == _PHOTO.batch_id)
            .where(_PHOTO.batch_id == batch_id, _PHOTO.chunk == chunk, IS_OPEN)
            .where(_BATCH.state == "open", _BATCH.round == _PHOTO.round)
            .order_by(_PHOTO.number)
        )
        return tuple((await self._transactions.read(execute(query))).scalars())

    async def begin(self, batch_id: str, number: int) -> BatchPhoto | None:
        """Begin a photo once more, under the next number.

        Returns
        -------
        BatchPhoto or None
            ``None`` where it has ended, may have sent a billed call, or nobody shall work on the batch now.
        """
        wanted = sa.exists().where(_BATCH.id == batch_id, _BATCH.state == "open", _BATCH.round == _PHOTO.round)
        change = (
            sa.update(batch_photos)
            .where(_PHOTO.batch_id == batch_id, _PHOTO.number == number, IS_OPEN, _PHOTO.calls_sent == 0, wanted)
            .values(state="running", attempt=_PHOTO.attempt + 1, deaths=_PHOTO.deaths + 1)
            .returning(batch_photos)
        )
        row = (await self._transactions.write(execute(change))).one_or_none()
        return None if row is None else photo_of(row)

    async def look_up(self, batch_id: str, number: int) -> BatchPhoto | None:
        """Return a photo."""
        query = sa.select(batch_photos).where(_PHOTO.batch_id == batch_id, _PHOTO.number == number)
        row = (await self._transactions.read(execute(query))).one_or_none()
        return None if row is None else photo_of(row)

    def claiming(self, photo: BatchPhoto, claim_id: str) -> Part:
        """Return what notes, in the transaction of a hold, by which claim it is found."""
        change = Prepared(sa.update(batch_photos).where(*_held(photo)).values(claim_id=claim_id))

        def script() -> Script[None]:
            yield Ask(change, {})

        return script

    async def mark_sent(self, photo: BatchPhoto) -> str | None:
        """Note that a billed call is sent now, and take what it may cost out of the batch's money.

        Returns
        -------
        str or None
            Why it may not be sent: ``taken``, another has the photo by now or nobody shall work on the batch;
            ``money``, there is none left. ``None``: it may.
        """
        price = photo.price_usd_micro or 0
        money = sa.or_(_BATCH.max_usd_micro.is_(None), _BATCH.usd_micro + price <= _BATCH.max_usd_micro)
        spend = sa.update(batches).where(_BATCH.id == photo.batch_id).values(usd_micro=_BATCH.usd_micro + price)
        # A picture that has taken a call already is seen through.
        wanted = sa.exists().where(_BATCH.id == photo.batch_id, _BATCH.state == "open")
        mark = sa.update(batch_photos).where(*_held(photo), sa.or_(_PHOTO.calls_sent > 0, wanted))
        mark = mark.values(calls_sent=_PHOTO.calls_sent + 1)

        async def work(connection: AsyncConnection) -> str | None:
            if (await connection.execute(mark)).rowcount != 1:
                return "taken"
            if (await connection.execute(spend.where(money))).rowcount != 1:
                raise _NoMoneyError
            return None

        try:
            return await self._transactions.write(work)
        except _NoMoneyError:
            return "money"

    async def take_back(self, photo: BatchPhoto) -> None:
        """Note that the call that was marked last was not sent, or was refused before anything was made."""
        back = sa.update(batch_photos).where(*_held(photo), _PHOTO.calls_sent > 0)
        back = back.values(calls_sent=_PHOTO.calls_sent - 1)

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(back)).rowcount == 1:
                await connection.execute(_spent(photo, -(photo.price_usd_micro or 0)))

        await self._transactions.write(work)

    async def unmark(self, photo: BatchPhoto) -> None:
        """Note that nothing was sent for a photo, whatever its marks say, since the books say so; it can be begun."""
        change = sa.update(batch_photos).where(*_held(photo), _PHOTO.calls_sent == photo.calls_sent)
        back = _spent(photo, -photo.calls_sent * (photo.price_usd_micro or 0))

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(change.values(state="queued", calls_sent=0))).rowcount == 1:
                await connection.execute(back)

        await self._transactions.write(work)

    def ending(self, photo: BatchPhoto, ending: PhotoEnding) -> Part:
        """Return what ends a photo within a transaction; nothing is done where another has it by now."""

        def script() -> Script[None]:
            yield from _end(photo, ending)

        return script

    async def end(self, photo: BatchPhoto, ending: PhotoEnding) -> bool:
        """End a photo; False: another has it by now, or it has ended."""
        return await self._transactions.write_script(lambda: _end(photo, ending))

    async def refuse(self, photo: BatchPhoto, error: str) -> None:
        """Note of a picture that is made, and of which its row says so, why it could not be given its name."""
        change = sa.update(batch_photos).where(
            _PHOTO.batch_id == photo.batch_id,
            _PHOTO.number == photo.number,
            _PHOTO.attempt == photo.attempt,
            _PHOTO.state == "done",
        )
        await self._transactions.write(execute(change.values(state="failed", error=error)))

    async def put_back(self, photo: BatchPhoto) -> None:
        """Leave a photo that has sent nothing to whoever works next; its worker did not die of it."""
        change = sa.update(batch_photos).where(*_held(photo), _PHOTO.calls_sent == 0)
        await self._transactions.write(execute(change.values(state="queued", deaths=_PHOTO.deaths - 1)))

    async def hand_back(self, batch_id: str, chunk: int, again: Callable[[int], Also]) -> bool:
        """Leave a chunk to another worker, if anything of it is left to do and the batch is worked on.

        Parameters
        ----------
        again
            Returns what puts it into the queue again, in the same transaction, by a number that it never had.
        """
        left = sa.exists().where(_PHOTO.batch_id == batch_id, _PHOTO.chunk == chunk, IS_OPEN)
        change = sa.update(batches).where(_BATCH.id == batch_id, _BATCH.state == "open", left)
        change = change.values(hand_backs=_BATCH.hand_backs + 1)

        async def work(connection: AsyncConnection) -> bool:
            number = (await connection.execute(change.returning(_BATCH.hand_backs))).scalar_one_or_none()
            if number is None:
                return False
            await again(number)(connection)
            return True

        return await self._transactions.write(work)


class _NoMoneyError(Exception):
    """Rolls a mark back."""


def _held(photo: BatchPhoto) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        _PHOTO.batch_id == photo.batch_id,
        _PHOTO.number == photo.number,
        _PHOTO.attempt == photo.attempt,
        _PHOTO.state == "running",
    )


def _spent(photo: BatchPhoto, usd_micro: int) -> sa.Update:
    change = sa.update(batches).where(_BATCH.id == photo.batch_id)
    # A round that began meanwhile counts from zero.
    left = _BATCH.usd_micro + usd_micro
    return change.values(usd_micro=sa.case((left < 0, 0), else_=left))


def _end(photo: BatchPhoto, ending: PhotoEnding) -> Script[bool]:
    values: dict[str, Any] = {field.name: getattr(ending, field.name) for field in fields(PhotoEnding)}
    change = sa.update(batch_photos).where(
        _PHOTO.batch_id == photo.batch_id, _PHOTO.number == photo.number, _PHOTO.attempt == photo.attempt, IS_OPEN
    )
    row = yield from one_or_none(Prepared(change.values(values).returning(_PHOTO.calls_sent)), {})
    if row is None:
        return False
    # What was taken out for its calls becomes what they have cost; of a call in doubt, it stays taken.
    if ending.state != "unknown":
        difference = (ending.usd_micro or 0) - row["calls_sent"] * (photo.price_usd_micro or 0)
        if difference:
            yield Ask(Prepared(_spent(photo, difference)), {})
    return True

"""Usage: a row per picture that was admitted, reserved first and settled exactly once.

::

    reserved ──▶ captured    the picture was made; it counts, with its credits and tokens
             └─▶ released    it was not; it no longer counts against the limit
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Literal, TypedDict, Unpack

import sqlalchemy as sa

from uncrop.store.tables import organizations, usage
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date, datetime

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.store.transactions import Transactions

# No request lives this long, so a reservation that does belongs to a process that died.
ABANDONED_AFTER = timedelta(hours=2)

# No picture costs a billion; more than that is a mistake, and beyond 2**63 no database takes it.
MAX_AMOUNT = 10**12
_PER_CREDIT = 1000


class Spent(TypedDict, total=False):
    """What the calls for a picture have cost; what is absent is nothing, or not known."""

    model: str | None
    millicredits: int
    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReservationOutcome:
    """Whether the reservation was made. ``limit`` is ``None`` where there is none, and then nothing was counted."""

    reserved: bool
    limit: int | None = None
    used: int | None = None  # pictures of the day, before this one


@dataclass(frozen=True, kw_only=True, slots=True)
class DayOfUsage:
    """What was spent with one provider on one UTC day."""

    day: date
    provider: str
    pictures: int  # captured
    failed: int  # released
    open: int  # reserved, not settled yet
    credits: Decimal
    input_tokens: int
    output_tokens: int


def to_millicredits(credits_consumed: Decimal | None) -> int:
    """Turn credits into thousandths, rounded half up; unknown, negative and absurd ones are none."""
    if credits_consumed is None or not credits_consumed.is_finite():
        return 0
    if not 0 <= credits_consumed * _PER_CREDIT <= MAX_AMOUNT:
        return 0
    return int((credits_consumed * _PER_CREDIT).to_integral_value(ROUND_HALF_UP))


# Built once: to build them costs more than to execute them, and two of them are in the way of every picture.
_RESERVE = sa.insert(usage)
_SETTLE = sa.update(usage).where(usage.c.id == sa.bindparam("reservation"), usage.c.state == "reserved")
_DAILY_LIMIT = (
    sa.select(organizations.c.daily_limit).where(organizations.c.id == sa.bindparam("organization")).with_for_update()
)


class Usage:
    """The usage in the database."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def reserve(
        self,
        reservation_id: str,
        *,
        organization_id: str,
        key_id: str | None,
        provider: str,
        default_limit: int = 0,
    ) -> ReservationOutcome:
        """Reserve one picture if the organization's limit of today allows it.

        Counting and reserving are one transaction that excludes every other of the same organization, so that no
        number of concurrent calls can exceed the limit.

        Parameters
        ----------
        reservation_id
            Chosen by the caller, who can so give back a reservation whose confirmation never arrived.
        default_limit
            Pictures a UTC day for organizations without a limit of their own; 0: none.
        """
        now = self._clock().astimezone(UTC)

        async def work(connection: AsyncConnection) -> ReservationOutcome:
            limit = await _locked_limit(connection, organization_id, default_limit)
            used = None if limit is None else await _count(connection, organization_id, now.date())
            if limit is not None and used is not None and used >= limit:
                return ReservationOutcome(reserved=False, limit=limit, used=used)
            row = {
                "id": reservation_id,
                "organization_id": organization_id,
                "key_id": key_id,
                "provider": provider,
                "state": "reserved",
                "day": now.date(),
                "created_at": now,
            }
            await connection.execute(_RESERVE, row)
            return ReservationOutcome(reserved=True, limit=limit, used=used)

        return await self._transactions.write(work)

    async def capture(self, reservation_id: str, **spent: Unpack[Spent]) -> bool:
        """Settle a reservation: the picture was made. False if it was settled before, or never made."""
        return await self._settle(reservation_id, "captured", **_sane_amounts(spent))

    async def release(self, reservation_id: str, **spent: Unpack[Spent]) -> bool:
        """Settle a reservation: no picture was made. False if it was settled before, or never made.

        Calls that were billed before one that failed have cost what they have cost.
        """
        return await self._settle(reservation_id, "released", **_sane_amounts(spent))

    async def release_abandoned(self, older_than: timedelta = ABANDONED_AFTER) -> int:
        """Release what a process that died has left reserved; returns how many there were."""
        now = self._clock()
        stale = sa.and_(usage.c.state == "reserved", usage.c.created_at < now - older_than)
        change = sa.update(usage).where(stale).values(state="released", settled_at=now)
        return (await self._transactions.write(execute(change))).rowcount

    async def by_day(self, organization_id: str | None = None) -> tuple[DayOfUsage, ...]:
        """Return what was spent by provider and day, of one organization or of all, oldest day first."""
        query = sa.select(
            usage.c.day,
            usage.c.provider,
            _count_of("captured").label("pictures"),
            _count_of("released").label("failed"),
            _count_of("reserved").label("open"),
            sa.func.sum(usage.c.millicredits).label("millicredits"),
            sa.func.sum(usage.c.input_tokens).label("input_tokens"),
            sa.func.sum(usage.c.output_tokens).label("output_tokens"),
        )
        if organization_id is not None:
            query = query.where(usage.c.organization_id == organization_id)
        query = query.group_by(usage.c.day, usage.c.provider).order_by(usage.c.day, usage.c.provider)
        rows = (await self._transactions.read(execute(query))).all()
        return tuple(
            DayOfUsage(
                day=row.day,
                provider=row.provider,
                pictures=row.pictures,
                failed=row.failed,
                open=row.open,
                credits=Decimal(int(row.millicredits)) / _PER_CREDIT,
                # PostgreSQL sums integers into decimals.
                input_tokens=int(row.input_tokens),
                output_tokens=int(row.output_tokens),
            )
            for row in rows
        )

    async def _settle(
        self, reservation_id: str, state: Literal["captured", "released"], **values: str | int | None
    ) -> bool:
        change = execute(_SETTLE, reservation=reservation_id, state=state, settled_at=self._clock(), **values)
        return (await self._transactions.write(change)).rowcount == 1


def _sane_amounts(spent: Spent) -> dict[str, str | int | None]:
    model = spent.get("model")
    return {
        "model": model and model[:200],
        "millicredits": _sane(spent.get("millicredits", 0)),
        "input_tokens": _sane(spent.get("input_tokens", 0)),
        "output_tokens": _sane(spent.get("output_tokens", 0)),
    }


def _sane(amount: int) -> int:
    return amount if 0 <= amount <= MAX_AMOUNT else 0


def _count_of(state: Literal["reserved", "captured", "released"]) -> sa.ColumnElement[int]:
    return sa.func.count().filter(usage.c.state == state)


async def _locked_limit(connection: AsyncConnection, organization_id: str, default_limit: int) -> int | None:
    # The row's lock makes the organization's reservations wait for one another on PostgreSQL; on SQLite the
    # transaction has held the writer's lock from the start, and FOR UPDATE is left out.
    own = (await connection.execute(_DAILY_LIMIT, {"organization": organization_id})).scalar_one_or_none()
    return (default_limit if own is None else own) or None


async def _count(connection: AsyncConnection, organization_id: str, day: date) -> int:
    counted = sa.and_(
        usage.c.organization_id == organization_id, usage.c.day == day, usage.c.state.in_(("reserved", "captured"))
    )
    return (await connection.execute(sa.select(sa.func.count()).where(counted))).scalar_one()

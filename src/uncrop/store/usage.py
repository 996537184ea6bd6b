"""Usage: what the entries of the ledger say was spent, by day and provider."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from uncrop.model.ledger import PICTURE, USD
from uncrop.store.tables import entries, holds
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from datetime import date

    from uncrop.model.ledger import Account
    from uncrop.store.transactions import Transactions

_PER_CREDIT = 1000
_PER_USD = 1_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class DayOfUsage:
    """What was spent with one provider on one UTC day.

    Attributes
    ----------
    pictures
        That were made.
    failed
        That were not.
    open
        That are being made.
    unknown
        Of which it is not known what became of a call that was sent.
    credits, input_tokens, output_tokens, usd
        What their calls cost, as far as it is known; what was sent for pictures that failed included.
    """

    day: date
    provider: str
    pictures: int = 0
    failed: int = 0
    open: int = 0
    unknown: int = 0
    credits: Decimal = field(default=Decimal(0))
    input_tokens: int = 0
    output_tokens: int = 0
    usd: Decimal = field(default=Decimal(0))

    def to_json(self) -> dict[str, str | int]:
        """Return it as the API and the command line tell it; credits and money are texts, to stay exact."""
        return {
            "day": self.day.isoformat(),
            "provider": self.provider,
            "pictures": self.pictures,
            "failed": self.failed,
            "open": self.open,
            "unknown": self.unknown,
            "credits": f"{self.credits:f}",
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "usd": f"{self.usd:f}",
        }


class Usage:
    """What was spent, read from the ledger."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def by_day(self, organization_id: str | None = None) -> tuple[DayOfUsage, ...]:
        """Return what was spent by provider and day, of one organization or of all, oldest day first."""
        rows = (await self._transactions.read(execute(_by_day(organization_id)))).all()
        return tuple(
            DayOfUsage(
                day=row.day,
                provider=row.provider,
                pictures=int(row.pictures),
                failed=int(row.failed),
                open=int(row.held) - int(row.unknown),
                unknown=int(row.unknown),
                # PostgreSQL sums integers into decimals.
                credits=Decimal(int(row.credits)) / _PER_CREDIT,
                input_tokens=int(row.input_tokens),
                output_tokens=int(row.output_tokens),
                usd=Decimal(int(row.usd)) / _PER_USD,
            )
            for row in rows
        )


def _by_day(organization_id: str | None) -> sa.Select[tuple[Any, ...]]:
    doubtful = sa.select(holds.c.id).where(holds.c.state == "unknown").subquery()
    is_picture = entries.c.unit == PICTURE
    began = sa.func.coalesce(sa.func.sum(entries.c.amount).filter(is_picture, entries.c.kind == "hold"), 0)
    pictures, held = _sum("spent", is_picture), _sum("held", is_picture)
    query = sa.select(
        entries.c.day,
        entries.c.provider,
        pictures.label("pictures"),
        (began - pictures - held).label("failed"),
        held.label("held"),
        _sum("held", is_picture, doubtful.c.id.is_not(None)).label("unknown"),
        _sum("spent", entries.c.unit.startswith("credit_milli:", autoescape=True)).label("credits"),
        _sum("spent", entries.c.unit.startswith("input_token:", autoescape=True)).label("input_tokens"),
        _sum("spent", entries.c.unit.startswith("output_token:", autoescape=True)).label("output_tokens"),
        _sum("spent", entries.c.unit == USD).label("usd"),
    ).select_from(entries.outerjoin(doubtful, doubtful.c.id == entries.c.hold_id))
    if organization_id is not None:
        query = query.where(entries.c.organization_id == organization_id)
    return query.group_by(entries.c.day, entries.c.provider).order_by(entries.c.day, entries.c.provider)


def _sum(account: Account, *conditions: sa.ColumnElement[bool]) -> sa.ColumnElement[int]:
    """Return what came to an account less what left it."""
    came = sa.func.sum(entries.c.amount).filter(entries.c.target == account, *conditions)
    left = sa.func.sum(entries.c.amount).filter(entries.c.source == account, *conditions)
    return sa.func.coalesce(came, 0) - sa.func.coalesce(left, 0)

"""What a person says of a picture: how one in doubt ended, and what one that has ended cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.errors import InvalidFieldValue
from uncrop.ledger import postings
from uncrop.ledger.prices import to_amount
from uncrop.model.ledger import USD, credits_unit
from uncrop.store.books import Closing

if TYPE_CHECKING:
    from datetime import datetime
    from decimal import Decimal

    from uncrop.store.books import Books, Decide

_MICRO, _MILLI = 1_000_000, 1_000


def settled(*, charged: bool) -> Closing:
    """Return the end of a hold in doubt: all that is held was charged, or none of it was."""
    return Closing(
        state="captured" if charged else "released",
        decide=lambda _hold, so_far: postings.settle(so_far, charged=charged),
    )


async def in_doubt_since(books: Books, horizon: datetime, organization_id: str | None) -> list[str]:
    """Return the ids of all pictures in doubt whose last call was sent by then, the oldest first.

    Parameters
    ----------
    organization_id
        Of this organization alone; else of all.
    """
    after, found = None, list[str]()
    while some := await books.holds(organization_id, states=("unknown",), after=after):
        found += [each.id for each in some if each.sent_at is not None and each.sent_at <= horizon]
        after = some[-1].created_at, some[-1].id
    return found[::-1]


def corrected(provider: str, *, usd: Decimal | None = None, credits_: Decimal | None = None) -> Decide:
    """Return what corrects the cost of a picture that has ended.

    Parameters
    ----------
    provider
        That made it.
    usd, credits_
        What it cost in all, in one of the two units.

    Raises
    ------
    InvalidFieldValue
        It is negative or absurd.
    """
    unit = credits_unit(provider) if usd is None else USD
    total = to_amount(credits_, _MILLI) if usd is None else to_amount(usd, _MICRO)
    if total is None:
        raise InvalidFieldValue("A cost is a number from 0 on, and no absurd one", details={"unit": unit})
    return lambda _hold, so_far: postings.adjust(so_far, unit, total)

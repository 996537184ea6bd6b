"""What is to be held for a picture, and which limit is in its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.model.ledger import PICTURE, USD, Hold, Posting
from uncrop.model.policies import Refusal
from uncrop.store.balances import read_balance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model.policies import Limit, LimitScope, Policies
    from uncrop.store.balances import Change
    from uncrop.store.prepared import Script


@dataclass(frozen=True, kw_only=True, slots=True)
class NewHold:
    """What is to be held for one picture.

    Attributes
    ----------
    id
        Chosen by the caller, who can so give back a hold whose confirmation never arrived.
    calls
        Billed calls of its plan.
    postings
        What is held.
    default_pictures_per_day
        For organizations without a limit of their own; 0: none.
    knows_money
        Whether the postings say what it costs in money.
    """

    id: str
    organization_id: str
    key_id: str | None
    provider: str
    calls: int
    postings: tuple[Posting, ...]
    default_pictures_per_day: int = 0
    knows_money: bool = True


def limits_of(policies: Policies, new: NewHold) -> dict[tuple[LimitScope, str], int]:
    """Return the limits that count for a hold, by whose they are and by unit."""
    own = policies.organization.pictures_per_day
    found: dict[tuple[LimitScope, str], int | None] = {
        ("organization", PICTURE): new.default_pictures_per_day if own is None else own,
        ("key", PICTURE): policies.key.pictures_per_day,
        ("organization", USD): policies.organization.usd_micro_per_month,
        ("key", USD): policies.key.usd_micro_per_month,
    }
    return {name: most for name, most in found.items() if most}


def refusal_of(hold: Hold, refused: Sequence[Change]) -> Script[Refusal]:
    """Tell of the first limit that refused, in the order in which limits are told."""
    first = min(refused, key=lambda change: (change.unit != PICTURE, change.scope != "organization"))
    used = yield from read_balance(hold.organization_id, first)
    limit: Limit = "pictures_per_day" if first.unit == PICTURE else "usd_per_month"
    return Refusal(limit=limit, scope=first.scope, most=first.most or 0, used=used)

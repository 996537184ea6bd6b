"""What is to be held for a picture, and which limit is in its way."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from uncrop.model.ledger import PICTURE, USD, Hold, Posting
from uncrop.store.balances import read_balance

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.store.balances import Change, Scope
    from uncrop.store.policies import Policies
    from uncrop.store.prepared import Script

Limit: TypeAlias = Literal["pictures_per_day", "usd_per_month", "price", "providers"]


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Refusal:
    """Why nothing was held: which limit, whose, what it is, and what was used of it before."""

    limit: Limit
    scope: Scope
    most: int = 0
    used: int = 0


def limits_of(policies: Policies, new: NewHold) -> dict[tuple[Scope, str], int]:
    """Return the limits that count for a hold, by whose they are and by unit."""
    own = policies.organization.pictures_per_day
    found: dict[tuple[Scope, str], int | None] = {
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


def other_refusal(policies: Policies, provider: str, *, knows_money: bool) -> Refusal | None:
    """Tell of a limit that no amount can be in the way of: a price that is not known, or a provider not allowed."""
    for scope, policy in policies.by_scope():
        if policy.usd_micro_per_month and not knows_money:
            return Refusal(limit="price", scope=scope, most=policy.usd_micro_per_month)
    for scope, policy in policies.by_scope():
        if not policy.allows(provider):
            return Refusal(limit="providers", scope=scope)
    return None

"""What the ledger writes: units, accounts, postings and holds. Amounts are whole numbers of the smallest unit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import date, datetime

# What may still be used, what is held for a picture that is being made, and what was used.
Account: TypeAlias = Literal["available", "held", "spent"]
# hold: before the first call. capture, release: as the work ended. expire: nobody ended it, and nothing had been sent.
# settle: a person said how it ended. adjust: a person corrected it.
PostingKind: TypeAlias = Literal["hold", "capture", "release", "expire", "settle", "adjust"]
# held and unknown are open: something is held. unknown: a call was sent and what became of it is not known.
# expired: given back because nobody ended it; whoever comes back after all may still capture it.
HoldState: TypeAlias = Literal["held", "unknown", "captured", "released", "expired"]
OPEN: tuple[HoldState, ...] = ("held", "unknown")
CAPTURABLE: tuple[HoldState, ...] = (*OPEN, "expired")

# No picture costs a million dollars or a billion credits; more than that is a mistake, and beyond 2**63 no database
# takes it.
MAX_AMOUNT = 10**12
LONGEST_REASON = 200  # characters, of why a cost was corrected

PICTURE = "picture"  # counted by UTC day; everything else by UTC month
USD = "usd_micro"  # millionths of a US dollar


def credits_unit(provider: str) -> str:
    """Return the unit of a provider's credits, in thousandths of one."""
    return f"credit_milli:{provider}"


def calls_unit(provider: str) -> str:
    """Return the unit of a provider's calls, for one whose price is not known."""
    return f"call:{provider}"


def tokens_unit(provider: str, way: Literal["input", "output"]) -> str:
    """Return the unit of the tokens that a provider takes in or gives out."""
    return f"{way}_token:{provider}"


def period_of(unit: str, day: date) -> str:
    """Return the period in which an amount counts: ``2026-11-27`` for pictures, ``2026-11`` for all else."""
    return day.isoformat() if unit == PICTURE else f"{day:%Y-%m}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """So much of a unit, at least 0."""

    unit: str
    value: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Posting:
    """One movement of an amount, at least 1, from one account to another.

    ``call`` is the number of the call that cost it, from 0; ``None`` for what no single call cost.
    """

    kind: PostingKind
    unit: str
    source: Account
    target: Account
    amount: int
    call: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CallOutcome:
    """What became of a call that was sent: what it cost, which is nothing for one that is not billed."""

    amounts: tuple[Amount, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Hold:
    """What is set aside for one picture, and what became of it.

    Attributes
    ----------
    calls_planned, calls_sent, calls_settled
        Billed calls: how many the plan has, how many may have been sent, and of how many it is known what they cost.
    sent_at
        When the last of them was sent.
    """

    id: str
    organization_id: str
    key_id: str | None
    provider: str
    model: str | None
    state: HoldState
    calls_planned: int
    calls_sent: int
    calls_settled: int
    created_at: datetime
    sent_at: datetime | None
    settled_at: datetime | None

    @property
    def in_doubt(self) -> int:
        """Of how many calls that were sent it is not known whether they are billed."""
        return self.calls_sent - self.calls_settled

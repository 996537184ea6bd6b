"""Which amounts move when: pure functions from what a hold's postings say so far to those that come next.

::

    available ──hold──▶ held ──capture──▶ spent
        ▲                 │
        └─release, expire─┘

What a call cost beyond what was held for it comes from ``available`` at once; what it did not take goes back when the
picture ends.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from uncrop.model.ledger import PICTURE, Amount, Posting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from uncrop.model.ledger import Account, CallOutcome, PostingKind


def hold(per_call: Sequence[Amount], calls: int) -> tuple[Posting, ...]:
    """Hold a picture, and for each of its calls what one is expected to cost."""
    wanted = (Amount(unit=PICTURE, value=1), *(Amount(unit=each.unit, value=each.value * calls) for each in per_call))
    return tuple(_move("hold", each.unit, "available", "held", each.value) for each in wanted if each.value)


def held(postings: Sequence[Posting]) -> Counter[str]:
    """Return what is still held, by unit."""
    left: Counter[str] = Counter()
    for posting in postings:
        left[posting.unit] += posting.amount * ((posting.target == "held") - (posting.source == "held"))
    return +left


def spent(postings: Sequence[Posting]) -> Counter[str]:
    """Return what is spent, by unit."""
    found: Counter[str] = Counter()
    for posting in postings:
        found[posting.unit] += posting.amount * ((posting.target == "spent") - (posting.source == "spent"))
    return +found


def capture_calls(postings: Sequence[Posting], outcomes: Sequence[CallOutcome]) -> tuple[Posting, ...]:
    """Move to ``spent`` what those calls cost that are not captured yet.

    Parameters
    ----------
    postings
        Those of the hold so far.
    outcomes
        Of all calls of which it is known what they cost, in the order in which they were sent.
    """
    left, captured = held(postings), {posting.call for posting in postings if posting.call is not None}
    made: list[Posting] = []
    for number, outcome in enumerate(outcomes):
        if number in captured:
            continue
        for amount in outcome.amounts:
            from_held = min(left[amount.unit], amount.value)
            left[amount.unit] -= from_held
            rest = amount.value - from_held
            made += _nonzero("capture", amount.unit, "held", "spent", from_held, number)
            made += _nonzero("capture", amount.unit, "available", "spent", rest, number)
    return tuple(made)


def finish(postings: Sequence[Posting], outcomes: Sequence[CallOutcome]) -> tuple[Posting, ...]:
    """End a picture that was made: it and its calls are spent, and what they did not take is given back.

    A picture that was given back before, since nobody seemed to work on it any more, is spent all the same.
    """
    calls = capture_calls(postings, outcomes)
    from_where: Account = "held" if held(postings)[PICTURE] else "available"
    picture = _move("capture", PICTURE, from_where, "spent", 1)
    return (picture, *calls, *give_back((*postings, picture, *calls), "release"))


def fail(postings: Sequence[Posting], outcomes: Sequence[CallOutcome], kind: PostingKind) -> tuple[Posting, ...]:
    """End a picture that was not made: what its calls cost all the same is spent, the rest is given back."""
    calls = capture_calls(postings, outcomes)
    return (*calls, *give_back((*postings, *calls), kind))


def doubt(
    postings: Sequence[Posting], outcomes: Sequence[CallOutcome], *, planned: int, sent: int
) -> tuple[Posting, ...]:
    """Go on holding a picture, and what the calls in doubt may cost; what was never sent is given back.

    Parameters
    ----------
    planned, sent
        How many calls the plan has, and how many may have been sent.
    """
    calls = capture_calls(postings, outcomes)
    # Only once: whoever doubts later finds it given back.
    unsent = 0 if any(each.kind == "release" for each in postings) else max(0, planned - sent)
    left = held((*postings, *calls))
    first = Counter({each.unit: each.amount for each in postings if each.kind == "hold" and each.unit != PICTURE})
    back = {unit: min(left[unit], amount * unsent // max(1, planned)) for unit, amount in first.items()}
    released = (each for unit, amount in sorted(back.items()) for each in _back("release", unit, amount))
    return (*calls, *released)


def settle(postings: Sequence[Posting], *, charged: bool) -> tuple[Posting, ...]:
    """End a picture in doubt as a person says: all that is held was spent, or none of it was."""
    if not charged:
        return give_back(postings, "settle")
    return tuple(_move("settle", unit, "held", "spent", amount) for unit, amount in sorted(held(postings).items()))


def adjust(postings: Sequence[Posting], unit: str, total: int) -> tuple[Posting, ...]:
    """Correct what a picture that has ended cost in one unit, to ``total``; nothing where that is what is booked."""
    difference = total - spent(postings)[unit]
    if difference > 0:
        return (_move("adjust", unit, "available", "spent", difference),)
    return () if not difference else (_move("adjust", unit, "spent", "available", -difference),)


def give_back(postings: Sequence[Posting], kind: PostingKind) -> tuple[Posting, ...]:
    """Give back all that is still held."""
    return tuple(_move(kind, unit, "held", "available", amount) for unit, amount in sorted(held(postings).items()))


def _back(kind: PostingKind, unit: str, amount: int) -> tuple[Posting, ...]:
    return _nonzero(kind, unit, "held", "available", amount, None)


def _nonzero(
    kind: PostingKind, unit: str, source: Account, target: Account, amount: int, call: int | None
) -> tuple[Posting, ...]:
    if not amount:
        return ()
    return (Posting(kind=kind, unit=unit, source=source, target=target, amount=amount, call=call),)


def _move(kind: PostingKind, unit: str, source: Account, target: Account, amount: int) -> Posting:
    return Posting(kind=kind, unit=unit, source=source, target=target, amount=amount)

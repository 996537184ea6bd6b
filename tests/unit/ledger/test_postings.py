from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncrop.ledger import postings
from uncrop.model.ledger import PICTURE, USD, Amount, CallOutcome, Posting

if TYPE_CHECKING:
    from collections.abc import Sequence


def cents(number: int) -> Amount:
    return Amount(unit=USD, value=number)


def spent(found: Sequence[Posting], unit: str = USD) -> int:
    return sum(
        each.amount * ((each.target == "spent") - (each.source == "spent")) for each in found if each.unit == unit
    )


def available(found: Sequence[Posting], unit: str) -> int:
    came_and_went = ((each.target == "available") - (each.source == "available") for each in found if each.unit == unit)
    return sum(
        each.amount * sign for each, sign in zip([e for e in found if e.unit == unit], came_and_went, strict=True)
    )


def test_nothing_is_held_of_what_costs_nothing() -> None:
    assert postings.hold([cents(0)], 3) == (
        Posting(kind="hold", unit=PICTURE, source="available", target="held", amount=1),
    )
    assert postings.held(postings.hold([cents(5)], 0)) == {PICTURE: 1}


def test_what_is_doubted_twice_is_given_back_once() -> None:
    begun = postings.hold([cents(10)], 3)
    once = (*begun, *postings.doubt(begun, (), planned=3, sent=1))
    assert postings.held(once) == {PICTURE: 1, USD: 10}
    assert postings.doubt(once, (), planned=3, sent=1) == ()


@pytest.mark.parametrize("cost", [0, 7, 10, 25])
def test_of_a_call_in_doubt_the_others_are_booked(cost: int) -> None:
    begun = postings.hold([cents(10)], 3)
    known = (CallOutcome(amounts=(cents(cost),)),)
    after = (*begun, *postings.doubt(begun, known, planned=3, sent=2))
    assert spent(after) == cost
    assert postings.held(after)[PICTURE] == 1
    # What is left for the call in doubt, and what the first one did not take, which the end gives back.
    assert postings.held(after)[USD] == max(0, 20 - cost)


OUTCOMES = st.lists(st.integers(0, 40), max_size=4)


@given(
    price=st.integers(0, 30),
    calls=st.integers(0, 4),
    costs=OUTCOMES,
    noted=st.integers(0, 4),
    end=st.sampled_from(["finish", "fail", "charged", "not charged", "expire"]),
)
def test_whatever_happens_nothing_is_lost(price: int, calls: int, costs: list[int], noted: int, end: str) -> None:
    """At the end nothing is held, and what was spent is what the calls cost."""
    outcomes = [CallOutcome(amounts=(cents(cost),) if cost else ()) for cost in costs]
    so_far = postings.hold([cents(price)], calls)
    so_far += postings.capture_calls(so_far, outcomes[:noted])
    expected = sum(costs)
    if end == "finish":
        so_far += postings.finish(so_far, outcomes)
    elif end == "expire":
        so_far += postings.give_back(so_far, "expire")
        expected = sum(costs[:noted])
    elif end == "fail":
        so_far += postings.fail(so_far, outcomes, "release")
    else:
        so_far += postings.doubt(so_far, outcomes, planned=calls, sent=len(costs) + 1)
        in_doubt = postings.held(so_far)[USD]
        so_far += postings.settle(so_far, charged=end == "charged")
        expected += in_doubt if end == "charged" else 0

    assert postings.held(so_far) == {}
    assert spent(so_far) == expected
    assert spent(so_far, PICTURE) == (end in {"finish", "charged"})
    assert available(so_far, USD) == -expected
    assert all(each.amount > 0 and each.source != each.target for each in so_far)


def test_a_picture_that_was_given_back_is_spent_all_the_same() -> None:
    so_far = postings.hold([cents(10)], 1)
    so_far += postings.give_back(so_far, "expire")
    so_far += postings.finish(so_far, [CallOutcome(amounts=(cents(8),))])
    assert (spent(so_far), spent(so_far, PICTURE), postings.held(so_far)) == (8, 1, {})


def test_a_cost_is_corrected_up_and_down_and_not_for_nothing() -> None:
    so_far = (Posting(kind="capture", unit=USD, source="held", target="spent", amount=30),)
    (down,) = postings.adjust(so_far, USD, 20)
    assert (down.source, down.target, down.amount) == ("spent", "available", 10)
    (up,) = postings.adjust((*so_far, down), USD, 45)
    assert (up.source, up.target, up.amount) == ("available", "spent", 25)
    assert postings.adjust((*so_far, down, up), USD, 45) == ()

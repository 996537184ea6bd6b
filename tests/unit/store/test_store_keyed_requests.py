"""Requests under keys, on both databases: where each stands follows from its row and its holds."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from uncrop.ledger import postings
from uncrop.model.claims import KeptAnswer, KeyedRequest, hold_id
from uncrop.model.ledger import Amount, CallOutcome
from uncrop.store.books import Closing
from uncrop.store.keyed_requests import NewClaim
from uncrop.store.new_holds import NewHold

if TYPE_CHECKING:
    from conftest import Clock
    from uncrop.store.database import Store

LEASE = timedelta(seconds=30)
ASKED, OTHER = b"\1" * 32, b"\2" * 32
ANSWER = KeptAnswer(status=200, headers=(("x-seed", "1"), ("content-type", "image/png")), object_name="ab/c.1", size=9)
CENT = Amount(unit="usd_micro", value=10_000)


class Refused(Exception):
    def __init__(self, found: KeyedRequest) -> None:
        self.found = found


def new(claim_id: str = "a", *, key: str = "k", organization: str = "org_a", asked: bytes = ASKED) -> NewClaim:
    return NewClaim(organization_id=organization, key=key, claim_id=claim_id, fingerprint=asked, lease=LEASE)


async def hold(store: Store, claim: NewClaim, number: int = 0) -> None:
    """Hold a picture, and claim the key in the same transaction."""
    holding = NewHold(
        id=hold_id(claim.claim_id, number),
        organization_id=claim.organization_id,
        key_id=None,
        provider="clipdrop",
        calls=1,
        postings=postings.hold((CENT,), 1),
    )
    await store.books.open(holding, also=store.keyed_requests.claim(claim, Refused))


async def look(store: Store, claim: NewClaim | None = None) -> KeyedRequest | None:
    claim = claim or new()
    return await store.keyed_requests.look(claim.organization_id, claim.key)


async def standing(store: Store, claim: NewClaim | None = None) -> str | None:
    found = await look(store, claim)
    return None if found is None else found.standing


async def expire(store: Store, claim_id: str) -> None:
    await store.books.expire(
        timedelta(0), lambda _, so_far: postings.give_back(so_far, "expire"), only=[hold_id(claim_id, 0)]
    )


@pytest.fixture(autouse=True)
async def _organizations(store: Store) -> None:
    for organization in ("org_a", "org_b"):
        await store.organizations.ensure(organization)


async def test_a_key_is_claimed_together_with_the_hold(store: Store, clock: Clock) -> None:
    assert await look(store) is None
    await hold(store, new())
    found = await look(store)
    assert found == KeyedRequest(
        organization_id="org_a",
        key="k",
        claim_id="a",
        fingerprint=ASKED,
        standing="running",
        lease_until=clock() + LEASE,
    )
    assert await store.keyed_requests.look("org_b", "k") is None
    assert await store.keyed_requests.look("org_a", "K") is None


async def test_a_second_claim_undoes_its_hold(store: Store) -> None:
    await hold(store, new())
    with pytest.raises(Refused) as refused:
        await hold(store, new("b", asked=OTHER))
    assert (refused.value.found.claim_id, refused.value.found.standing) == ("a", "running")
    assert [each.id for each in await store.books.holds()] == ["a.0"]
    assert await store.books.verify() == ()


async def test_a_second_hold_of_the_same_claim_is_let_be(store: Store) -> None:
    await hold(store, new())
    await hold(store, new(), 1)
    assert sorted(each.id for each in await store.books.holds()) == ["a.0", "a.1"]


async def test_other_keys_and_other_organizations_are_others(store: Store) -> None:
    for claim in (new("a"), new("b", key="l"), new("c", organization="org_b")):
        await hold(store, claim)
    assert len(await store.books.holds()) == 3


async def test_of_claims_at_once_one_wins(store: Store) -> None:
    async def attempt(number: int) -> bool:
        try:
            await hold(store, new(f"{number:x}"))
        except Refused:
            return False
        return True

    assert sum(await asyncio.gather(*map(attempt, range(8)))) == 1
    assert len(await store.books.holds()) == 1
    assert await store.books.verify() == ()


# --- answers ---------------------------------------------------------------------------------------------------------


async def test_an_answer_is_noted_with_the_booking(store: Store) -> None:
    await hold(store, new())
    told: list[bool] = []
    closing = Closing(state="captured", decide=lambda _, so_far: postings.finish(so_far, ()))
    also = store.keyed_requests.answer("a", ANSWER, lambda: told.append(True))
    assert await store.books.close("a.0", closing, also=also)
    found = await look(store)
    assert found is not None
    assert (found.standing, found.answer, told) == ("answered", ANSWER, [True])


async def test_an_answer_can_be_noted_by_itself(store: Store) -> None:
    await hold(store, new())
    await store.keyed_requests.note_answer("a", ANSWER)
    assert await standing(store) == "answered"
    await store.keyed_requests.note_answer("nobody", ANSWER)


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ({"hours": 23, "minutes": 59}, True),
        ({"hours": 24}, False),
        ({"hours": 24, "minutes": 1}, False),
    ],
)
async def test_an_answer_is_kept_for_a_day_from_when_it_was_given(
    store: Store, clock: Clock, after: dict[str, float], kept: bool
) -> None:
    await hold(store, new())
    clock.advance(hours=3)  # it took so long
    await finish(store, "a.0")
    await store.keyed_requests.note_answer("a", ANSWER)
    clock.advance(**after)
    assert await standing(store) == ("answered" if kept else "free")
    if kept:
        with pytest.raises(Refused):
            await hold(store, new("b", asked=OTHER))
    else:
        await hold(store, new("b", asked=OTHER))
        found = await look(store)
        assert found is not None
        assert (found.claim_id, found.fingerprint, found.standing, found.answer) == ("b", OTHER, "running", None)
    purged = await store.keyed_requests.purge()
    assert purged == ()


async def finish(store: Store, hold_id: str) -> None:
    closing = Closing(state="captured", decide=lambda _, so_far: postings.finish(so_far, ()))
    assert await store.books.close(hold_id, closing)


async def fail(store: Store, hold_id: str) -> None:
    closing = Closing(state="released", decide=lambda _, so_far: postings.fail(so_far, (), "release"))
    assert await store.books.close(hold_id, closing)


async def leave_in_doubt(store: Store, hold_id: str) -> None:
    assert await store.books.mark_sent(hold_id)
    closing = Closing(state="unknown", decide=lambda _, so_far: postings.doubt(so_far, (), planned=1, sent=1), known=0)
    assert await store.books.close(hold_id, closing)


# --- where it stands without an answer -------------------------------------------------------------------------------


async def test_whoever_is_silent_for_too_long_is_taken_to_be_dead(store: Store, clock: Clock) -> None:
    await hold(store, new())
    clock.advance(seconds=29)
    await store.keyed_requests.renew(["a", "nobody"], LEASE)
    clock.advance(seconds=29)
    assert await standing(store) == "running"
    clock.advance(seconds=1)
    assert await standing(store) == "abandoned"
    with pytest.raises(Refused) as refused:
        await hold(store, new("b"))
    assert refused.value.found.standing == "abandoned"


async def test_what_a_dead_process_had_not_sent_frees_the_key(store: Store, clock: Clock) -> None:
    await hold(store, new())
    clock.advance(seconds=31)
    await expire(store, "a")
    assert await standing(store) == "free"
    assert not await store.books.mark_sent("a.0"), "whoever wakes up may send nothing"
    await hold(store, new("b", asked=OTHER))
    found = await look(store)
    assert found is not None
    assert (found.claim_id, found.fingerprint, found.standing) == ("b", OTHER, "running")
    assert await store.books.verify() == ()


async def test_what_a_dead_process_had_sent_binds_the_key(store: Store, clock: Clock) -> None:
    await hold(store, new())
    assert await store.books.mark_sent("a.0")
    clock.advance(seconds=31)
    assert await standing(store) == "abandoned"
    await expire(store, "a")
    assert await standing(store) == "unknown"
    clock.advance(days=400)
    assert await standing(store) == "unknown"
    assert await store.keyed_requests.purge() == ()
    with pytest.raises(Refused) as refused:
        await hold(store, new("b"))
    assert refused.value.found.standing == "unknown"


@pytest.mark.parametrize(("charged", "then"), [(True, "lost"), (False, "free")])
async def test_a_person_settles_what_is_in_doubt(store: Store, clock: Clock, charged: bool, then: str) -> None:
    await hold(store, new())
    await leave_in_doubt(store, "a.0")
    clock.advance(days=3)
    closing = Closing(
        state="captured" if charged else "released",
        decide=lambda _, so_far: postings.settle(so_far, charged=charged),
    )
    await store.books.settle("a.0", closing)
    assert await standing(store) == then
    clock.advance(hours=23, minutes=59)
    assert await standing(store) == then
    clock.advance(minutes=1)
    assert await standing(store) == "free"


async def test_the_end_of_a_claim_frees_the_key_where_nothing_was_paid(store: Store) -> None:
    await hold(store, new())
    await fail(store, "a.0")
    assert await standing(store) == "running"
    assert await store.keyed_requests.end("a") == "free"
    assert await look(store) is None
    assert await store.keyed_requests.end("a") == "free"


async def test_the_end_of_a_claim_whose_answer_follows_leaves_its_row(store: Store) -> None:
    await hold(store, new())
    await fail(store, "a.0")
    assert await store.keyed_requests.end("a", keep=True) == "free"
    await store.keyed_requests.note_answer("a", ANSWER)
    assert await standing(store) == "answered"


async def test_the_end_of_a_claim_that_was_paid_leaves_it_without_an_answer(store: Store) -> None:
    await hold(store, new())
    await finish(store, "a.0")
    assert await store.keyed_requests.end("a") == "lost"
    assert await standing(store) == "lost"


async def test_the_end_of_a_claim_in_doubt_leaves_it_so(store: Store) -> None:
    await hold(store, new())
    await hold(store, new(), 1)
    await fail(store, "a.0")
    await leave_in_doubt(store, "a.1")
    assert await store.keyed_requests.end("a") == "unknown"
    assert await standing(store) == "unknown"


async def test_a_failure_that_was_paid_is_not_free(store: Store) -> None:
    await hold(store, new())
    closing = Closing(
        state="released",
        decide=lambda _, so_far: postings.fail(so_far, (CallOutcome(amounts=(CENT,)),), "release"),
    )
    assert await store.books.mark_sent("a.0")
    assert await store.books.close("a.0", closing)
    assert await store.keyed_requests.end("a") == "lost"


async def test_one_process_ends_the_leases_of_those_before_it(store: Store) -> None:
    await hold(store, new())
    await hold(store, new("b", key="answered"))
    await store.keyed_requests.note_answer("b", ANSWER)
    assert await store.keyed_requests.end_leases() == 1
    assert await standing(store) == "abandoned"
    assert await standing(store, new(key="answered")) == "answered"


# --- the sweep -------------------------------------------------------------------------------------------------------


async def test_what_is_over_is_deleted_and_nothing_else(store: Store, clock: Clock) -> None:
    async def begin(claim_id: str) -> None:
        await hold(store, new(claim_id, key=claim_id))

    for claim_id in ("a0", "a1", "a2", "b0", "b1"):
        await begin(claim_id)
    for claim_id in ("a0", "a1", "a2"):
        await finish(store, f"{claim_id}.0")
        kept = KeptAnswer(status=200, headers=(), object_name=f"ab/{claim_id}", size=1)
        await store.keyed_requests.note_answer(claim_id, kept)
    await leave_in_doubt(store, "b0.0")
    await fail(store, "b1.0")
    clock.advance(hours=23)
    await begin("c")  # is worked on
    clock.advance(hours=1, minutes=1)
    await store.keyed_requests.renew(["c"], LEASE)
    assert await store.keyed_requests.having(["ab/a0", "ab/a1", "ab/z"]) == {"ab/a0", "ab/a1"}
    deleted: list[str] = []
    while names := await store.keyed_requests.purge(most=2):
        assert len(names) <= 2
        deleted += names
    assert sorted(deleted) == ["ab/a0", "ab/a1", "ab/a2"]
    left = {claim_id: await standing(store, new(key=claim_id)) for claim_id in ("a0", "a1", "a2", "b0", "b1", "c")}
    assert left == {"a0": None, "a1": None, "a2": None, "b0": "unknown", "b1": None, "c": "running"}
    assert await store.keyed_requests.having(["ab/a0", "ab/a1"]) == frozenset()


async def test_what_is_worked_on_is_never_deleted(store: Store, clock: Clock) -> None:
    await hold(store, new())
    for _ in range(30):
        clock.advance(days=1)
        await store.keyed_requests.renew(["a"], LEASE)
        assert await store.keyed_requests.purge() == ()
        assert await standing(store) == "running"

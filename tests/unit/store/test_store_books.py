from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bookkeeping import amounts, capture, doubt, hold, release
from uncrop.errors import InternalError, InvalidFieldValue
from uncrop.ledger import postings
from uncrop.model.ledger import MAX_AMOUNT, PICTURE, USD, Amount, CallOutcome, Hold, Posting
from uncrop.model.policies import Refusal
from uncrop.store.balances import Change, change_balances
from uncrop.store.books import Closing, Expired
from uncrop.store.database import Store, open_store
from uncrop.store.prepared import Ask, Prepared, Script
from uncrop.store.tables import balances
from uncrop.store.transactions import begin
from uncrop.store.unavailable import UNUSABLE
from uncrop.store.usage import DayOfUsage

if TYPE_CHECKING:
    from collections.abc import Sequence


NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TODAY = date(2026, 11, 22)
CENT = Amount(unit=USD, value=10_000)
SETTLED = Closing(state="captured", decide=lambda _, so_far: postings.settle(so_far, charged=True))
NOT_CHARGED = Closing(state="released", decide=lambda _, so_far: postings.settle(so_far, charged=False))


def give_back(_hold: Hold, so_far: Sequence[Posting]) -> Sequence[Posting]:
    return postings.give_back(so_far, "expire")


@pytest.fixture
async def organization(store: Store) -> str:
    await store.organizations.ensure("org_a")
    return "org_a"


async def told(store: Store) -> dict[tuple[str, ...], tuple[int, int]]:
    """Return all balances that are not nothing."""
    async with begin(store._transactions._engine, writes=False) as connection:
        rows = (await connection.execute(sa.select(balances))).all()
    return {(row.organization_id, row.key_id, row.unit, row.period): (row.held, row.spent) for row in rows}


async def states(store: Store) -> dict[str, str]:
    return {hold.id: hold.state for hold in await store.books.holds()}


async def test_a_hold_is_a_row_with_its_entries(store: Store) -> None:
    new = await store.keys.create("org_a")
    assert await hold(store, 1, key_id=new.id, per_call=[CENT], calls=3) is None

    assert await store.books.hold("use_1") == Hold(
        id="use_1",
        organization_id="org_a",
        key_id=new.id,
        provider="clipdrop",
        model=None,
        state="held",
        calls_planned=3,
        calls_sent=0,
        calls_settled=0,
        created_at=NOON,
        sent_at=None,
        settled_at=None,
    )
    assert await store.books.postings("use_1") == (
        Posting(kind="hold", unit=PICTURE, source="available", target="held", amount=1),
        Posting(kind="hold", unit=USD, source="available", target="held", amount=30_000),
    )
    assert await told(store) == {
        ("org_a", "", PICTURE, "2026-11-22"): (1, 0),
        ("org_a", "", USD, "2026-11"): (30_000, 0),
        ("org_a", new.id, PICTURE, "2026-11-22"): (1, 0),
        ("org_a", new.id, USD, "2026-11"): (30_000, 0),
    }
    assert await store.books.verify() == ()


async def test_capture_books_what_the_provider_took(store: Store, organization: str, clock) -> None:
    await hold(store, 1, per_call=[CENT])
    assert await store.books.mark_sent("use_1") is True
    clock.advance(seconds=30)

    assert await capture(
        store, 1, Amount(unit=USD, value=4_000), *amounts("clipdrop", millicredits=1500), model="m" * 300
    )

    made = await store.books.hold("use_1")
    assert (made.state, made.sent_at, made.settled_at) == ("captured", NOON, NOON + timedelta(seconds=30))
    assert (made.model, made.calls_sent, made.calls_settled, made.in_doubt) == ("m" * 200, 1, 1, 0)
    assert await told(store) == {
        ("org_a", "", PICTURE, "2026-11-22"): (0, 1),
        ("org_a", "", USD, "2026-11"): (0, 4_000),
        ("org_a", "", "credit_milli:clipdrop", "2026-11"): (0, 1500),
    }
    assert await store.books.verify() == ()


async def test_a_provider_that_took_more_than_was_held_is_booked_all_the_same(store: Store, organization: str) -> None:
    await store.policies.change_organization("org_a", usd_micro_per_month=10_000)
    await hold(store, 1, per_call=[CENT])
    await store.books.mark_sent("use_1")
    await capture(store, 1, Amount(unit=USD, value=25_000))

    assert (await told(store))["org_a", "", USD, "2026-11"] == (0, 25_000)
    assert await store.books.verify() == ()
    assert await hold(store, 2, per_call=[CENT]) == Refusal(
        limit="usd_per_month", scope="organization", most=10_000, used=25_000
    )


async def test_a_hold_is_ended_once(store: Store, organization: str) -> None:
    await hold(store, 1)
    await hold(store, 2)

    assert [await capture(store, 1), await release(store, 1)] == [True, False]
    assert [await release(store, 2), await capture(store, 2)] == [True, False]
    assert await states(store) == {"use_1": "captured", "use_2": "released"}
    assert await store.books.mark_sent("use_1") is False
    assert await store.books.take_back("use_1") is False


async def test_what_was_never_held_cannot_be_ended(store: Store) -> None:
    assert await capture(store, 1) is False
    assert await release(store, 1) is False
    assert await store.books.mark_sent("use_1") is False
    with pytest.raises(InvalidFieldValue, match="no picture of that id in the ledger"):
        await store.books.hold("use_1")


async def test_calls_are_captured_one_by_one(store: Store, organization: str) -> None:
    """The mark of the next call books what the one before it has cost; what was booked once is not booked again."""
    await hold(store, 1, per_call=[CENT], calls=3)
    outcomes = [CallOutcome(amounts=(Amount(unit=USD, value=8_000),)), CallOutcome(), CallOutcome(amounts=(CENT,))]
    await store.books.mark_sent("use_1")
    for known in (1, 2):
        so_far = tuple(outcomes[:known])
        assert await store.books.mark_sent(
            "use_1", known=known, decide=lambda _, posted, made=so_far: postings.capture_calls(posted, made)
        )
        assert (await told(store))["org_a", "", USD, "2026-11"] == (22_000, 8_000)
    assert (await store.books.hold("use_1")).in_doubt == 1
    closing = Closing(state="captured", decide=lambda _, posted: postings.finish(posted, outcomes))
    assert await store.books.close("use_1", closing)
    assert (await told(store))["org_a", "", USD, "2026-11"] == (0, 18_000)
    assert await store.books.verify() == ()
    assert await store.books.mark_sent("use_1", known=3, decide=lambda *_: ()) is False


async def test_a_mark_can_be_taken_back(store: Store, organization: str) -> None:
    await hold(store, 1)
    await store.books.mark_sent("use_1")
    assert await store.books.take_back("use_1") is True
    assert (await store.books.hold("use_1")).calls_sent == 0


@pytest.mark.parametrize(("closing", "spent"), [(SETTLED, 10_000), (NOT_CHARGED, 0)])
async def test_what_is_in_doubt_stays_held_until_somebody_says(
    store: Store, organization: str, closing: Closing, spent: int
) -> None:
    await hold(store, 1, per_call=[CENT], calls=2)
    await doubt(store, 1)

    # The second call was never sent.
    assert (await told(store))["org_a", "", USD, "2026-11"] == (10_000, 0)
    assert [hold.id for hold in await store.books.holds(states=("unknown",))] == ["use_1"]
    (day,) = await store.usage.by_day()
    assert (day.pictures, day.failed, day.open, day.unknown) == (0, 0, 0, 1)
    assert await store.books.verify() == ()

    assert (await store.books.settle("use_1", closing)).state == closing.state
    assert (await told(store))["org_a", "", USD, "2026-11"] == (0, spent)
    assert await store.books.verify() == ()
    with pytest.raises(InvalidFieldValue, match="no picture of that id whose outcome is unknown"):
        await store.books.settle("use_1", closing)


async def test_the_limit_counts_what_is_held_and_spent_of_the_day(store: Store, organization: str, clock) -> None:
    clock.now = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    assert await hold(store, 1, limit=2) is None
    assert await hold(store, 2, limit=2) is None
    refusal = Refusal(limit="pictures_per_day", scope="organization", most=2, used=2)
    assert await hold(store, 3, limit=2) == refusal
    await capture(store, 1)
    assert await hold(store, 4, limit=2) == refusal
    await release(store, 2)
    assert await hold(store, 5, limit=2) is None
    clock.advance(seconds=1)
    assert await hold(store, 6, limit=2) is None
    assert sorted(await states(store)) == ["use_1", "use_2", "use_5", "use_6"]


async def test_the_day_is_utc_and_that_on_which_it_began(store: Store, organization: str, clock) -> None:
    clock.now = datetime.fromisoformat("2026-12-01T00:30:00+01:00")
    await hold(store, 1, per_call=[CENT])
    clock.advance(hours=1)
    await capture(store, 1, CENT)

    assert await told(store) == {
        ("org_a", "", PICTURE, "2026-11-30"): (0, 1),
        ("org_a", "", USD, "2026-11"): (0, 10_000),
    }
    assert await store.books.verify() == ()


@pytest.mark.parametrize("hours", [-26, -1, 1, 26, 24 * 40])
async def test_a_clock_that_jumps_breaks_nothing(store: Store, organization: str, clock, hours: int) -> None:
    await hold(store, 1, per_call=[CENT], limit=1)
    clock.advance(hours=hours)
    await store.books.mark_sent("use_1")
    await capture(store, 1, CENT)
    await hold(store, 2, limit=1)
    clock.now = NOON
    await release(store, 2)

    assert (await hold(store, 3, limit=1)) == Refusal(limit="pictures_per_day", scope="organization", most=1, used=1)
    assert await store.books.verify() == ()


async def test_own_limits_go_first(store: Store, organization: str) -> None:
    await store.policies.change_organization("org_a", pictures_per_day=1)
    assert await hold(store, 1, limit=5) is None
    assert await hold(store, 2, limit=5) == Refusal(limit="pictures_per_day", scope="organization", most=1, used=1)
    await store.policies.change_organization("org_a", pictures_per_day=0)
    assert await hold(store, 3, limit=1) is None
    await store.policies.change_organization("org_a", pictures_per_day=None)
    assert await hold(store, 4, limit=2) == Refusal(limit="pictures_per_day", scope="organization", most=2, used=2)


async def test_limits_are_told_in_their_order(store: Store) -> None:
    """Pictures, then money, then the provider; the organization's before the key's."""
    new = await store.keys.create("org_a")
    everything = {"pictures_per_day": 1, "usd_micro_per_month": 10_000, "providers": ("local",)}
    await store.policies.change_organization("org_a", **everything)
    await store.policies.change_key(new.id, **everything)
    dear = [Amount(unit=USD, value=10_001)]

    async def refusal(**options: object) -> tuple[str, str] | None:
        found = await hold(store, random.random(), key_id=new.id, **options)
        return None if found is None else (found.limit, found.scope)

    assert await refusal(per_call=dear) == ("usd_per_month", "organization")
    await store.policies.change_organization("org_a", usd_micro_per_month=None)
    assert await refusal(per_call=dear) == ("usd_per_month", "key")
    assert await refusal(knows_money=False) == ("price", "key")
    await store.policies.change_organization("org_a", usd_micro_per_month=5)
    assert await refusal(knows_money=False) == ("price", "organization")
    assert await refusal(provider="clipdrop") == ("providers", "organization")
    await store.policies.change_organization("org_a", providers=None)
    assert await refusal(provider="clipdrop") == ("providers", "key")
    assert await refusal(provider="local") is None
    assert await refusal(per_call=dear, knows_money=False, provider="clipdrop") == ("pictures_per_day", "organization")
    await store.policies.change_organization("org_a", pictures_per_day=0)
    assert await refusal(provider="clipdrop") == ("pictures_per_day", "key")
    assert await store.books.verify() == ()


async def test_a_key_has_no_more_than_its_organization(store: Store) -> None:
    one, two = await store.keys.create("org_a"), await store.keys.create("org_a")
    await store.policies.change_key(one.id, pictures_per_day=1)
    assert await hold(store, 1, key_id=one.id, limit=3) is None
    assert await hold(store, 2, key_id=one.id, limit=3) == Refusal(
        limit="pictures_per_day", scope="key", most=1, used=1
    )
    assert await hold(store, 3, key_id=two.id, limit=3) is None
    assert await hold(store, 4, limit=3) is None
    assert await hold(store, 5, key_id=two.id, limit=3) == Refusal(
        limit="pictures_per_day", scope="organization", most=3, used=3
    )


async def test_organizations_do_not_use_up_one_anothers_limit(store: Store, organization: str) -> None:
    await store.organizations.ensure("org_b")
    await hold(store, 1, limit=1)

    assert await hold(store, 2, limit=1) is not None
    assert await hold(store, 3, limit=1, organization="org_b") is None


async def test_an_unknown_organization_can_hold_nothing(store: Store) -> None:
    with pytest.raises(InternalError) as caught:
        await hold(store, 1)

    assert caught.value.message == "Something went wrong. Please try again later."
    assert caught.value.system_message == "The database could not be used"


async def test_other_work_is_done_in_the_same_transaction(store: Store, organization: str) -> None:
    done: list[str] = []

    def also() -> Script[None]:
        yield Ask(Prepared(sa.text("UPDATE organizations SET name = 'also'")), {})
        done.append("also")

    def failing() -> Script[None]:
        yield from also()
        raise RuntimeError("taken")

    with pytest.raises(RuntimeError, match="taken"):
        await hold(store, 1, also=failing)
    assert ((await store.organizations.get("org_a")).name, await states(store)) == (None, {})
    assert await hold(store, 1, also=also) is None
    assert (await store.organizations.get("org_a")).name == "also"
    with pytest.raises(RuntimeError, match="taken"):
        await store.books.close("use_1", SETTLED, also=failing)
    assert await states(store) == {"use_1": "held"}
    assert await store.books.close("use_1", SETTLED, also=also)
    assert not await store.books.close("use_1", SETTLED, also=failing)  # not for what was ended before
    assert await hold(store, 2, limit=1, also=failing) is not None  # nor where a limit is in the way
    assert done == ["also"] * 4
    assert await store.books.verify() == ()


@pytest.mark.parametrize(
    "limit", [1, pytest.param(14, marks=pytest.mark.slow), 63, pytest.param(64, marks=pytest.mark.slow)]
)
async def test_64_at_once_never_overspend(store: Store, organization: str, limit: int) -> None:
    refusals = await asyncio.gather(*(hold(store, number, limit=limit) for number in range(64)))

    assert refusals.count(None) == limit
    assert len(await states(store)) == limit


async def test_64_at_once_never_overspend_money(store: Store, organization: str) -> None:
    """The last cent is spent once; first requests of a month race as well."""
    await store.policies.change_organization("org_a", usd_micro_per_month=149_999)
    refusals = await asyncio.gather(*(hold(store, number, per_call=[CENT]) for number in range(64)))

    assert refusals.count(None) == 14
    assert (await told(store))["org_a", "", USD, "2026-11"] == (140_000, 0)
    assert await store.books.verify() == ()


async def test_two_servers_at_once_never_overspend(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as one, open_store(database_url, pepper=pepper) as two:
        await one.organizations.ensure("org_a")
        await two.policies.change_organization("org_a", pictures_per_day=14)

        refusals = await asyncio.gather(*(hold(store, number) for number, store in enumerate([one, two] * 32)))

        assert refusals.count(None) == 14
        assert len(await states(one)) == 14
        assert await one.books.verify() == ()


async def test_ending_while_others_hold_never_overspends(store: Store, organization: str) -> None:
    chance = random.Random(7)
    captured = 0

    async def request(number: int) -> bool:
        if await hold(store, number, limit=5) is not None:
            return False
        await asyncio.sleep(0)
        if chance.random() < 0.5:
            return await capture(store, number)
        await release(store, number)
        return False

    for batch in range(4):
        captured += sum(await asyncio.gather(*(request(batch * 16 + number) for number in range(16))))
        found = list((await states(store)).values())
        assert found.count("captured") == captured <= 5
        assert "held" not in found
    assert await store.books.verify() == ()


async def test_what_a_dead_process_left_is_given_back_or_in_doubt(store: Store, organization: str, clock) -> None:
    for number in range(3):
        await hold(store, number, per_call=[CENT])
    await capture(store, 1)
    await store.books.mark_sent("use_2")
    clock.advance(hours=1)
    await hold(store, 3)
    clock.advance(hours=1)
    two_hours = timedelta(hours=2)
    assert await store.books.expire(two_hours, give_back) == Expired()
    clock.advance(seconds=1)
    assert await store.books.expire(two_hours, give_back) == Expired(released=1, unknown=1)
    assert await states(store) == {"use_0": "expired", "use_1": "captured", "use_2": "unknown", "use_3": "held"}
    assert (await told(store))["org_a", "", USD, "2026-11"] == (10_000, 0)
    assert await store.books.expire(timedelta(0), give_back) == Expired(released=1)
    assert await store.books.verify() == ()


async def test_what_was_given_up_too_early_is_captured_all_the_same(store: Store, organization: str, clock) -> None:
    for number in range(2):
        await hold(store, number, per_call=[CENT], limit=2)
    await store.books.mark_sent("use_1")
    clock.advance(hours=3)
    assert await store.books.expire(timedelta(hours=2), give_back) == Expired(released=1, unknown=1)
    assert await store.books.mark_sent("use_0") is False  # nothing may be sent any more
    assert [await capture(store, number, CENT) for number in range(2)] == [True, True]
    assert (await told(store))["org_a", "", USD, "2026-11"] == (0, 20_000)
    (day,) = await store.usage.by_day()
    assert (day.pictures, day.failed, day.open) == (2, 0, 0)
    assert await store.books.verify() == ()


async def test_many_abandoned_holds_are_closed_in_several_transactions(
    store: Store, organization: str, clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("uncrop.store.books._BATCH", 2)
    for number in range(4):
        await hold(store, number)
    clock.advance(hours=3)
    assert await store.books.expire(timedelta(hours=2), give_back) == Expired(released=4)


async def test_usage_by_day_and_provider(store: Store, organization: str, clock) -> None:
    await store.organizations.ensure("org_b")
    for number, (provider, owner) in enumerate(
        [("clipdrop", "org_a"), ("clipdrop", "org_b"), ("openai", "org_a"), ("clipdrop", "org_a")]
    ):
        await hold(store, number, organization=owner, provider=provider)
    await capture(store, 0, *amounts("clipdrop", millicredits=1000), Amount(unit=USD, value=40_000))
    await capture(store, 1, *amounts("clipdrop", millicredits=500))
    await capture(store, 2, *amounts("openai", input_tokens=100, output_tokens=4000))
    await release(store, 3, *amounts("clipdrop", millicredits=250))
    clock.advance(days=1)
    await hold(store, 4, provider="local")

    half = Decimal("0.5")
    assert await store.usage.by_day() == (
        DayOfUsage(day=TODAY, provider="clipdrop", pictures=2, failed=1, credits=Decimal("1.75"), usd=Decimal("0.04")),
        DayOfUsage(day=TODAY, provider="openai", pictures=1, input_tokens=100, output_tokens=4000),
        DayOfUsage(day=date(2026, 11, 23), provider="local", open=1),
    )
    assert await store.usage.by_day("org_b") == (DayOfUsage(day=TODAY, provider="clipdrop", pictures=1, credits=half),)
    assert await store.usage.by_day("org_c") == ()


async def test_a_year_of_tokens_fits(store: Store, organization: str) -> None:
    for number in range(3):
        await hold(store, number)
        await capture(store, number, *amounts("clipdrop", millicredits=MAX_AMOUNT, input_tokens=MAX_AMOUNT))

    (day,) = await store.usage.by_day()
    assert (day.credits, day.input_tokens) == (Decimal(3 * 10**9), 3 * 10**12)
    assert await store.books.verify() == ()


@pytest.mark.parametrize("value", [MAX_AMOUNT + 1, -1, 2**63])
async def test_absurd_amounts_are_refused_and_change_nothing(store: Store, organization: str, value: int) -> None:
    """What reaches the books was read before; a mistake of ours there is told by the database, or by the sum."""
    await hold(store, 1, per_call=[CENT])
    before = await told(store)
    if value == MAX_AMOUNT + 1:
        await store.policies.change_organization("org_a", usd_micro_per_month=MAX_AMOUNT)
        assert await hold(store, 2, per_call=[Amount(unit=USD, value=value)]) is not None
    else:
        with pytest.raises((InternalError, OverflowError)):
            await hold(store, 2, per_call=[Amount(unit=USD, value=value)])
    assert await told(store) == before
    assert await store.books.verify() == ()


async def test_a_balance_below_zero_is_a_mistake(store: Store, organization: str) -> None:
    taken = [Change(key_id="", unit=USD, period="2026-11", held=-1)]
    with pytest.raises(InternalError) as caught:
        await store._transactions.write_script(lambda: change_balances("org_a", taken))
    assert caught.value.system_message == UNUSABLE
    assert await told(store) == {}
    await hold(store, 1)
    before = await told(store)
    assert set(before) == {("org_a", "", PICTURE, "2026-11-22")}
    for look in (True, False):
        for change in ({"held": -(10**9)}, {"spent": -1}):
            taken = [Change(key_id="", unit=PICTURE, period="2026-11-22", **change)]
            with pytest.raises(InternalError):
                await store._transactions.write_script(partial(change_balances, "org_a", taken, look=look))
    assert await told(store) == before

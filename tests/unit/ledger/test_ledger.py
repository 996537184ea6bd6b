from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import structlog

from fake_books import FakeBooks
from uncrop.errors import ProviderNotAllowed, ProviderNotConfigured, ServerBusy, SettingsError, UsageLimitExceeded
from uncrop.ledger.ledger import HeldPicture, Ledger
from uncrop.ledger.sweep import abandoned_after, open_sweep
from uncrop.model import Caller, PictureFacts, TokenUsage
from uncrop.model.ledger import PICTURE, USD
from uncrop.model.policies import Refusal
from uncrop.providers.registry import load_rows
from uncrop.store.books import Expired

if TYPE_CHECKING:
    from collections.abc import Callable

CALLER = Caller(organization_id="org_a", key_id="key")
CLIPDROP = replace(load_rows(())["clipdrop"], usd_per_credit=Decimal("0.01"))
LOCAL = load_rows(())["local"]
BRIA = load_rows(())["bria"]
SAID = PictureFacts(provider="clipdrop", request_id="req_1", model="m-1", credits_consumed=Decimal("1.5"))
HOUR = timedelta(hours=1)
CREDITS = "credit_milli:clipdrop"


@pytest.fixture
def books() -> FakeBooks:
    return FakeBooks()


async def held(books: FakeBooks, *, calls: int = 1) -> HeldPicture:
    return await Ledger(books).hold(CALLER, CLIPDROP, calls=calls)


async def test_the_whole_plan_is_held_and_what_it_took_is_booked(books: FakeBooks) -> None:
    picture = await held(books, calls=3)
    assert (books.only.new.organization_id, books.only.new.key_id, books.only.new.provider) == (
        "org_a",
        "key",
        "clipdrop",
    )
    assert books.only.held == {PICTURE: 1, CREDITS: 3000, USD: 30_000}

    await picture.mark_sent()
    picture.note_cost(SAID)
    await picture.mark_sent()
    # The mark of the second call books the first.
    assert (books.only.spent, books.only.sent, books.only.known) == ({CREDITS: 1500, USD: 15_000}, 2, 1)
    picture.note_cost(SAID)
    await picture.finish("m-1")
    assert (books.states, books.only.model) == ({picture.id: "captured"}, "m-1")
    assert (books.only.spent, books.only.held) == ({PICTURE: 1, CREDITS: 3000, USD: 30_000}, {})
    await picture.finish()
    await picture.give_back()
    assert books.only.spent == {PICTURE: 1, CREDITS: 3000, USD: 30_000}


async def test_what_costs_nothing_holds_a_picture_alone(books: FakeBooks) -> None:
    picture = await Ledger(books).hold(CALLER, LOCAL, calls=3)
    assert (books.only.held, books.only.new.calls) == ({PICTURE: 1}, 0)
    await picture.finish("m")
    assert books.only.spent == {PICTURE: 1}


async def test_tokens_are_booked_as_they_come(books: FakeBooks) -> None:
    picture = await held(books)
    await picture.mark_sent()
    picture.note_cost(replace(SAID, credits_consumed=None, usage=TokenUsage(input_tokens=7, output_tokens=9)))
    await picture.finish()
    assert books.only.spent == {
        PICTURE: 1,
        CREDITS: 1000,
        USD: 10_000,
        "input_token:clipdrop": 7,
        "output_token:clipdrop": 9,
    }


async def test_holds_are_named_apart(books: FakeBooks) -> None:
    names = {(await held(books)).id for _ in range(10)}
    assert len(names) == 10
    assert all(len(name) == 32 for name in names)


@pytest.mark.parametrize(
    ("charged", "state", "spent"),
    [(False, "released", {}), (True, "released", {CREDITS: 1000, USD: 10_000}), (None, "unknown", {})],
)
async def test_how_a_call_that_failed_is_booked(
    books: FakeBooks, charged: bool | None, state: str, spent: dict[str, int]
) -> None:
    picture = await held(books, calls=2)
    await picture.mark_sent()
    if charged is not None:
        picture.note_failure(charged=charged)
    assert picture.in_doubt is (charged is None)
    with structlog.testing.capture_logs() as logs:
        await picture.give_back()
    assert (books.states, books.only.spent) == ({picture.id: state}, spent)
    # Of a call in doubt, what it may cost stays held; the one that was never sent is given back.
    assert books.only.held == ({} if charged is not None else {PICTURE: 1, CREDITS: 1000, USD: 10_000})
    event = {"event": "it is not known whether a call is billed", "log_level": "warning"}
    assert logs == ([] if charged is not None else [{**event, "hold_id": picture.id, "provider": "clipdrop"}])


async def test_a_picture_whose_calls_told_nothing_has_cost_their_price(books: FakeBooks) -> None:
    picture = await held(books)
    await picture.mark_sent()
    await picture.finish()
    assert books.only.spent == {PICTURE: 1, CREDITS: 1000, USD: 10_000}


async def test_a_call_that_was_taken_back_is_given_back(books: FakeBooks) -> None:
    picture = await held(books)
    await picture.mark_sent()
    await picture.take_back()
    assert (books.only.sent, picture.in_doubt) == (0, False)
    await picture.give_back()
    assert (books.states, books.only.held, books.only.spent) == ({picture.id: "released"}, {}, {})


async def test_what_cannot_be_marked_may_not_be_sent(books: FakeBooks) -> None:
    picture = await held(books)
    books.failing = {"mark_sent"}
    with pytest.raises(ServerBusy):
        await picture.mark_sent()
    books.failing = set()
    books.only.state = "expired"
    with pytest.raises(ServerBusy) as caught:
        await picture.mark_sent()
    assert caught.value.system_message == "What was held for the picture was given back before its call was sent"
    assert (books.only.sent, picture.in_doubt) == (0, False)


@pytest.mark.parametrize("steps", range(10))
async def test_a_mark_that_is_cut_off_is_taken_back(books: FakeBooks, steps: int) -> None:
    ledger = Ledger(books)
    picture = await ledger.hold(CALLER, CLIPDROP)
    books.steps = 2
    marking = asyncio.ensure_future(picture.mark_sent())
    for _ in range(steps):
        await asyncio.sleep(0)
    marking.cancel()
    (outcome,) = await asyncio.gather(marking, return_exceptions=True)
    await ledger.drain()
    assert (books.only.sent, picture.in_doubt) == ((0, False) if isinstance(outcome, BaseException) else (1, True))
    await picture.give_back()
    assert books.states == {picture.id: "released" if isinstance(outcome, BaseException) else "unknown"}


DAY = {"limit": 1, "used": 1, "remaining": 0, "window": "UTC day", "scope": "organization"}


@pytest.mark.parametrize(
    ("now", "seconds", "resets_at"),
    [
        ("2026-11-22T12:00:00+00:00", 43200, "2026-11-23T00:00:00Z"),
        ("2026-11-22T23:59:59.5+00:00", 0.5, "2026-11-23T00:00:00Z"),
        ("2026-11-22T00:00:00+00:00", 86400, "2026-11-23T00:00:00Z"),
        ("2026-12-31T23:00:00-02:00", 82800, "2027-01-02T00:00:00Z"),
    ],
)
async def test_the_limit_of_the_day_says_when_it_ends(
    books: FakeBooks, now: str, seconds: float, resets_at: str
) -> None:
    ledger = Ledger(books, default_pictures_per_day=1, clock=lambda: datetime.fromisoformat(now))
    await ledger.hold(CALLER, LOCAL)

    with pytest.raises(UsageLimitExceeded) as caught:
        await ledger.hold(CALLER, LOCAL)
    assert caught.value.retry_after == seconds
    assert caught.value.details == {**DAY, "resets_at": resets_at}
    assert caught.value.message == "The organization's limit of pictures for today is reached"
    assert len(books.states) == 1


@pytest.mark.parametrize(
    ("now", "resets_at", "seconds"),
    [
        ("2026-11-22T12:00:00+00:00", "2026-12-01T00:00:00Z", 8.5 * 86400),
        ("2026-12-31T23:59:59+00:00", "2027-01-01T00:00:00Z", 1),
        ("2027-01-31T00:00:00+00:00", "2027-02-01T00:00:00Z", 86400),
    ],
)
async def test_the_limit_of_money_says_what_is_left(books: FakeBooks, now: str, resets_at: str, seconds: float) -> None:
    books.refusal = Refusal(limit="usd_per_month", scope="key", most=1_500_000, used=1_495_000)
    with pytest.raises(UsageLimitExceeded) as caught:
        await Ledger(books, clock=lambda: datetime.fromisoformat(now)).hold(CALLER, CLIPDROP)
    assert caught.value.details == {
        "scope": "key",
        "limit_usd": "1.5",
        "used_usd": "1.495",
        "remaining_usd": "0.005",
        "window": "UTC month",
        "resets_at": resets_at,
    }
    assert (caught.value.retry_after, caught.value.message) == (
        seconds,
        "The key's limit of money for this month is reached",
    )


@pytest.mark.parametrize(
    ("facts", "setting"), [(CLIPDROP, "UNCROP_CLIPDROP_USD_PER_CREDIT"), (BRIA, "UNCROP_BRIA_USD_PER_CALL")]
)
async def test_an_unknown_price_names_its_setting(books: FakeBooks, facts, setting: str) -> None:
    books.refusal = Refusal(limit="price", scope="organization", most=1)
    with pytest.raises(ProviderNotConfigured) as caught:
        await Ledger(books).hold(CALLER, facts)
    assert caught.value.details == {"provider": facts.name, "setting": setting}
    assert setting in caught.value.message


async def test_a_provider_that_may_not_be_asked(books: FakeBooks) -> None:
    books.refusal = Refusal(limit="providers", scope="key")
    with pytest.raises(ProviderNotAllowed, match="The key may not use this provider") as caught:
        await Ledger(books).hold(CALLER, CLIPDROP)
    assert (caught.value.status, caught.value.details) == (403, {"provider": "clipdrop", "scope": "key"})


async def test_without_database_nothing_is_held(books: FakeBooks) -> None:
    books.failing = {"open"}
    with pytest.raises(ServerBusy):
        await held(books)
    assert books.states == {}


async def test_a_picture_that_cannot_be_booked_is_not_withheld(books: FakeBooks) -> None:
    picture, other = await held(books), await held(books)
    await picture.mark_sent()
    picture.note_cost(SAID)
    books.failing = {"close", "take_back"}

    with structlog.testing.capture_logs() as logs:
        await picture.finish("m-1")
        await other.give_back()
        await other.take_back()

    captured, released, taken_back = logs
    for entry in logs:
        assert isinstance(entry.pop("exc_info"), ServerBusy)
    about = {"event": "usage not booked", "log_level": "error"}
    costs = {CREDITS: 1500, USD: 15_000}
    assert captured == {**about, "hold_id": picture.id, "sent": 1, "costs": costs}
    assert released == {**about, "hold_id": other.id, "sent": 0, "costs": {}}
    assert taken_back["event"] == "a call was not taken back"
    assert set(books.states.values()) == {"held"}


async def test_settling_twice_is_logged(books: FakeBooks) -> None:
    picture = await held(books)
    books.only.state = "released"
    with structlog.testing.capture_logs() as logs:
        await picture.finish()
    about = {"event": "usage was settled before", "log_level": "error", "hold_id": picture.id}
    assert logs == [{**about, "sent": 0, "costs": {}}]


@pytest.mark.parametrize("steps", range(14))
async def test_a_request_stopped_while_holding_leaves_nothing(books: FakeBooks, steps: int) -> None:
    books.steps = 3
    ledger = Ledger(books)
    holding = asyncio.ensure_future(ledger.hold(CALLER, CLIPDROP))
    for _ in range(steps):
        await asyncio.sleep(0)
    holding.cancel()
    (outcome,) = await asyncio.gather(holding, return_exceptions=True)
    await ledger.drain()

    # Whoever has the hold can give it back; whoever has not must find nothing held.
    if isinstance(outcome, BaseException):
        assert "held" not in books.states.values()
    else:
        assert outcome.id in books.states


async def test_a_request_stopped_while_booking_is_booked(books: FakeBooks) -> None:
    ledger = Ledger(books)
    picture = await ledger.hold(CALLER, CLIPDROP)
    books.steps = 3
    booking = asyncio.ensure_future(picture.finish())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    booking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await booking
    await picture.give_back()
    await ledger.drain()
    assert books.states == {picture.id: "captured"}


async def test_other_work_is_passed_on(books: FakeBooks) -> None:
    done: list[str] = []

    async def also(_connection: object) -> None:
        done.append("also")

    picture = await Ledger(books).hold(CALLER, CLIPDROP, also=also)
    await picture.finish(also=also)
    assert done == ["also", "also"]


async def test_the_real_clock_is_the_default(books: FakeBooks) -> None:
    ledger = Ledger(books, default_pictures_per_day=1)
    await ledger.hold(CALLER, LOCAL)
    with pytest.raises(UsageLimitExceeded) as caught:
        await ledger.hold(CALLER, LOCAL)
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 86400


async def test_what_was_abandoned_is_logged(books: FakeBooks) -> None:
    ledger = Ledger(books)
    with structlog.testing.capture_logs() as logs:
        assert await ledger.expire(HOUR) == Expired()
        first = await ledger.hold(CALLER, CLIPDROP)
        await (await ledger.hold(CALLER, CLIPDROP)).mark_sent()
        assert await ledger.expire(HOUR) == Expired(released=1, unknown=1)
    assert logs == [{"event": "abandoned pictures were found", "log_level": "warning", "given_back": 1, "unknown": 1}]
    assert books.books[first.id].held == {}


class Naps:
    """Does something at each nap; then sleeps for ever."""

    def __init__(self, *acts: Callable[[], object]) -> None:
        self.acts, self.begin, self.done = list(acts), asyncio.Event(), asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        assert seconds == 60
        await self.begin.wait()
        if not self.acts:
            self.done.set()
            await asyncio.Event().wait()
        self.acts.pop(0)()


async def test_what_is_abandoned_is_looked_for_again_and_again(books: FakeBooks) -> None:
    ledger = Ledger(books)
    naps = Naps(lambda: books.failing.add("expire"), books.failing.clear)
    first = await ledger.hold(CALLER, CLIPDROP)
    with structlog.testing.capture_logs() as logs:
        async with open_sweep(ledger, older_than=timedelta(0), sleep=naps):
            second = await ledger.hold(CALLER, CLIPDROP)
            assert books.states == {first.id: "expired", second.id: "held"}
            naps.begin.set()
            await naps.done.wait()
            assert books.states[second.id] == "expired"
    found = "abandoned pictures were found"
    assert [entry["event"] for entry in logs] == [found, "abandoned pictures could not be looked for", found]


async def test_a_database_that_cannot_be_used_stops_the_start(books: FakeBooks) -> None:
    books.failing = {"expire"}
    with pytest.raises(SettingsError) as caught:
        async with open_sweep(Ledger(books), older_than=HOUR):
            pytest.fail("opened")
    assert caught.value.problems == ["UNCROP_DATABASE_URL: the database cannot be opened (ServerBusy)"]


def test_how_long_a_picture_is_worked_on_at_most() -> None:
    assert abandoned_after(180) == timedelta(minutes=16)

from __future__ import annotations

import asyncio
import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from uncrop.errors import InternalError
from uncrop.store.database import Store, open_store
from uncrop.store.tables import usage
from uncrop.store.transactions import begin
from uncrop.store.usage import DayOfUsage, ReservationOutcome, to_millicredits

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TODAY = date(2026, 11, 22)


@pytest.fixture
async def organization(store: Store) -> str:
    await store.organizations.ensure("org_a")
    return "org_a"


async def reserve(store: Store, number: object, *, limit: int = 0, organization: str = "org_a") -> ReservationOutcome:
    return await store.usage.reserve(
        f"use_{number}", organization_id=organization, key_id=None, provider="local", default_limit=limit
    )


async def rows(store: Store) -> list[dict[str, object]]:
    async with begin(store.usage._transactions._engine, writes=False) as connection:
        found = await connection.execute(sa.select(usage).order_by(usage.c.id))
        return [dict(row) for row in found.mappings()]


async def test_a_reservation_is_a_row(store: Store) -> None:
    new = await store.keys.create("org_a")

    outcome = await store.usage.reserve("use_1", organization_id="org_a", key_id=new.id, provider="clipdrop")

    assert outcome == ReservationOutcome(reserved=True, limit=None, used=None)
    assert await rows(store) == [
        {
            "id": "use_1",
            "organization_id": "org_a",
            "key_id": new.id,
            "provider": "clipdrop",
            "model": None,
            "state": "reserved",
            "millicredits": 0,
            "input_tokens": 0,
            "output_tokens": 0,
            "day": TODAY,
            "created_at": NOON,
            "settled_at": None,
        }
    ]


async def test_capture_books_what_the_provider_said(store: Store, organization: str, clock) -> None:
    await reserve(store, 1)
    clock.advance(seconds=30)

    assert await store.usage.capture("use_1", model="gpt-image-2", millicredits=1500, input_tokens=7, output_tokens=9)

    (row,) = await rows(store)
    assert (row["state"], row["settled_at"]) == ("captured", NOON + timedelta(seconds=30))
    assert (row["model"], row["millicredits"], row["input_tokens"], row["output_tokens"]) == ("gpt-image-2", 1500, 7, 9)


async def test_a_reservation_is_settled_once(store: Store, organization: str) -> None:
    await reserve(store, 1)
    await reserve(store, 2)

    assert [await store.usage.capture("use_1"), await store.usage.release("use_1")] == [True, False]
    assert [await store.usage.release("use_2"), await store.usage.capture("use_2")] == [True, False]
    assert [row["state"] for row in await rows(store)] == ["captured", "released"]


async def test_what_was_never_reserved_cannot_be_settled(store: Store) -> None:
    assert await store.usage.capture("use_1") is False
    assert await store.usage.release("use_1") is False


async def test_a_long_model_name_is_cut(store: Store, organization: str) -> None:
    await reserve(store, 1)
    await store.usage.capture("use_1", model="m" * 300)

    assert (await rows(store))[0]["model"] == "m" * 200


async def test_the_limit_counts_reserved_and_captured_of_the_day(store: Store, organization: str, clock) -> None:
    clock.now = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
    assert await reserve(store, 1, limit=2) == ReservationOutcome(reserved=True, limit=2, used=0)
    assert await reserve(store, 2, limit=2) == ReservationOutcome(reserved=True, limit=2, used=1)
    assert await reserve(store, 3, limit=2) == ReservationOutcome(reserved=False, limit=2, used=2)
    await store.usage.capture("use_1")
    assert (await reserve(store, 4, limit=2)).reserved is False
    await store.usage.release("use_2")
    assert await reserve(store, 5, limit=2) == ReservationOutcome(reserved=True, limit=2, used=1)
    clock.advance(seconds=1)
    assert await reserve(store, 6, limit=2) == ReservationOutcome(reserved=True, limit=2, used=0)
    assert [row["id"] for row in await rows(store)] == ["use_1", "use_2", "use_5", "use_6"]


async def test_what_calls_have_cost_counts_although_no_picture_was_made(store: Store, organization: str) -> None:
    await reserve(store, 1)
    assert await store.usage.release("use_1", model="m", millicredits=1500, input_tokens=3, output_tokens=4)

    (day,) = await store.usage.by_day(organization)
    assert (day.pictures, day.failed, day.credits) == (0, 1, Decimal("1.5"))
    assert (day.input_tokens, day.output_tokens) == (3, 4)


async def test_the_day_is_utc(store: Store, organization: str, clock) -> None:
    clock.now = datetime.fromisoformat("2026-11-23T00:30:00+01:00")
    await reserve(store, 1)

    (row,) = await rows(store)
    assert (row["day"], row["created_at"]) == (TODAY, datetime(2026, 11, 22, 23, 30, tzinfo=UTC))


async def test_an_organizations_own_limit_goes_first(store: Store, organization: str) -> None:
    await store.organizations.set_daily_limit("org_a", 1)
    assert (await reserve(store, 1, limit=5)).reserved is True
    assert await reserve(store, 2, limit=5) == ReservationOutcome(reserved=False, limit=1, used=1)
    await store.organizations.set_daily_limit("org_a", 0)
    assert await reserve(store, 3, limit=1) == ReservationOutcome(reserved=True, limit=None, used=None)
    await store.organizations.set_daily_limit("org_a", None)
    assert await reserve(store, 4, limit=2) == ReservationOutcome(reserved=False, limit=2, used=2)


async def test_organizations_do_not_use_up_one_anothers_limit(store: Store, organization: str) -> None:
    await store.organizations.ensure("org_b")
    await reserve(store, 1, limit=1)

    assert (await reserve(store, 2, limit=1)).reserved is False
    assert (await reserve(store, 3, limit=1, organization="org_b")).reserved is True


async def test_an_unknown_organization_cannot_reserve(store: Store) -> None:
    with pytest.raises(InternalError) as caught:
        await reserve(store, 1)

    assert caught.value.message == "Something went wrong. Please try again later."
    assert caught.value.system_message == "The database could not be used"


@pytest.mark.parametrize(
    "limit", [1, pytest.param(14, marks=pytest.mark.slow), 63, pytest.param(64, marks=pytest.mark.slow)]
)
async def test_64_at_once_never_overspend(store: Store, organization: str, limit: int) -> None:
    outcomes = await asyncio.gather(*(reserve(store, number, limit=limit) for number in range(64)))

    assert sum(outcome.reserved for outcome in outcomes) == limit
    assert len(await rows(store)) == limit


async def test_two_servers_at_once_never_overspend(database_url: str, pepper: bytes) -> None:
    async with open_store(database_url, pepper=pepper) as one, open_store(database_url, pepper=pepper) as two:
        await one.organizations.ensure("org_a")
        await two.organizations.set_daily_limit("org_a", 14)

        outcomes = await asyncio.gather(*(reserve(store, number) for number, store in enumerate([one, two] * 32)))

        assert sum(outcome.reserved for outcome in outcomes) == 14
        assert sorted(outcome.used for outcome in outcomes if outcome.reserved) == list(range(14))
        assert len(await rows(one)) == 14


async def test_settling_while_others_reserve_never_overspends(store: Store, organization: str) -> None:
    chance = random.Random(7)
    captured = 0

    async def request(number: int) -> bool:
        if not (await reserve(store, number, limit=5)).reserved:
            return False
        await asyncio.sleep(0)
        if chance.random() < 0.5:
            return await store.usage.capture(f"use_{number}")
        await store.usage.release(f"use_{number}")
        return False

    for batch in range(4):
        captured += sum(await asyncio.gather(*(request(batch * 16 + number) for number in range(16))))
        states = [row["state"] for row in await rows(store)]
        assert states.count("captured") == captured <= 5
        assert "reserved" not in states


async def test_what_a_dead_process_left_is_released(store: Store, organization: str, clock) -> None:
    await reserve(store, 1)
    await reserve(store, 2)
    await store.usage.capture("use_2")
    clock.advance(hours=1)
    await reserve(store, 3)
    clock.advance(hours=1)
    assert await store.usage.release_abandoned() == 0
    clock.advance(seconds=1)
    assert await store.usage.release_abandoned() == 1
    assert [row["state"] for row in await rows(store)] == ["released", "captured", "reserved"]
    assert await store.usage.release_abandoned(timedelta(0)) == 1


async def test_opening_the_store_releases_what_was_abandoned(database_url: str, pepper: bytes, clock) -> None:
    async with open_store(database_url, pepper=pepper, clock=clock) as store:
        await store.organizations.ensure("org_a")
        await reserve(store, 1)
    clock.advance(hours=3)
    async with open_store(database_url, pepper=pepper, clock=clock) as store:
        assert [row["state"] for row in await rows(store)] == ["released"]


async def test_usage_by_day_and_provider(store: Store, organization: str, clock) -> None:
    await store.organizations.ensure("org_b")
    for number, (provider, owner) in enumerate(
        [("clipdrop", "org_a"), ("clipdrop", "org_b"), ("openai", "org_a"), ("clipdrop", "org_a")]
    ):
        await store.usage.reserve(f"use_{number}", organization_id=owner, key_id=None, provider=provider)
    await store.usage.capture("use_0", millicredits=1000)
    await store.usage.capture("use_1", millicredits=500)
    await store.usage.capture("use_2", input_tokens=100, output_tokens=4000)
    await store.usage.release("use_3")
    clock.advance(days=1)
    await reserve(store, 4)
    nothing = {"pictures": 0, "failed": 0, "open": 0, "credits": Decimal(0), "input_tokens": 0, "output_tokens": 0}
    day = {"day": TODAY, **nothing}

    assert await store.usage.by_day() == (
        DayOfUsage(**{**day, "provider": "clipdrop", "pictures": 2, "failed": 1, "credits": Decimal("1.5")}),
        DayOfUsage(**{**day, "provider": "openai", "pictures": 1, "input_tokens": 100, "output_tokens": 4000}),
        DayOfUsage(**{**nothing, "day": date(2026, 11, 23), "provider": "local", "open": 1}),
    )
    assert await store.usage.by_day("org_b") == (
        DayOfUsage(**{**day, "provider": "clipdrop", "pictures": 1, "credits": Decimal("0.5")}),
    )
    assert await store.usage.by_day("org_c") == ()


async def test_a_year_of_tokens_fits(store: Store, organization: str) -> None:
    for number in range(3):
        await reserve(store, number)
        await store.usage.capture(f"use_{number}", millicredits=10**12, input_tokens=10**12)

    (day,) = await store.usage.by_day()
    assert (day.credits, day.input_tokens) == (Decimal(3 * 10**9), 3 * 10**12)


async def test_absurd_amounts_are_booked_as_none(store: Store, organization: str) -> None:
    await reserve(store, 1)
    assert await store.usage.capture("use_1", millicredits=10**30, input_tokens=10**30, output_tokens=-1)
    (day,) = await store.usage.by_day()
    assert (day.pictures, day.credits, day.input_tokens, day.output_tokens) == (1, 0, 0, 0)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, 0),
        (Decimal(1), 1000),
        (Decimal("0.0004"), 0),
        (Decimal("0.0005"), 1),
        (Decimal("2.0015"), 2002),
        (Decimal(-1), 0),
        (Decimal("NaN"), 0),
        (Decimal("Infinity"), 0),
        (Decimal("1e9"), 10**12),
        (Decimal("1e30"), 0),
        (Decimal("1e400"), 0),
    ],
)
def test_credits_are_counted_in_thousandths(value: Decimal | None, expected: int) -> None:
    assert to_millicredits(value) == expected


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.integers(0, 3),
    steps=st.lists(st.tuples(st.sampled_from(["reserve", "capture", "release"]), st.integers(0, 5)), max_size=25),
)
def test_any_sequence_agrees_with_a_model(limit: int, steps: list[tuple[str, int]]) -> None:
    async def run() -> None:
        model: dict[str, str] = {}
        async with open_store("sqlite+aiosqlite:///:memory:", pepper=bytes(32)) as store:
            await store.organizations.ensure("org_a")
            for step, number in steps:
                name = f"use_{number}"
                if step == "reserve":
                    if name in model:
                        continue
                    counting = sum(state != "released" for state in model.values())
                    expected = limit == 0 or counting < limit
                    assert (await reserve(store, number, limit=limit)).reserved is expected
                    if expected:
                        model[name] = "reserved"
                else:
                    settle = store.usage.capture if step == "capture" else store.usage.release
                    assert await settle(name) is (model.get(name) == "reserved")
                    if model.get(name) == "reserved":
                        model[name] = f"{step}d"
            assert {row["id"]: row["state"] for row in await rows(store)} == model

    asyncio.run(run())

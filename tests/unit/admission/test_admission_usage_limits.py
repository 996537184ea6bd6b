from __future__ import annotations

import asyncio
from datetime import datetime
from decimal import Decimal

import pytest
import structlog

from uncrop.admission.usage_limits import UsageLimits
from uncrop.errors import InternalError, UsageLimitExceeded
from uncrop.model import PictureFacts, TokenUsage

FACTS = PictureFacts(
    provider="clipdrop",
    request_id="req_1",
    model="m-1",
    credits_consumed=Decimal("1.5"),
    usage=TokenUsage(input_tokens=7, output_tokens=9, total_tokens=16),
)
BOOKED = {"model": "m-1", "millicredits": 1500, "input_tokens": 7, "output_tokens": 9}


async def reserve(usage: UsageLimits) -> str:
    return await usage.reserve(organization_id="org_a", key_id="key", provider="clipdrop")


async def test_a_picture_is_reserved_and_booked(ledger) -> None:
    usage = UsageLimits(ledger)

    reservation_id = await reserve(usage)
    assert ledger.states == {reservation_id: "reserved"}
    assert ledger.reservations == [{"organization_id": "org_a", "key_id": "key", "provider": "clipdrop"}]
    await usage.capture(reservation_id, FACTS)
    assert ledger.states == {reservation_id: "captured"}
    assert ledger.booked == [BOOKED]


async def test_what_the_provider_does_not_say_is_nothing(ledger) -> None:
    usage = UsageLimits(ledger)

    await usage.capture(await reserve(usage), PictureFacts(provider="local", request_id="req_1"))

    assert ledger.booked == [{"model": None, "millicredits": 0, "input_tokens": 0, "output_tokens": 0}]


async def test_reservations_are_named_apart(ledger) -> None:
    usage = UsageLimits(ledger)

    names = {await reserve(usage) for _ in range(10)}

    assert len(names) == 10
    assert all(len(name) == 32 for name in names)


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        ("2026-11-22T12:00:00+00:00", 43200),
        ("2026-11-22T23:59:59.5+00:00", 0.5),
        ("2026-11-22T00:00:00+00:00", 86400),
        ("2026-12-31T23:00:00-02:00", 82800),
    ],
)
async def test_the_limit_says_when_it_ends(ledger, now: str, seconds: float) -> None:
    usage = UsageLimits(ledger, default_daily_limit=1, clock=lambda: datetime.fromisoformat(now))
    await reserve(usage)

    with pytest.raises(UsageLimitExceeded) as caught:
        await reserve(usage)
    assert caught.value.retry_after == seconds
    assert caught.value.details == {"limit": 1, "used": 1, "window": "UTC day"}
    assert len(ledger.states) == 1


async def test_a_released_picture_can_be_had_again(ledger) -> None:
    usage = UsageLimits(ledger, default_daily_limit=1)
    await usage.release(await reserve(usage))

    await reserve(usage)
    assert sorted(ledger.states.values()) == ["released", "reserved"]


async def test_without_database_nothing_is_reserved(ledger) -> None:
    ledger.failing = {"reserve"}

    with pytest.raises(InternalError):
        await reserve(UsageLimits(ledger))
    assert ledger.states == {}


async def test_a_picture_that_cannot_be_booked_is_not_withheld(ledger) -> None:
    usage = UsageLimits(ledger)
    reservation_id = await reserve(usage)
    ledger.failing = {"capture", "release"}

    with structlog.testing.capture_logs() as logs:
        await usage.capture(reservation_id, FACTS)
        await usage.release(reservation_id)

    (captured, released) = logs
    assert isinstance(captured.pop("exc_info"), InternalError)
    assert isinstance(released.pop("exc_info"), InternalError)
    about = {"event": "usage not booked", "log_level": "error", "reservation_id": reservation_id}
    assert captured == {**about, **BOOKED}
    assert released == about
    assert ledger.states == {reservation_id: "reserved"}


async def test_settling_twice_is_logged(ledger) -> None:
    usage = UsageLimits(ledger)
    reservation_id = await reserve(usage)
    await usage.release(reservation_id)

    with structlog.testing.capture_logs() as logs:
        await usage.capture(reservation_id, FACTS)

    about = {"event": "usage was settled before", "log_level": "error", "reservation_id": reservation_id}
    assert logs == [{**about, **BOOKED}]
    assert ledger.states == {reservation_id: "released"}


@pytest.mark.parametrize("steps", range(14))
async def test_a_request_stopped_while_reserving_leaves_nothing(ledger, steps: int) -> None:
    ledger.steps = 3
    usage = UsageLimits(ledger)
    reserving = asyncio.ensure_future(reserve(usage))
    for _ in range(steps):
        await asyncio.sleep(0)
    reserving.cancel()
    (outcome,) = await asyncio.gather(reserving, return_exceptions=True)
    await usage.drain()

    # Whoever has the id can give it back; whoever has not must find nothing reserved.
    assert "reserved" not in ledger.states.values() if isinstance(outcome, BaseException) else outcome in ledger.states


async def test_a_request_stopped_while_booking_is_booked(ledger) -> None:
    usage = UsageLimits(ledger)
    reservation_id = await reserve(usage)
    ledger.steps = 3
    booking = asyncio.ensure_future(usage.capture(reservation_id, FACTS))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    booking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await booking
    await usage.drain()

    assert ledger.states == {reservation_id: "captured"}


async def test_the_real_clock_is_the_default(ledger) -> None:
    usage = UsageLimits(ledger, default_daily_limit=1)
    await reserve(usage)
    with pytest.raises(UsageLimitExceeded) as caught:
        await reserve(usage)

    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after <= 86400

"""The handshake between a call and the one who waits for it."""

from __future__ import annotations

import asyncio

import anyio
import pytest

from uncrop.providers.base import Flight, ProviderSettings


def test_a_new_flight_is_neither_sent_nor_abandoned() -> None:
    flight = Flight()
    assert (flight.sent, flight.abandoned) == (False, False)


def test_committing_marks_it_sent() -> None:
    flight = Flight()
    flight.commit()
    assert flight.sent


async def test_an_abandoned_flight_is_not_sent() -> None:
    flight = Flight()
    assert flight.abandon() is True
    with pytest.raises(asyncio.CancelledError):
        flight.check()
    with pytest.raises(asyncio.CancelledError):
        flight.commit()
    assert (flight.sent, flight.abandoned) == (False, True)


async def test_a_sent_flight_goes_on_when_abandoned() -> None:
    flight = Flight()
    flight.commit()
    assert flight.abandon() is False
    flight.check()
    flight.commit()
    assert (flight.sent, flight.abandoned) == (True, True)


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(ProviderSettings(api_key="secret", base_url="https://example.org"))


async def test_only_as_many_land_at_once_as_the_runway_takes() -> None:
    runway = anyio.CapacityLimiter(2)
    flights = [Flight() for _ in range(3)]
    for flight in flights:
        flight.use_runway(runway)
    await flights[0].land()
    await flights[1].land()
    await flights[1].land()  # twice is once
    third = asyncio.create_task(flights[2].land())
    await anyio.wait_all_tasks_blocked()
    assert not third.done()
    flights[0].leave_runway()
    flights[0].leave_runway()
    await third
    assert runway.borrowed_tokens == 2
    flights[1].leave_runway()
    flights[2].leave_runway()
    assert runway.borrowed_tokens == 0


async def test_a_flight_that_is_cancelled_while_it_waits_holds_nothing() -> None:
    runway = anyio.CapacityLimiter(1)
    first, second = Flight(), Flight()
    first.use_runway(runway)
    second.use_runway(runway)
    await first.land()
    waiting = asyncio.create_task(second.land())
    await anyio.wait_all_tasks_blocked()
    waiting.cancel()
    await asyncio.wait([waiting])
    second.leave_runway()
    assert runway.borrowed_tokens == 1
    first.leave_runway()
    assert runway.borrowed_tokens == 0


async def test_without_a_runway_a_flight_lands_at_once() -> None:
    flight = Flight()
    await flight.land()
    flight.leave_runway()

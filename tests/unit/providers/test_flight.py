"""The handshake between a call and the one who waits for it."""

from __future__ import annotations

import asyncio

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

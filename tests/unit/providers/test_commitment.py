"""The handshake between a picture's calls and the one who waits for it."""

from __future__ import annotations

import asyncio

import pytest

from uncrop.providers.base import ProviderSettings
from uncrop.providers.commitment import Commitment


def test_a_new_one_is_neither_sent_nor_abandoned() -> None:
    commitment = Commitment()
    assert (commitment.sent, commitment.abandoned, commitment.billed_calls) == (False, False, 0)


def test_committing_marks_it_sent_and_counts() -> None:
    commitment = Commitment()
    commitment.commit()
    commitment.commit()
    assert (commitment.sent, commitment.billed_calls) == (True, 2)


async def test_what_is_abandoned_is_not_sent() -> None:
    commitment = Commitment()
    assert commitment.abandon() is True
    with pytest.raises(asyncio.CancelledError):
        commitment.check()
    with pytest.raises(asyncio.CancelledError):
        commitment.commit()
    assert (commitment.sent, commitment.abandoned) == (False, True)


async def test_what_was_sent_goes_on_when_abandoned() -> None:
    commitment = Commitment()
    commitment.commit()
    assert commitment.abandon() is False
    commitment.check()
    commitment.commit()
    assert (commitment.sent, commitment.abandoned) == (True, True)


async def test_one_more_call_is_made_only_for_who_still_waits() -> None:
    commitment = Commitment()
    commitment.commit()
    commitment.check_next()
    commitment.abandon()
    with pytest.raises(asyncio.CancelledError):
        commitment.check_next()


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(ProviderSettings(values={"api_key": "secret", "base_url": "https://example.org"}))


def test_a_call_that_was_refused_is_not_billed() -> None:
    commitment = Commitment()
    commitment.commit()
    commitment.commit()
    commitment.take_back()
    assert (commitment.sent, commitment.billed_calls) == (True, 1)
    commitment.take_back()
    assert commitment.sent is False


def test_the_whole_is_sent_when_any_part_is() -> None:
    whole = Commitment()
    first, second = whole.branch(), whole.branch()
    whole.commit()
    first.commit()
    first.commit()
    assert (whole.sent, whole.billed_calls) == (True, 3)
    assert (first.billed_calls, second.sent) == (2, False)


async def test_who_abandons_the_whole_stops_the_parts_that_sent_nothing() -> None:
    whole = Commitment()
    sent, unsent = whole.branch(), whole.branch()
    sent.commit()
    assert whole.abandon() is False
    sent.check()
    for late in (unsent, whole.branch()):
        with pytest.raises(asyncio.CancelledError):
            late.commit()
    assert whole.billed_calls == 1


def test_a_whole_of_which_nothing_was_sent_can_be_stopped() -> None:
    whole = Commitment()
    whole.branch()
    assert whole.abandon() is True

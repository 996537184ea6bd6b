"""The handshake between a picture's calls and the one who waits for it."""

from __future__ import annotations

import asyncio

import pytest

from call_logs import NotingLog
from uncrop.errors import ServerBusy
from uncrop.model import PictureFacts
from uncrop.providers.base import ProviderSettings
from uncrop.providers.commitment import Commitment


def test_a_new_one_is_neither_sent_nor_abandoned() -> None:
    commitment = Commitment()
    assert (commitment.sent, commitment.abandoned, commitment.billed_calls) == (False, False, 0)


async def test_committing_marks_it_sent_and_counts() -> None:
    commitment = Commitment()
    await commitment.commit()
    await commitment.commit()
    assert (commitment.sent, commitment.billed_calls) == (True, 2)


async def test_what_is_abandoned_is_not_sent() -> None:
    commitment = Commitment()
    assert commitment.abandon() is True
    with pytest.raises(asyncio.CancelledError):
        commitment.check()
    with pytest.raises(asyncio.CancelledError):
        await commitment.commit()
    assert (commitment.sent, commitment.abandoned) == (False, True)


async def test_what_was_sent_goes_on_when_abandoned() -> None:
    commitment = Commitment()
    await commitment.commit()
    assert commitment.abandon() is False
    commitment.check()
    await commitment.commit()
    assert (commitment.sent, commitment.abandoned) == (True, True)


async def test_one_more_call_is_made_only_for_who_still_waits() -> None:
    commitment = Commitment()
    await commitment.commit()
    commitment.check_next()
    commitment.abandon()
    with pytest.raises(asyncio.CancelledError):
        commitment.check_next()


def test_the_key_is_not_shown() -> None:
    assert "secret" not in repr(ProviderSettings(values={"api_key": "secret", "base_url": "https://example.org"}))


async def test_a_call_that_was_refused_is_not_billed() -> None:
    commitment = Commitment()
    await commitment.commit()
    await commitment.commit()
    await commitment.take_back()
    assert (commitment.sent, commitment.billed_calls) == (True, 1)
    await commitment.take_back()
    assert commitment.sent is False


async def test_the_whole_is_sent_when_any_part_is() -> None:
    whole = Commitment()
    first, second = whole.branch(), whole.branch()
    await whole.commit()
    await first.commit()
    await first.commit()
    assert (whole.sent, whole.billed_calls) == (True, 3)
    assert (first.billed_calls, second.sent) == (2, False)


async def test_who_abandons_the_whole_stops_the_parts_that_sent_nothing() -> None:
    whole = Commitment()
    sent, unsent = whole.branch(), whole.branch()
    await sent.commit()
    assert whole.abandon() is False
    sent.check()
    for late in (unsent, whole.branch()):
        with pytest.raises(asyncio.CancelledError):
            await late.commit()
    assert whole.billed_calls == 1


def test_a_whole_of_which_nothing_was_sent_can_be_stopped() -> None:
    whole = Commitment()
    whole.branch()
    assert whole.abandon() is True


async def test_what_cannot_be_written_is_not_sent() -> None:
    log = NotingLog(failure=ServerBusy())
    commitment = Commitment(log=log)
    with pytest.raises(ServerBusy):
        await commitment.commit()
    assert (commitment.sent, log.told) == (False, [])


async def test_what_one_of_several_logs_cannot_write_is_taken_back_from_the_others() -> None:
    first, second = NotingLog(), NotingLog(failure=ServerBusy())
    branch = Commitment(log=first).branch(second)
    with pytest.raises(ServerBusy):
        await branch.commit()
    assert (branch.sent, first.told, second.told) == (False, ["sent", "taken back"], [])


async def test_a_branch_writes_into_its_own_log() -> None:
    log, whole = NotingLog(), Commitment()
    branch = whole.branch(log)
    await branch.commit()
    await branch.take_back()
    await branch.commit()
    branch.note_cost(PictureFacts(provider="p", request_id="req_1"))
    branch.note_failure(charged=True)
    branch.note_failure(charged=False)
    assert log.told == ["sent", "taken back", "sent", "made", "billed", "not billed"]
    assert whole.billed_calls == 1
    for each in (whole, Commitment()):  # where nobody is billed, nothing is written
        await each.commit()
        each.note_cost(log.costs[0])
        each.note_failure(charged=True)
        await each.take_back()


async def test_who_leaves_while_the_mark_is_written_does_not_end_the_work() -> None:
    whole = Commitment()
    log = NotingLog(noticing=lambda what: left.append(whole.abandon()))
    left: list[bool] = []
    await whole.branch(log).commit()
    assert left == [False]

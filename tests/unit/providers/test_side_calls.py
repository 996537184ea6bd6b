"""Calls beside the one that makes the picture."""

from __future__ import annotations

from collections.abc import Generator

import anyio
import anyio.lowlevel
import pytest

from uncrop.errors import ProviderError
from uncrop.providers.conversation import Answer, Call, ProgressPoll
from uncrop.providers.side_calls import cancel, report

FIRST, SECOND = Call(method="GET", url="http://tiny/1"), Call(method="POST", url="http://tiny/2")
ANSWER = Answer(status=200, body=b"made")


class Enough(Exception):
    """Raised by who watches the progress."""


# --- progress --------------------------------------------------------------------------------------------------------


async def test_progress_is_told_until_somebody_has_had_enough() -> None:
    script = [ANSWER, ProviderError(), Answer(status=500), Answer(status=200, body=b"0.75")]
    asked: list[Call] = []
    naps: list[float] = []
    told: list[tuple[float, str]] = []

    async def ask(call: Call) -> Answer:
        asked.append(call)
        step = script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step

    async def sleep(seconds: float) -> None:
        naps.append(seconds)
        await anyio.lowlevel.checkpoint()

    def progress(fraction: float, step: str) -> None:
        told.append((fraction, step))
        if fraction > 0.5:
            raise Enough

    def read(answer: Answer) -> float | None:
        if answer.status != 200:
            return None
        return 0.25 if answer is ANSWER else float(answer.body)

    poll = ProgressPoll(call=FIRST, read=read, step="painting", every_s=2)
    with pytest.raises(Enough):
        await report(poll, ask, sleep, progress)
    assert told == [(0.25, "painting"), (0.75, "painting")]
    assert (asked, naps) == ([FIRST] * 4, [2] * 4)


# --- telling a provider to stop --------------------------------------------------------------------------------------


class Asked(list[Call]):
    """Notes what is sent, and answers all of it alike; or fails from the given call on."""

    def __init__(self, fails_at: int = 99) -> None:
        super().__init__()
        self.fails_at = fails_at

    async def __call__(self, call: Call) -> Answer:
        self.append(call)
        if len(self) >= self.fails_at:
            raise ProviderError
        return ANSWER


async def test_one_call_is_sent() -> None:
    ask = Asked()
    await cancel(FIRST, ask)
    assert ask == [FIRST]


async def test_of_several_each_depends_on_the_last_ones_answer() -> None:
    seen: list[Answer] = []

    def calls() -> Generator[Call, Answer, None]:
        seen.append((yield FIRST))
        seen.append((yield SECOND))

    ask = Asked()
    await cancel(calls, ask)
    assert (ask, seen) == ([FIRST, SECOND], [ANSWER, ANSWER])


async def test_there_may_be_nothing_to_send() -> None:
    def calls() -> Generator[Call, Answer, None]:
        yield from ()

    ask = Asked()
    await cancel(calls, ask)
    assert ask == []


@pytest.mark.parametrize("fails_at", [1, 2])
async def test_what_fails_hides_nothing(fails_at: int) -> None:
    def calls() -> Generator[Call, Answer, None]:
        yield FIRST
        yield SECOND

    ask = Asked(fails_at)
    await cancel(calls, ask)
    assert len(ask) == fails_at
    await cancel(FIRST, Asked(1))

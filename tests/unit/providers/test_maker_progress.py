"""A provider at work whose call is silent: its progress is asked for beside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel
import pytest
from test_maker import CANCEL, Naps, answer, maker_of, task_of_tiny

from uncrop import errors
from uncrop.model import Fill, PictureFacts, Task
from uncrop.providers.base import Provider
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer, Call, ProgressPoll, ask
from uncrop.testing import ScriptedSend

if TYPE_CHECKING:
    from uncrop.providers.conversation import Conversation

HOW_FAR = Call(method="GET", url="http://tiny/progress", kind="repeat", holds_picture=False)
WATCHED = Call(
    method="POST",
    url="http://tiny",
    on_cancel=CANCEL,
    progress=ProgressPoll(call=HOW_FAR, read=lambda told: float(told.body), step="painting"),
)


class Watched(Provider):
    """One call, beside which the progress can be asked for."""

    def converse(self, task: Task) -> Conversation:
        yield from ask(WATCHED)
        return Fill(pixels=task.photo, facts=PictureFacts(provider="tiny", request_id="r"))


class Painting(ScriptedSend):
    """Answers the progress; and what is watched once that was asked for so often."""

    def __init__(self, polls: int) -> None:
        super().__init__()
        self.polls = polls
        self.enough = anyio.Event()

    async def __call__(self, call: Call, *_: Any) -> Answer:
        self.calls.append(call)
        if call == HOW_FAR:
            if self.calls.count(HOW_FAR) == self.polls:
                self.enough.set()
            await anyio.lowlevel.checkpoint()
            return answer(200, b"0.5")
        if call == WATCHED:
            await self.enough.wait()
        return answer(200)


async def test_the_progress_is_asked_for_beside_the_call() -> None:
    send, told = Painting(polls=3), []
    maker = maker_of(Watched, send, sleep=Naps(bool))
    await maker.fill(task_of_tiny(), Commitment(), progress=lambda *step: told.append(step))
    assert send.calls[0] == WATCHED
    assert send.calls[1:4] == [HOW_FAR] * 3
    assert set(told) == {(0.5, "painting")}
    assert CANCEL not in send.calls


async def test_where_nobody_watches_nothing_is_asked() -> None:
    send = Painting(polls=0)
    send.enough.set()
    await maker_of(Watched, send).fill(task_of_tiny(), Commitment())
    assert send.calls == [WATCHED]


async def test_who_watches_a_call_can_end_it() -> None:
    def enough(_fraction: float, _step: str) -> None:
        raise LookupError

    send = Painting(polls=99)
    with pytest.raises(LookupError):
        await maker_of(Watched, send, sleep=Naps(bool)).fill(task_of_tiny(), Commitment(), progress=enough)
    assert send.calls == [WATCHED, HOW_FAR, CANCEL]


async def test_a_watched_call_that_fails_is_not_cancelled() -> None:
    class Failing(Painting):
        async def __call__(self, call: Call, *arguments: Any) -> Answer:
            if call == WATCHED:
                self.calls.append(call)
                raise errors.ProviderError
            return await super().__call__(call, *arguments)

    send = Failing(polls=1)
    with pytest.raises(errors.ProviderError):
        await maker_of(Watched, send, sleep=Naps(bool)).fill(task_of_tiny(), Commitment(), progress=lambda *_: None)
    assert CANCEL not in send.calls


async def test_a_watched_call_that_is_given_up_is_cancelled_at_the_provider() -> None:
    send = Painting(polls=99)
    with anyio.CancelScope() as scope:
        await maker_of(Watched, send, sleep=Naps(scope.cancel)).fill(
            task_of_tiny(), Commitment(), progress=lambda *_: None
        )
    assert scope.cancelled_caught
    assert send.calls[-1] == CANCEL

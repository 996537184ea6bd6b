"""Work that is ended while its provider thinks, as a task of a server is: between two steps, in a thread."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.lowlevel
import pytest

from uncrop.model import Sides, Task, UncropRequest
from uncrop.providers.base import Provider, ProviderSettings
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer, Call, Wait
from uncrop.providers.maker import Maker
from uncrop.testing import ScriptedSend
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import make_context, make_task

if TYPE_CHECKING:
    from uncrop.providers.conversation import Conversation

SUBMIT = Call(method="POST", url="http://tiny/jobs")
CANCEL = Call(method="DELETE", url="http://tiny/jobs/1", kind="repeat")


async def do_not_wait(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


@pytest.fixture
def task() -> Task:
    return make_task(UncropRequest(provider="", image=photo_png(16, 16), sides=Sides(left=4)), FACTS)


class Thoughtful(Provider):
    """Thinks, in its thread, until it is let go on."""

    entered, release = threading.Event(), threading.Event()

    def converse(self, task: Task) -> Conversation:
        if self.settings.text("model") != "first":
            yield Wait(seconds=0, on_cancel=CANCEL)
        self.entered.set()
        self.release.wait(60)
        yield SUBMIT
        raise AssertionError("was given up")


@pytest.mark.parametrize(("model", "calls"), [("later", [CANCEL]), ("first", [])])
async def test_a_job_that_is_given_up_while_its_provider_thinks_is_cancelled_too(
    task: Task, model: str, calls: list[Call]
) -> None:
    Thoughtful.entered.clear()
    Thoughtful.release.clear()
    send = ScriptedSend(Answer(status=200))
    settings = ProviderSettings(values={"api_key": "k", "base_url": "http://tiny", "model": model})
    maker = Maker(Thoughtful(FACTS, settings), replace(make_context(send=send), sleep=do_not_wait))
    work = asyncio.create_task(maker.fill(task, Commitment()))
    await asyncio.to_thread(Thoughtful.entered.wait, 60)
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    Thoughtful.release.set()
    assert send.calls == calls

"""Of every end of a conversation: whether its calls are billed, or whether that is not known."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from call_logs import NotingLog
from uncrop import errors
from uncrop.imaging import codec
from uncrop.model import Fill, GeometryFacts, PictureFacts, ProviderFacts, Sides, UncropRequest, UploadFacts
from uncrop.providers.base import Provider, ProviderSettings
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer, Call, ask
from uncrop.providers.maker import Maker
from uncrop.providers.registry import load_rows
from uncrop.providers.stability.provider import Stability
from uncrop.testing import ScriptedSend
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import make_context, make_task

if TYPE_CHECKING:
    from uncrop.model import Task
    from uncrop.providers.conversation import Conversation

TWICE = ProviderFacts(
    name="twice",
    title="Twice",
    sentence="Submits two calls and fetches a picture.",
    implementation="test:Twice",
    geometry=GeometryFacts(speaks="sides"),
    upload=UploadFacts(formats=frozenset({"PNG"}), max_bytes=1_000_000),
    bills=True,
)


class Twice(Provider):
    """Submits as often as it is told, then polls."""

    submits = 1

    def converse(self, task: Task) -> Conversation:
        for _ in range(self.submits):
            answer = yield from ask(Call(method="POST", url="http://tiny"))
            if answer.status >= 400:
                raise {4: errors.ProviderRejectedRequest, 5: errors.ProviderError}[answer.status // 100]
        answer = yield from ask(Call(method="GET", url="http://tiny", kind="repeat"))
        if answer.body == b"refused":
            raise errors.ContentRejected
        if answer.status != 200:
            raise errors.ProviderError
        sides = task.job.sides
        pixels = np.pad(task.photo, ((sides.up, sides.down), (sides.left, sides.right), (0, 0)), mode="edge")
        if answer.body == b"another":
            pixels = np.random.default_rng(1).integers(0, 255, pixels.shape).astype(np.uint8)
        return Fill(pixels=pixels, facts=PictureFacts(provider="twice", request_id="req_1"))


class TwiceOver(Twice):
    submits = 2


OK = Answer(status=200)


async def told(*script: Answer | BaseException, kind: type[Provider] = Twice) -> list[str]:
    provider = kind(TWICE, ProviderSettings(values={"base_url": "http://tiny"}))
    maker, log = Maker(provider, make_context(send=ScriptedSend(*script))), NotingLog()
    task = make_task(UncropRequest(provider="twice", image=photo_png(64, 48), sides=Sides(right=16)), TWICE)
    try:
        await maker.fill(task, Commitment(log=log))
    except (errors.UncropError, asyncio.CancelledError) as error:
        log.told.append(type(error).__name__)
    return log.told


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ((OK, OK), ["sent", "made"]),
        # It says that it refuses, before anything is made: the call counts no more.
        ((Answer(status=401),), ["sent", "taken back", "ProviderRejectedRequest"]),
        ((Answer(status=402),), ["sent", "taken back", "ProviderRejectedRequest"]),
        ((Answer(status=429),), ["sent", "taken back", "ProviderRejectedRequest"]),
        # It says that there is no picture.
        ((Answer(status=400),), ["sent", "not billed", "ProviderRejectedRequest"]),
        ((Answer(status=422),), ["sent", "not billed", "ProviderRejectedRequest"]),
        ((Answer(status=500),), ["sent", "not billed", "ProviderError"]),
        ((Answer(status=503),), ["sent", "not billed", "ProviderError"]),
        ((OK, Answer(status=200, body=b"refused")), ["sent", "not billed", "ContentRejected"]),
        # Somebody in between says so, or nobody, or what was made does not come, or is none.
        ((Answer(status=502),), ["sent", "ProviderError"]),
        ((Answer(status=504),), ["sent", "ProviderError"]),
        ((errors.ProviderTimeout(),), ["sent", "ProviderTimeout"]),
        ((errors.ProviderInvalidResponse(),), ["sent", "ProviderInvalidResponse"]),
        ((OK, errors.ProviderTimeout()), ["sent", "ProviderTimeout"]),
        ((OK, Answer(status=404)), ["sent", "ProviderError"]),
        ((asyncio.CancelledError(),), ["sent", "CancelledError"]),
        # It was made, and is of another photo.
        ((OK, Answer(status=200, body=b"another")), ["sent", "made", "ProviderInvalidResponse"]),
    ],
)
async def test_what_a_call_comes_to(script: tuple[Answer | BaseException, ...], expected: list[str]) -> None:
    assert await told(*script) == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ((OK, OK, OK), ["sent", "sent", "made", "not billed"]),
        ((OK, Answer(status=400)), ["sent", "sent", "not billed", "not billed", "ProviderRejectedRequest"]),
        ((OK, errors.ProviderTimeout()), ["sent", "sent", "ProviderTimeout"]),
    ],
)
async def test_what_several_calls_of_a_conversation_come_to(
    script: tuple[Answer | BaseException, ...], expected: list[str]
) -> None:
    assert await told(*script, kind=TwiceOver) == expected


async def test_nothing_is_sent_that_cannot_be_written_down() -> None:
    send, log = ScriptedSend(OK), NotingLog(failure=errors.ServerBusy())
    maker = Maker(Twice(TWICE, ProviderSettings()), make_context(send=send))
    task = make_task(UncropRequest(provider="twice", image=photo_png(64, 48), sides=Sides(right=16)), TWICE)
    with pytest.raises(errors.ServerBusy):
        await maker.fill(task, Commitment(log=log))
    assert send.calls == []
    assert maker.breaker is not None
    assert maker.breaker.state == "closed"


async def test_a_picture_that_was_blurred_is_billed() -> None:
    facts = replace(load_rows(())["stability"])
    values = {"api_key": "k", "base_url": "http://stability"}
    answer = Answer(
        status=200,
        headers={"finish-reason": "CONTENT_FILTERED"},
        body=codec.encode(np.zeros((8, 8, 3), np.uint8), "PNG"),
    )
    maker, log = (
        Maker(Stability(facts, ProviderSettings(values=values)), make_context(send=ScriptedSend(answer))),
        NotingLog(),
    )
    task = make_task(UncropRequest(provider="stability", image=photo_png(64, 64), sides=Sides(right=16)), facts)
    with pytest.raises(errors.ContentRejected):
        await maker.fill(task, Commitment(log=log))
    assert log.told == ["sent", "billed"]

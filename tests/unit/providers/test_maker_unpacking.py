"""A maker and the files that providers send: decoded with or without a place, held in memory, refused."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from call_logs import NotingLog
from uncrop import errors
from uncrop.capacity.unpacking import Unpacking
from uncrop.finish.pipeline import finish
from uncrop.imaging import codec
from uncrop.model import Sides, Task, UncropRequest
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.clipdrop.provider import Clipdrop
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer
from uncrop.providers.maker import Between, Maker
from uncrop.testing import ScriptedSend
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import make_context, make_settings, make_task
from uncrop.workers.decoding.decoder import InlineDecoder

if TYPE_CHECKING:
    from uncrop.model import ImageHeader, OpenedFile


def task_of(width: int, **sides: int) -> Task:
    request = UncropRequest(provider="clipdrop", image=photo_png(width, 48), sides=Sides(**sides), max_calls=8)
    return make_task(request, FACTS)


def padded(task: Task, left: int) -> Answer:
    """Carry the photo's border on to the left."""
    return Answer(status=200, body=codec.encode(np.pad(task.photo, ((0, 0), (left, 0), (0, 0)), mode="edge"), "PNG"))


def maker(*answers: Answer) -> Maker:
    return Maker(Clipdrop(FACTS, make_settings(FACTS)), make_context(send=ScriptedSend(*answers)))


@pytest.mark.parametrize("has_place", [True, False])
async def test_an_answer_is_decoded_with_a_place_and_without(has_place: bool) -> None:
    task, unpacking = task_of(64, left=8), Unpacking(1)
    with unpacking.place() as place:
        fill = await maker(padded(task, 8)).fill(task, Commitment(), place=place if has_place else None)
        assert unpacking.taken == int(has_place)
    assert fill.pixels.shape == (48, 72, 3)
    assert unpacking.taken == 0


async def test_what_cannot_be_decoded_is_the_providers_fault() -> None:
    task = task_of(64, left=8)
    whole = padded(task, 8).body
    with pytest.raises(errors.ProviderInvalidResponse):
        await maker(Answer(status=200, body=whole[: len(whole) // 2])).fill(task, Commitment())


class Refusing(InlineDecoder):
    """Finds what no reader of heads can find."""

    def answer(self, file: OpenedFile, photo: ImageHeader) -> Any:
        raise errors.InvalidImage(system_message="a checksum is wrong")


async def test_what_its_decoder_refuses_is_the_providers_fault() -> None:
    task = task_of(64, left=8)
    context = replace(make_context(send=ScriptedSend(padded(task, 8))), decoder=Refusing())
    with pytest.raises(errors.ProviderInvalidResponse) as caught:
        await Maker(Clipdrop(FACTS, make_settings(FACTS)), context).fill(task, Commitment())
    assert caught.value.system_message == "The provider's answer is not a whole picture"


async def test_between_two_calls_of_a_picture_others_have_the_memory() -> None:
    canvas = {"canvas_width": 64 + 2008, "canvas_height": 48, "canvas_x": 2008, "canvas_y": 0}
    request = UncropRequest(provider="clipdrop", image=photo_png(64, 48), max_calls=8, **canvas)
    task, unpacking = make_task(request, FACTS), Unpacking(1)
    first, second = (call.frame.canvas.width - call.frame.photo.width for call in task.job.plan.calls)
    wider = codec.encode(np.pad(task.photo, ((0, 0), (first + second, 0), (0, 0)), mode="edge"), "PNG")
    held: list[int] = []
    log = NotingLog(noticing=lambda _what: held.append(unpacking._memory.held))
    with unpacking.place() as place:
        made = maker(padded(task, first), Answer(status=200, body=wider))
        fill = await made.fill(task, Commitment(log=log), place=place, between=Between(finish=finish))
    assert fill.pixels.shape == (48, 64 + 2008, 3)
    assert (fill.pixels[:, 2008:] == task.photo).all()
    assert log.told == ["sent", "made"] * 2
    assert held[0] == held[2] == 0 < min(held[1], held[3])
    assert unpacking._memory.held == 0

"""The doubles of the engine and the sender, and the workbench."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from uncrop.errors import ProviderTimeout
from uncrop.model import Fill, PictureFacts, Sides, Task, UncropRequest
from uncrop.providers.base import Provider
from uncrop.providers.clipdrop.facts import FACTS as CLIPDROP
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer, Call, Conversation, Wait
from uncrop.providers.openai.facts import FACTS as OPENAI
from uncrop.providers.transport.addresses import Addresses
from uncrop.testing import EdgeEngine, ScriptedSend
from uncrop.testing.pictures import mask_png, photo, photo_png
from uncrop.testing.workbench import KEY, NOWHERE, SEED, make_registry, make_settings, make_task, talk

CALL = Call(method="POST", url="http://nowhere", headers={})
ADDRESSES = Addresses.of(CLIPDROP, NOWHERE)
ANSWER = Answer(status=200, headers={}, body=b"made")


async def test_the_scripted_send_answers_in_order_and_notes_the_calls() -> None:
    send, commitment = ScriptedSend(ANSWER, ProviderTimeout()), Commitment()
    assert await send(CALL, ADDRESSES, commitment) is ANSWER
    assert commitment.sent
    with pytest.raises(ProviderTimeout):
        await send(CALL, ADDRESSES, Commitment())
    with pytest.raises(LookupError):
        await send(CALL, ADDRESSES, Commitment())
    assert send.calls == [CALL] * 3


async def test_the_scripted_send_heeds_the_commitment() -> None:
    send, commitment = ScriptedSend(ANSWER), Commitment()
    commitment.abandon()
    with pytest.raises(asyncio.CancelledError):
        await send(CALL, ADDRESSES, commitment)
    assert send.calls == []


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
async def test_the_edge_engine_is_exact(channels: int, bits: int) -> None:
    pixels = photo(20, 16, channels=channels, bits=bits)  # type: ignore[arg-type]
    sides = Sides(left=3, right=-4, up=5, down=0)
    made = await EdgeEngine().extend(pixels, sides, seed=1, quality="fast", confidence_map=True)
    assert made.pixels.shape == (21, 19, channels)
    assert made.pixels.dtype == pixels.dtype
    assert (made.pixels[5:, 3:] == pixels[:, :16]).all()
    assert made.confidence == 0.5
    assert (made.confidence_map[5:, 3:] == 255).all()
    assert (made.confidence_map[:5] == 128).all()
    assert made.advice == Sides(left=1, up=2)
    assert (await EdgeEngine().extend(pixels, sides, seed=1, quality="fast")).confidence_map is None


async def test_the_edge_engine_depends_on_the_seed() -> None:
    pixels = photo(20, 16)
    first, same, other = [
        (await EdgeEngine().extend(pixels, Sides(left=3), seed=seed, quality="fast")).pixels for seed in (1, 1, 2)
    ]
    assert (first == same).all()
    assert (first != other).any()


def test_a_task_is_what_the_service_would_make_of_the_request() -> None:
    task = make_task(UncropRequest(provider="?", image=photo_png(20, 16), sides=Sides(left=3)), CLIPDROP)
    assert (task.photo == photo(20, 16)).all()
    assert (task.mask, task.job.seed, task.job.request.provider) == (None, SEED, "clipdrop")
    task = make_task(UncropRequest(provider="?", image=photo_png(20, 16), mask=mask_png(20, 16)), OPENAI)
    expected = np.zeros((16, 20), np.bool_)
    expected[:, 15:] = True
    assert task.mask is not None
    assert (task.mask == expected).all()


def test_settings_have_a_key_and_the_defaults() -> None:
    values = make_settings(OPENAI, base_url="http://o", model="m").values
    assert values == {"api_key": KEY, "base_url": "http://o", "model": "m"}
    assert make_settings(CLIPDROP, api_key=None).values == {"base_url": NOWHERE}


def test_a_registry_of_doubles_is_configured() -> None:
    registry = make_registry(urls={"clipdrop": "http://c"})
    assert registry.names() == ("bfl", "bria", "clipdrop", "comfyui", "local", "openai", "sdapi", "stability")
    for name in registry.names():
        registry.get(name).check_configured()


class Echo(Provider):
    def converse(self, task: Task) -> Conversation:
        reply = yield Wait(seconds=1)
        return Fill(pixels=task.photo, facts=PictureFacts(provider="echo", request_id=str(reply)))


def test_a_conversation_is_held_with_prepared_replies() -> None:
    echo = Echo(CLIPDROP, make_settings(CLIPDROP))
    task = make_task(UncropRequest(provider="?", image=photo_png(20, 16), sides=Sides(left=3)), CLIPDROP)
    steps, fill = talk(echo, task, "heard")
    assert (steps, fill.facts.request_id) == ([Wait(seconds=1)], "heard")
    with pytest.raises(LookupError):
        talk(echo, task)

"""The doubles of the engine and the sender, and the workbench."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from uncrop.errors import ProviderTimeout
from uncrop.model import Sides, UncropRequest
from uncrop.providers.base import Answer, Call, Flight
from uncrop.providers.clipdrop import CAPABILITIES as CLIPDROP
from uncrop.providers.openai import CAPABILITIES as OPENAI
from uncrop.testing import EdgeEngine, ScriptedSend
from uncrop.testing.pictures import mask_png, photo, photo_png
from uncrop.testing.workbench import KEY, SEED, make_context, make_task

CALL = Call(method="POST", url="http://nowhere", headers={}, parts=())
ANSWER = Answer(status=200, headers={}, body=b"made")


async def test_the_scripted_send_answers_in_order_and_notes_the_calls() -> None:
    send, flight = ScriptedSend(ANSWER, ProviderTimeout()), Flight()
    assert await send(CALL, flight) is ANSWER
    assert flight.sent
    with pytest.raises(ProviderTimeout):
        await send(CALL, Flight())
    with pytest.raises(LookupError):
        await send(CALL, Flight())
    assert send.calls == [CALL] * 3


async def test_the_scripted_send_heeds_the_flight() -> None:
    send, flight = ScriptedSend(ANSWER), Flight()
    flight.abandon()
    with pytest.raises(asyncio.CancelledError):
        await send(CALL, flight)
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


def test_a_context_of_doubles() -> None:
    context = make_context(clipdrop_url="http://c", openai_url="http://o", model="m")
    assert {name: (known.api_key, known.base_url, known.model) for name, known in context.settings.items()} == {
        "clipdrop": (KEY, "http://c", None),
        "openai": (KEY, "http://o", "m"),
    }

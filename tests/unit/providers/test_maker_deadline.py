"""The deadline of a picture, over real sockets."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from uncrop import errors
from uncrop.model import Sides, UncropRequest
from uncrop.providers.commitment import Commitment
from uncrop.providers.transport.sender import Sender
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_png
from uncrop.testing.workbench import make_context, make_registry, make_task


@pytest.fixture
def emulator() -> Iterator[ClipdropEmulator]:
    with ClipdropEmulator() as running:
        yield running


@pytest.mark.parametrize("outcome", [outcomes.hold(threading.Event()), outcomes.Outcome(drip_s=0.01)])
async def test_an_answer_that_does_not_come_in_time(emulator: ClipdropEmulator, outcome: outcomes.Outcome) -> None:
    async with Sender() as send:
        for timeout_s in (0.3, 2, 8, 32):  # the first that this machine is quick enough for
            emulator.script(outcome)
            registry = make_registry(make_context(send=send, timeout_s=timeout_s), urls={"clipdrop": emulator.url})
            request = UncropRequest(provider="", image=photo_png(20, 16), sides=Sides(left=4))
            task = make_task(request, registry.get("clipdrop").facts)
            with pytest.raises(errors.ProviderTimeout):
                await registry.get("clipdrop").fill(task, Commitment())
            if emulator.calls:
                break
            emulator._script.clear()
    assert len(emulator.calls) == 1

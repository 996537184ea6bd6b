"""A gateway is left in the lurch all day long; its connections must not wear out.

The predecessors of the HTTP library in use lose places in the pool when calls are cancelled under contention, until no
call gets through any more. This is the test that they fail.
"""

from __future__ import annotations

import random

import anyio
import httpx2

from uncrop.model import Sides, UncropRequest
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.clipdrop.provider import Clipdrop
from uncrop.providers.commitment import Commitment
from uncrop.providers.transport.addresses import Addresses
from uncrop.providers.transport.sender import Sender
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg
from uncrop.testing.workbench import make_settings, make_task, run_alone

WORKERS, CALLS_EACH, CONNECTIONS = 30, 20, 10


def open_small_client() -> httpx2.AsyncClient:
    """Open a client with fewer connections than there are workers, so that they contend for them."""
    return httpx2.AsyncClient(
        timeout=httpx2.Timeout(None, connect=5, write=5, pool=30),
        limits=httpx2.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
        trust_env=False,
    )


async def test_after_hundreds_of_cancelled_calls_ten_good_ones_get_through() -> None:
    task = make_task(UncropRequest(provider="", image=photo_jpeg(32, 32), sides=Sides(left=4)), FACTS)
    patience = random.Random(7)
    cancelled = 0
    with ClipdropEmulator() as emulator:
        async with Sender(client=open_small_client) as send:
            clipdrop = Clipdrop(FACTS, make_settings(FACTS, base_url=emulator.url))
            call, addresses = clipdrop.submit(task), Addresses.of(FACTS, emulator.url)
            await send(call, addresses, Commitment())

            async def lose_patience() -> None:
                nonlocal cancelled
                for _ in range(CALLS_EACH):
                    with anyio.move_on_after(patience.uniform(0, 0.03)) as scope:
                        await send(call, addresses, Commitment())
                    cancelled += scope.cancelled_caught

            async with anyio.create_task_group() as tasks:
                for _ in range(WORKERS):
                    tasks.start_soon(lose_patience)
            assert cancelled > WORKERS * CALLS_EACH // 3

            with anyio.fail_after(60):
                for _ in range(10):
                    answer = await send(call, addresses, Commitment())
                    assert run_alone(clipdrop.read(answer, task)).pixels.shape == (32, 36, 3)
            assert send._client is not None
            pool = send._client._transport._pool  # type: ignore[attr-defined]
            assert len(pool._requests) == 0
            assert len(pool.connections) <= CONNECTIONS

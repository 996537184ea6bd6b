"""Real servers behind one PostgreSQL: with one Redis they hold one limit; those that would count apart do not start."""

from __future__ import annotations

import asyncio
import re
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import httpx2
import pytest

from fixtures_server import ORGANIZATION, PATH, PROVIDER_KEY
from processes import free_port
from uncrop.store.database import open_store
from uncrop.testing.clipdrop import ClipdropEmulator

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

    from anyio.abc import Process

    from fixtures_redis import RedisServer
    from fixtures_torture import Cases

PEPPER = "a pepper that both servers are given"
CALLS = 500
# Starts a server as the command does, without the lock that would keep it from starting: to see what it is good for.
UNREGISTERED = """
from contextlib import asynccontextmanager
from uncrop.store import server_lock

@asynccontextmanager
async def register(*_arguments, **_options):
    yield

server_lock.register_server = register
from uncrop.__main__ import main
main()
"""


class Servers:
    """Starts servers on one database."""

    def __init__(self, stack: AsyncExitStack, environment: Mapping[str, str]) -> None:
        self._stack = stack
        self._environment = environment

    async def start(self, *, registered: bool = True, **changes: str) -> tuple[Process, str]:
        """Start one, and return it with what it says at last: where it listens, or why it does not."""
        program = ["-m", "uncrop"] if registered else ["-c", UNREGISTERED]
        process = await self._stack.enter_async_context(
            await anyio.open_process(
                [sys.executable, *program, "serve", "--port", "0"], env={**self._environment, **changes}
            )
        )
        self._stack.callback(lambda: process.returncode is None and process.terminate())
        assert process.stderr is not None
        said = ""
        try:
            while "listening on" not in said:
                said += (await process.stderr.receive()).decode()
        except anyio.EndOfStream:
            await process.wait()
        return process, said.strip().splitlines()[-1]

    async def address(self, **options: str | bool) -> str:
        """Start one that must start."""
        _, said = await self.start(**options)  # type: ignore[arg-type]
        found = re.search(r"http://\S+", said)
        assert found is not None, said
        return found[0]


@asynccontextmanager
async def servers(folder: Path, database: str, emulator: ClipdropEmulator) -> AsyncIterator[Servers]:
    environment = {
        "UNCROP_DATA_DIR": str(folder),
        "UNCROP_DATABASE_URL": database,
        "UNCROP_KEY_PEPPER": PEPPER,
        "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY,
        "UNCROP_CLIPDROP_BASE_URL": emulator.url,
        "UNCROP_ENGINE_WORKERS": "1",
    }
    async with AsyncExitStack() as stack:
        yield Servers(stack, environment)


async def new_key(database: str) -> str:
    async with open_store(database, pepper=PEPPER.encode()) as store:
        return (await store.keys.create(ORGANIZATION)).key


async def all_at_once(addresses: list[str], key: str) -> Counter[int]:
    """Ask for what a picture would take, all at once, in turn of each server; count how that was answered.

    A server that says that it is busy has not counted the request, and is asked again.
    """
    form = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "16"}
    parts = {name: (None, text) for name, text in {**form, "image_width": "64", "image_height": "48"}.items()}
    began = time.monotonic()

    async def ask(client: httpx2.AsyncClient, address: str) -> int:
        while (status := (await client.post(address + PATH + "/quote", files=parts)).status_code) == 503:  # noqa: ASYNC110
            await asyncio.sleep(0.5)  # as its Retry-After asks
        return status

    limits = httpx2.Limits(max_connections=CALLS)
    async with httpx2.AsyncClient(timeout=120, limits=limits, headers={"X-API-Key": key}) as client:
        asked = (ask(client, addresses[number % len(addresses)]) for number in range(CALLS))
        counted = Counter(await asyncio.gather(*asked))
    if time.monotonic() - began > 55:
        pytest.skip("the machine is so busy that the calls took longer than the minute that is counted")
    return counted


@pytest.mark.slow  # everyday, two processes do the same without servers around them
async def test_two_servers_hold_one_limit(
    postgres_url: str, redis_server: RedisServer, data_dir: Path, cases: Cases
) -> None:
    key = await new_key(postgres_url)
    with ClipdropEmulator(api_key=PROVIDER_KEY) as emulator:
        async with servers(data_dir, postgres_url, emulator) as group:
            addresses = [await group.address(UNCROP_REDIS_URL=redis_server.url) for _ in range(2)]
            assert await all_at_once(addresses, key) == {200: 60, 429: CALLS - 60}
            # A third one that would count apart is told why it must not.
            process, said = await group.start()
            assert process.returncode == 2
            assert said == (
                "uncrop: UNCROP_REDIS_URL: another server uses this database; "
                "several servers must count rate limits in one Redis"
            )
    cases.ran(CALLS)


@pytest.mark.slow  # everyday, the control is without processes
async def test_two_servers_that_count_in_memory_hold_two(postgres_url: str, data_dir: Path) -> None:
    """The negative control, which is why such servers are refused."""
    key = await new_key(postgres_url)
    with ClipdropEmulator(api_key=PROVIDER_KEY) as emulator:
        async with servers(data_dir, postgres_url, emulator) as group:
            addresses = [await group.address(registered=False) for _ in range(2)]
            assert await all_at_once(addresses, key) == {200: 120, 429: CALLS - 120}


async def test_a_second_server_on_sqlite_says_why_it_does_not_start(data_dir: Path) -> None:
    with ClipdropEmulator(api_key=PROVIDER_KEY) as emulator:
        async with servers(data_dir, "", emulator) as group:
            first, _ = await group.start()
            second, said = await group.start()
            assert (second.returncode, said) == (
                2,
                "uncrop: UNCROP_DATA_DIR: another server uses this SQLite database; several servers need PostgreSQL",
            )
            # A command is no server.
            listed = await anyio.run_process(
                [sys.executable, "-m", "uncrop", "keys", "list"], env={**group._environment}
            )
            assert listed.returncode == 0
            first.kill()
            await first.wait()
            assert (await group.address()).startswith("http://")


async def test_a_redis_that_is_not_there_stops_the_start(data_dir: Path) -> None:
    with ClipdropEmulator(api_key=PROVIDER_KEY) as emulator:
        async with servers(data_dir, "", emulator) as group:
            process, said = await group.start(UNCROP_REDIS_URL=f"redis://:hunter2@127.0.0.1:{free_port()}/0")
    assert (process.returncode, said) == (2, "uncrop: UNCROP_REDIS_URL: Redis cannot be used (ConnectionError)")

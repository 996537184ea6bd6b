"""The server from its start to its end, with a service of fakes."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from fixtures_server import FakeRunner, fake_service
from uncrop.errors import InternalError
from uncrop.server import run
from uncrop.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import uvicorn


@asynccontextmanager
async def served(
    folder: Path, warm_up: Callable[[], Awaitable[None]], *, stop_delay_s: float = 0
) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a server whose engine warms up as told, and stop it at the end of the block."""
    async with running(folder, warm_up, stop_delay_s) as (client, server):
        yield client
        server.should_exit = True


@asynccontextmanager
async def running(
    folder: Path, warm_up: Callable[[], Awaitable[None]], stop_delay_s: float
) -> AsyncIterator[tuple[httpx2.AsyncClient, uvicorn.Server]]:
    """Run a server until it stops; the block's end waits for that."""
    servers: list[uvicorn.Server] = []
    make_server = run.make_server

    def noting(app: object, **options: float) -> uvicorn.Server:
        servers.append(make_server(app, **options))  # type: ignore[arg-type]
        return servers[0]

    with pytest.MonkeyPatch.context() as patched, socket.create_server(("127.0.0.1", 0)) as listener:
        patched.setattr(run, "make_server", noting)
        settings = Settings(data_dir=folder, stop_delay_s=stop_delay_s, _env_file=None)
        service = fake_service(folder, runner=FakeRunner(action=warm_up, warm=True), settings=settings)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run.run_server(service, listener))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx2.AsyncClient(base_url=url) as client:
                assert (await client.get("/livez")).status_code == 200
                yield client, servers[0]


async def test_the_engine_warms_up_while_the_server_serves(tmp_path: Path) -> None:
    steps: list[str] = []

    async def warm_up() -> None:
        steps.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            steps.append("ended")

    async with served(tmp_path, warm_up) as client:
        assert (await client.get("/livez")).status_code == 200
        assert steps == ["begun"]
    assert steps == ["begun", "ended"]  # stopping does not wait for it


async def test_an_engine_that_cannot_warm_up_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def warm_up() -> None:
        raise InternalError(system_message="The engine's worker ended in the middle of its work")

    async with served(tmp_path, warm_up) as client:
        assert (await client.get("/livez")).status_code == 200
    logged = [json.loads(record.getMessage()) for record in caplog.records if record.levelname == "WARNING"]
    assert [event["event"] for event in logged] == [
        "the engine could not be warmed up; its next picture will take longer"
    ]


async def nothing() -> None:
    """Be warm."""


async def test_after_sigterm_it_says_that_it_will_stop_and_serves_for_a_while(tmp_path: Path) -> None:
    async with running(tmp_path, nothing, 600) as (client, server):
        assert "connection" not in (await client.get("/livez")).headers
        server.handle_exit(signal.SIGTERM, None)
        refused = await client.get("/readyz")
        assert (refused.status_code, refused.json()["error"]["message"]) == (503, "The server is stopping")
        for _ in range(2):  # the second one by a connection of its own
            served = await client.get("/livez")
            assert (served.status_code, served.headers["connection"]) == (200, "close")
        assert not server.should_exit
        server.handle_exit(signal.SIGTERM, None)  # does not wait for the rest of it


async def test_the_delay_ends(tmp_path: Path) -> None:
    async with running(tmp_path, nothing, 0.01) as (_, server):
        server.handle_exit(signal.SIGTERM, None)


async def test_ctrl_c_stops_without_the_delay(tmp_path: Path) -> None:
    async with running(tmp_path, nothing, 600) as (_, server):
        server.handle_exit(signal.SIGINT, None)
        assert server.should_exit

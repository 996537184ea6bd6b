"""The server from its start to its end, with a service of fakes."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import httpx2
import pytest

from fixtures_server import FakeRunner, fake_service
from uncrop.errors import InternalError
from uncrop.server import run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from pathlib import Path

    import uvicorn


@asynccontextmanager
async def served(folder: Path, warm_up: Callable[[], Awaitable[None]]) -> AsyncIterator[httpx2.AsyncClient]:
    """Run a server whose engine warms up as told, and stop it at the end of the block."""
    servers: list[uvicorn.Server] = []
    make_server = run.make_server

    def noting(app: object) -> uvicorn.Server:
        servers.append(make_server(app))  # type: ignore[arg-type]
        return servers[0]

    with pytest.MonkeyPatch.context() as patched, socket.create_server(("127.0.0.1", 0)) as listener:
        patched.setattr(run, "make_server", noting)
        service = fake_service(folder, runner=FakeRunner(action=warm_up))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(run.run_server(service, listener))
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            async with httpx2.AsyncClient(base_url=url) as client:
                yield client
            servers[0].should_exit = True


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

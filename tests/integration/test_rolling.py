"""Two servers behind a balancer are replaced one after the other, under load: no request and no job is lost."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
import pytest

from balancer import Balancer
from fixtures_server import KEY, ORGANIZATION, PATH, PROVIDER_KEY, FakeRunner, FakeUncropper, fake_service, picture
from uncrop.server.app import create_app
from uncrop.server.run import make_server
from uncrop.store.database import open_store
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_png
from uncrop.workers.decoding.decoder import INLINE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    import uvicorn
    from anyio.abc import Process

    from fixtures_redis import RedisServer
    from uncrop.model import UncropRequest, UncropResult
    from uncrop.providers.commitment import Commitment

PHOTO = photo_png(64, 48)
FORM = {"organization_id": ORGANIZATION, "provider": "clipdrop", "extend_left": "16"}


@dataclass
class Load:
    """Callers that ask one request after the other, each on a connection of its own, until they are told to stop."""

    url: str
    key: str
    asked: list[httpx2.Response | None] = field(default_factory=list)
    stopped: bool = False
    lost: list[str] = field(default_factory=list)

    async def ask(self, path: str, **changes: str) -> None:
        """Ask until it is enough; ``None`` is noted for an answer that never came."""
        headers = {"X-API-Key": self.key, "Connection": "close"}
        async with httpx2.AsyncClient(timeout=120, headers=headers) as client:
            while not self.stopped:
                form = {**FORM, **changes, "seed": str(len(self.asked))}
                files = {"image_file": ("photo.png", PHOTO)}
                try:
                    self.asked.append(await client.post(self.url + path, data=form, files=files))
                except httpx2.HTTPError as error:
                    self.asked.append(None)
                    self.lost.append(repr(error))

    async def more(self, count: int = 10) -> None:
        """Wait until so many more were answered."""
        wanted = len(self.asked) + count
        while len(self.asked) < wanted:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    def statuses(self) -> Counter[int]:
        return Counter(0 if answer is None else answer.status_code for answer in self.asked)


# --- every day: servers of this process, which make pictures by a fake -----------------------------------------------


@dataclass(kw_only=True)
class Replica:
    """A server of this process."""

    server: uvicorn.Server
    uncropper: FakeUncropper
    url: str
    ended: asyncio.Task[None]


async def made_slowly(_request: UncropRequest, _commitment: Commitment) -> UncropResult:
    await asyncio.sleep(0.02)
    return picture()


async def start(folder: Path, stack: AsyncExitStack) -> Replica:
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
    uncropper = FakeUncropper(action=made_slowly)
    service = fake_service(folder, rate_limit=10**6, uncropper=uncropper, runner=FakeRunner(warm=True), decoder=INLINE)
    server = make_server(create_app(service), stop_delay_s=600)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return Replica(server=server, uncropper=uncropper, url=f"http://127.0.0.1:{listener.getsockname()[1]}", ended=task)


async def test_no_request_is_lost_when_both_of_two_servers_are_replaced(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        replicas = [await start(tmp_path, stack) for _ in range(2)]
        everyone = list(replicas)
        balancer = await stack.enter_async_context(Balancer([each.url for each in replicas]).listening())
        await balancer.look_until([each.url for each in replicas])
        load = Load(balancer.url, KEY)
        callers = [asyncio.create_task(load.ask(PATH)) for _ in range(4)]
        for old in everyone[:2]:
            await load.more()
            replicas.append(await start(tmp_path, stack))
            everyone.append(replicas[-1])
            balancer.servers.append(replicas[-1].url)
            old.server.handle_exit(signal.SIGTERM, None)
            replicas.remove(old)
            # However long the balancer takes to notice: until its delay is over, the server takes what comes.
            await load.more()
            await balancer.look_until([each.url for each in replicas])
            # The delay ends long after that: what was handed over a moment before has come in by then.
            await balancer.wait_until_done_with(old.url)
            old.server._stop()  # type: ignore[attr-defined]
            await old.ended
        await load.more()
        load.stopped = True
        await asyncio.gather(*callers)
        assert set(load.statuses()) == {200}
        served = [len(each.uncropper.requests) for each in everyone]
        assert sum(served) == len(load.asked)
        assert all(served)
        for each in replicas:
            each.server.should_exit = True
            await each.ended


async def test_a_server_that_goes_at_once_loses_requests(tmp_path: Path) -> None:
    """The control, which is what the delay is for."""
    async with AsyncExitStack() as stack:
        replica = await start(tmp_path, stack)
        balancer = await stack.enter_async_context(Balancer([replica.url]).listening())
        await balancer.look_until([replica.url])
        replica.server.stop_delay_s = 0  # type: ignore[attr-defined]
        replica.server.handle_exit(signal.SIGTERM, None)
        await replica.ended
        load = Load(balancer.url, KEY)
        caller = asyncio.create_task(load.ask(PATH))
        await load.more(1)
        load.stopped = True
        await caller
        assert set(load.statuses()) <= {0, 502}  # whether its 502 is read or the connection breaks before


# --- whole: processes on PostgreSQL and Redis, with jobs -------------------------------------------------------------


@asynccontextmanager
async def processes(environment: dict[str, str]) -> AsyncIterator[Callable[[], Any]]:
    reading: list[asyncio.Task[None]] = []
    async with AsyncExitStack() as stack:

        async def start_one() -> tuple[Process, str]:
            process = await stack.enter_async_context(
                await anyio.open_process([sys.executable, "-m", "uncrop", "serve", "--port", "0"], env=environment)
            )
            stack.callback(lambda: process.returncode is None and process.kill())
            assert process.stderr is not None
            said = ""
            while (found := re.search(r"listening on (http://\S+)", said)) is None:
                said += (await process.stderr.receive()).decode()
            reading.append(asyncio.create_task(_read_to_its_end(process)))
            return process, found[1]

        yield start_one


async def _read_to_its_end(process: Process) -> None:
    assert process.stderr is not None
    with suppress(anyio.ClosedResourceError):
        async for _ in process.stderr:
            pass


async def jobs_of(url: str, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor: str | None = ""
    async with httpx2.AsyncClient(timeout=120, headers={"X-API-Key": key}) as client:
        while cursor is not None:
            answer = await client.get(f"{url}/api/v1/jobs", params={"limit": "100", "cursor": cursor})
            page = answer.json()
            found += page["jobs"]
            cursor = page["next"]
    return found


# A balancer that takes longer than this to notice loses requests, and says nothing about the server.
DELAY_S = 60


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_no_request_and_no_job_is_lost_when_both_processes_are_replaced(
    postgres_url: str, redis_server: RedisServer, data_dir: Path, record_property: Callable[[str, object], None]
) -> None:
    pepper = "a pepper that both servers are given"
    async with open_store(postgres_url, pepper=pepper.encode()) as store:
        key = (await store.keys.create(ORGANIZATION)).key
    with ClipdropEmulator(api_key=PROVIDER_KEY) as emulator:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UNCROP_")} | {
            "UNCROP_DATA_DIR": str(data_dir),
            "UNCROP_DATABASE_URL": postgres_url,
            "UNCROP_REDIS_URL": redis_server.url,
            "UNCROP_KEY_PEPPER": pepper,
            "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY,
            "UNCROP_CLIPDROP_BASE_URL": emulator.url,
            "UNCROP_RATE_LIMIT_PER_MINUTE": "1000000",
            "UNCROP_ENGINE_WORKERS": "1",
            "UNCROP_MAX_OPEN_JOBS": "100000",
            "UNCROP_STOP_DELAY_S": str(DELAY_S),
            "UNCROP_LOG_LEVEL": "error",
        }
        async with processes(environment) as start_one, AsyncExitStack() as stack:
            replicas = [await start_one() for _ in range(2)]
            balancer = await stack.enter_async_context(Balancer([url for _, url in replicas]).listening())
            await balancer.look_until([url for _, url in replicas])
            pictures, jobs = Load(balancer.url, key), Load(balancer.url, key)
            noticed: list[float] = []
            callers = [asyncio.create_task(pictures.ask(PATH)) for _ in range(2)]
            callers += [asyncio.create_task(jobs.ask("/api/v1/jobs")) for _ in range(2)]
            for process, url in tuple(replicas):
                await asyncio.gather(pictures.more(20), jobs.more(20))
                replicas.append(await start_one())
                balancer.servers.append(replicas[-1][1])
                told = asyncio.get_running_loop().time()
                process.send_signal(signal.SIGTERM)
                replicas.remove((process, url))
                await balancer.look_until([each for _, each in replicas])
                noticed.append(round(asyncio.get_running_loop().time() - told, 1))
                assert await process.wait() == 0
            await asyncio.gather(pictures.more(20), jobs.more(20))
            pictures.stopped = jobs.stopped = True
            await asyncio.gather(*callers)
            assert max(noticed) < DELAY_S
            assert pictures.lost + jobs.lost == [], noticed
            assert (set(pictures.statuses()), set(jobs.statuses())) == ({200}, {202})
            found = await jobs_of(balancer.url, key)
            while any(job["ended_at"] is None for job in found):
                await asyncio.sleep(0.2)
                found = await jobs_of(balancer.url, key)
            assert Counter(job["state"] for job in found) == {"done": len(jobs.asked)}
            figures = {"pictures": len(pictures.asked), "jobs": len(jobs.asked), "calls": len(emulator.calls)}
            figures["noticed_s"] = noticed
            record_property("rolled", figures)
            assert len(emulator.calls) == len(pictures.asked) + len(jobs.asked)

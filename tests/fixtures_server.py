"""Servers for the tests: the real protocol and app on a free port of loopback, around a real or a fake service."""

from __future__ import annotations

import asyncio
import atexit
import json
import socket
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import pytest

from uncrop import settings as configuration
from uncrop.admission.rate_limits import RateLimiter
from uncrop.bootstrap import open_service
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.errors import AuthenticationRequired, InvalidApiKey
from uncrop.jobs.opening import open_jobs
from uncrop.model import Caller, PictureFacts, StageTime, UncropResult
from uncrop.providers.registry import load_rows
from uncrop.server.app import create_app
from uncrop.server.jobs_wire import render
from uncrop.server.protocol import BoundedProtocol
from uncrop.server.run import make_server
from uncrop.service.service import Service
from uncrop.settings import Settings
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.openai import OpenAIEmulator
from uncrop.workers.decoding.sandboxed import SandboxedDecoder
from uncrop.workers.decoding.starting import start_fork_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    import uvicorn

    from uncrop.model import Progress, ProviderFacts, UncropRequest
    from uncrop.providers.commitment import Commitment
    from uncrop.store.api_key import NewKey
    from uncrop.uncropper import OnceMade, Stopwatch

ORGANIZATION = "org_123abc"
KEY = "uncrop_test_key"
PROVIDER_KEY = "canary-provider-key"
PATH = "/api/v1/images/uncrop"
STARTED_WITHIN_S = 60


# --- a service of fakes ----------------------------------------------------------------------------------------------


def picture(**changes: Any) -> UncropResult:
    """Return a result as the flow would."""
    values: dict[str, Any] = {
        "image": b"\xff\xd8 a picture",
        "media_type": "image/jpeg",
        "width": 3,
        "height": 2,
        "seed": 42,
        "facts": PictureFacts(provider="clipdrop", request_id="req_abc123"),
        "repaint_difference": None,
        "warnings": (),
        "stages": tuple(
            StageTime(name=name, milliseconds=1.25) for name in ("intake", "admission", "provider", "finish", "encode")
        ),
    }
    return UncropResult(**{**values, **changes})


@dataclass
class FakeUncropper:
    """Notes what it is asked for; does what it is told."""

    action: Callable[[UncropRequest, Commitment], Awaitable[UncropResult]] | None = None
    requests: list[UncropRequest] = field(default_factory=list)

    async def run(
        self,
        request: UncropRequest,
        caller: Caller,
        *,
        commitment: Commitment,
        stopwatch: Stopwatch,
        progress: Progress | None,
        admit_by: float,
        once: OnceMade,
    ) -> UncropResult:
        self.requests.append(request)
        with stopwatch.stage("intake"):
            return picture() if self.action is None else await self.action(request, commitment)


@dataclass
class FakeAuthenticator:
    """Knows one key."""

    asked: list[tuple[str, ...]] = field(default_factory=list)

    async def authenticate(self, candidates: Sequence[str]) -> Caller:
        self.asked.append(tuple(candidates))
        if not candidates:
            raise AuthenticationRequired
        if KEY not in candidates:
            raise InvalidApiKey
        return Caller(organization_id=ORGANIZATION, key_id="key_1")


class FakeRegistry:
    """Knows the names and the rows."""

    def facts(self) -> tuple[ProviderFacts, ...]:
        return tuple(load_rows(()).values())

    def names(self) -> tuple[str, ...]:
        return ("clipdrop", "local", "openai")

    def breakers(self) -> dict[str, str]:
        return {"clipdrop": "open", "openai": "closed"}


@dataclass
class FakeStore:
    """Answers, or does not."""

    failure: Exception | None = None

    async def ping(self) -> None:
        if self.failure is not None:
            raise self.failure


@dataclass
class FakeRunner:
    """Is warm, or warms up as it is told."""

    warming: bool = False
    warm: bool = False
    action: Callable[[], Awaitable[None]] | None = None

    async def warm_up(self) -> None:
        if self.action is not None:
            await self.action()


def fake_service(folder: Path, *, rate_limit: int = 60, **parts: Any) -> Service:
    """Return a service whose parts do nothing but what a test tells them."""
    values: dict[str, Any] = {
        "settings": Settings(data_dir=folder, _env_file=None),
        "uncropper": FakeUncropper(),
        "authenticator": FakeAuthenticator(),
        "rates": RateLimiter(rate_limit, clock=lambda: 100.0, wall_clock=lambda: 1_700_000_000.0),
        "store": FakeStore(),
        "registry": FakeRegistry(),
        "capacity": Capacity(slots=Slots(3, 5)),
        "ledger": None,
        "runner": FakeRunner(),
    }
    return Service(**{**values, **parts})


# --- a server in a thread --------------------------------------------------------------------------------------------


class Running:
    """A server that listens, its app's service, and its loop."""

    def __init__(self, service: Service, port: int, loop: asyncio.AbstractEventLoop, server: uvicorn.Server) -> None:
        self.service = service
        self.port = port
        self.loop = loop
        self.server = server

    @property
    def connections(self) -> set[Any]:
        """The open connections."""
        return self.server.server_state.connections

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def do(self, work: Any) -> Any:
        """Run a coroutine in the server's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(STARTED_WITHIN_S)

    def connect(self) -> socket.socket:
        """Open a raw connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=STARTED_WITHIN_S)


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for something that another thread does."""
    deadline = time.monotonic() + STARTED_WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(0.005)


def request_lines(caplog: pytest.LogCaptureFixture, count: int = 1) -> list[dict[str, Any]]:
    """Return the log's lines of requests, as soon as there are ``count``: each is written after its answer."""

    def lines() -> list[dict[str, Any]]:
        told = [json.loads(record.getMessage()) for record in caplog.records if record.name == "uncrop.server"]
        return [line for line in told if line["event"] == "request"]

    wait_until(lambda: len(lines()) >= count)
    return lines()


@contextmanager
def running(
    open_service: Callable[[], AbstractAsyncContextManager[Service]],
    *,
    protocol: type[BoundedProtocol] = BoundedProtocol,
    make_app: Callable[..., Any] = create_app,
    jobs: bool = False,
    **options: Any,
) -> Iterator[Running]:
    """Serve in a thread until the block ends, with jobs or without; ``options`` go to ``make_app``."""
    listener = socket.create_server(("127.0.0.1", 0))
    ready = threading.Event()
    handles: list[Any] = []
    failures: list[BaseException] = []

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            service = await stack.enter_async_context(open_service())
            if jobs:
                options["jobs"] = await stack.enter_async_context(open_jobs(service, render, lost=lambda: None))
            server = make_server(make_app(service, **options), protocol=protocol)
            started = Running(service, listener.getsockname()[1], asyncio.get_running_loop(), server)
            handles.extend((started, server))
            server.startup = _then(server.startup, ready.set)
            await server.serve(sockets=[listener])

    def body() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:  # noqa: BLE001 (handed to the test)
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=body, name="server")
    thread.start()
    try:
        assert ready.wait(STARTED_WITHIN_S), "the server did not start"
        if failures:
            raise failures[0]
        yield handles[0]
    finally:
        if handles:
            handles[1].should_exit = True
        thread.join()
        listener.close()
    if failures:
        raise failures[0]


def _then(first: Callable[..., Awaitable[None]], second: Callable[[], None]) -> Callable[..., Awaitable[None]]:
    async def both(*arguments: Any, **options: Any) -> None:
        await first(*arguments, **options)
        second()

    return both


def already_open(service: Service) -> Callable[[], AbstractAsyncContextManager[Service]]:
    """Return what ``running`` takes for a service that needs no opening."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Service]:
        yield service

    return opened


# --- the real service ------------------------------------------------------------------------------------------------


@dataclass(kw_only=True)
class Real:
    """A real server with a key, and the emulated providers behind it."""

    server: Running
    key: str
    clipdrop: ClipdropEmulator
    openai: OpenAIEmulator

    @property
    def url(self) -> str:
        return self.server.url

    def new_key(self, organization_id: str = ORGANIZATION, **options: Any) -> NewKey:
        """Make another key."""
        key: NewKey = self.server.do(self.server.service.store.keys.create(organization_id, **options))
        return key

    def calls(self) -> int:
        """Return how many calls have reached a provider."""
        return len(self.clipdrop.calls) + len(self.openai.calls)

    def booked(self) -> int:
        """Return how many pictures are booked."""
        days = self.server.do(self.server.service.store.usage.by_day())
        return sum(day.pictures for day in days)


@cache
def shared_decoder() -> SandboxedDecoder:
    """Return decoders in processes of their own, for all servers of this test process: starting them takes a while."""
    decoder = SandboxedDecoder(partial(start_fork_server, None))
    atexit.register(decoder.close)
    return decoder


@contextmanager
def real(folder: Path, *, settings: dict[str, Any] | None = None, key: bool = True, **options: Any) -> Iterator[Real]:
    """Serve the real service over emulators; ``settings`` come on top, ``options`` go to ``running``."""
    with ClipdropEmulator(api_key=PROVIDER_KEY) as clipdrop, OpenAIEmulator(api_key=PROVIDER_KEY) as openai:
        values = {
            "data_dir": folder,
            "clipdrop_api_key": PROVIDER_KEY,
            "clipdrop_base_url": clipdrop.url,
            "openai_api_key": PROVIDER_KEY,
            "openai_base_url": openai.url,
        }
        # Looked for here, so that plug-ins of the test are found.
        configured = configuration.load(_env_file=None, **{**values, **(settings or {})})
        with running(lambda: open_service(configured, decoder=shared_decoder()), **options) as server:
            house = Real(server=server, key="", clipdrop=clipdrop, openai=openai)
            if key:
                house.key = house.new_key().key
            yield house


@pytest.fixture
def fake(tmp_path: Path) -> Service:
    """A service of fakes."""
    return fake_service(tmp_path)


@pytest.fixture
def fake_server(fake: Service) -> Iterator[Running]:
    """The real server around the fakes."""
    with running(already_open(fake)) as server:
        yield server


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    """A server for a whole module, whose rate limit no test reaches."""
    with real(tmp_path_factory.mktemp("house"), settings={"rate_limit_per_minute": 100_000}) as running:
        yield running


@pytest.fixture
def quiet(house: Real) -> Iterator[Real]:
    """The server, with the promise that no provider hears of what the test does and nothing is booked."""
    before = (house.calls(), house.booked())
    yield house
    assert (house.calls(), house.booked()) == before

"""Real servers in processes of their own, each ready in a fraction of a second, and killed at a named place.

Run as a program, it loads everything once and then forks a server for each line of JSON on its standard input. A
server's port and process are told on standard output. With a ``place``, a server kills itself with SIGKILL when it
comes there: ``before`` or ``after`` a function, on the ``number``-th time it is called once the server listens.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a server kills itself.

    Attributes
    ----------
    function
        ``module:name`` or ``module:Class.name``.
    when
        ``before`` or ``after``.
    """

    function: str
    when: str
    number: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.function.rpartition(':')[2]}"


# --- the program that forks ------------------------------------------------------------------------------------------


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _arm(place: Place) -> None:
    module_name, _, path = place.function.partition(":")
    holder: Any = importlib.import_module(module_name)
    *classes, attribute = path.split(".")
    for each in classes:
        holder = getattr(holder, each)
    original = getattr(holder, attribute)
    left = place.number

    def comes() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    setattr(holder, attribute, _dying(original, place.when, comes))


def _dying(original: Callable[..., Any], when: str, comes: Callable[[], bool]) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(original):

        async def waiting(*arguments: Any, **options: Any) -> Any:
            now = comes()
            if now and when == "before":
                _die()
            result = await original(*arguments, **options)
            if now:
                _die()
            return result

        return waiting

    if inspect.isgeneratorfunction(original):

        def asking(*arguments: Any, **options: Any) -> Any:
            now = comes()
            if now and when == "before":
                _die()
            result = yield from original(*arguments, **options)
            if now:
                _die()
            return result

        return asking

    def calling(*arguments: Any, **options: Any) -> Any:
        now = comes()
        if now and when == "before":
            _die()
        result = original(*arguments, **options)
        if now:
            _die()
        return result

    return calling


def _serve(order: dict[str, Any]) -> None:
    import socket

    from uncrop import settings as configuration
    from uncrop.bootstrap import open_service
    from uncrop.server.app import create_app
    from uncrop.server.run import make_server
    from uncrop.workers.decoding.decoder import INLINE

    async def run() -> None:
        listener = socket.create_server(("127.0.0.1", 0))
        settings = configuration.load(_env_file=None, **order["settings"])
        async with open_service(settings, decoder=INLINE) as service:
            key = None
            if order["organization"]:
                key = (await service.store.keys.create(order["organization"])).key
            if order["place"] is not None:
                _arm(Place(**order["place"]))
            server = make_server(create_app(service))
            _tell({"pid": os.getpid(), "port": listener.getsockname()[1], "key": key})
            await server.serve(sockets=[listener])

    asyncio.run(run())


_TOLD = 3  # where standard output was, before all that is logged went nowhere


def _tell(what: dict[str, Any]) -> None:
    os.write(_TOLD, json.dumps(what).encode() + b"\n")


def _load(kernels: Path) -> None:
    """Make a picture, so that all that a server loads is there; no thread is left that a fork would lose."""
    import tempfile
    import threading

    import seeded_faults  # noqa: F401 - before anything that a fault replaces
    from uncrop import settings as configuration
    from uncrop.bootstrap import open_service
    from uncrop.model import Sides, UncropRequest
    from uncrop.server.app import create_app
    from uncrop.testing.clipdrop import ClipdropEmulator
    from uncrop.testing.pictures import photo_jpeg
    from uncrop.workers.decoding.decoder import INLINE

    async def make(folder: Path, url: str) -> None:
        settings = configuration.load(_env_file=None, data_dir=folder, clipdrop_api_key="k", clipdrop_base_url=url)
        async with open_service(settings, decoder=INLINE) as service:
            create_app(service)
            request = UncropRequest(provider="clipdrop", image=photo_jpeg(64, 48), sides=Sides(left=8))
            await service.uncropper.run(request)

    with tempfile.TemporaryDirectory() as folder, ClipdropEmulator() as emulator:
        (Path(folder) / "kernels").symlink_to(kernels)
        asyncio.run(make(Path(folder), emulator.url))
    assert threading.active_count() == 1, "a fork would lose a thread"


def main() -> None:
    """Fork a server for each line until there is none."""
    os.dup2(1, _TOLD)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123
        os.dup2(nowhere.fileno(), 1)
    _load(Path(sys.argv[1]))
    # Whoever collects garbage writes to all that is loaded, and each server would copy it.
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        order = json.loads(line)
        if os.fork() == 0:
            code = 1
            try:
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _serve(order)
                code = 0
            except BaseException as error:  # noqa: BLE001 - told to the test
                _tell({"failure": f"{type(error).__name__}: {error}"})
            finally:
                os._exit(code)


# --- for tests -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Forked:
    """A server that listens."""

    pid: int
    port: int
    key: str | None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ended(self) -> bool:
        """Tell whether it has ended."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, 0)
            return False
        return True

    def end(self, number: int = signal.SIGTERM) -> None:
        """End it, and wait until it has."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
        deadline = time.monotonic() + 60
        while not self.ended():
            assert time.monotonic() < deadline, "a server did not end"
            time.sleep(0.002)


class Forks:
    """Starts servers; made by ``forks``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.servers: list[Forked] = []

    def start(self, settings: dict[str, Any], *, organization: str = "", place: Place | None = None) -> Forked:
        """Start a server, with a new key where an organization is named."""
        order = {"settings": settings, "organization": organization, "place": None if place is None else vars(place)}
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        told = json.loads(self._process.stdout.readline())
        assert "failure" not in told, told
        self.servers.append(Forked(**told))
        return self.servers[-1]


@contextmanager
def forks(kernels: Path) -> Iterator[Forks]:
    """Have servers forked until the block ends; those that are left are killed."""
    with subprocess.Popen(
        [sys.executable, "-W", "error", str(HERE / "forked_servers.py"), str(kernels)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        forked = Forks(process)
        try:
            yield forked
        finally:
            for server in forked.servers:
                server.end(signal.SIGKILL)
            assert process.stdin is not None
            process.stdin.close()


if __name__ == "__main__":
    main()

"""Serves the app with uvicorn."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
import uvicorn

from uncrop.server.app import create_app
from uncrop.server.protocol import BoundedProtocol
from uncrop.service.readiness import start_decoders

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from starlette.applications import Starlette

    from uncrop.jobs.background import BackgroundJobs
    from uncrop.service.service import Service

# Longer than the usual idle time of load balancers, which would otherwise send into connections just closed.
KEEP_ALIVE_S = 75
# Requests still running after this are cancelled; calls that somebody is billed for are finished all the same.
SHUTDOWN_S = 30
# Twice as many as there are connections of clients: each may need one to a provider.
OPEN_FILES = 2048
# On a second signal, between the answers that say so and the end of every connection.
LAST_ANSWERS_S = 0.1
_log = structlog.stdlib.get_logger("uncrop.server")


class Server(uvicorn.Server):
    """Stops on a signal and then returns, so that whoever opened the service closes it.

    uvicorn itself raises the signal once more at the end, which ends the process there and then. On a second signal
    nothing is waited for any more, not even work that was billed.

    Attributes
    ----------
    stop_delay_s
        Seconds from SIGTERM until it takes no more connections; meanwhile it only says that it will stop. Whoever
        presses Ctrl-C need not wait for that.
    """

    stop_delay_s: float = 0
    _loop: asyncio.AbstractEventLoop | None = None
    _told: bool = False

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until told to stop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note that the server shall stop, or, if that is known, that it shall do so at once."""
        if (self._told or self.should_exit) and self._loop is not None:
            # uvicorn's own way would leave out the end of the app. Where nothing is left, nothing is waited for.
            self._loop.call_soon_threadsafe(self._end_at_once)
            return
        self._told = True
        service = self._service()
        if sig == signal.SIGTERM and self.stop_delay_s and self._loop is not None and service is not None:
            service.leave()
            self._loop.call_soon_threadsafe(self._loop.call_later, self.stop_delay_s, self._stop)
            return
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    def _stop(self) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Refuse whoever waits for a turn, give those who are served their time, and close what is open."""
        if (service := self._service()) is not None:
            service.stop()
        await super().shutdown(sockets)

    def _end_at_once(self) -> None:
        self._stop()
        if (service := self._service()) is not None:
            service.abandon()
        for task in self.server_state.tasks:
            task.cancel()
        # Once those tasks have given their last answers.
        asyncio.get_running_loop().call_later(LAST_ANSWERS_S, self._hang_up)

    def _hang_up(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()

    def _service(self) -> Service | None:
        state = getattr(self.config.app, "state", None)
        return getattr(state, "service", None)


def make_server(
    app: Starlette, *, protocol: type[BoundedProtocol] = BoundedProtocol, stop_delay_s: float = 0
) -> uvicorn.Server:
    """Return a server for the app, to be started on sockets.

    Forwarding headers are not believed: nothing here depends on a client's address.

    Parameters
    ----------
    app
        What ``create_app`` made.
    protocol
        The bounds of a connection are attributes of this class.
    stop_delay_s
        Seconds for which it goes on after SIGTERM, see ``Server``.
    """
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    server = Server(config)
    server.stop_delay_s = stop_delay_s
    return server


async def run_server(service: Service, listener: socket.socket, *, jobs: BackgroundJobs | None = None) -> None:
    """Serve on a bound socket until told to stop; the decoders and the engine's first worker start meanwhile."""
    _allow_open_files(OPEN_FILES)
    warming = asyncio.create_task(_warm_up(service), name="warm up")
    try:
        app = create_app(service, jobs=jobs)
        await make_server(app, stop_delay_s=service.settings.stop_delay_s).serve(sockets=[listener])
    finally:
        warming.cancel()
        with suppress(asyncio.CancelledError):
            await warming


def _allow_open_files(wanted: int) -> None:
    """Let this process have so many files and connections open, where the system allows it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


async def _warm_up(service: Service) -> None:
    """Start the decoders and the engine's first worker; neither waits for the other."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(start_decoders(service.decoder))
        tasks.create_task(_warm_up_engine(service))


async def _warm_up_engine(service: Service) -> None:
    try:
        await service.runner.warm_up()
    except Exception:  # noqa: BLE001 - other providers work without the engine, and its next call starts it anew
        _log.warning("the engine could not be warmed up; its next picture will take longer", exc_info=True)

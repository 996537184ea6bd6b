"""Serves the app with uvicorn."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog
import uvicorn

from uncrop.server.app import create_app
from uncrop.server.protocol import BoundedProtocol

if TYPE_CHECKING:
    import socket
    from types import FrameType

    from starlette.applications import Starlette

    from uncrop.service.service import Service

# Longer than the usual idle time of load balancers, which would otherwise send into connections just closed.
KEEP_ALIVE_S = 75
# Requests still running after this are cancelled; calls that somebody is billed for are finished all the same.
SHUTDOWN_S = 30
_log = structlog.stdlib.get_logger("uncrop.server")


class Server(uvicorn.Server):
    """Stops on a signal and then returns, so that whoever opened the service closes it.

    uvicorn itself raises the signal once more at the end, which ends the process there and then.
    """

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Note that the server shall stop."""
        super().handle_exit(sig, frame)
        self._captured_signals.clear()


def make_server(app: Starlette, *, protocol: type[BoundedProtocol] = BoundedProtocol) -> uvicorn.Server:
    """Return a server for the app, to be started on sockets.

    Forwarding headers are not believed: nothing here depends on a client's address.

    Parameters
    ----------
    app
        What ``create_app`` made.
    protocol
        The bounds of a connection are attributes of this class.
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
    return Server(config)


async def run_server(service: Service, listener: socket.socket) -> None:
    """Serve on a bound socket until told to stop; the engine's first worker warms up meanwhile."""
    warming = asyncio.create_task(_warm_up(service), name="warm up the engine")
    try:
        await make_server(create_app(service)).serve(sockets=[listener])
    finally:
        warming.cancel()
        with suppress(asyncio.CancelledError):
            await warming


async def _warm_up(service: Service) -> None:
    try:
        await service.runner.warm_up()
    except Exception:  # noqa: BLE001 - other providers work without the engine, and its next call starts it anew
        _log.warning("the engine could not be warmed up; its next picture will take longer", exc_info=True)

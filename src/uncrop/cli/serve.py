"""`uncrop serve`: the HTTP API and the page."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.compiling import compile_once
from uncrop.cli.exits import explained, note, require_server, stop
from uncrop.cli.unkept import unkept_lines

if TYPE_CHECKING:
    import asyncio
    import socket
    from collections.abc import Callable

    from uncrop.settings import Settings
    from uncrop.store.api_key import NewKey

BACKLOG = 2048  # connections that wait to be accepted, as uvicorn has it
EXAMPLE = Path(__file__).parents[3] / "examples" / "raccoon.jpg"


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 for any free one.")] = 8000,
) -> None:
    """Run the HTTP API and the page until stopped."""
    import asyncio

    with explained():
        from uncrop import settings

        configured = settings.load()
        require_server()
        for line in settings.slip_lines(configured):
            note(line)
        listener = _listen(host, port)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(_serve(configured, listener))


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Take the faster event loop where it exists; there is none for Windows."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _listen(host: str, port: int) -> socket.socket:
    """Take the port before anything else, so that a second server says so at once.

    Binding does not take it: on Linux, two sockets that may reuse an address can be bound to it until one listens.
    """
    import socket

    listener = None
    try:
        listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        reason = (isinstance(error, OSError) and error.strerror) or "no such address"
        in_use = isinstance(error, OSError) and error.errno in {errno.EADDRINUSE, errno.EACCES}
        stop(f"cannot listen on {host} port {port} ({reason.lower()}); try another {'--port' if in_use else '--host'}")
    return listener


async def _serve(configured: Settings, listener: socket.socket) -> None:
    import asyncio

    from uncrop.bootstrap import open_service
    from uncrop.jobs.opening import open_jobs
    from uncrop.server.jobs_wire import render
    from uncrop.server.logs import configure_logs
    from uncrop.server.run import run_server
    from uncrop.store.database import ensure_first_key

    configure_logs(configured)
    url = _address(listener)
    async with open_service(configured) as service:
        await asyncio.to_thread(compile_once, configured)
        for line in unkept_lines(configured):
            note(line)
        key = await ensure_first_key(service.store)
        if key is not None:
            typer.echo(_welcome(url, key))
        async with open_jobs(service, render, lost=end_this_process) as jobs:
            note(f"listening on {url}")
            await run_server(service, listener, jobs=jobs)


def end_this_process() -> None:
    """Stop as on a signal."""
    os.kill(os.getpid(), signal.SIGTERM)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _welcome(url: str, key: NewKey) -> str:
    photo = os.path.relpath(EXAMPLE) if EXAMPLE.exists() else "photo.jpg"
    return "\n".join(
        (
            "",
            "This is the first start. Here is an organization with its key; the key is not shown again.",
            "",
            f"  organization  {key.organization_id}",
            f"  key           {key.key}",
            f"  page          {url}/#organization={key.organization_id}&key={key.key}",
            "",
            "Try it from another terminal:",
            "",
            f"  curl {url}/api/v1/images/uncrop -H 'X-API-Key: {key.key}' \\",
            f"    -F provider=local -F organization_id={key.organization_id} -F image_file=@{photo} \\",
            "    -F extend_left=256 -F extend_right=256 --output wide.jpg",
            "",
        )
    )

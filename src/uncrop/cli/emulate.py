"""`uncrop emulate`: a provider's double on loopback, for those without a key."""

from __future__ import annotations

import threading
from typing import Annotated, Literal

import typer

from uncrop.cli.exits import stop

Name = Literal["clipdrop", "openai"]
ANY_KEY = "emulated"


def emulate(
    provider: Annotated[Name, typer.Argument(help="Which provider to stand in for.", show_default=False)],
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.", min=0, max=65535)] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
) -> None:
    """Stand in for a provider until interrupted; prints the settings that make uncrop use it."""
    from uncrop.testing import ClipdropEmulator, OpenAIEmulator

    kind = {"clipdrop": ClipdropEmulator, "openai": OpenAIEmulator}[provider]
    try:
        emulator = kind(host=host, port=port)
    except OSError as error:
        stop(f"cannot listen on {host} port {port} ({(error.strerror or 'unknown reason').lower()}); try --port")
    emulator.keeps_calls = False
    with emulator:
        prefix = f"UNCROP_{provider.upper()}"
        typer.echo(f"export {prefix}_BASE_URL={emulator.url}")
        typer.echo(f"export {prefix}_API_KEY={ANY_KEY}")
        wait_for_interrupt()


def wait_for_interrupt() -> None:
    """Wait until the user presses Ctrl-C."""
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        return

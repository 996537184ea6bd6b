"""`uncrop emulate`: a provider's double on loopback, for those without a key."""

from __future__ import annotations

import signal
import threading
from typing import Annotated, Any

import typer

from uncrop.cli.completion import complete_emulated
from uncrop.cli.exits import stop

ANY_KEY = "emulated"


def emulate(
    provider: Annotated[
        str, typer.Argument(help="One of {emulated}.", show_default=False, autocompletion=complete_emulated)
    ],
    port: Annotated[int, typer.Option(help="Where to listen; 0 takes a free port.", min=0, max=65535)] = 0,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    dialect: Annotated[
        str | None, typer.Option(help="Which program to stand in for, where several speak nearly the same.")
    ] = None,
) -> None:
    """Stand in for a provider until interrupted; prints the settings that make uncrop use it."""
    from uncrop.testing.emulators import emulated, emulator_of

    rows = emulated()
    if provider not in rows:
        stop(f"{provider}: has no emulator; {', '.join(rows)} have one")
    row = rows[provider]
    kind = emulator_of(row)
    if dialect is not None and dialect not in kind.dialects:
        has = f"it has {', '.join(kind.dialects)}" if kind.dialects else "it has no others than its own"
        stop(f"--dialect {dialect}: {provider} has no such dialect; {has}")
    spoken: dict[str, Any] = {} if dialect is None else {"dialect": dialect}
    try:
        emulator = kind(host=host, port=port, **spoken)
    except OSError as error:
        stop(f"cannot listen on {host} port {port} ({(error.strerror or 'unknown reason').lower()}); try --port")
    emulator.keeps_calls = False
    with emulator:
        settings = {setting.name: setting for setting in row.settings}
        for name, value in (("base_url", emulator.url), ("api_key", ANY_KEY)):
            if name in settings:
                typer.echo(f"export {row.variable(settings[name])}={value}")
        wait_for_interrupt()


def wait_for_interrupt() -> None:
    """Wait until the user presses Ctrl-C, or a script ends it, also one whose shell lets its children ignore Ctrl-C."""
    ended = threading.Event()
    before = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        ended.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

"""The command line: one command a file, imports inside the command."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import typer

from uncrop.cli import (
    audit,
    batch,
    db,
    doctor,
    emulate,
    extend,
    jobs,
    keys,
    ledger,
    organizations,
    providers,
    serve,
    usage,
    warm_up,
    webhooks,
    work,
)
from uncrop.cli.exits import INTERRUPTED, WRONG_USE, note
from uncrop.cli.rows_help import RowsCommand

# No other failure of a disk comes this far: commands tell those of their files by the file's name.
NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
NARROWEST = 30  # columns of the help

app = typer.Typer(
    name="uncrop",
    help="Extend photographs beyond their borders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="extend", cls=RowsCommand)(extend.extend)
app.command(name="batch", cls=RowsCommand)(batch.batch)
app.command(name="serve", cls=RowsCommand)(serve.serve)
app.command(name="work", cls=RowsCommand)(work.work)
app.add_typer(jobs.app, name="jobs")
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(keys.app, name="keys")
app.add_typer(organizations.app, name="organizations")
app.add_typer(db.app, name="db")
app.add_typer(ledger.app, name="ledger")
app.command(name="providers", cls=RowsCommand)(providers.providers)
app.command(name="usage", cls=RowsCommand)(usage.usage)
app.command(name="audit", cls=RowsCommand)(audit.audit)
app.command(name="doctor", cls=RowsCommand)(doctor.doctor)
app.command(name="emulate", cls=RowsCommand)(emulate.emulate)
app.command(name="warm-up", cls=RowsCommand)(warm_up.warm_up)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from uncrop import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; whatever ends it early is told in one line."""
    for stream in (sys.stdout, sys.stderr):
        # A name that this terminal's encoding does not have is no reason to fail.
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = _run()
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        # What is left in the buffer would be tried once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        note(f"the output cannot be written ({os.strerror(error.errno).lower()})")
        code = WRONG_USE
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    sys.exit(code)


def _run() -> int:
    width = max(NARROWEST, shutil.get_terminal_size().columns - 1)
    try:
        return app(prog_name="uncrop", standalone_mode=False, terminal_width=width, color=_colours()) or 0
    except typer.TyperException as error:
        from uncrop.cli.usage_errors import tell_usage

        tell_usage(error)
        return error.exit_code


def _colours() -> bool | None:
    """Leave colours to the terminal, but in the one line of the library's own that has any."""
    if "--install-completion" not in sys.argv:
        return None
    from uncrop.settings.terminal import has_colour

    return None if has_colour(sys.stdout) else False


__all__ = ["app", "main"]

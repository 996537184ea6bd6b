"""The command line: one command a file, imports inside the command."""

from __future__ import annotations

import errno
import os
import sys

import typer

from uncrop.cli import doctor, emulate, extend, keys, providers, serve, usage, warm_up
from uncrop.cli.exits import WRONG_USE
from uncrop.cli.rows_help import RowsCommand

# No other failure of a disk comes this far: commands tell those of their files by the file's name.
NO_PLACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}

app = typer.Typer(
    name="uncrop",
    help="Extend photographs beyond their borders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(name="extend", cls=RowsCommand)(extend.extend)
app.command(name="serve")(serve.serve)
app.add_typer(keys.app, name="keys")
app.command(name="providers")(providers.providers)
app.command(name="usage")(usage.usage)
app.command(name="doctor")(doctor.doctor)
app.command(name="emulate", cls=RowsCommand)(emulate.emulate)
app.command(name="warm-up")(warm_up.warm_up)


@app.callback(invoke_without_command=True)
def _root(version: bool = typer.Option(False, "--version", help="Print the version and exit.")) -> None:
    if version:
        from uncrop import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Run the command line; where its output has no place, as on a full disk, say so in one line."""
    try:
        app()
    except OSError as error:
        if error.errno not in NO_PLACE:
            raise
        # What is left in the buffer would be tried once more at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        typer.echo(f"uncrop: the output cannot be written ({os.strerror(error.errno).lower()})", err=True)
        sys.exit(WRONG_USE)

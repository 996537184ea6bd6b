"""The command line: one command a file, imports inside the command."""

from __future__ import annotations

import typer

from uncrop.cli import doctor, emulate, extend, keys, providers, serve, usage, warm_up
from uncrop.cli.rows_help import RowsCommand

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
    """Run the command line."""
    app()

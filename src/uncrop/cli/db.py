"""`uncrop db`: bring a database up to date, and move to another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.exits import explained, note, require_server
from uncrop.cli.rows_help import RowsCommand

if TYPE_CHECKING:
    from uncrop.store.copying import CopiedTable

app = typer.Typer(help="Bring the database up to date, or move to another.", no_args_is_help=True)


@app.command(cls=RowsCommand)
def upgrade() -> None:
    """Bring the database's tables up to date; every start does so too."""
    require_server()
    import asyncio

    from uncrop import settings
    from uncrop.bootstrap import upgrade_database_of

    with explained():
        before, after = asyncio.run(upgrade_database_of(settings.load()))
    if before == after:
        typer.echo(f"the tables are those of revision {after} already")
    else:
        typer.echo(f"the tables are those of revision {after} now; before: {before or 'none'}")


@app.command(cls=RowsCommand)
def copy(
    to: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Address of an empty database: postgresql+psycopg://… or sqlite+aiosqlite:///…"
        ),
    ],
) -> None:
    """Copy all that the database of the settings holds to an empty one, and compare.

    No server may run meanwhile. Nothing is kept of a copy that was cut off or differs; make it again.
    """
    require_server()
    import asyncio

    from uncrop import settings
    from uncrop.bootstrap import copy_database_of

    copied: list[CopiedTable] = []

    def tell(table: CopiedTable) -> None:
        copied.append(table)
        typer.echo(f"{table.name:<24}{table.rows:>12,} rows")

    with explained():
        foreign = asyncio.run(copy_database_of(settings.load(), to, tell))
    for name in foreign:
        note(f"the table {name} is not uncrop's and was not copied")
    typer.echo(f"{sum(table.rows for table in copied):,} rows are there, and the same; set UNCROP_DATABASE_URL to it")

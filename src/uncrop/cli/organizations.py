"""`uncrop organizations`: who is billed, and how much each may make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.exits import stop
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.store.database import Store
    from uncrop.store.organizations import Organization
    from uncrop.store.usage import DayOfUsage

MOST_A_DAY = 1_000_000_000
_DEFAULT = "default"

app = typer.Typer(help="Make, list and limit organizations.", no_args_is_help=True)

OrganizationId = Annotated[str, typer.Argument(metavar="ORG", help="The organization's id, as org_shop.")]


@app.command(cls=RowsCommand)
def create(
    organization: Annotated[str | None, typer.Argument(metavar="ORG", help="Its id; one is drawn if absent.")] = None,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Who it is.")] = None,
) -> None:
    """Make an organization and print its id."""

    async def work(store: Store) -> Organization:
        from uncrop.store.organizations import new_organization_id

        return await store.organizations.create(organization or new_organization_id(), name=name)

    typer.echo(with_store(work).id)


@app.command("list", cls=RowsCommand)
def list_organizations() -> None:
    """List all organizations with their limits."""
    made = with_store(lambda store: store.organizations.all())
    show_table(("ID", "NAME", "PICTURES PER DAY", "CREATED"), (_row(each) for each in made))


@app.command(cls=RowsCommand)
def show(organization: OrganizationId) -> None:
    """Show one organization: its limit, its keys, and what it made."""

    async def work(store: Store) -> tuple[Organization, int, tuple[DayOfUsage, ...]]:
        found = await store.organizations.get(organization)
        keys = await store.keys.all(organization)
        return found, len(keys), await store.usage.by_day(organization)

    found, keys, days = with_store(work)
    pictures = sum(day.pictures for day in days)
    row = (*_row(found), str(keys), str(pictures))
    show_table(("ID", "NAME", "PICTURES PER DAY", "CREATED", "KEYS", "PICTURES"), [row])


@app.command(cls=RowsCommand)
def limit(
    organization: OrganizationId,
    pictures_per_day: Annotated[
        str,
        typer.Option(metavar="N", help="Pictures a UTC day; 0 for no limit, default for UNCROP_USAGE_LIMIT_PER_DAY."),
    ],
) -> None:
    """Set how much an organization may make; a running server keeps to it from its next picture on."""
    wanted = _limit(pictures_per_day)
    typer.echo(_says(with_store(lambda store: store.organizations.set_daily_limit(organization, wanted))))


def _limit(text: str) -> int | None:
    if text == _DEFAULT:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= MOST_A_DAY):
        stop(f"--pictures-per-day {text}: must be a whole number up to {MOST_A_DAY}, 0 for no limit, or {_DEFAULT}")
    return int(text)


def _says(organization: Organization) -> str:
    limit = organization.daily_limit
    limits = {None: "as many pictures a day as UNCROP_USAGE_LIMIT_PER_DAY says", 0: "any number of pictures a day"}
    return f"{organization.id} may make {limits.get(limit, f'{limit} pictures a day')}"


def _row(organization: Organization) -> tuple[str, ...]:
    limits = {None: _DEFAULT, 0: "no limit"}
    return (
        organization.id,
        organization.name or "",
        limits.get(organization.daily_limit, str(organization.daily_limit)),
        f"{organization.created_at:%Y-%m-%dT%H:%MZ}",
    )

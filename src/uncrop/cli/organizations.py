"""`uncrop organizations`: who is billed, and how much each may make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli import limits, provider_keys
from uncrop.cli.exits import stop
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.store.database import Store
    from uncrop.store.organizations import Organization
    from uncrop.store.usage import DayOfUsage

COLUMNS = ("ID", "NAME", *limits.HEADINGS, "CREATED")

app = typer.Typer(
    help="Make, list and limit organizations, and give them their own keys of providers.", no_args_is_help=True
)
app.add_typer(provider_keys.app, name="provider-key")

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
    show_table(COLUMNS, (_row(each) for each in made))


@app.command(cls=RowsCommand)
def show(organization: OrganizationId) -> None:
    """Show one organization: its limits, its keys, and what it made."""

    async def work(store: Store) -> tuple[Organization, int, tuple[DayOfUsage, ...]]:
        found = await store.organizations.get(organization)
        keys = await store.keys.all(organization)
        return found, len(keys), await store.usage.by_day(organization)

    found, keys, days = with_store(work)
    pictures = sum(day.pictures for day in days)
    row = (*_row(found), str(keys), str(pictures))
    show_table((*COLUMNS, "KEYS", "PICTURES"), [row])


@app.command(cls=RowsCommand)
def change(
    organization: OrganizationId,
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="Who it is.")] = None,
    server_keys: Annotated[
        bool | None,
        typer.Option(
            "--server-keys/--no-server-keys",
            help="Whether it may use the server's keys of providers of which it has none itself.",
        ),
    ] = None,
) -> None:
    """Change an organization's name, or whether it may use the server's keys of providers."""
    if name is None and server_keys is None:
        stop("nothing to change: give --name, --server-keys or --no-server-keys")
    changed = with_store(
        lambda store: store.organizations.change(organization, name=name, may_use_server_keys=server_keys)
    )
    may = "may" if changed.may_use_server_keys else "may not"
    typer.echo(f"{changed.id} is {changed.name or 'without a name'}, and {may} use the server's keys of providers")


@app.command(cls=RowsCommand)
def limit(
    organization: OrganizationId,
    requests_per_minute: limits.RequestsPerMinute = None,
    requests_at_once: limits.RequestsAtOnce = None,
    pictures_per_day: limits.PicturesPerDay = None,
    usd_per_month: limits.UsdPerMonth = None,
    providers: limits.Providers = None,
) -> None:
    """Set how much an organization may do; a running server keeps to it from its next request on.

    Each limit is a number, none for no limit, or default for what the server's settings say.
    """
    changes = limits.changes(requests_per_minute, requests_at_once, pictures_per_day, usd_per_month, providers)
    policy = with_store(lambda store: store.policies.change_organization(organization, **changes))
    typer.echo(f"{organization} may make {limits.in_words(policy, limits.BY_SETTINGS)}")


def _row(organization: Organization) -> tuple[str, ...]:
    return (
        organization.id,
        organization.name or "",
        *limits.cells(organization.policy, limits.DEFAULT),
        f"{organization.created_at:%Y-%m-%dT%H:%MZ}",
    )

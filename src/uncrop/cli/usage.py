"""`uncrop usage`: what was spent, by day and provider."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.chart import show_chart
from uncrop.cli.ledger import show_holds
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.model.ledger import Hold
    from uncrop.store.database import Store
    from uncrop.store.usage import DayOfUsage

MOST_LISTED = 100_000
_COLUMNS = (
    *("day", "provider", "pictures", "failed", "open", "unknown"),
    *("credits", "input_tokens", "output_tokens", "usd"),
)


def usage(
    organization: Annotated[
        str | None, typer.Option(metavar="org_…", help="Of this organization alone; else of all together.")
    ] = None,
    unknown: Annotated[
        bool,
        typer.Option("--unknown", help="List the pictures of which it is not known whether they are billed."),
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; credits and dollars are text, to stay exact.")
    ] = False,
) -> None:
    """Show what was spent, by UTC day and provider.

    Pictures were made and booked; failed ones were given back; open ones are being made; of unknown ones a call was
    sent, and it is not known whether it is billed. USD is what is known of the price. On a terminal, a chart shows the
    pictures of the last two weeks.
    """
    if unknown:
        show_holds(with_store(lambda store: _unknown(store, organization)))
        return
    days = with_store(lambda store: _days(store, organization))
    if as_json:
        typer.echo(json.dumps([day.to_json() for day in days], indent=2))
        return
    headings = [name.replace("_", " ").upper() for name in _COLUMNS]
    show_table(headings, ([str(value) for value in day.to_json().values()] for day in days))
    if days and sys.stdout.isatty():
        show_chart(days, datetime.now(UTC).date())


async def _unknown(store: Store, organization: str | None) -> tuple[Hold, ...]:
    if organization is not None:
        await store.organizations.get(organization)
    return await store.books.holds(organization, states=("unknown",), most=MOST_LISTED)


async def _days(store: Store, organization: str | None) -> tuple[DayOfUsage, ...]:
    if organization is not None:
        await store.organizations.get(organization)
    return await store.usage.by_day(organization)

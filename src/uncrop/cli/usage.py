"""`uncrop usage`: what was spent, by day and provider."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.chart import show_chart
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.store.database import Store
    from uncrop.store.usage import DayOfUsage

_COLUMNS = ("day", "provider", "pictures", "failed", "open", "credits", "input_tokens", "output_tokens")


def usage(
    organization: Annotated[
        str | None, typer.Option(metavar="org_…", help="Of this organization alone; else of all together.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; credits are text, to stay exact.")] = False,
) -> None:
    """Show what was spent, by UTC day and provider.

    Pictures were made and booked; failed ones were given back; open ones are being made. On a terminal, a chart shows
    the pictures of the last two weeks.
    """
    days = with_store(lambda store: _days(store, organization))
    if as_json:
        typer.echo(json.dumps([_facts(day) for day in days], indent=2))
        return
    headings = [name.replace("_", " ").upper() for name in _COLUMNS]
    show_table(headings, ([str(value) for value in _facts(day).values()] for day in days))
    if days and sys.stdout.isatty():
        show_chart(days, datetime.now(UTC).date())


async def _days(store: Store, organization: str | None) -> tuple[DayOfUsage, ...]:
    if organization is not None:
        await store.organizations.get(organization)
    return await store.usage.by_day(organization)


def _facts(day: DayOfUsage) -> dict[str, str | int]:
    return {
        "day": day.day.isoformat(),
        "provider": day.provider,
        "pictures": day.pictures,
        "failed": day.failed,
        "open": day.open,
        "credits": f"{day.credits:f}",
        "input_tokens": day.input_tokens,
        "output_tokens": day.output_tokens,
    }

"""`uncrop extend --dry-run`: what a picture would take, as a table or as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import typer

from uncrop.cli.exits import code_of, explained
from uncrop.cli.table import show_table
from uncrop.cli.wording import sentence

if TYPE_CHECKING:
    from uncrop.model import UncropRequest
    from uncrop.service.quote import Quote

_HEADINGS = ("PROVIDER", "POSSIBLE", "CANVAS", "CALLS", "PRICE", "MEMORY", "WHY NOT")


def show_quotes(request: UncropRequest, *, photo: str, as_json: bool) -> None:
    """Print what a picture would take; exit as the picture's own command would, when the one provider cannot make it.

    Parameters
    ----------
    request
        What is asked; the provider ``all`` stands for every one, ``auto`` for those that would be asked in turn.
    photo
        The photo's name.
    as_json
        Whether to print what the API answers, in place of a table.
    """
    typed = {"image_file": photo, "provider": request.provider}
    with explained(typed):
        from uncrop import settings
        from uncrop.bootstrap import quote_once
        from uncrop.service.quote import ALL, AUTO

        quotes = quote_once(request, settings.load())
    of_all = request.provider in {ALL, AUTO}
    if as_json:
        told = [quote.to_json() for quote in quotes]
        typer.echo(json.dumps(told if of_all else told[0], indent=2))
    else:
        show_table(_HEADINGS, (_row(quote) for quote in quotes))
    if not of_all and quotes[0].refusal is not None:
        raise typer.Exit(code_of(quotes[0].refusal))


def _row(quote: Quote) -> tuple[str, ...]:
    told = quote.to_json()
    return (
        told["provider"],
        "yes" if quote.possible else "no",
        told["canvas"],
        "" if quote.calls is None else str(quote.calls),
        _price(quote),
        "" if quote.memory_bytes is None else f"{quote.memory_bytes / 1_000_000:.0f} MB",
        "" if quote.refusal is None else sentence(quote.refusal),
    )


def _price(quote: Quote) -> str:
    """Return what it costs in all where that is known, or what one unit costs."""
    price = quote.to_json()["price"]
    if price is None:
        return "not known" if quote.facts.bills else "free"
    if price["total"] is None:
        return f"{price['amount']} {price['unit']} a {price['per']} ({price['date']})"
    return f"{price['total']} {price['unit']} ({price['date']})"

"""`uncrop providers`: who can make pictures, what each takes, and what is configured."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.exits import explained, note
from uncrop.cli.table import show_table

if TYPE_CHECKING:
    from uncrop.model import ProviderFacts
    from uncrop.service.provider_list import ProviderEntry

_GEOMETRY = {"sides": "pixels a side", "canvas": "canvas and place", "mask": "mask, or pixels a side"}


def providers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, as GET /api/v1/providers does.")] = False,
) -> None:
    """List the makers of pixels: what each takes, what it costs, and whether it is configured."""
    with explained():
        from uncrop import settings
        from uncrop.bootstrap import list_providers

        entries = list_providers(settings.load())
    if as_json:
        typer.echo(json.dumps({"providers": [entry.to_json() for entry in entries]}, indent=2))
        return
    show_table(("NAME", "STATE", "GEOMETRY", "FIELDS", "PRICE"), (_row(entry) for entry in entries))
    for entry in entries:
        if missing := [setting for setting in entry.facts.settings if setting.required and not entry.configured]:
            names = " ".join(entry.facts.variable(setting) for setting in missing if setting.default is None)
            note(f"to use {entry.facts.name}, set {names}")


def _row(entry: ProviderEntry) -> tuple[str, ...]:
    facts = entry.facts
    takes_mask = facts.geometry.speaks == "mask" and not facts.takes("mask_file")
    return (
        facts.name,
        "configured" if entry.configured else "not configured",
        _GEOMETRY["sides" if takes_mask else facts.geometry.speaks],
        ", ".join(field.name for field in facts.fields),
        _price(facts),
    )


def _price(facts: ProviderFacts) -> str:
    if facts.price is None:
        return "not known" if facts.bills else "free"
    return f"{facts.price.amount:f} {facts.price.unit} a {facts.price.per}"

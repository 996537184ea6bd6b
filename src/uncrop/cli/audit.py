"""`uncrop audit`: who did what to organizations and keys."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.keys import moment
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.store.audit import AuditEntry


def audit(
    organization: Annotated[str | None, typer.Option(metavar="org_…", help="Of this organization alone.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="ISO", help="From this moment on, like 2027-01-31; else UTC.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show what was done to organizations and keys, newest first: by whom, what, and from what to what."""
    begins = None if since is None else moment(since, "--since")
    entries = with_store(lambda store: store.audit.page(organization_id=organization, since=begins))
    if as_json:
        typer.echo(json.dumps([entry.to_json() for entry in entries], indent=2))
        return
    show_table(("AT", "ACTOR", "ACTION", "ORGANIZATION", "TARGET", "CHANGES"), (_row(entry) for entry in entries))


def _row(entry: AuditEntry) -> tuple[str, ...]:
    changes = (f"{name}: {_word(before)} -> {_word(after)}" for name, (before, after) in entry.changes.items())
    return (
        f"{entry.at:%Y-%m-%dT%H:%M:%SZ}",
        entry.actor,
        entry.action,
        entry.organization_id or "",
        entry.target,
        ", ".join(changes),
    )


def _word(value: object) -> str:
    return "-" if value is None else str(value)

"""`uncrop keys`: make, list, pause, resume and revoke API keys."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.exits import stop
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.store.keys import ApiKey

app = typer.Typer(help="Make, list, pause, resume and revoke API keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="ID", help="The key's id, as `uncrop keys list` shows it.")]


@app.command(cls=RowsCommand)
def create(
    organization: Annotated[
        str, typer.Option(metavar="org_…", help="Whose key it is; the organization is made if need be.")
    ],
    name: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    expires: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="When it ends, like 2027-01-31 or 2027-01-31T12:00+01:00; else UTC."),
    ] = None,
) -> None:
    """Make a key and print it: the only time that it is shown."""
    expires_at = None if expires is None else _moment(expires)
    new = with_store(lambda store: store.keys.create(organization, name=name, expires_at=expires_at))
    typer.echo(new.key)


@app.command("list", cls=RowsCommand)
def list_keys() -> None:
    """List all keys; their secrets are not known here."""
    keys = with_store(lambda store: store.keys.all())
    now = datetime.now(UTC)
    headings = ("ID", "PREFIX", "ORGANIZATION", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USED")
    show_table(headings, (_row(key, now) for key in keys))


@app.command(cls=RowsCommand)
def pause(key_id: KeyId) -> None:
    """Refuse a key until it is resumed."""
    with_store(lambda store: store.keys.pause(key_id))
    typer.echo(f"{key_id} is paused")


@app.command(cls=RowsCommand)
def resume(key_id: KeyId) -> None:
    """Take a paused key again."""
    with_store(lambda store: store.keys.resume(key_id))
    typer.echo(f"{key_id} is no longer paused")


@app.command(cls=RowsCommand)
def revoke(key_id: KeyId) -> None:
    """Refuse a key for good."""
    with_store(lambda store: store.keys.revoke(key_id))
    typer.echo(f"{key_id} is revoked")


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        stop(f"--expires: {text[:100]!r} is no date or time in ISO 8601")


def _row(key: ApiKey, now: datetime) -> tuple[str, ...]:
    return (
        key.id,
        key.prefix,
        key.organization_id,
        key.name or "",
        key.state(now),
        _minute(key.created_at),
        _minute(key.expires_at),
        _minute(key.last_used_at),
    )


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%MZ}"

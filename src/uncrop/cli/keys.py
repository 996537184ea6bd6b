"""`uncrop keys`: make, list, rotate, pause, resume and revoke API keys."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli import limits
from uncrop.cli.exits import explained, stop
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.store.api_key import ApiKey, NewKey
    from uncrop.store.database import Store

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_SPAN = re.compile(r"([0-9]{1,9})([smhd])")

app = typer.Typer(help="Make, list, rotate, pause, resume and revoke API keys.", no_args_is_help=True)

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
    scope: Annotated[
        list[str] | None,
        typer.Option(
            metavar="SCOPE",
            help="What it may be used for, once for each: images:write, usage:read, or admin, which reaches all "
            "organizations. Default: the first two.",
        ),
    ] = None,
) -> None:
    """Make a key and print it: the only time that it is shown."""
    expires_at = None if expires is None else moment(expires, "--expires")

    async def work(store: Store) -> NewKey:
        from uncrop.store.api_key import scopes_of

        return await store.keys.create(organization, name=name, expires_at=expires_at, scopes=scopes_of(scope))

    typer.echo(with_store(work).key)


@app.command(cls=RowsCommand)
def rotate(
    key_id: KeyId,
    overlap: Annotated[
        str, typer.Option(metavar="TIME", help="For how long the old key goes on working: 24h, 30m, 7d; 0s to end it.")
    ] = "24h",
    expires: Annotated[
        str | None,
        typer.Option(metavar="ISO", help="When the new key ends; else after as long as the old one was made for."),
    ] = None,
) -> None:
    """Make a key that takes the place of another, and print it; the old one ends after the overlap."""
    both = span(overlap)
    expires_at = None if expires is None else moment(expires, "--expires")
    typer.echo(with_store(lambda store: store.keys.rotate(key_id, overlap=both, expires_at=expires_at)).key)


@app.command("rotate-pepper", cls=RowsCommand)
def rotate_pepper() -> None:
    """Put a new secret in the place of the one that keys are hashed with; keys go on working.

    The earlier one is kept beside it, for keys that were not used since. Restart the servers that use the folder.
    """
    with explained():
        from uncrop import settings
        from uncrop.store.pepper import replace_pepper

        configured = settings.load()
        if configured.key_pepper is not None:
            stop(
                "the pepper is in UNCROP_KEY_PEPPER: put a new one there, and the one that is there now into "
                "UNCROP_KEY_PEPPER_PREVIOUS"
            )
        with_store(lambda store: store.ping())
        pepper = replace_pepper(configured.data_dir)
    with_store(lambda store: _note_pepper(store, pepper))
    typer.echo(f"the pepper is now {pepper}; restart the servers, and `uncrop doctor` says when the earlier one can go")


@app.command("rotate-encryption", cls=RowsCommand)
def rotate_encryption() -> None:
    """Encrypt keys of providers and secrets of webhooks anew, with the first of the secrets in UNCROP_ENCRYPTION_KEY.

    All of them are, or none; after that, the other secrets can go.
    """
    number = with_store(lambda store: store.provider_keys.seal_anew())
    what = "keys of providers and secrets of webhooks"
    typer.echo(f"{number} {what} were encrypted anew; all are under the first of UNCROP_ENCRYPTION_KEY now")


async def _note_pepper(store: Store, pepper: str) -> None:
    from uncrop.store.audit import COMMAND_LINE, Act

    await store.audit.add(Act(actor=COMMAND_LINE, action="pepper.rotate", target=pepper))


@app.command("list", cls=RowsCommand)
def list_keys() -> None:
    """List all keys; their secrets are not known here."""
    keys = with_store(lambda store: store.keys.all())
    now = datetime.now(UTC)
    headings = ("ID", "PREFIX", "ORGANIZATION", "NAME", "STATE", "CREATED", "EXPIRES", "LAST USED", "SCOPES")
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


@app.command(cls=RowsCommand)
def limit(
    key_id: KeyId,
    requests_per_minute: limits.RequestsPerMinute = None,
    requests_at_once: limits.RequestsAtOnce = None,
    pictures_per_day: limits.PicturesPerDay = None,
    usd_per_month: limits.UsdPerMonth = None,
    providers: limits.Providers = None,
) -> None:
    """Set how much may be done with a key, within its organization's limits.

    Each limit is a number, or none for nothing beyond the organization's.
    """
    changes = limits.changes(requests_per_minute, requests_at_once, pictures_per_day, usd_per_month, providers)
    policy = with_store(lambda store: store.policies.change_key(key_id, **changes))
    typer.echo(f"{key_id} may make {limits.in_words(policy, limits.BY_ORGANIZATION)}")


def moment(text: str, option: str) -> datetime:
    """Read a moment in ISO 8601, in UTC where it says nothing else; end the command if it is none."""
    try:
        read = datetime.fromisoformat(text)
        return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
    except (ValueError, OverflowError):
        stop(f"{option}: {text[:100]!r} is no date or time in ISO 8601")


def span(text: str, option: str = "--overlap") -> timedelta:
    """Read a time such as 24h, or end the command."""
    match = _SPAN.fullmatch(text)
    if match is None:
        stop(f"{option}: {text[:100]!r} is no time such as 24h, 30m or 7d")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


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
        " ".join(sorted(key.scopes)),
    )


def _minute(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%MZ}"

"""`uncrop organizations provider-key`: an organization's own keys of providers."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from uncrop.cli.exits import explained, stop
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from uncrop.store.provider_keys import ProviderKeyEntry

SET = "set"
MOST_READ = 2000  # characters of standard input; no key is so long


class SetByDefault(TyperGroup):
    """A group whose first command may be left out, since no organization's id is a command's name."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Take what is no command for the first argument of the default one."""
        known = not args or args[0].startswith("-") or self.get_command(ctx, args[0]) is not None
        return super().resolve_command(ctx, args if known else [SET, *args])


app = typer.Typer(
    cls=SetByDefault,
    help="Keep, list and remove an organization's own keys of providers; `provider-key ORG PROVIDER` keeps one.",
    no_args_is_help=True,
)

OrganizationId = Annotated[str, typer.Argument(metavar="ORG", help="The organization's id, as org_shop.")]
Provider = Annotated[str, typer.Argument(metavar="PROVIDER", help="A provider that is called with a key.")]


@app.command(SET, cls=RowsCommand)
def set_key(organization: OrganizationId, provider: Provider) -> None:
    """Keep a provider's key, read from standard input, for the pictures of one organization.

    It is kept encrypted, with the secret in UNCROP_ENCRYPTION_KEY, and takes the place of an earlier one. A running
    server uses it from its next request on.
    """
    _check(provider)
    if sys.stdin.isatty():
        typer.echo(f"The key for {provider}, then Enter:", err=True)
    key = (sys.stdin.readline() if sys.stdin.isatty() else sys.stdin.read(MOST_READ)).strip()
    if not key:
        stop("there is no key on standard input")
    with_store(lambda store: store.provider_keys.put(organization, provider, key))
    typer.echo(f"{organization} has its own key for {provider}")


@app.command("list", cls=RowsCommand)
def list_keys(
    organization: Annotated[str | None, typer.Argument(metavar="ORG", help="Whose; all when absent.")] = None,
) -> None:
    """List the keys that organizations have; of each, its last four characters."""
    entries = with_store(lambda store: store.provider_keys.all(organization))
    show_table(("ORGANIZATION", "PROVIDER", "ENDS WITH", "SET", "STATE"), (_row(entry) for entry in entries))


@app.command(cls=RowsCommand)
def remove(organization: OrganizationId, provider: Provider) -> None:
    """Forget a key; the server's own is used again, where the organization may use it."""
    if not with_store(lambda store: store.provider_keys.remove(organization, provider)):
        stop(f"{organization} has no key of its own for {provider}")
    typer.echo(f"{organization} no longer has its own key for {provider}")


def _check(provider: str) -> None:
    """End the command unless the provider is called with a key."""
    from uncrop.providers.registry import check_takes_key, load_rows

    with explained():
        check_takes_key(provider, load_rows())


def _row(entry: ProviderKeyEntry) -> tuple[str, ...]:
    state = "usable" if entry.usable else "its encryption key is missing"
    return entry.organization_id, entry.provider, entry.last4, f"{entry.created_at:%Y-%m-%dT%H:%MZ}", state

"""`uncrop ledger`: what is held and booked, whether it agrees with itself, and what became of what is in doubt."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from uncrop.cli.exits import REFUSED, stop
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from collections.abc import Iterable

    from uncrop.model.ledger import Hold, Posting
    from uncrop.store.database import Store

HOLD_COLUMNS = ("ID", "ORGANIZATION", "KEY", "PROVIDER", "STATE", "CALLS SENT", "CREATED", "SENT")
POSTING_COLUMNS = ("KIND", "UNIT", "FROM", "TO", "AMOUNT", "CALL")

app = typer.Typer(help="Show, check and settle the ledger.", no_args_is_help=True)


@app.command(cls=RowsCommand)
def show(
    picture: Annotated[str | None, typer.Argument(metavar="ID", help="One picture, with all that was posted.")] = None,
    organization: Annotated[str | None, typer.Option(metavar="org_…", help="Of this organization alone.")] = None,
    last: Annotated[int, typer.Option(metavar="N", min=1, max=10_000, help="How many, the latest first.")] = 50,
) -> None:
    """List the latest pictures and what became of each, or one of them with all that was posted to it."""
    if picture is None:
        show_holds(with_store(lambda store: _holds(store, organization, last)))
        return

    async def work(store: Store) -> tuple[Hold, tuple[Posting, ...]]:
        return await store.books.hold(picture), await store.books.postings(picture)

    hold, postings = with_store(work)
    show_holds([hold])
    typer.echo()
    show_table(POSTING_COLUMNS, (_posting(each) for each in postings))


@app.command(cls=RowsCommand)
def verify() -> None:
    """Recompute every balance from its entries, and every picture from its own; exit status 3 if anything differs."""
    found = with_store(lambda store: store.books.verify())
    for line in found:
        typer.echo(line)
    if found:
        raise typer.Exit(REFUSED)
    typer.echo("the ledger agrees with itself")


@app.command(cls=RowsCommand)
def settle(
    pictures: Annotated[
        list[str] | None, typer.Argument(metavar="ID", help="Pictures' ids, as `uncrop usage --unknown` shows them.")
    ] = None,
    charged: Annotated[
        bool | None,
        typer.Option("--charged/--not-charged", help="Whether the provider has billed what was sent."),
    ] = None,
    all_older_than: Annotated[
        str | None, typer.Option(metavar="TIME", help="All in doubt whose call was sent so long ago: 24h, 7d.")
    ] = None,
    organization: Annotated[
        str | None, typer.Option(metavar="org_…", help="With --all-older-than: of this organization alone.")
    ] = None,
) -> None:
    """Say what became of pictures whose call was sent and whose outcome is not known.

    The provider's own list of calls, or its bill, tells it.
    """
    if charged is None:
        stop("--charged or --not-charged is missing: whether the provider has billed it")
    if bool(pictures) == (all_older_than is not None):
        stop("either ids or --all-older-than TIME")
    from uncrop.cli.keys import span
    from uncrop.ledger.settling import in_doubt_since, settled
    from uncrop.store.database import utc_now

    age = None if all_older_than is None else span(all_older_than, "--all-older-than")

    async def work(store: Store) -> None:
        if organization is not None:
            await store.organizations.get(organization)
        names = list(pictures or ())
        if age is not None:
            names = await in_doubt_since(store.books, utc_now() - age, organization)
        for name in names:
            # One after the other, so that what is told is done.
            await store.books.settle(name, settled(charged=charged))
            typer.echo(f"{name} was {'charged' if charged else 'not charged, and is given back'}")
        if not names:
            typer.echo("no picture has been in doubt for so long")

    with_store(work)


@app.command(cls=RowsCommand)
def adjust(
    picture: Annotated[str, typer.Argument(metavar="ID", help="A picture that has ended.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why, for the audit log.")],
    usd: Annotated[str | None, typer.Option(metavar="X", help="What it cost in all, in US dollars.")] = None,
    credits_: Annotated[
        str | None, typer.Option("--credits", metavar="X", help="What it cost in all, in credits.")
    ] = None,
) -> None:
    """Correct what a picture cost, by one more entry: none is ever changed."""
    from uncrop.ledger.settling import corrected
    from uncrop.model.ledger import LONGEST_REASON

    if (usd is None) == (credits_ is None):
        stop("either --usd or --credits: what it cost in all")
    if not reason.strip() or len(reason) > LONGEST_REASON:
        stop(f"--reason: a text of at most {LONGEST_REASON} characters")

    cost = {"usd": _cost(usd)} if usd is not None else {"credits_": _cost(credits_ or "")}

    async def work(store: Store) -> tuple[Posting, ...]:
        hold = await store.books.hold(picture)
        return await store.books.adjust(picture, corrected(hold.provider, **cost), reason=reason)

    show_table(POSTING_COLUMNS, (_posting(each) for each in with_store(work)))


def _cost(text: str) -> Decimal:
    """Read a number, or end the command."""
    try:
        return Decimal(text)
    except InvalidOperation:
        stop(f"{text[:100]!r} is no number")


def show_holds(holds: Iterable[Hold]) -> None:
    """Print a table of pictures in the ledger."""
    show_table(HOLD_COLUMNS, (_hold(each) for each in holds))


async def _holds(store: Store, organization: str | None, last: int) -> tuple[Hold, ...]:
    if organization is not None:
        await store.organizations.get(organization)
    return await store.books.holds(organization, most=last)


def _hold(hold: Hold) -> tuple[str, ...]:
    return (
        hold.id,
        hold.organization_id,
        hold.key_id or "",
        hold.provider,
        hold.state,
        f"{hold.calls_sent} of {hold.calls_planned}",
        f"{hold.created_at:%Y-%m-%dT%H:%M:%SZ}",
        "" if hold.sent_at is None else f"{hold.sent_at:%Y-%m-%dT%H:%M:%SZ}",
    )


def _posting(posting: Posting) -> tuple[str, ...]:
    call = "" if posting.call is None else str(posting.call + 1)
    return posting.kind, posting.unit, posting.source, posting.target, str(posting.amount), call

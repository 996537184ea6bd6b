"""`uncrop webhooks`: servers of organizations that are told of their jobs, and the messages to them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from uncrop.cli.exits import REFUSED, note, stop
from uncrop.cli.keys import span
from uncrop.cli.rows_help import RowsCommand
from uncrop.cli.table import show_table
from uncrop.cli.with_store import with_store

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from uncrop.jobs.webhooks import LoggedDelivery
    from uncrop.model.webhooks import Delivery, Webhook
    from uncrop.store.database import Store
    from uncrop.webhooks.endpoints import Endpoints

T = TypeVar("T")

app = typer.Typer(
    help="Tell organizations' servers of the ends of their jobs: make, change and look at webhooks and their messages.",
    no_args_is_help=True,
)

WebhookId = Annotated[str, typer.Argument(metavar="ID", help="The webhook's id, as `uncrop webhooks list` shows it.")]
MessageId = Annotated[
    str, typer.Argument(metavar="MESSAGE", help="The message's id, as `uncrop webhooks deliveries` shows it.")
]
Event = Annotated[
    list[str] | None,
    typer.Option(
        "--event",
        metavar="EVENT",
        help="Of what it is told, once for each: job.done, job.failed, job.cancelled, job.unknown.",
    ),
]


@app.command(cls=RowsCommand)
def create(
    organization: Annotated[str, typer.Argument(metavar="ORG", help="Whose jobs it is told of.")],
    url: Annotated[str, typer.Argument(metavar="URL", help="Where messages are sent: https.")],
    event: Event = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
) -> None:
    """Make a webhook and print the secret that its messages are signed with: the only time that it is shown."""
    made = _with_endpoints(lambda ends: ends.create(organization, url, description=description, events=event))
    note(f"{made.webhook.id} is told of {', '.join(made.webhook.events)}; this is its secret")
    typer.echo(made.secret)


@app.command("list", cls=RowsCommand)
def list_webhooks(
    organization: Annotated[str | None, typer.Argument(metavar="ORG", help="Whose; all when absent.")] = None,
) -> None:
    """List webhooks, oldest first."""
    found = with_store(lambda store: store.webhooks.page(organization_id=organization))
    headings = ("ID", "ORGANIZATION", "STATE", "FAILING SINCE", "EVENTS", "URL")
    show_table(headings, (_row(webhook) for webhook in found))


@app.command(cls=RowsCommand)
def show(webhook_id: WebhookId) -> None:
    """Print what is known of a webhook, as JSON."""
    from uncrop.server.webhooks_wire import webhook_json

    found = _there(with_store(lambda store: store.webhooks.find(webhook_id)), webhook_id)
    typer.echo(json.dumps(webhook_json(found), indent=2))


@app.command(cls=RowsCommand)
def change(
    webhook_id: WebhookId,
    url: Annotated[str | None, typer.Option(metavar="URL", help="Where messages are sent from now on.")] = None,
    event: Event = None,
    description: Annotated[str | None, typer.Option(metavar="TEXT", help="What it is for.")] = None,
    enable: Annotated[bool | None, typer.Option("--enable/--disable", help="Whether messages are sent.")] = None,
) -> None:
    """Change a webhook: what is given, and nothing else; --enable for one that was disabled."""
    changed = _with_endpoints(
        lambda ends: ends.change(webhook_id, url=url, description=description, events=event, enabled=enable)
    )
    typer.echo(f"{webhook_id} is {'enabled' if _there(changed, webhook_id).enabled else 'disabled'}")


@app.command(cls=RowsCommand)
def delete(webhook_id: WebhookId) -> None:
    """Delete a webhook, and what is kept of its messages; those that wait are not sent."""
    if not with_store(lambda store: store.webhooks.delete(webhook_id)):
        stop(f"{webhook_id}: there is no such webhook", REFUSED)
    typer.echo(f"{webhook_id} is deleted")


@app.command("rotate-secret", cls=RowsCommand)
def rotate_secret(
    webhook_id: WebhookId,
    overlap: Annotated[
        str,
        typer.Option(metavar="TIME", help="For how long messages are signed with the old secret too: 24h, 30m, 7d."),
    ] = "24h",
) -> None:
    """Put another secret in the place of a webhook's, and print it."""
    both = span(overlap)
    rotated = _with_endpoints(lambda ends: ends.rotate(webhook_id, overlap=both))
    typer.echo(_there(rotated, webhook_id).secret)


@app.command(cls=RowsCommand)
def deliveries(
    webhook_id: WebhookId,
    state: Annotated[str | None, typer.Option(help="Only those that are waiting, delivered or failed.")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many, newest first.")] = 100,
    before: Annotated[
        str | None, typer.Option(metavar="MESSAGE", help="Only those older than this one: the last of the page before.")
    ] = None,
) -> None:
    """List the messages to a webhook, newest first."""
    from uncrop.model.webhooks import DELIVERY_STATES

    wanted = next((known for known in DELIVERY_STATES if known == state), None)
    if state is not None and wanted is None:
        stop(f"--state {state}: must be one of {', '.join(DELIVERY_STATES)}")
    found = with_store(lambda store: store.deliveries.page(webhook_id, most=most, before=before, state=wanted))
    headings = ("MESSAGE", "EVENT", "JOB", "STATE", "ATTEMPTS", "FAILURE", "CREATED", "NEXT ATTEMPT")
    show_table(headings, (_delivery_row(delivery) for delivery in found))


@app.command(cls=RowsCommand)
def delivery(message_id: MessageId) -> None:
    """Print what is known of a message, with each time that it was sent, as JSON."""
    from uncrop.server.webhooks_wire import logged_json

    found = with_store(lambda store: _logged(store, message_id))
    typer.echo(json.dumps(logged_json(found), indent=2))


@app.command(cls=RowsCommand)
def redeliver(message_id: MessageId) -> None:
    """Send a message anew, under the same id and with all its repeats, whatever became of it."""
    from uncrop import settings
    from uncrop.jobs.opening import open_adding

    configured = settings.load()

    async def work(store: Store) -> None:
        found = (await _logged(store, message_id)).delivery
        webhook = await store.webhooks.find(found.webhook_id)
        if webhook is None or not webhook.enabled:
            stop(f"{message_id}: its webhook is disabled; uncrop webhooks change {found.webhook_id} --enable", REFUSED)
        async with open_adding(configured) as adding:
            await store.deliveries.redeliver(message_id, adding=adding)

    with_store(work)
    typer.echo(f"{message_id} is sent anew")


def _with_endpoints(work: Callable[[Endpoints], Awaitable[T]]) -> T:
    from uncrop import settings
    from uncrop.jobs.opening import rules_of
    from uncrop.webhooks.endpoints import Endpoints

    rules = rules_of(settings.load())
    return with_store(lambda store: work(Endpoints(webhooks=store.webhooks, rules=rules)))


async def _logged(store: Store, message_id: str) -> LoggedDelivery:
    from uncrop.jobs.webhooks import LoggedDelivery

    found = await store.deliveries.find(message_id)
    if found is None:
        stop(f"{message_id}: there is no such message", REFUSED)
    return LoggedDelivery(delivery=found, attempts=await store.deliveries.attempts(message_id))


def _there(found: T | None, webhook_id: str) -> T:
    if found is None:
        stop(f"{webhook_id}: there is no such webhook", REFUSED)
    return found


def _row(webhook: Webhook) -> tuple[str, ...]:
    state = "enabled" if webhook.enabled else f"disabled ({webhook.disabled_reason})"
    since = _second(webhook.failing_since)
    return webhook.id, webhook.organization_id, state, since, " ".join(webhook.events), webhook.url


def _delivery_row(delivery: Delivery) -> tuple[str, ...]:
    return (
        delivery.id,
        delivery.event,
        delivery.job_id,
        delivery.state,
        str(delivery.attempts),
        delivery.failure or "",
        _second(delivery.created_at),
        _second(delivery.next_attempt_at),
    )


def _second(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%dT%H:%M:%SZ}"

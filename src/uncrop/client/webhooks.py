"""Webhooks: servers of the organization that are told of the ends of its jobs, and the messages to them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from uncrop.client.errors import unexpected

if TYPE_CHECKING:
    import httpx2

T = TypeVar("T")
ROUTE = "/api/v1/webhooks"


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """A webhook.

    Attributes
    ----------
    events
        Of what it is told: ``job.done``, ``job.failed``, ``job.cancelled``, ``job.unknown``.
    disabled_reason
        Why no messages are sent: ``by_hand``, ``gone`` (it answered 410) or ``failing``; ``None`` where they are.
    failing_since
        When a message was not taken, with none taken since, in ISO 8601.
    secret
        What messages are signed with; only where it was made or rotated just now.
    """

    id: str
    organization_id: str
    url: str
    description: str | None
    events: tuple[str, ...]
    enabled: bool
    disabled_reason: str | None
    failing_since: str | None
    delivered_at: str | None
    previous_secret_ends_at: str | None
    created_at: str
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookAttempt:
    """One time that a message was sent: the answer's status, or why there was none."""

    number: int
    at: str
    status: int | None
    failure: str | None
    duration_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookDelivery:
    """A message.

    Attributes
    ----------
    id
        As in the message's header ``webhook-id``.
    state
        ``waiting``, ``delivered`` or ``failed``.
    log
        Each time that it was sent, where one message was asked for.
    """

    id: str
    webhook_id: str
    job_id: str
    event: str
    state: str
    attempts: int
    failure: str | None
    created_at: str
    next_attempt_at: str | None
    ended_at: str | None
    log: tuple[WebhookAttempt, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookPage:
    """Some webhooks, oldest first; ``next`` is the cursor of further ones, where there are any."""

    webhooks: tuple[Webhook, ...]
    next: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class WebhookDeliveryPage:
    """Some messages, newest first; ``next`` is the cursor of older ones, where there are any."""

    deliveries: tuple[WebhookDelivery, ...]
    next: str | None


def _reading(read: Callable[[Any], T]) -> Callable[[httpx2.Response], T]:
    """Return what reads an answer; one that is not as it should be is an error of its own."""

    def read_response(response: httpx2.Response) -> T:
        try:
            return read(response.json())
        except (ValueError, KeyError, TypeError) as error:
            raise unexpected(response) from error

    return read_response


def _webhook(told: dict[str, Any]) -> Webhook:
    names = [name for name in Webhook.__dataclass_fields__ if name not in {"events", "secret"}]
    values = {name: told[name] for name in names}
    return Webhook(**values, events=tuple(told["events"]), secret=told.get("secret"))


def _delivery(told: dict[str, Any]) -> WebhookDelivery:
    values = {name: told[name] for name in WebhookDelivery.__dataclass_fields__ if name != "log"}
    names = WebhookAttempt.__dataclass_fields__
    log = (WebhookAttempt(**{name: each[name] for name in names}) for each in told.get("log", ()))
    return WebhookDelivery(**values, log=tuple(log))


webhook_of = _reading(_webhook)
delivery_of = _reading(_delivery)
webhooks_of = _reading(
    lambda told: WebhookPage(webhooks=tuple(_webhook(each) for each in told["data"]), next=told["next_cursor"])
)
deliveries_of = _reading(
    lambda told: WebhookDeliveryPage(
        deliveries=tuple(_delivery(each) for each in told["data"]), next=told["next_cursor"]
    )
)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _events(events: Sequence[str] | None) -> list[str] | None:
    return None if events is None else list(events)


class Webhooks:
    """The webhooks of the blocking client: ``client.webhooks``.

    Parameters
    ----------
    send
        Sends a request, again where it began nothing, and returns its answer.
    """

    def __init__(self, send: Callable[..., httpx2.Response]) -> None:
        self._send = send

    def create(
        self,
        url: str,
        *,
        description: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
    ) -> Webhook:
        """Make a webhook; its secret is told this once.

        Raises
        ------
        ApiError
            The server refused, as for an address that messages may not be sent to.
        """
        asked = _given(url=url, description=description, events=_events(events), secret=secret)
        return webhook_of(self._send("POST", ROUTE, json=asked))

    def list(self, *, limit: int = 50, cursor: str | None = None) -> WebhookPage:
        """Return some webhooks, oldest first."""
        return webhooks_of(self._send("GET", ROUTE, params=_given(limit=str(limit), cursor=cursor)))

    def get(self, webhook_id: str) -> Webhook:
        """Return a webhook."""
        return webhook_of(self._send("GET", f"{ROUTE}/{webhook_id}"))

    def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        description: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is given."""
        asked = _given(url=url, description=description, events=_events(events), enabled=enabled)
        return webhook_of(self._send("PATCH", f"{ROUTE}/{webhook_id}", json=asked))

    def delete(self, webhook_id: str) -> Webhook:
        """Delete a webhook, and what is kept of its messages."""
        return webhook_of(self._send("DELETE", f"{ROUTE}/{webhook_id}"))

    def rotate_secret(self, webhook_id: str, *, overlap_s: int | None = None, secret: str | None = None) -> Webhook:
        """Sign with another secret, and for some time, a day by default, with the old one too."""
        asked = _given(overlap_seconds=overlap_s, secret=secret)
        return webhook_of(self._send("POST", f"{ROUTE}/{webhook_id}/rotate-secret", json=asked))

    def deliveries(
        self, webhook_id: str, *, limit: int = 50, cursor: str | None = None, state: str | None = None
    ) -> WebhookDeliveryPage:
        """Return some messages to a webhook, newest first."""
        asked = _given(limit=str(limit), cursor=cursor, state=state)
        return deliveries_of(self._send("GET", f"{ROUTE}/{webhook_id}/deliveries", params=asked))

    def delivery(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Return a message, with each time that it was sent."""
        return delivery_of(self._send("GET", f"{ROUTE}/{webhook_id}/deliveries/{delivery_id}"))

    def redeliver(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Send a message anew, under the same id and with all its repeats."""
        return delivery_of(self._send("POST", f"{ROUTE}/{webhook_id}/deliveries/{delivery_id}/redeliver"))


class AsyncWebhooks:
    """The webhooks of the asynchronous client: the same as ``Webhooks``, awaited."""

    def __init__(self, send: Callable[..., Awaitable[httpx2.Response]]) -> None:
        self._send = send

    async def create(
        self,
        url: str,
        *,
        description: str | None = None,
        events: Sequence[str] | None = None,
        secret: str | None = None,
    ) -> Webhook:
        """Make a webhook: see ``Webhooks.create``."""
        asked = _given(url=url, description=description, events=_events(events), secret=secret)
        return webhook_of(await self._send("POST", ROUTE, json=asked))

    async def list(self, *, limit: int = 50, cursor: str | None = None) -> WebhookPage:
        """Return some webhooks, oldest first."""
        return webhooks_of(await self._send("GET", ROUTE, params=_given(limit=str(limit), cursor=cursor)))

    async def get(self, webhook_id: str) -> Webhook:
        """Return a webhook."""
        return webhook_of(await self._send("GET", f"{ROUTE}/{webhook_id}"))

    async def change(
        self,
        webhook_id: str,
        *,
        url: str | None = None,
        description: str | None = None,
        events: Sequence[str] | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is given."""
        asked = _given(url=url, description=description, events=_events(events), enabled=enabled)
        return webhook_of(await self._send("PATCH", f"{ROUTE}/{webhook_id}", json=asked))

    async def delete(self, webhook_id: str) -> Webhook:
        """Delete a webhook, and what is kept of its messages."""
        return webhook_of(await self._send("DELETE", f"{ROUTE}/{webhook_id}"))

    async def rotate_secret(
        self, webhook_id: str, *, overlap_s: int | None = None, secret: str | None = None
    ) -> Webhook:
        """Sign with another secret: see ``Webhooks.rotate_secret``."""
        asked = _given(overlap_seconds=overlap_s, secret=secret)
        return webhook_of(await self._send("POST", f"{ROUTE}/{webhook_id}/rotate-secret", json=asked))

    async def deliveries(
        self, webhook_id: str, *, limit: int = 50, cursor: str | None = None, state: str | None = None
    ) -> WebhookDeliveryPage:
        """Return some messages to a webhook, newest first."""
        asked = _given(limit=str(limit), cursor=cursor, state=state)
        return deliveries_of(await self._send("GET", f"{ROUTE}/{webhook_id}/deliveries", params=asked))

    async def delivery(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Return a message, with each time that it was sent."""
        return delivery_of(await self._send("GET", f"{ROUTE}/{webhook_id}/deliveries/{delivery_id}"))

    async def redeliver(self, webhook_id: str, delivery_id: str) -> WebhookDelivery:
        """Send a message anew, under the same id and with all its repeats."""
        return delivery_of(await self._send("POST", f"{ROUTE}/{webhook_id}/deliveries/{delivery_id}/redeliver"))

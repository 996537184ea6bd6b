"""What is told about webhooks and their messages: the fields that are named here, and no others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from uncrop.server.admin_wire import told

if TYPE_CHECKING:
    from datetime import datetime

    from uncrop.jobs.webhooks import LoggedDelivery
    from uncrop.model.webhooks import Attempt, Delivery, Webhook
    from uncrop.webhooks.endpoints import SecretTold

Json = dict[str, Any]


def webhook_json(webhook: Webhook) -> Json:
    """Return a webhook, without its secret."""
    return {
        "id": webhook.id,
        "organization_id": webhook.organization_id,
        "url": webhook.url,
        "description": webhook.description,
        "events": list(webhook.events),
        "enabled": webhook.enabled,
        "disabled_reason": webhook.disabled_reason,
        "disabled_at": _moment(webhook.disabled_at),
        "failing_since": _moment(webhook.failing_since),
        "delivered_at": _moment(webhook.delivered_at),
        "previous_secret_ends_at": _moment(webhook.previous_secret_ends_at),
        "created_at": told(webhook.created_at),
    }


def secret_json(known: SecretTold) -> Json:
    """Return a webhook at the only moment at which its secret is told."""
    return {**webhook_json(known.webhook), "secret": known.secret}


def delivery_json(delivery: Delivery) -> Json:
    """Return a message."""
    return {
        "id": delivery.id,
        "webhook_id": delivery.webhook_id,
        "job_id": delivery.job_id,
        "event": delivery.event,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "failure": delivery.failure,
        "created_at": told(delivery.created_at),
        "next_attempt_at": _moment(delivery.next_attempt_at),
        "ended_at": _moment(delivery.ended_at),
    }


def logged_json(logged: LoggedDelivery) -> Json:
    """Return a message, and each time that it was sent."""
    return {**delivery_json(logged.delivery), "log": [_attempt(attempt) for attempt in logged.attempts]}


def by_id(item: Webhook | Delivery) -> tuple[str]:
    """Return where an item stands in its list."""
    return (item.id,)


def _attempt(attempt: Attempt) -> Json:
    return {
        "number": attempt.number,
        "at": told(attempt.at),
        "status": attempt.status,
        "failure": attempt.failure,
        "duration_ms": attempt.duration_ms,
    }


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else told(moment)

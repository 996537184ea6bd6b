"""Webhooks and their messages in the OpenAPI document: what ``uncrop.server.webhooks_wire`` tells of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from uncrop.model import ORGANIZATION_ID
from uncrop.model.webhooks import DELIVERY_FAILURES, DELIVERY_STATES, JOB_EVENTS, DisabledReason
from uncrop.server import webhook_routes as at
from uncrop.server.json_bodies import SecretRotationBody, WebhookBody, WebhookChangesBody
from uncrop.server.openapi_operations import (
    COUNT,
    MOMENT,
    TEXT,
    Json,
    answers,
    body_of,
    in_path,
    in_query,
    list_of,
    sent,
)
from uncrop.server.openapi_picture import whole_object

if TYPE_CHECKING:
    from uncrop.server.json_bodies import Body

_MOMENT_OR_NULL: Json = {"type": ["string", "null"], "format": "date-time"}
_WHOSE = (
    "Needs the scope `images:write`, and then reaches what is the key's own organization's alone, or `admin`, for all. "
    "What is another organization's is answered like what is not there."
)
_PLACES = {
    "webhook_id": ("The webhook's `id`.", "whk_0199d0d0d0d05f0c1e2d"),
    "delivery_id": ("The message's `id`.", "msg_0199d0d0d0d05f0c1e2d3b4a59687716"),
}
BODIES: tuple[type[Body], ...] = (WebhookBody, WebhookChangesBody, SecretRotationBody)


@dataclass(frozen=True, kw_only=True)
class _Operation:
    """One operation; ``answer`` is a schema's name."""

    method: str
    path: str
    name: str
    summary: str
    answer: str
    status: int = 200
    body: type[Body] | None = None
    query: tuple[str, ...] = ()


_OPERATIONS = (
    _Operation(
        method="get",
        path=at.WEBHOOKS,
        name="listWebhooks",
        summary="Webhooks, oldest first",
        answer="WebhookList",
        query=("organization_id", "limit", "cursor"),
    ),
    _Operation(
        method="post",
        path=at.WEBHOOKS,
        name="createWebhook",
        summary="Make a webhook; its secret is told this once",
        answer="WebhookWithSecret",
        status=201,
        body=WebhookBody,
    ),
    _Operation(method="get", path=at.WEBHOOK, name="getWebhook", summary="A webhook", answer="Webhook"),
    _Operation(
        method="patch",
        path=at.WEBHOOK,
        name="changeWebhook",
        summary="Change a webhook",
        answer="Webhook",
        body=WebhookChangesBody,
    ),
    _Operation(
        method="delete",
        path=at.WEBHOOK,
        name="deleteWebhook",
        summary="Delete a webhook, and what is kept of its messages",
        answer="Webhook",
    ),
    _Operation(
        method="post",
        path=at.ROTATE_SECRET,
        name="rotateWebhookSecret",
        summary="Sign with another secret, and for some time with the old one too",
        answer="WebhookWithSecret",
        body=SecretRotationBody,
    ),
    _Operation(
        method="get",
        path=at.DELIVERIES,
        name="listWebhookDeliveries",
        summary="The messages to a webhook, newest first",
        answer="WebhookDeliveryList",
        query=("state", "limit", "cursor"),
    ),
    _Operation(
        method="get",
        path=at.DELIVERY,
        name="getWebhookDelivery",
        summary="A message, and each time that it was sent",
        answer="WebhookDeliveryWithLog",
    ),
    _Operation(
        method="post",
        path=at.REDELIVER,
        name="redeliverWebhookDelivery",
        summary="Send a message anew, under the same id and with all its repeats",
        answer="WebhookDeliveryWithLog",
        status=202,
    ),
)


def webhook_paths(parameters: list[Json]) -> Json:
    """Return the paths; ``parameters`` are those that every operation takes."""
    paths: Json = {}
    for operation in _OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation, parameters)
    return paths


def webhook_schemas() -> Json:
    """Return the schemas of what is sent and told."""
    webhook, delivery = _webhook(), _delivery()
    secret = {**TEXT, "description": "What messages are signed with. Nobody can find it out later."}
    log = {"type": "array", "items": _attempt(), "description": "Each time that it was sent, or tried to."}
    return {
        "Webhook": whole_object(webhook),
        "WebhookWithSecret": whole_object({**webhook, "secret": secret}),
        "WebhookList": list_of("Webhook"),
        "WebhookDelivery": whole_object(delivery),
        "WebhookDeliveryWithLog": whole_object({**delivery, "log": log}),
        "WebhookDeliveryList": list_of("WebhookDelivery"),
        **{body.__name__: sent(body) for body in BODIES},
    }


def _described(operation: _Operation, parameters: list[Json]) -> Json:
    placed = [in_path(name, _PLACES) for name in _PLACES if f"{{{name}}}" in operation.path]
    asked = [in_query(name, states=DELIVERY_STATES) for name in operation.query]
    body = operation.body
    described: Json = {
        "tags": ["webhooks"],
        "operationId": operation.name,
        "summary": operation.summary,
        "description": _WHOSE,
        "security": [{"XApiKey": []}, {"ApiKey": []}, {"Bearer": []}],
        "parameters": [*placed, *asked, *parameters],
        "responses": answers(
            operation.summary, operation.status, operation.answer, has_body=body is not None, found=True
        ),
    }
    if body is not None:
        described["requestBody"] = body_of(body, required=body is not SecretRotationBody)
    return described


def _webhook() -> Json:
    reasons = [*get_args(DisabledReason), None]
    return {
        "id": TEXT,
        "organization_id": {**TEXT, "pattern": f"^{ORGANIZATION_ID.pattern}$"},
        "url": TEXT,
        "description": {"type": ["string", "null"]},
        "events": {"type": "array", "items": {"type": "string", "enum": list(JOB_EVENTS)}},
        "enabled": {"type": "boolean"},
        "disabled_reason": {
            "type": ["string", "null"],
            "enum": reasons,
            "description": "`gone`: it answered 410. `failing`: it took nothing for as long as a message was repeated.",
        },
        "disabled_at": _MOMENT_OR_NULL,
        "failing_since": {**_MOMENT_OR_NULL, "description": "When a message was not taken, with none taken since."},
        "delivered_at": {**_MOMENT_OR_NULL, "description": "When a message was taken last."},
        "previous_secret_ends_at": {
            **_MOMENT_OR_NULL,
            "description": "Until when messages are signed with the secret before the present one too.",
        },
        "created_at": MOMENT,
    }


def _delivery() -> Json:
    return {
        "id": {**TEXT, "description": "As in the message's header `webhook-id`."},
        "webhook_id": TEXT,
        "job_id": TEXT,
        "event": {"type": "string", "enum": list(JOB_EVENTS)},
        "state": {"type": "string", "enum": list(DELIVERY_STATES)},
        "attempts": {**COUNT, "description": "How often it was sent, or tried to."},
        "failure": {**_failure(), "description": "Why it was not taken the last time."},
        "created_at": MOMENT,
        "next_attempt_at": _MOMENT_OR_NULL,
        "ended_at": _MOMENT_OR_NULL,
    }


def _attempt() -> Json:
    return whole_object(
        {
            "number": {"type": "integer", "minimum": 1},
            "at": MOMENT,
            "status": {"type": ["integer", "null"], "description": "Of the answer; null: there was none."},
            "failure": _failure(),
            "duration_ms": COUNT,
        }
    )


def _failure() -> Json:
    return {"type": ["string", "null"], "enum": [*DELIVERY_FAILURES, None]}

"""The Python client of the HTTP API.

>>> from uncrop.client import Client
>>> with Client("http://127.0.0.1:8000", api_key=key, organization_id="org_shop") as client:  # doctest: +SKIP
...     client.extend("photo.jpg", left=256, right=256).save("wide.jpg")

``AsyncClient`` is the same for an event loop. What is not passed is taken from ``UNCROP_URL``, ``UNCROP_KEY`` and
``UNCROP_ORGANIZATION``. Every failure is an ``ApiError``, with a class for each family.

A call is sent again only where nothing was begun: no connection came about, or the server said with 429 or 503 when to
come back. Whether a call that broke off was billed only the server's log can tell.
"""

from __future__ import annotations

from uncrop.client.answers import ExtendedPicture, ExtendedPictures, Failure
from uncrop.client.asynchronous import AsyncClient
from uncrop.client.errors import (
    ApiError,
    AuthenticationFailed,
    Busy,
    InvalidRequest,
    NoAnswer,
    ProviderFailed,
    RateLimited,
)
from uncrop.client.jobs import JobPage, JobStatus
from uncrop.client.retries import Retries
from uncrop.client.synchronous import Client
from uncrop.client.webhooks import Webhook, WebhookAttempt, WebhookDelivery, WebhookDeliveryPage, WebhookPage

__all__ = [
    "ApiError",
    "AsyncClient",
    "AuthenticationFailed",
    "Busy",
    "Client",
    "ExtendedPicture",
    "ExtendedPictures",
    "Failure",
    "InvalidRequest",
    "JobPage",
    "JobStatus",
    "NoAnswer",
    "ProviderFailed",
    "RateLimited",
    "Retries",
    "Webhook",
    "WebhookAttempt",
    "WebhookDelivery",
    "WebhookDeliveryPage",
    "WebhookPage",
]

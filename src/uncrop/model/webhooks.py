"""A webhook, an organization's own server that is told of its jobs, and what became of each message to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

if TYPE_CHECKING:
    from datetime import datetime

JobEvent: TypeAlias = Literal["job.done", "job.failed", "job.cancelled", "job.unknown"]
JOB_EVENTS: tuple[JobEvent, ...] = get_args(JobEvent)
"""One for each state in which a job ends."""

DisabledReason: TypeAlias = Literal["by_hand", "gone", "failing"]
"""``gone``: the receiver answered 410. ``failing``: it took nothing for as long as one message was repeated."""

DeliveryState: TypeAlias = Literal["waiting", "delivered", "failed"]
DELIVERY_STATES: tuple[DeliveryState, ...] = get_args(DeliveryState)

DeliveryFailure: TypeAlias = Literal[
    "status", "redirect", "gone", "timeout", "connection", "tls", "protocol", "address", "disabled", "secret"
]
DELIVERY_FAILURES: tuple[DeliveryFailure, ...] = get_args(DeliveryFailure)
"""Why a message was not taken.

``status``: an answer that is neither 2xx nor 3xx; ``redirect``: 3xx, which is never followed; ``gone``: 410;
``timeout``: no answer in time; ``connection``: none came about, or it was lost; ``tls``: the certificate is not the
host's, or not to be trusted; ``protocol``: what came is no HTTP, or too much of it; ``address``: the host cannot be
found, or may not be sent to; ``disabled``: the webhook was, by then; ``secret``: it cannot be decrypted here.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Webhook:
    """What may be told of a webhook.

    Attributes
    ----------
    url
        Where messages are sent.
    events
        Which, in the order of ``JOB_EVENTS``.
    previous_secret_ends_at
        Until when messages are signed with the secret before the present one too.
    delivered_at
        When a message was taken last.
    failing_since
        When a message was not taken, with none taken since.
    disabled_at, disabled_reason
        Since when and why nothing is sent; ``None`` where it is.
    """

    id: str
    organization_id: str
    url: str
    description: str | None
    events: tuple[JobEvent, ...]
    created_at: datetime
    previous_secret_ends_at: datetime | None
    delivered_at: datetime | None
    failing_since: datetime | None
    disabled_at: datetime | None
    disabled_reason: DisabledReason | None

    @property
    def enabled(self) -> bool:
        """Whether messages are sent."""
        return self.disabled_at is None


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One message to one webhook.

    Attributes
    ----------
    id
        The message's, in its header ``webhook-id``: the same however often it is sent.
    attempts
        How often it was sent, or tried to.
    tries
        How many of them since its repeats were begun, which a redelivery does anew.
    round
        Which entry of the queue is the present one; those before it do nothing any more.
    failure
        Of the last attempt, where it was one.
    """

    id: str
    webhook_id: str
    organization_id: str
    job_id: str
    event: JobEvent
    state: DeliveryState
    attempts: int
    tries: int
    round: int
    failure: DeliveryFailure | None
    created_at: datetime
    next_attempt_at: datetime | None
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """One time that a message was sent, or tried to.

    Attributes
    ----------
    number
        From 1.
    status
        Of the answer; ``None`` where there was none.
    failure
        Why it was not taken; ``None`` where it was.
    duration_ms
        Until it was known.
    """

    number: int
    at: datetime
    status: int | None
    failure: DeliveryFailure | None
    duration_ms: int

"""A picture that is made in the background: what is kept of it, and what is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from uncrop.model.claims import hold_id, hold_ids

if TYPE_CHECKING:
    from datetime import datetime

JobState: TypeAlias = Literal["queued", "running", "done", "failed", "cancelled", "unknown"]
JOB_STATES: tuple[JobState, ...] = get_args(JobState)
"""``unknown``: the worker died when a billed call may have been sent, so that it is not sent again."""
OPEN_STATES: tuple[JobState, ...] = ("queued", "running")
JOB_PREFIX = "job_"
"""What a job's id begins with; behind it are the digits of its claim, by which its holds are found."""
MOST_PICTURES = 4
"""Of one job, or of one request; the first holds of a job have their numbers."""
MOST_JOB_HOLDS = 256
"""Of one job: all its pictures by every provider that may be asked in turn, as often as it is tried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NewJob:
    """A job as it is submitted.

    Attributes
    ----------
    id
        ``job_`` and 32 hexadecimal digits, in the order of time.
    provider
        The name that was asked for.
    request
        The form's fields as JSON, without the files.
    accept
        How the answer shall be written: the submission's own ``Accept``.
    idempotency_key, fingerprint
        The caller's own name of the submission, and the SHA-256 digest of its contents; ``None`` where it has none.
    """

    id: str
    organization_id: str
    key_id: str | None
    provider: str
    request: str = field(repr=False)
    accept: str = ""
    idempotency_key: str | None = None
    fingerprint: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class BackgroundJob:
    """What is known of one job.

    Attributes
    ----------
    attempt
        How often a worker has begun it.
    deaths
        How often one has begun it and not come back.
    calls_sent
        Billed calls that may have reached a provider.
    fraction
        How far the provider is, 0 to 1; ``None`` before it says anything.
    result_bytes
        Length of the result; ``None`` where there is none, or no longer.
    error
        Why there will be no picture, as JSON; ``None`` otherwise.
    """

    id: str
    organization_id: str
    key_id: str | None
    provider: str
    request: str = field(repr=False)
    accept: str
    state: JobState
    attempt: int
    deaths: int
    calls_sent: int
    stage: str | None
    fraction: float | None
    result_bytes: int | None
    error: str | None
    fingerprint: bytes | None
    created_at: datetime
    started_at: datetime | None
    cancel_requested_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime | None

    @property
    def is_open(self) -> bool:
        """Whether it may still become something."""
        return self.state in OPEN_STATES


def job_hold_id(job_id: str, number: int) -> str:
    """Return the id of a job's hold, by its number from 0."""
    return hold_id(job_id.removeprefix(JOB_PREFIX), number)


def job_hold_ids(job_id: str) -> tuple[str, ...]:
    """Return the ids that the holds of a job can have."""
    return hold_ids(job_id.removeprefix(JOB_PREFIX), MOST_JOB_HOLDS)

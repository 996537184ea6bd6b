"""Batches: many photos that one command has made, and what is kept of each."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

# planning: its photos are looked at, and nothing is made. open: they are made by whoever works on the queue. stopped:
# its command was interrupted, and nobody works on it until it is given again. ended: nothing is left to do.
BatchState: TypeAlias = Literal["planning", "open", "stopped", "ended"]
PhotoState: TypeAlias = Literal["queued", "running", "done", "skipped", "failed", "unknown"]
PHOTO_STATES: tuple[PhotoState, ...] = get_args(PhotoState)
"""``unknown``: a billed call may have been sent and nobody knows what became of it, so that it is not sent again."""
OPEN_PHOTO_STATES: tuple[PhotoState, ...] = ("queued", "running")


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """One batch: all that is made into one place.

    Attributes
    ----------
    id
        32 hexadecimal digits, a digest of the place.
    place
        A folder or ``s3://bucket/prefix``.
    organization_id
        Whom the books tell of it.
    round
        How often a command has begun or resumed it.
    max_usd_micro
        What it may spend, in millionths of a dollar; ``None``: there is no such limit.
    usd_micro
        What it has spent, and what its calls under way may cost.
    """

    id: str
    place: str
    organization_id: str
    state: BatchState
    round: int
    max_usd_micro: int | None
    usd_micro: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PlannedPhoto:
    """A photo as a command names it.

    Attributes
    ----------
    source, output
        The photo, and the name of its picture below the batch's place.
    request
        What is asked, as ``uncrop.jobs.requests.to_text`` writes it.
    billed
        Whether somebody may be billed for it.
    usd_micro
        What one call of it is expected to cost; ``None``: it is not known.
    state
        ``queued``, ``skipped`` or ``failed``.
    error
        Why it is skipped or failed, as JSON.
    replace
        Whether a file that is there may be replaced.
    """

    source: str
    output: str
    request: str = field(repr=False)
    billed: bool
    usd_micro: int | None = None
    calls_planned: int = 0
    state: PhotoState = "queued"
    error: str | None = None
    replace: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchPhoto:
    """What is known of a photo of a batch.

    Attributes
    ----------
    number
        Within the batch, from 1.
    attempt
        How often a worker has begun it.
    deaths
        How often one has begun it and not come back.
    calls_sent
        Billed calls that may have reached a provider.
    claim_id
        By which its holds in the books are found: ``uncrop.model.claims.hold_ids``.
    provider, width, height, seed, confidence, calls, usd_micro, sha256, bytes, milliseconds
        Of its picture, once it is made.
    error
        Why there is none, as JSON.
    """

    batch_id: str
    number: int
    source: str
    output: str
    request: str = field(repr=False)
    billed: bool
    price_usd_micro: int | None
    calls_planned: int
    replace: bool
    round: int
    state: PhotoState
    attempt: int = 0
    deaths: int = 0
    calls_sent: int = 0
    claim_id: str | None = None
    provider: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    confidence: float | None = None
    calls: int | None = None
    usd_micro: int | None = None
    sha256: str | None = None
    bytes: int | None = None
    milliseconds: int | None = None
    error: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may still become something."""
        return self.state in OPEN_PHOTO_STATES

    def temporary(self, attempt: int | None = None) -> str:
        """Return the name under which an attempt writes its picture before it is certain that it counts."""
        folder, _, _ = self.output.rpartition("/")
        name = f".uncrop-{self.batch_id[:8]}-{self.number}-{attempt or self.attempt}.part"
        return f"{folder}/{name}" if folder else name


@dataclass(frozen=True, kw_only=True, slots=True)
class PhotoEnding:
    """How a photo ends; the fields as in ``BatchPhoto``."""

    state: PhotoState
    provider: str | None = None
    width: int | None = None
    height: int | None = None
    seed: int | None = None
    confidence: float | None = None
    calls: int | None = None
    usd_micro: int | None = None
    sha256: str | None = None
    bytes: int | None = None
    milliseconds: int | None = None
    error: str | None = None

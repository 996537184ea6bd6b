"""Keys of requests that may be carried out once: what is kept of each, and where it stands."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from datetime import datetime

# free: nothing was made, nothing was paid, and nobody is at it. running: somebody is at it, as far as is known.
# abandoned: whoever was at it died, and what it held is still held. unknown: it is not known whether a call is billed.
# answered: the answer is kept. lost: something was paid, and there is no answer.
Standing: TypeAlias = Literal["free", "running", "abandoned", "unknown", "answered", "lost"]

MOST_HOLDS = 64
"""Of one request: 4 pictures by every provider that may be asked in turn."""
CLAIM_DIGITS = 32
"""Of a claim's id, which are hexadecimal; each of its holds has them first in its own id."""


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptAnswer:
    """What is kept of an answer in the database; its body is the object of that name."""

    status: int
    headers: tuple[tuple[str, str], ...]
    object_name: str
    size: int


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyedRequest:
    """One request under a key.

    Attributes
    ----------
    claim_id
        Of this request; another one with the same key has another.
    fingerprint
        SHA-256 of what was asked.
    standing
        Where it stands.
    answer
        Where one is kept.
    lease_until
        Until when whoever carries it out is taken to be alive.
    """

    organization_id: str
    key: str = field(repr=False)
    claim_id: str
    fingerprint: bytes = field(repr=False)
    standing: Standing
    lease_until: datetime
    answer: KeptAnswer | None = None


def hold_ids(claim_id: str, most: int = MOST_HOLDS) -> tuple[str, ...]:
    """Return the ids that the holds of a claim can have."""
    return tuple(hold_id(claim_id, number) for number in range(most))


def hold_id(claim_id: str, number: int) -> str:
    """Return the id of a claim's hold, by its number from 0."""
    return f"{claim_id}.{number}"

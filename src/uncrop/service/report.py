"""What becomes known about one request while it is worked on; filled in by the service, read by the front."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable, Mapping, Sequence

    from uncrop.errors import RateLimitState
    from uncrop.model import Caller, PictureFacts, StageTime
    from uncrop.service.pictures import MadePictures


@dataclass(frozen=True, kw_only=True, slots=True)
class Attempt:
    """A provider that was asked for a picture and did not make it: the error's code and its text for the caller."""

    provider: str
    code: str
    message: str

    def to_json(self) -> dict[str, str]:
        """Return it as answers and the log tell it."""
        return asdict(self)


@dataclass(frozen=True, kw_only=True, slots=True)
class RunEnd:
    """How one run of the flow ended: one picture by one provider, made or not.

    Attributes
    ----------
    provider
        Who was asked.
    outcome
        ``OK``, ``CANCELLED`` or the error's code.
    stages
        How long each stage took.
    billed_calls
        How many calls that may be billed have reached the provider.
    facts
        What the provider said, of a picture that was made.
    """

    provider: str
    outcome: str
    stages: Sequence[StageTime] = ()
    billed_calls: int = 0
    facts: PictureFacts | None = None


@dataclass(kw_only=True, slots=True)
class RunReport:
    """Notes about one request.

    Attributes
    ----------
    arrived
        When the first byte of the request arrived, on the clock of ``time.monotonic``.
    address
        From where, as the connection says; a proxy's where one stands in front.
    left
        Done when whoever asked has left; ``None`` where that is not known.
    caller
        Who asked, once that is known.
    rate
        Where the organization stands with its requests a minute.
    provider
        Who was asked to make the picture, the last of several: a name of the registry, ``auto`` before one is chosen,
        ``all`` for a quote, or ``unknown``.
    tried
        Who was asked before, for the provider ``auto``, and did not make it.
    stages
        How long each stage took.
    billed_calls
        How many calls that may be billed have reached the provider.
    made
        The pictures, once they are made.
    replayed
        Whether the answer was kept from an earlier request with the same key.
    """

    arrived: float = field(default_factory=time.monotonic)
    address: str = ""
    left: asyncio.Future[None] | None = None
    caller: Caller | None = None
    rate: RateLimitState | None = None
    provider: str | None = None
    tried: Sequence[Mapping[str, str]] = ()
    stages: Iterable[StageTime] = ()
    billed_calls: int = 0
    made: MadePictures | None = None
    replayed: bool = False

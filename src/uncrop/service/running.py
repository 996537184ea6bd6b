"""The requests that are worked on: how far each is, for whoever sent it, and the way to end it."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from uncrop.providers.commitment import Commitment

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from uncrop.model import Caller, Progress

StageName: TypeAlias = Literal["upload", "intake", "admission", "provider", "finish", "encode"]
STAGES: tuple[StageName, ...] = get_args(StageName)
"""What is done with a request, in turn; ``admission`` is the wait for a turn."""
_TURN: StageName = "admission"


def _tell_nobody() -> None:
    pass


@dataclass(kw_only=True, slots=True)
class RunningRequest:
    """One request that is being worked on.

    Attributes
    ----------
    request_id
        The caller's own id of the request.
    stage
        What is done with it now; of several pictures, with the one of which something was told last.
    step
        What the provider does, in its own words; ``None`` before it says anything.
    commitment
        What its calls have done.
    asks_for_turn
        Called when it begins to wait for its turn.
    """

    request_id: str
    clock: Callable[[], float] = time.monotonic
    stage: str = STAGES[0]
    step: str | None = None
    commitment: Commitment = field(default_factory=Commitment)
    asks_for_turn: Callable[[], None] = _tell_nobody
    _started: float = field(init=False)
    _fractions: dict[int, float] = field(default_factory=dict)
    _cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._started = self.clock()

    def begin(self, stage: str) -> None:
        """Note that a stage begins."""
        self.stage = stage
        if stage == _TURN:
            self.asks_for_turn()

    def progress_of(self, number: int) -> Progress:
        """Return what is told how far one of the pictures is, by its number."""
        self._fractions[number] = 0.0

        def tell(fraction: float, step: str) -> None:
            self._fractions[number] = min(1.0, max(0.0, fraction))
            self.step = step

        return tell

    @property
    def fraction(self) -> float | None:
        """How far the providers are with all pictures, from 0 to 1; ``None`` before they say anything."""
        if self.step is None:
            return None
        fractions = tuple(self._fractions.values())
        return sum(fractions) / len(fractions)

    @property
    def cancelled(self) -> bool:
        """Whether ``cancel`` has been called."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End the work as if the caller had left, who is still there to be told."""
        self._cancelled.set()

    async def unwanted(self, left: Coroutine[Any, Any, None]) -> None:
        """Return when the caller has left or has cancelled the request."""
        waiting = {asyncio.create_task(left), asyncio.create_task(self._until_cancelled())}
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    async def _until_cancelled(self) -> None:
        await self._cancelled.wait()

    def to_json(self) -> dict[str, Any]:
        """Return it as the API tells it."""
        fraction = self.fraction
        return {
            "request_id": self.request_id,
            "running": True,
            "stage": self.stage,
            "step": self.step,
            "progress": None if fraction is None else round(fraction, 3),
            "elapsed_seconds": round(self.clock() - self._started, 3),
            "calls_billed": self.commitment.billed_calls,
            "cancelled": self.cancelled,
        }


def not_running(request_id: str) -> dict[str, Any]:
    """Return what the API tells of a request that is not being worked on."""
    return {
        "request_id": request_id,
        "running": False,
        "stage": None,
        "step": None,
        "progress": None,
        "elapsed_seconds": None,
        "calls_billed": 0,
        "cancelled": False,
    }


class RunningRequests:
    """Those of one server that their callers have named, by organization and id."""

    def __init__(self) -> None:
        self._running: dict[tuple[str | None, str], RunningRequest] = {}

    @contextmanager
    def note(self, caller: Caller, request_id: str) -> Iterator[RunningRequest]:
        """Note a request for as long as the block lasts. Of two with the same id, the later one is found."""
        running, key = RunningRequest(request_id=request_id), (caller.organization_id, request_id)
        if request_id:
            self._running[key] = running
        try:
            yield running
        finally:
            if self._running.get(key) is running:
                del self._running[key]

    def find(self, caller: Caller, request_id: str) -> RunningRequest | None:
        """Return a caller's request; ``None`` for one that has not begun, is done, or is another organization's."""
        return self._running.get((caller.organization_id, request_id))

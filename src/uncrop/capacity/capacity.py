"""All of it in one object, which is made once and handed to those who use a part."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import anyio

from uncrop.capacity.bodies import BodyBudget
from uncrop.capacity.fair_queue import FairQueue
from uncrop.capacity.pixel_memory import PixelMemory
from uncrop.capacity.slots import Slots
from uncrop.capacity.unpacking import Unpacking

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.errors import UncropError

BODY_MEMORY = 512_000_000
THREADS = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """What the machine has room for.

    Attributes
    ----------
    slots
        Requests that are worked on, and that wait for it.
    memory
        Bytes of decoded pixels; ``None``: no bound.
    engine
        Pictures of the local engine that are worked on at once, one more than it has processes, so that the next one
        is decoded meanwhile; ``None``: no bound.
    bodies
        Bytes of bodies, of requests and of answers that are being sent.
    threads
        Pictures that are decoded, finished or encoded at once.
    unpacking
        Answers that are unpacked at once: one more than there are threads, so that none is idle while the next answer
        is handed over.
    """

    slots: Slots
    memory: PixelMemory | None = None
    engine: FairQueue | None = None
    bodies: BodyBudget = field(default_factory=lambda: BodyBudget(BODY_MEMORY))
    threads: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(THREADS))
    unpacking: Unpacking = field(default_factory=lambda: Unpacking(THREADS + 1))

    @property
    def closed(self) -> bool:
        """Whether ``close`` has been called."""
        return self.slots.closed

    def close(self, refusal: Callable[[], UncropError]) -> None:
        """Refuse all who wait for a slot, memory or the engine, and all who come; who has all of it keeps it."""
        for part in (self.slots, self.memory, self.engine):
            if part is not None:
                part.close(refusal)

    def figures(self) -> dict[str, int]:
        """Return how much of each part is in use, for the metrics."""
        return {
            "running": self.slots.running,
            "waiting": self.slots.waiting,
            "engine": 0 if self.engine is None else self.engine.held,
            "pixel_bytes": 0 if self.memory is None else self.memory.held,
            "body_bytes": self.bodies.held,
            "threads": self.threads.borrowed_tokens,
            "unpacking": self.unpacking.taken,
        }

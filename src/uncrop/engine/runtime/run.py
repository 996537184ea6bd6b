"""What every step of one extension shares."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.engine.runtime.thread_pool import ThreadPool


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One extension: its threads, its progress and deadline, the seed of its random numbers, and the shared candidates.

    ``kept`` holds candidates by prior and seed; None where nothing is kept for another picture.
    """

    pool: ThreadPool
    monitor: ProgressMonitor
    seed: int
    kept: dict[Any, Any] | None = None

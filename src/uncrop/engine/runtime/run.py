"""What every step of one extension shares."""

from __future__ import annotations

from dataclasses import dataclass

from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.engine.runtime.thread_pool import ThreadPool


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One extension: its threads, its progress and deadline, and the seed of its random numbers."""

    pool: ThreadPool
    monitor: ProgressMonitor
    seed: int

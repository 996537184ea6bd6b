"""Compiles every kernel by extending a small generated picture."""

from __future__ import annotations

import time

import numpy as np

from uncrop.engine.pipeline import run
from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.model import Sides


def compile_all_kernels() -> None:
    """Extend one small picture of several levels, which calls every kernel."""
    monitor = ProgressMonitor(progress=None, deadline=None, clock=time.monotonic)
    ramp = np.arange(96 * 96 * 3, dtype=np.uint32).reshape(96, 96, 3)
    picture = (ramp * 2654435761 >> 24).astype(np.uint8)
    run(picture, Sides(left=300), seed=0, quality="standard", monitor=monitor, threads=1)

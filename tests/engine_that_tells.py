"""A stand-in for ``engine_runner.compute`` that workers find under its name."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from uncrop.workers import engine_runner

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.engine import Extension

PIPE = "worker"


def compute(cache: Path, deadline: float, *wishes: object) -> Extension:
    """Begin with the real engine, tell the pipe beside the kernels which process this is, and stay there."""

    def tell(_fraction: float, step: str) -> None:
        if step == "candidates":
            (cache.parent / PIPE).write_text(str(os.getpid()))
            threading.Event().wait()

    return engine_runner.compute(cache, deadline, *wishes, tell)  # type: ignore[arg-type]

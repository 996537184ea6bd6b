"""Between two steps: tell how far the work is, and stop when its time is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from uncrop.errors import ProviderTimeout


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressMonitor:
    """The caller's wishes about time: a progress callback that may raise, and a deadline on a clock."""

    progress: Callable[[float, str], None] | None
    deadline: float | None
    clock: Callable[[], float]

    def check(self) -> None:
        """Raise ProviderTimeout when the deadline has passed."""
        if self.deadline is not None and self.clock() > self.deadline:
            raise ProviderTimeout("The local engine did not finish in time")

    def step(self, fraction: float, name: str) -> None:
        """Check the deadline, then report that ``fraction`` of the work is done and ``name`` begins."""
        self.check()
        if self.progress is not None:
            self.progress(fraction, name)

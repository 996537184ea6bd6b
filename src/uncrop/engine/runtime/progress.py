"""Progress and deadline: both are looked after between two steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from uncrop.errors import ProviderTimeout


@dataclass(frozen=True, kw_only=True, slots=True)
class ProgressMonitor:
    """What the caller wants to know, and how long it waits.

    Attributes
    ----------
    progress
        Called with the fraction that is done and the name of the step that begins; may raise to cancel the work.
    deadline
        A time on ``clock``, in seconds; None for no deadline.
    clock
        Returns seconds from any origin.
    """

    progress: Callable[[float, str], None] | None
    deadline: float | None
    clock: Callable[[], float]

    def check(self) -> None:
        """Raise ProviderTimeout when the deadline has passed."""
        if self.deadline is not None and self.clock() > self.deadline:
            raise ProviderTimeout("The local engine did not finish in time")

    def step(self, fraction: float, name: str) -> None:
        """Check the deadline, then report that ``fraction`` of the work is done and that the step ``name`` begins."""
        self.check()
        if self.progress is not None:
            self.progress(fraction, name)

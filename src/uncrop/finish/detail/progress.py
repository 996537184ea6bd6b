"""How long the detail may take, and who is told how far it is."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncrop.model import Progress

STEP = "drawing detail"


class Late(Exception):
    """The time is over, or nobody waits any more; what was made stays as it is."""


def nobody_left() -> bool:
    """Tell that whoever wants the picture is still there."""
    return False


@dataclass(frozen=True, kw_only=True, slots=True)
class Pace:
    """By when detail must be drawn, and with how many threads.

    Attributes
    ----------
    threads
        How many bands are worked on at once; as many as there are processors, when absent. The pixels do not depend on
        it.
    deadline
        A time on ``clock``, in seconds, after which what was made stays as it is.
    clock
        Returns seconds from any origin.
    left
        Tells whether nobody wants the picture any more.
    progress
        Told that the provider's part is done, and the step's name, before each band of rows and in any thread; what it
        raises ends the work.
    """

    threads: int | None = None
    deadline: float = math.inf
    clock: Callable[[], float] = time.monotonic
    left: Callable[[], bool] = nobody_left
    progress: Progress | None = None

    def check(self) -> None:
        """Look after the time and the caller, before each band of rows: raise ``Late`` when either is gone."""
        if self.left() or self.clock() > self.deadline:
            raise Late
        if self.progress is not None:
            self.progress(1.0, STEP)

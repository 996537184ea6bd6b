"""Ctrl-C while pictures are made: answered at once, whatever the work is in the middle of."""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from uncrop.cli.exits import INTERRUPTED, note

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

# For how long what was begun may end by itself: a provider is told that its work is not wanted any more. The engine,
# which looks up between its steps alone, takes seconds at 12 megapixels and is left where it is.
GRACE_S = 0.1


@contextmanager
def ends_on_interrupt(says: str, before: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Within this, let Ctrl-C say so and end the process soon, with what works in other threads.

    There must be nothing that has to be cleared away: what the process holds is gone with it.

    Parameters
    ----------
    says
        The line that is printed.
    before
        Called before it, to clear the terminal's line.
    """
    in_main = threading.current_thread() is threading.main_thread()
    # What a shell starts in the background ignores interrupts from birth, and shall go on doing so.
    if not in_main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return

    def end(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        before()
        note(says)
        killer = threading.Timer(GRACE_S, _end_now)
        killer.daemon = True
        killer.start()
        raise KeyboardInterrupt

    usual = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        if signal.getsignal(signal.SIGINT) is end:
            signal.signal(signal.SIGINT, usual)


def _end_now() -> None:
    with suppress(OSError, ValueError):  # whoever reads it may be gone
        sys.stdout.flush()
    os._exit(INTERRUPTED)

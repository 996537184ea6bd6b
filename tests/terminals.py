"""What a process writes to a terminal."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def read_terminal(ours: int, seen: Callable[[bytes], None] = lambda _written: None) -> bytes:
    """Read our end of a pseudo-terminal until the other one is closed, and close it too.

    ``seen`` is told all that was written so far, each time that there is more.
    """
    written = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # the other end of a terminal was closed
            piece = b""
        if not piece:
            os.close(ours)
            return written
        written += piece
        seen(written)

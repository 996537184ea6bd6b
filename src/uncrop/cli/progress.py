"""A bar on the terminal while pictures are made; it leaves no trace."""

from __future__ import annotations

import shutil
import threading
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from types import TracebackType

    from uncrop.model import Progress

WIDTH = 30


class Bar:
    """Draws how far the work is on a stream, in one line, and wipes it off at the end; nothing where nobody would see.

    Parameters
    ----------
    stream
        Where to draw.
    label
        What is worked on, where there are several things to do.
    """

    def __init__(self, stream: TextIO, label: str = "") -> None:
        self._stream = stream
        self._label = label
        self._drawn = 0
        self._ended = False
        self._lock = threading.RLock()

    def __enter__(self) -> Progress | None:
        return self.draw if self._stream.isatty() else None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.wipe()

    def draw(self, fraction: float, step: str) -> None:
        """Draw, in any thread, that ``fraction`` is done and ``step`` begins."""
        line = bar(fraction, step, self._label)[: shutil.get_terminal_size().columns - 1]
        with self._lock:
            if not self._ended:
                self._write("\r" + line.ljust(self._drawn))
                self._drawn = len(line)

    def wipe(self) -> None:
        """Wipe off what was drawn, and draw no more."""
        with self._lock:
            if self._drawn:
                self._write("\r" + " " * self._drawn + "\r")
            self._drawn, self._ended = 0, True

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()


def bar(fraction: float, step: str, label: str = "") -> str:
    """Draw the bar as a line of text."""
    done = int(fraction * WIDTH)
    return f"uncrop: {label}[{'#' * done}{'.' * (WIDTH - done)}] {fraction:4.0%}  {step}"

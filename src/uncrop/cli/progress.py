"""A bar on the terminal while the engine works; it leaves no trace."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uncrop.model import Progress

WIDTH = 30


@contextmanager
def progress_on(stream: TextIO) -> Iterator[Progress | None]:
    """Give what draws a bar on ``stream``, and wipe the bar off at the end; ``None`` where nobody would see it."""
    if not stream.isatty():
        yield None
        return
    drawn = 0

    def draw(fraction: float, step: str) -> None:
        nonlocal drawn
        line = bar(fraction, step)[: shutil.get_terminal_size().columns - 1]
        stream.write("\r" + line.ljust(drawn))
        stream.flush()
        drawn = len(line)

    try:
        yield draw
    finally:
        stream.write("\r" + " " * drawn + "\r")
        stream.flush()


def bar(fraction: float, step: str) -> str:
    """Draw the bar as a line of text."""
    done = int(fraction * WIDTH)
    return f"uncrop: [{'#' * done}{'.' * (WIDTH - done)}] {fraction:4.0%}  {step}"

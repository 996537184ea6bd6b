"""How far a worker is, told through a named pipe: a worker process answers only once, at its end."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uncrop.model import Progress

_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class ProgressPipe:
    """A named pipe that is open for reading in this process.

    Attributes
    ----------
    path
        Where a worker opens it.
    """

    path: str
    _descriptor: int

    async def listen(self, progress: Progress) -> None:
        """Tell ``progress`` whatever the worker tells, until cancelled. What ``progress`` raises is raised."""
        unread = b""
        while True:
            await anyio.wait_readable(self._descriptor)
            *lines, unread = (unread + os.read(self._descriptor, _READ_BYTES)).split(b"\n")
            for line in lines:
                fraction, _, step = line.decode().partition(" ")
                progress(float(fraction), step)


@contextmanager
def progress_pipe() -> Iterator[ProgressPipe]:
    """Make a pipe, in a folder that only this user can enter, for as long as the block lasts.

    Raises
    ------
    OSError
        None can be made here.
    """
    with tempfile.TemporaryDirectory(prefix="uncrop-progress-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "pipe"
        os.mkfifo(path, 0o600)
        # Open for writing too: without any writer, it would count as readable all the time.
        descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        try:
            yield ProgressPipe(str(path), descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def progress_through(path: str) -> Iterator[Progress]:
    """Give what tells through a pipe how far this process is.

    Nobody may listen any more, or not quickly enough; then the work goes on and says nothing.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)

    def tell(fraction: float, step: str) -> None:
        try:
            os.write(descriptor, f"{fraction:.4f} {step}\n".encode())
        except (BlockingIOError, BrokenPipeError):
            return

    try:
        yield tell
    finally:
        os.close(descriptor)

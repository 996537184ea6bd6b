"""What workers tell through a named pipe."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import anyio.lowlevel
import pytest

from uncrop.workers.progress_pipe import progress_pipe, progress_through


class Enough(Exception):
    """Raised by whoever is told."""


async def test_what_is_told_at_one_end_comes_out_at_the_other() -> None:
    told: list[tuple[float, str]] = []

    def note(fraction: float, step: str) -> None:
        told.append((fraction, step))
        if fraction == 1:
            raise Enough

    with progress_pipe() as pipe, progress_through(pipe.path) as tell:
        tell(0.25, "level 3")
        tell(1, "done")
        with pytest.raises(Enough):
            await pipe.listen(note)
    assert told == [(0.25, "level 3"), (1.0, "done")]


async def test_what_comes_in_pieces_is_put_together() -> None:
    told: list[tuple[float, str]] = []
    with progress_pipe() as pipe:
        descriptor = os.open(pipe.path, os.O_WRONLY)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(pipe.listen, lambda fraction, step: told.append((fraction, step)))
            for piece in (b"0.5 se", b"ams\n0.7", b" write\n"):
                os.write(descriptor, piece)
                await anyio.wait_all_tasks_blocked()
            while len(told) < 2:
                await anyio.lowlevel.checkpoint()
            tasks.cancel_scope.cancel()
        os.close(descriptor)
    assert told == [(0.5, "seams"), (0.7, "write")]


def test_who_is_not_listened_to_works_on() -> None:
    with progress_pipe() as pipe, progress_through(pipe.path) as tell:
        # More than a pipe holds.
        for _ in range(100_000):
            tell(0.5, "a step with a long name")
    with progress_pipe() as pipe:
        gone = progress_through(pipe.path)
        tell = gone.__enter__()
    tell(0.5, "after the reader")
    gone.__exit__(None, None, None)


def test_the_pipe_is_for_this_user_and_leaves_nothing() -> None:
    with progress_pipe() as pipe:
        path = Path(pipe.path)
        assert path.is_fifo()
        assert path.parent.stat().st_mode & 0o777 == 0o700
    assert not path.parent.exists()

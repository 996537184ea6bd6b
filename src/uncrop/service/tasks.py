"""Who leaves ends the own work, but never a call that somebody will be billed for."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

from uncrop.errors import UncropError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

    from uncrop.providers.commitment import Commitment

T = TypeVar("T")
_log = structlog.stdlib.get_logger("uncrop.service")


class CallerLeft(Exception):
    """The one who asked has left; whatever comes of the work reaches nobody."""


@contextmanager
def while_there(left: asyncio.Future[None] | None) -> Iterator[None]:
    """End what the block waits for as soon as whoever asked has left; for what may be cut off anywhere.

    Parameters
    ----------
    left
        Done when that one has left; ``None``: nobody knows.

    Raises
    ------
    CallerLeft
    """
    task = asyncio.current_task()
    if left is None or task is None:
        yield
        return
    if left.done():
        raise CallerLeft
    inside, told = True, False

    def end(_left: asyncio.Future[None]) -> None:
        nonlocal told
        if inside:  # it may have been called for before the block was left
            told = task.cancel()

    left.add_done_callback(end)
    try:
        yield
    except asyncio.CancelledError as error:
        if told and not task.uncancel():
            raise CallerLeft from error
        raise
    finally:
        inside = False
        left.remove_done_callback(end)


class BackgroundTasks:
    """The tasks that make pictures. They belong to the service, so that no request's end takes them along.

    Shielding a task from the request's cancellation would not do: cancel scopes reach through ``asyncio.shield``.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def attend(self, work: Coroutine[Any, Any, T], commitment: Commitment, left: Coroutine[Any, Any, None]) -> T:
        """Wait for the work as long as the one who asked does.

        When that one leaves, or is cancelled, work whose billed call may have been sent goes on by itself and is
        booked; all other work is cancelled.

        Parameters
        ----------
        work
            Makes the picture.
        commitment
            What the work's calls have done.
        left
            Returns when the one who asked has left.

        Raises
        ------
        CallerLeft
        """
        task = self.start(work)
        leaving = asyncio.create_task(left)
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await task
            raise CallerLeft
        finally:
            leaving.cancel()
            if not task.done() and commitment.abandon():
                task.cancel()

    def cancel(self) -> None:
        """End all work at once."""
        for task in self._tasks:
            task.cancel()

    async def drain(self) -> None:
        """Wait for work that goes on without anybody who waits; it ends by its provider's deadline at the latest."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin work that ``cancel`` ends and ``drain`` waits for."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Looked at here, so that the error of a task that nobody waits for is not reported as forgotten.
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, UncropError):
            _log.error("work failed", error_type=type(error).__name__)

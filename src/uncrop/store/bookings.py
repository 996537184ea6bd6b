"""Work that must be seen through although the request it belongs to is told to stop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import structlog

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Bookings:
    """Runs short pieces of work in tasks of its own, which no cancellation of a request reaches.

    A shield alone would not do: a cancel scope of anyio cancels every further ``await`` of the request, and a task that
    nobody holds may be collected as garbage. Nor would letting go: a database call that is cut off leaves a connection
    in an unknown state, and on SQLite a lock that everyone then waits for (5 s, measured with aiosqlite 0.22).
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def see_through(
        self,
        work: Coroutine[Any, Any, T],
        *,
        undo: Callable[[], Coroutine[Any, Any, object]] | None = None,
        unless: Callable[[asyncio.Task[T]], bool] = lambda _task: False,
    ) -> T:
        """Wait for the work; if told to stop, stop waiting and let it finish.

        Parameters
        ----------
        work
            What is to be done.
        undo
            Called once the work is over if its result could not be handed to the caller.
        unless
            Tells whether the work has not begun yet; then it is given up.
        """
        task = self._start(work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if unless(task):
                task.cancel()
            self._start(_finish_alone(task, undo))
            raise

    async def drain(self) -> None:
        """Wait until everything has finished; call it before what the work needs is closed."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _finish_alone(task: asyncio.Task[T], undo: Callable[[], Coroutine[Any, Any, object]] | None) -> None:
    # Nobody waits for these two any more, so their failures would be seen by nobody.
    await _logged(task)
    if undo is not None:
        await _logged(asyncio.ensure_future(undo()))


async def _logged(task: asyncio.Future[Any]) -> None:
    await asyncio.wait([task])
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("failed after its request was stopped", exc_info=error)

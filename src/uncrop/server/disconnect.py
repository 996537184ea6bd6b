"""A client that leaves ends its own work, but never a call that somebody will be billed for."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeVar

import structlog
from starlette.requests import ClientDisconnect

from uncrop.errors import UncropError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from starlette.types import Receive

    from uncrop.providers.base import Flight

T = TypeVar("T")
_log = structlog.stdlib.get_logger("uncrop.server")


class Works:
    """The tasks that make pictures. They belong to the app, so that no request's end takes them along.

    Shielding a task from the request's cancellation would not do: cancel scopes reach through ``asyncio.shield``.
    """

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def attend(self, work: Coroutine[Any, Any, T], flight: Flight, receive: Receive) -> T:
        """Wait for the work as long as the client does.

        When the client leaves, or the request is cancelled, work whose billed call may have been sent goes on by
        itself and is booked; all other work is cancelled.

        Parameters
        ----------
        work
            Makes the picture.
        flight
            The call that the work sends.
        receive
            The request's messages; its body has been read.

        Raises
        ------
        ClientDisconnect
            The client left.
        """
        task = self._start(work)
        leaving = asyncio.create_task(_left(receive))
        try:
            await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return await task
            raise ClientDisconnect
        finally:
            leaving.cancel()
            if not task.done() and flight.abandon():
                task.cancel()

    async def drain(self) -> None:
        """Wait for the work that goes on without a client; it ends by its provider's deadline at the latest."""
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        # Looked at here, so that the error of a task that nobody waits for is not reported as forgotten.
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, UncropError):
            _log.error("work failed", error_type=type(error).__name__)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

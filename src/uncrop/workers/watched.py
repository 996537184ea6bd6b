"""Work that something watches: it ends with the work, and what it raises ends the work."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


async def watched(work: Callable[[], Awaitable[T]], watch: Callable[[], Awaitable[None]]) -> T:
    """Wait for work while something watches it.

    Parameters
    ----------
    work
        What it raises is raised.
    watch
        Runs until the work is done. What it raises ends the work, and is raised.
    """
    raised: list[Exception] = []

    async def watch_until_it_fails() -> None:
        try:
            await watch()
        except Exception as error:  # noqa: BLE001 - raised below, where it is not one of a group
            raised.append(error)
            tasks.cancel_scope.cancel()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(watch_until_it_fails)
        try:
            done = await work()
        except Exception as error:  # noqa: BLE001 - the same
            raised.append(error)
            tasks.cancel_scope.cancel()
        else:
            tasks.cancel_scope.cancel()
            return done
    raise raised[0]

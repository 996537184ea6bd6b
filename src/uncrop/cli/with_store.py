"""Commands that need the database, and no more than that."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from uncrop.cli.exits import code_of, explained, require_server, stop
from uncrop.errors import InternalError, ServerBusy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from uncrop.store.database import Store

T = TypeVar("T")


def with_store(work: Callable[[Store], Awaitable[T]]) -> T:
    """Open the store that the settings name, do one thing with it, and end the command if that fails."""
    require_server()
    import asyncio

    from uncrop import settings
    from uncrop.bootstrap import open_store_from
    from uncrop.store.unavailable import in_a_word

    async def run() -> T:
        async with open_store_from(settings.load()) as store:
            return await work(store)

    with explained():
        try:
            return asyncio.run(run())
        except (InternalError, ServerBusy) as error:
            stop(f"the database could not be used ({in_a_word(error)})", code_of(error))

"""Looks, again and again, for what processes that died have left held."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import structlog

from uncrop.errors import InternalError, ServerBusy, SettingsError
from uncrop.store.unavailable import in_a_word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from uncrop.ledger.ledger import Ledger

log = structlog.stdlib.get_logger("uncrop.ledger")

EVERY_S = 60.0
_SPARE = timedelta(minutes=10)


def abandoned_after(timeout_s: float) -> timedelta:
    """Return for how long a picture is worked on at most, by the seconds that its provider may take.

    Decoding before and finishing after take far less. Who works for longer all the same loses nothing: a hold that was
    given back is captured when the picture is there.
    """
    return 2 * timedelta(seconds=timeout_s) + _SPARE


@asynccontextmanager
async def open_sweep(
    ledger: Ledger,
    *,
    older_than: timedelta,
    every_s: float = EVERY_S,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncIterator[None]:
    """Look once, and then in the background until the context is left.

    Parameters
    ----------
    older_than
        For how long a picture is worked on at most.
    every_s
        Seconds between two looks.
    sleep
        Waits for so many seconds.

    Raises
    ------
    SettingsError
        The database cannot be used at the first look.
    """
    try:
        await ledger.expire(older_than)
    except (InternalError, ServerBusy) as error:
        raise SettingsError([f"UNCROP_DATABASE_URL: the database cannot be opened ({in_a_word(error)})"]) from error
    task = asyncio.create_task(_sweep(ledger, older_than, every_s, sleep))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _sweep(
    ledger: Ledger, older_than: timedelta, every_s: float, sleep: Callable[[float], Awaitable[None]]
) -> None:
    while True:
        await sleep(every_s)
        try:
            await ledger.expire(older_than)
        except (InternalError, ServerBusy) as error:
            log.warning("abandoned pictures could not be looked for", error_type=type(error).__name__)

"""One command at a time for a batch: a lock that ends with the process that has it, however that ends.

On SQLite it is one on a file beside the database, on PostgreSQL an advisory lock of a session of its own.
"""

from __future__ import annotations

import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from uncrop.store.engine import VARIABLE, parse_url
from uncrop.store.lock_file import database_file, try_lock
from uncrop.store.lock_session import TRY_NUMBERED, cannot_be_opened, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.engine import URL

# Any number will do that no other program locks in the same PostgreSQL database; the second part is the batch's.
_LOCK = 0x756E6362


def is_alone(url: str) -> bool:
    """Tell whether a database is a file of this machine, so that nobody elsewhere works on its batches."""
    return parse_url(url).get_backend_name() == "sqlite"


@asynccontextmanager
async def hold_batch(url: str, batch_id: str) -> AsyncIterator[bool]:
    """Hold the lock of a batch for as long as the context lasts; False: another process has it.

    Parameters
    ----------
    url
        The database, as ``open_store`` takes it.

    Raises
    ------
    SettingsError
        The database cannot be used for it.
    """
    parsed = parse_url(url)
    async with AsyncExitStack() as stack:
        if parsed.get_backend_name() == "sqlite":
            yield _take_file(parsed, batch_id, stack)
        else:
            yield await _take_session(parsed, batch_id, stack)


def _take_file(url: URL, batch_id: str, stack: AsyncExitStack) -> bool:
    path = database_file(url, "batches")
    descriptor = try_lock(path.with_name(f"{path.name}.batch-{batch_id[:12]}"))
    if descriptor is None:
        return False
    stack.callback(os.close, descriptor)
    return True


async def _take_session(url: URL, batch_id: str, stack: AsyncExitStack) -> bool:
    session = await stack.enter_async_context(open_session(url, TRY_NUMBERED))
    try:
        return await session.take(lock=_LOCK, number=int(batch_id[:8], 16) - 2**31)
    except (SQLAlchemyError, OSError) as error:
        raise cannot_be_opened(VARIABLE, error) from error

"""Numbers for the processes that work on one database's jobs: each has one, and no two have the same.

A process takes the first that is free, and holds it for as long as it lives: on SQLite by a lock on a file beside the
database, on PostgreSQL by an advisory lock of a session of its own. Both end with the process, however that ends, so
that whoever is started next has the dead one's number, and with it the jobs that it was working on.
"""

from __future__ import annotations

import glob
import os
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import SettingsError
from uncrop.store.engine import VARIABLE, parse_url
from uncrop.store.lock_file import database_file, try_lock
from uncrop.store.lock_session import LOOK_EVERY_S, TRY_NUMBERED, cannot_be_opened, looked_after, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.engine import URL

    from uncrop.store.lock_session import LockSession

MOST_WORKERS = 1000
# Any number will do that no other program locks in the same PostgreSQL database; the second part is the slot's.
_LOCK = 0x756E6372
_HELD = sa.text(
    "SELECT objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND classid::bigint = :lock AND objsubid = 2 "
    "AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)

_log = structlog.stdlib.get_logger("uncrop.store")


@asynccontextmanager
async def hold_slot(url: str, *, lost: Callable[[], None], look_every_s: float = LOOK_EVERY_S) -> AsyncIterator[int]:
    """Hold the first free number.

    Parameters
    ----------
    url
        The database, as ``open_store`` takes it.
    lost
        Called when another process has the number although this one lives: PostgreSQL was away, and another was
        faster afterwards.
    look_every_s
        Seconds from one look whether PostgreSQL still holds it to the next.

    Raises
    ------
    SettingsError
        There is none, or the database cannot be opened.
    """
    parsed = parse_url(url)
    async with AsyncExitStack() as stack:
        if parsed.get_backend_name() == "sqlite":
            yield _take_file(parsed, stack)
        else:
            yield await _take_session(parsed, stack, lost, look_every_s)


async def held_slots(url: str) -> frozenset[int]:
    """Return the numbers that living processes hold.

    Raises
    ------
    SettingsError
        The database cannot be opened.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _held_files(parsed)
    try:
        async with open_session(parsed, TRY_NUMBERED) as session:
            return frozenset(await session.numbers(_HELD, lock=_LOCK))
    except (SQLAlchemyError, OSError) as error:
        raise cannot_be_opened(VARIABLE, error) from error


def _held_files(url: URL) -> frozenset[int]:
    import fcntl

    path, held = database_file(url, "jobs"), set()
    for file in path.parent.glob(f"{glob.escape(path.name)}.worker-*"):
        with file.open("rb") as opened:
            try:
                fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                held.add(int(file.name.rpartition("-")[2]))
    return frozenset(held)


def _none_is_free() -> SettingsError:
    return SettingsError([f"{VARIABLE}: {MOST_WORKERS} processes work on its jobs already"])


def _take_file(url: URL, stack: AsyncExitStack) -> int:
    path = database_file(url, "jobs")
    for number in range(MOST_WORKERS):
        descriptor = try_lock(path.with_name(f"{path.name}.worker-{number}"))
        if descriptor is not None:
            stack.callback(os.close, descriptor)
            return number
    raise _none_is_free()


async def _take_session(url: URL, stack: AsyncExitStack, lost: Callable[[], None], look_every_s: float) -> int:
    session = await stack.enter_async_context(open_session(url, TRY_NUMBERED))
    try:
        number = await _take_first(session)
    except (SQLAlchemyError, OSError) as error:
        raise cannot_be_opened(VARIABLE, error) from error

    def missed() -> bool:
        _log.error("another process works under the number of this one, which stops", number=number)
        lost()
        return False

    values = {"lock": _LOCK, "number": number}
    await stack.enter_async_context(looked_after(session, values, look_every_s, missed))
    return number


async def _take_first(session: LockSession) -> int:
    for number in range(MOST_WORKERS):
        if await session.take(lock=_LOCK, number=number):
            return number
    raise _none_is_free()

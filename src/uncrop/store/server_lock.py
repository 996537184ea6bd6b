"""A lock that a server holds for as long as it lives, so that a second one beside it is noticed.

On SQLite it is a lock on a file beside the database, on PostgreSQL an advisory lock of a session of its own. Both end
with the process, however that ends. Commands that work on the same database are no servers and hold none.
"""

from __future__ import annotations

import os
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import SettingsError
from uncrop.store.engine import parse_url
from uncrop.store.lock_session import LOOK_EVERY_S, cannot_be_opened, looked_after, open_session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

# Any number will do that no other program locks in the same PostgreSQL database.
_LOCK = 0x756E63726F71

_log = structlog.stdlib.get_logger("uncrop.store")


class AnotherServerError(Exception):
    """Another server holds the lock."""


@asynccontextmanager
async def hold_server_lock(
    url: str, *, variable: str, shares: bool = False, look_every_s: float = LOOK_EVERY_S
) -> AsyncIterator[None]:
    """Hold the lock of a database's servers.

    Parameters
    ----------
    url
        As ``open_store`` takes it. A database in memory has no other server.
    variable
        The setting that says where the database is.
    shares
        Whether others that share too may hold it at the same time; on SQLite nobody may.
    look_every_s
        Seconds from one look whether PostgreSQL still holds it to the next.

    Raises
    ------
    AnotherServerError
        Another server holds it.
    SettingsError
        The database cannot be opened.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        with _held_file(parsed.database or "", variable):
            yield
        return
    statement = sa.text(f"SELECT pg_try_advisory_lock{'_shared' if shares else ''}(:number)")
    async with open_session(parsed, statement) as session:
        try:
            taken = await session.take(number=_LOCK)
        except (SQLAlchemyError, OSError) as error:
            raise cannot_be_opened(variable, error) from error
        if not taken:
            raise AnotherServerError
        async with looked_after(session, {"number": _LOCK}, look_every_s, _another_has_started):
            yield


def _another_has_started() -> bool:
    # Whoever is served by the two of them is served; only their rate limits are counted apart.
    _log.error("another server has started on this database meanwhile; one of the two must stop")
    return True


@asynccontextmanager
async def register_server(url: str, *, variable: str, counts_together: bool) -> AsyncIterator[None]:
    """Hold the lock as a server, and tell in a line of its settings when there must not be another.

    Parameters
    ----------
    counts_together
        Whether this server counts rate limits where others do; several servers of one PostgreSQL must.

    Raises
    ------
    SettingsError
        There is another server that this one does not go with, or the database cannot be opened.
    """
    try:
        async with hold_server_lock(url, variable=variable, shares=counts_together):
            yield
    except AnotherServerError as error:
        raise SettingsError([_line(url, variable, counts_together=counts_together)]) from error


def _line(url: str, variable: str, *, counts_together: bool) -> str:
    if parse_url(url).get_backend_name() == "sqlite":
        return f"{variable}: another server uses this SQLite database; several servers need PostgreSQL"
    if counts_together:
        return "UNCROP_REDIS_URL: a server without it uses this database; stop that one first"
    return "UNCROP_REDIS_URL: another server uses this database; several servers must count rate limits in one Redis"


@contextmanager
def _held_file(database: str, variable: str) -> Iterator[None]:
    if not database or database == ":memory:" or database.startswith("file:") or sys.platform == "win32":
        yield
        return
    import fcntl

    # Two names of one file are one database.
    path = Path(os.path.realpath(database) + ".server")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise SettingsError([f"{variable}: the database cannot be opened ({error.strerror})"]) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AnotherServerError from error
        except OSError as error:
            _log.warning("nothing keeps a second server away: no locks on this file system", reason=error.strerror)
        yield
    finally:
        os.close(descriptor)

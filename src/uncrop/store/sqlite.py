"""Connections to SQLite, set up so that what was committed stays."""

from __future__ import annotations

import sqlite3
from typing import Any

import aiosqlite

BUSY_TIMEOUT_MS = 5000


def journal_mode(version: tuple[int, int, int]) -> str:
    """Return the safe journal mode for a version of SQLite.

    Versions 3.7.0 to 3.51.2 can corrupt a database in WAL mode (https://sqlite.org/wal.html#walresetbug).
    """
    return "WAL" if version >= (3, 51, 3) else "TRUNCATE"


async def open_sqlite(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    """Open one connection; takes what ``sqlite3.connect`` takes.

    Raises
    ------
    sqlite3.Error
        The file cannot be opened or is no database. The connection's thread has ended by then: aiosqlite lets it
        report to an event loop that may have been closed meanwhile, which ends in a traceback on the terminal.
    """
    # Python's driver opens transactions late and by guessing; with this the engine does it, at the right moment.
    connection = aiosqlite.connect(*arguments, isolation_level=None, **options)
    thread = connection._thread  # noqa: SLF001 - there is no public way to wait for its end
    # As SQLAlchemy does: a program that dies must not wait for the database.
    thread.daemon = True
    try:
        await connection
        await _set_up(connection)
    except BaseException:
        await connection.close()
        thread.join()
        raise
    return connection


async def _set_up(connection: aiosqlite.Connection) -> None:
    # The time-out comes first, as the journal mode may have to wait for another process.
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "foreign_keys = ON",
        f"journal_mode = {journal_mode(sqlite3.sqlite_version_info)}",
        "synchronous = FULL",
    ):
        cursor = await connection.execute(f"PRAGMA {pragma}")
        await cursor.close()

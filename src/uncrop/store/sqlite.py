"""Connections to SQLite, set up so that what was committed stays."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

import aiosqlite

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000


def journal_mode(version: tuple[int, int, int]) -> str:
    """Return the safe journal mode for a version of SQLite.

    Versions 3.7.0 to 3.51.2 can corrupt a database in WAL mode (https://sqlite.org/wal.html#walresetbug).
    """
    return "WAL" if version >= (3, 51, 3) else "TRUNCATE"


class BriskConnection(aiosqlite.Connection):
    """aiosqlite's connection, but with one visit to its thread a statement.

    SQLAlchemy makes four with aiosqlite's own cursor (open, execute, fetch, close), and more to commit and roll back
    where no transaction is open. Every visit wakes two threads: with them, three short transactions took a third of
    the CPU time of a whole request. SQLAlchemy fetches all rows at once anyway, so nothing is lost.
    """

    def cursor(self) -> BriskCursor:  # type: ignore[override]
        """Return a cursor; nothing is done until it executes."""
        return BriskCursor(self)

    async def visit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something with the driver's own connection, in one visit to its thread."""
        visit = partial(_with_connection, self, work)
        result: T = await self._execute(visit)  # type: ignore[no-untyped-call]
        return result

    async def commit(self) -> None:
        """Commit, if there is anything to commit."""
        if self.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        """Roll back, if there is anything to roll back."""
        if self.in_transaction:
            await super().rollback()


def _with_connection(connection: BriskConnection, work: Callable[[sqlite3.Connection], T]) -> T:
    return work(connection._conn)  # noqa: SLF001 - as aiosqlite's own methods do


class BriskCursor:
    """Executes and fetches in one go; has what SQLAlchemy asks of a cursor here."""

    arraysize = 1

    def __init__(self, connection: BriskConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: tuple[Any, ...] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def __aenter__(self) -> Self:
        """Be ready at once."""
        return self

    async def execute(self, operation: str, parameters: Sequence[Any] = ()) -> Self:
        """Execute one statement and keep all its rows."""
        visit = partial(self._in_thread, operation, parameters)
        await self._connection._execute(visit)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return self

    async def executemany(self, operation: str, parameters: Sequence[Sequence[Any]]) -> Self:
        """Execute one statement for each row of values."""
        visit = partial(self._many_in_thread, operation, parameters)
        await self._connection._execute(visit)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return self

    async def fetchall(self) -> list[Any]:
        """Return the rows that were kept."""
        return self._rows

    async def close(self) -> None:
        """Do nothing: the driver's cursor was closed where it was opened."""

    def _many_in_thread(self, operation: str, parameters: Sequence[Sequence[Any]]) -> None:
        cursor = self._connection._conn.cursor()  # noqa: SLF001
        try:
            cursor.executemany(operation, parameters)
            self.rowcount = cursor.rowcount
        finally:
            cursor.close()

    def _in_thread(self, operation: str, parameters: Sequence[Any]) -> None:
        cursor = self._connection._conn.cursor()  # noqa: SLF001 - as aiosqlite's own cursor does
        try:
            cursor.execute(operation, parameters)
            self._rows = cursor.fetchall()
            self.description, self.rowcount = cursor.description, cursor.rowcount
            self.lastrowid = cursor.lastrowid
        finally:
            cursor.close()


async def open_sqlite(*arguments: Any, busy_timeout_ms: int = BUSY_TIMEOUT_MS, **options: Any) -> BriskConnection:
    """Open one connection; takes what ``sqlite3.connect`` takes, and for how long it waits for others that write.

    Raises
    ------
    sqlite3.Error
        The file cannot be opened or is no database. The connection's thread has ended by then: aiosqlite lets it
        report to an event loop that may have been closed meanwhile, which ends in a traceback on the terminal.
    """
    # Python's driver opens transactions late and by guessing; with this the engine does it, at the right moment.
    connection = BriskConnection(
        partial(sqlite3.connect, *arguments, isolation_level=None, **options), iter_chunk_size=1
    )
    thread = connection._thread  # noqa: SLF001 - there is no public way to wait for its end
    # As SQLAlchemy does: a program that dies must not wait for the database.
    thread.daemon = True
    try:
        await connection
        await _set_up(connection, busy_timeout_ms)
    except BaseException:
        await connection.close()
        thread.join()
        raise
    return connection


async def _set_up(connection: BriskConnection, busy_timeout_ms: int) -> None:
    # The time-out comes first, as the journal mode may have to wait for another process.
    for pragma in (
        f"busy_timeout = {busy_timeout_ms}",
        "foreign_keys = ON",
        f"journal_mode = {journal_mode(sqlite3.sqlite_version_info)}",
        "synchronous = FULL",
    ):
        await connection.cursor().execute(f"PRAGMA {pragma}")

"""The engine: one address, SQLite or PostgreSQL, set up so that what was committed stays."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from uncrop.errors import SettingsError
from uncrop.store.sqlite import BUSY_TIMEOUT_MS, open_sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

VARIABLE = "UNCROP_DATABASE_URL"
# A server that is not there must not hold up the start; two seconds are also the least that libpq knows.
CONNECT_TIMEOUT_S = 2
# For a connection of the pool; only a disk that hangs keeps one for so long.
POOL_TIMEOUT_S = 5
# Execution option of a connection whose transactions write.
WRITES: Mapping[str, Any] = {"uncrop_writes": True}

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def parse_url(url: str) -> URL:
    """Read a database's address and choose the driver.

    Raises
    ------
    SettingsError
        It is no address, or names a database that is not supported. The address itself is not repeated: it may hold a
        password.
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError([f"{VARIABLE}: is not a database address"]) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise SettingsError([f"{VARIABLE}: must begin with sqlite+aiosqlite:/// or postgresql+psycopg://"])
    if driver == "sqlite+aiosqlite" and "?" in url and not (parsed.database or "").startswith("file:"):
        raise SettingsError([f"{VARIABLE}: takes nothing behind a ?; in a file's name, write it as %3F"])
    return parsed.set(drivername=driver)


def make_engine(url: URL, *, lock_timeout_ms: int = BUSY_TIMEOUT_MS) -> AsyncEngine:
    """Make the engine for an address from ``parse_url``; nothing is connected yet.

    Parameters
    ----------
    url
        The address.
    lock_timeout_ms
        For how long a transaction waits for others to let go of what it needs.

    Raises
    ------
    SettingsError
        The folder of an SQLite file cannot be made, or the driver for PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, lock_timeout_ms)
    try:
        engine = create_async_engine(
            url,
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=8,
            pool_timeout=POOL_TIMEOUT_S,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            # Bound values are keys' digests and organizations; none belongs into a log.
            hide_parameters=True,
        )
    except ImportError as error:
        raise SettingsError([f"{VARIABLE}: PostgreSQL needs a package that comes with uncrop[postgres]"]) from error
    event.listen(engine.sync_engine, "begin", partial(_begin_postgresql, lock_timeout_ms))
    return engine


def _sqlite_engine(url: URL, lock_timeout_ms: int) -> AsyncEngine:
    _make_folder(url)
    # One connection: SQLite has one writer at a time, and a queue in memory is fair where its lock, which is polled,
    # is not. An in-memory database exists once per connection anyway.
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"async_creator_fn": partial(open_sqlite, busy_timeout_ms=lock_timeout_ms)},
    )
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _make_folder(url: URL) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    try:
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError([f"{VARIABLE}: the folder of the SQLite file cannot be made: {error.strerror}"]) from error


def _begin_postgresql(lock_timeout_ms: int, connection: Connection) -> None:
    # One that only reads waits for nobody who writes.
    if connection.get_execution_options().get("uncrop_writes", False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = {lock_timeout_ms}")


async def wait_for_locks(connection: AsyncConnection) -> None:
    """Let the rest of a transaction wait for PostgreSQL's locks for as long as it takes."""
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql("SET LOCAL lock_timeout = 0")


async def wait_for_writers(engine: AsyncEngine, milliseconds: int) -> None:
    """Say for how long SQLite's one connection waits from now on for other processes that write."""
    if engine.dialect.name == "sqlite":
        async with engine.connect() as connection:
            await connection.exec_driver_sql(f"PRAGMA busy_timeout = {milliseconds}")


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later could find the lock taken when it is too late to wait for it.
    # One that only reads is a single statement here, which SQLite isolates by itself.
    if connection.get_execution_options().get("uncrop_writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

"""The engine: one address, SQLite or PostgreSQL, set up so that what was committed stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from uncrop.errors import SettingsError
from uncrop.store.sqlite import open_sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL, Connection
    from sqlalchemy.ext.asyncio import AsyncEngine

VARIABLE = "UNCROP_DATABASE_URL"
# A server that is not there must not hold up the start; two seconds are also the least that libpq knows.
CONNECT_TIMEOUT_S = 2
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


def make_engine(url: URL) -> AsyncEngine:
    """Make the engine for an address from ``parse_url``; nothing is connected yet.

    Raises
    ------
    SettingsError
        The folder of an SQLite file cannot be made, or the driver for PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    try:
        return create_async_engine(
            url,
            pool_pre_ping=True,
            pool_size=8,
            max_overflow=8,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S},
            # Bound values are keys' digests and organizations; none belongs into a log.
            hide_parameters=True,
        )
    except ImportError as error:
        raise SettingsError([f"{VARIABLE}: PostgreSQL needs a package that comes with uncrop[postgres]"]) from error


def _sqlite_engine(url: URL) -> AsyncEngine:
    _make_folder(url)
    # One connection: SQLite has one writer at a time, and a queue in memory is fair where its lock, which is polled,
    # is not. An in-memory database exists once per connection anyway.
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
        hide_parameters=True,
        connect_args={"async_creator_fn": open_sqlite},
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


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later could find the lock taken when it is too late to wait for it.
    # One that only reads is a single statement here, which SQLite isolates by itself.
    if connection.get_execution_options().get("uncrop_writes", False):
        connection.exec_driver_sql("BEGIN IMMEDIATE")

"""The engine: one address, SQLite or PostgreSQL, set up so that what was committed stays."""

from __future__ import annotations

import select
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, DisconnectionError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool, NullPool

from uncrop.errors import SettingsError
from uncrop.store.sqlite import BUSY_TIMEOUT_MS, open_sqlite

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy.engine import URL, Connection
    from sqlalchemy.engine.interfaces import DBAPIConnection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.pool import ConnectionPoolEntry

VARIABLE = "UNCROP_DATABASE_URL"
# A server that is not there must not hold up the start; two seconds are also the least that libpq knows.
CONNECT_TIMEOUT_S = 2
# Without a connection that came back; only a disk or a database that hangs keeps all of them for so long.
POOL_TIMEOUT_S = 5
# Whoever has a turn finds a connection at once, but for moments in which this process itself is held up.
HELD_UP = 6
# Connections to PostgreSQL, opened when they are needed and kept: under load, none is opened anew for every request.
POOL = 16
# What was sent and not acknowledged for so long goes to a machine that is gone; the system itself would wait for a
# quarter of an hour.
LOST_AFTER_MS = 10_000
# A connection to PostgreSQL that was used so recently is taken to be there.
TRUSTED_S = 1.0
# Execution option of a connection whose transactions write.
WRITES: Mapping[str, Any] = {"uncrop_writes": True}

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def parse_url(url: str, *, variable: str = VARIABLE) -> URL:
    """Read a database's address and choose the driver; ``variable`` says where it was written.

    Raises
    ------
    SettingsError
        It is no address, or names a database that is not supported. The address itself is not repeated: it may hold a
        password.
    """
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise SettingsError([f"{variable}: is not a database address"]) from error
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        raise SettingsError([f"{variable}: must begin with sqlite+aiosqlite:/// or postgresql+psycopg://"])
    if driver == "sqlite+aiosqlite" and "?" in url and not (parsed.database or "").startswith("file:"):
        raise SettingsError([f"{variable}: takes nothing behind a ?; in a file's name, write it as %3F"])
    return parsed.set(drivername=driver)


def make_engine(url: URL, *, lock_timeout_ms: int = BUSY_TIMEOUT_MS, variable: str = VARIABLE) -> AsyncEngine:
    """Make the engine for an address from ``parse_url``; nothing is connected yet.

    Parameters
    ----------
    url
        The address.
    lock_timeout_ms
        For how long a transaction waits for others to let go of what it needs.
    variable
        Where the address was written.

    Raises
    ------
    SettingsError
        The folder of an SQLite file cannot be made, or the driver for PostgreSQL is not installed.
    """
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url, lock_timeout_ms, variable)
    engine = _postgresql_engine(
        url,
        variable,
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=HELD_UP * POOL_TIMEOUT_S,
    )
    event.listen(engine.sync_engine, "connect", partial(_limit_waiting, lock_timeout_ms))
    _ping_what_was_idle(engine)
    return engine


def pool_size(engine: AsyncEngine) -> int:
    """Return how many connections an engine has at most."""
    pool = engine.pool
    return pool.size() if isinstance(pool, AsyncAdaptedQueuePool) else 1


def make_session_engine(url: URL) -> AsyncEngine:
    """Make an engine for one long session on PostgreSQL, outside of transactions; errors as of ``make_engine``."""
    return _postgresql_engine(url, VARIABLE, poolclass=NullPool, isolation_level="AUTOCOMMIT")


def _postgresql_engine(url: URL, variable: str, **options: Any) -> AsyncEngine:
    try:
        return create_async_engine(
            url,
            connect_args={"connect_timeout": CONNECT_TIMEOUT_S, "tcp_user_timeout": LOST_AFTER_MS},
            # Bound values are keys' digests and organizations; none belongs into a log.
            hide_parameters=True,
            **options,
        )
    except ImportError as error:
        raise SettingsError([f"{variable}: PostgreSQL needs a package that comes with uncrop[postgres]"]) from error


def _sqlite_engine(url: URL, lock_timeout_ms: int, variable: str) -> AsyncEngine:
    _make_folder(url, variable)
    # One connection: SQLite has one writer at a time, and a queue in memory is fair where its lock, which is polled,
    # is not. An in-memory database exists once per connection anyway.
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=1,
        max_overflow=0,
        pool_timeout=HELD_UP * POOL_TIMEOUT_S,
        hide_parameters=True,
        connect_args={"async_creator_fn": partial(open_sqlite, busy_timeout_ms=lock_timeout_ms)},
    )
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _make_folder(url: URL, variable: str) -> None:
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        return
    try:
        Path(url.database).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError([f"{variable}: the folder of the SQLite file cannot be made: {error.strerror}"]) from error


def _limit_waiting(milliseconds: int, connection: DBAPIConnection, _record: object) -> None:
    """Say for how long the transactions of a new connection to PostgreSQL wait for locks."""
    cursor = connection.cursor()
    cursor.execute(f"SET lock_timeout = {int(milliseconds)}")
    cursor.close()
    connection.commit()


def _ping_what_was_idle(engine: AsyncEngine) -> None:
    """Look whether a connection is still there before it is used again, unless it was used a moment ago.

    SQLAlchemy's own look, at every use, costs a round trip each time. Once one connection is found to be broken, none
    that lay in the pool at that time is trusted; nor is one on which something arrived meanwhile, as a server's last
    word or the end of the connection does.
    """
    broken_at = 0.0
    dialect = engine.sync_engine.dialect

    def came_back(_connection: object, record: ConnectionPoolEntry) -> None:
        record.info["idle_since"] = time.monotonic()

    def broke(*_: object) -> None:
        nonlocal broken_at
        broken_at = time.monotonic()

    def goes_out(connection: DBAPIConnection, record: ConnectionPoolEntry, _proxy: object) -> None:
        idle_since = record.info.pop("idle_since", None)
        if idle_since is None:
            return
        recently = idle_since > broken_at and time.monotonic() - idle_since < TRUSTED_S
        if recently and not _something_arrived(connection):
            return
        try:
            alive = dialect.do_ping(connection)
        except dialect.loaded_dbapi.Error as error:
            alive = not dialect.is_disconnect(error, connection, None)
        if not alive:
            raise DisconnectionError

    event.listen(engine.sync_engine, "checkin", came_back)
    event.listen(engine.sync_engine, "invalidate", broke)
    event.listen(engine.sync_engine, "checkout", goes_out)


def _something_arrived(connection: Any) -> bool:
    """Tell whether a connection to PostgreSQL that nobody uses has something to read, or is broken."""
    poll = select.poll()
    poll.register(connection.driver_connection.fileno(), select.POLLIN)
    return bool(poll.poll(0))


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

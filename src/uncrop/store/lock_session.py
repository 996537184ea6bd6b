"""A session of PostgreSQL that holds an advisory lock for as long as its process lives."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import SettingsError
from uncrop.store.engine import make_session_engine
from uncrop.store.unavailable import in_a_word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

# The lock of one of many numbers; ``lock`` is a number that no other program uses in the same database.
TRY_NUMBERED = sa.text("SELECT pg_try_advisory_lock(:lock, :number)")
# How often the session is looked after; PostgreSQL forgets the lock of one that is cut off.
LOOK_EVERY_S = 5.0
# Seconds after which PostgreSQL notices that the machine of a process is gone: idle, between probes, and how many.
_KEEPALIVE = {"tcp_keepalives_idle": 15, "tcp_keepalives_interval": 5, "tcp_keepalives_count": 3}


class LockSession:
    """A connection that has a lock, and takes it anew when it was cut off.

    Parameters
    ----------
    engine
        Of connections that are in no transaction.
    try_lock
        Takes the lock if it is free, and returns whether it was.
    """

    def __init__(self, engine: AsyncEngine, try_lock: sa.TextClause) -> None:
        self._engine = engine
        self._try_lock = try_lock
        self._connection: AsyncConnection | None = None

    async def take(self, **values: int) -> bool:
        """Take the lock of these values, and tell whether it was free; connect before, if need be."""
        connection = await self._connected()
        return bool((await connection.execute(self._try_lock, values)).scalar_one())

    async def numbers(self, query: sa.TextClause, **values: int) -> list[int]:
        """Return what a query finds out about locks; take none."""
        connection = await self._connected()
        return list((await connection.execute(query, values)).scalars())

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            self._connection = await self._engine.connect()
            for name, seconds in _KEEPALIVE.items():
                await self._connection.exec_driver_sql(f"SET {name} = {seconds}")
        return self._connection

    async def look_after(self, values: Mapping[str, int], every_s: float, missed: Callable[[], bool]) -> None:
        """Notice when the session was cut off, as by a restart of PostgreSQL, and begin another.

        Parameters
        ----------
        values
            Of the lock that it has.
        every_s
            Seconds from one look to the next.
        missed
            Called when another process has the lock by now; returns whether to go on looking.
        """
        while True:
            await asyncio.sleep(every_s)
            try:
                if self._connection is not None:
                    await self._connection.exec_driver_sql("SELECT 1")
                    continue
                taken = await self.take(**values)
            except (SQLAlchemyError, OSError):
                await self.close()
                continue
            if not taken:
                await self.close()
                if not missed():
                    return

    async def close(self) -> None:
        """End the session, and with it the lock."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                await connection.close()


@asynccontextmanager
async def open_session(url: URL, try_lock: sa.TextClause) -> AsyncIterator[LockSession]:
    """Open a session that has no lock yet."""
    engine = make_session_engine(url)
    session = LockSession(engine, try_lock)
    try:
        yield session
    finally:
        await session.close()
        await engine.dispose()


@asynccontextmanager
async def looked_after(
    session: LockSession, values: Mapping[str, int], every_s: float, missed: Callable[[], bool]
) -> AsyncIterator[None]:
    """Look after a session that has its lock for as long as the context lasts."""
    looking = asyncio.create_task(session.look_after(values, every_s, missed), name="lock session")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])


def cannot_be_opened(variable: str, error: Exception) -> SettingsError:
    """Return what is said of a database that cannot be used at the start."""
    return SettingsError([f"{variable}: the database cannot be opened ({in_a_word(error)})"])

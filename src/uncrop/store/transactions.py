"""Transactions, and the border where the database's errors become uncrop's."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import InternalError
from uncrop.store.bookings import Bookings
from uncrop.store.engine import POOL_TIMEOUT_S, WRITES, pool_size
from uncrop.store.scripts import CutOffError, scripts_for
from uncrop.store.turns import NoTurnError, Turns
from uncrop.store.unavailable import UNUSABLE, Outage, is_conflict, reason_of, unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from uncrop.store.scripts import Make

T = TypeVar("T")

# Of a transaction that others are in the way of, and the longest pause before the next.
TRIES = 4
BACK_OFF_S = 0.02
_log = structlog.stdlib.get_logger("uncrop.store")

# Any number will do that no other program locks in the same PostgreSQL database.
_LOCK = 0x756E63726F70


class Transactions:
    """Runs transactions on one engine.

    A transaction that was begun is seen through, even when whoever wants it is told to stop. One that only reads, and
    still waits for its turn then, is given up: a crowd that comes and leaves would fill the queue for those who stay.
    When one finds that the database cannot be used, those that wait behind it for a connection are not tried one after
    the other.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._bookings = Bookings()
        self._outage = Outage()
        self._turns = Turns(pool_size(engine), stands_still_s=POOL_TIMEOUT_S)
        self._scripts = scripts_for(engine, self._turns, self._outage)

    async def read(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something in a transaction that only reads, by one statement.

        Raises
        ------
        ServerBusy
            The database cannot be used now: it is locked, full, read-only or away.
        InternalError
            It does not do what it should.
        """
        work_on_it = self._run(partial(self._once, work, writes=False))
        return await self._bookings.see_through(work_on_it, unless=self._turns.is_waiting)

    async def read_script(self, make: Make[T]) -> T:
        """Run a script of one statement that only reads; errors as of ``read``."""
        work_on_it = self._run(partial(self._scripts.read, make))
        return await self._bookings.see_through(work_on_it, unless=self._turns.is_waiting)

    async def write_script(self, make: Make[T]) -> T:
        """Run a script in a transaction, perhaps together with others; like ``write`` in all else.

        Parameters
        ----------
        make
            Begins the script; called again where it has to be run again.

        Raises
        ------
        ServerBusy
            The database cannot be used now: it is locked, full, read-only or away.
        InternalError
            It does not do what it should.
        """
        return await self._bookings.see_through(self._run(partial(self._scripts.write, make)))

    async def write(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something in a transaction that writes; on SQLite it holds the writer's lock from its first moment.

        An error of the work's own rolls back what it did. Where PostgreSQL undoes a transaction because another was in
        its way, the work is done again from its start, a few times.

        Raises
        ------
        ServerBusy
            The database cannot be used now: it is locked, full, read-only or away.
        InternalError
            It does not do what it should.
        """
        return await self._bookings.see_through(self._run(partial(self._once, work, writes=True)))

    async def snapshot(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something that only reads, by several statements that all see the same moment.

        Raises
        ------
        ServerBusy
            The database cannot be used now.
        InternalError
            It does not do what it should.
        """

        async def reading(connection: AsyncConnection) -> T:
            postgresql = connection.dialect.name == "postgresql"
            await connection.exec_driver_sql(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY" if postgresql else "BEGIN"
            )
            return await work(connection)

        return await self.read(reading)

    async def drain(self) -> None:
        """Wait for the transactions that nobody waits for any more."""
        await self._bookings.drain()

    async def _run(self, once: Callable[[], Coroutine[Any, Any, T]]) -> T:
        with _converted():
            for _ in range(TRIES - 1):
                try:
                    return await once()
                except SQLAlchemyError as error:
                    if not is_conflict(error):
                        raise
                # Not all at once again, and not while a connection is held that others wait for.
                await asyncio.sleep(random.uniform(0, BACK_OFF_S))  # noqa: S311 - no secret
            return await once()

    async def _once(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]], *, writes: bool) -> T:
        try:
            return await self._try(work, writes=writes)
        except CutOffError:
            # As by a restart of PostgreSQL: it is looked first whether the next connection is still there.
            return await self._try(work, writes=writes, again=True)

    async def _try(
        self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]], *, writes: bool, again: bool = False
    ) -> T:
        begun, commits = time.monotonic(), False
        async with self._turns.take(), self._engine.connect() as connection:
            if self._outage.overtakes(begun):
                raise unavailable()
            try:
                async with _transaction(connection, writes=writes):
                    result = await work(connection)
                    commits = True
            except SQLAlchemyError as error:
                if getattr(error, "connection_invalidated", False) and not commits and not again:
                    raise CutOffError from error
                # Noted before the connection goes to the next one in the queue.
                self._outage.note(error)
                raise
            return result


@asynccontextmanager
async def begin(engine: AsyncEngine, *, writes: bool) -> AsyncIterator[AsyncConnection]:
    """Open a transaction on a connection of its own; commit at the end, or roll back."""
    async with engine.connect() as connection, _transaction(connection, writes=writes):
        yield connection


@asynccontextmanager
async def _transaction(connection: AsyncConnection, *, writes: bool) -> AsyncIterator[None]:
    if writes:
        await connection.execution_options(**WRITES)
    async with connection.begin():
        yield


def execute(
    statement: sa.Executable, **values: object
) -> Callable[[AsyncConnection], Coroutine[Any, Any, sa.CursorResult[Any]]]:
    """Make the work of a transaction that is one statement; its rows are fetched before the transaction ends."""

    async def work(connection: AsyncConnection) -> sa.CursorResult[Any]:
        return await connection.execute(statement, values or None)

    return work


async def lock_database(connection: AsyncConnection) -> None:
    """Keep every other process from doing the same until the transaction ends.

    On SQLite a writing transaction is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))


@contextmanager
def _converted() -> Iterator[None]:
    try:
        yield
    except NoTurnError as error:
        _log.warning("the database cannot be used", reason="no connection became free")
        raise unavailable() from error
    except SQLAlchemyError as error:
        reason = reason_of(error)
        if reason is None:
            raise InternalError(system_message=UNUSABLE) from error
        _log.warning("the database cannot be used", reason=reason)
        raise unavailable() from error

"""Transactions, and the border where the database's errors become uncrop's."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import InternalError, ServerBusy
from uncrop.store.bookings import Bookings
from uncrop.store.engine import WRITES
from uncrop.store.unavailable import reason_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

UNUSABLE = "The database could not be used"
_log = structlog.stdlib.get_logger("uncrop.store")

# Any number will do that no other program locks in the same PostgreSQL database.
_LOCK = 0x756E63726F70


class Transactions:
    """Runs transactions on one engine.

    A transaction that was begun is seen through, even when whoever wants it is told to stop. When one finds that the
    database cannot be used, those that wait behind it for a connection are not tried one after the other: the n-th
    would have waited n times as long, only to fail.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._bookings = Bookings()
        self._failed_at = 0.0

    async def read(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something in a transaction that only reads, by one statement.

        Raises
        ------
        ServerBusy
            The database cannot be used now: it is locked, full, read-only or away.
        InternalError
            It does not do what it should.
        """
        return await self._bookings.see_through(self._run(work, writes=False))

    async def write(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something in a transaction that writes; on SQLite it holds the writer's lock from its first moment.

        An error of the work's own rolls back what it did.

        Raises
        ------
        ServerBusy
            The database cannot be used now: it is locked, full, read-only or away.
        InternalError
            It does not do what it should.
        """
        return await self._bookings.see_through(self._run(work, writes=True))

    async def drain(self) -> None:
        """Wait for the transactions that nobody waits for any more."""
        await self._bookings.drain()

    async def _run(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]], *, writes: bool) -> T:
        begun = time.monotonic()
        with _converted():
            async with self._engine.connect() as connection:
                if self._failed_at > begun:
                    raise _unavailable()
                with self._noting():
                    async with _transaction(connection, writes=writes):
                        return await work(connection)

    @contextmanager
    def _noting(self) -> Iterator[None]:
        """Note a failure before the connection goes to the next one in the queue."""
        try:
            yield
        except SQLAlchemyError as error:
            if reason_of(error) is not None:
                self._failed_at = time.monotonic()
            raise


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


def _unavailable() -> ServerBusy:
    return ServerBusy(
        "The server cannot use its database at the moment; try again later",
        system_message=UNUSABLE,
    )


@contextmanager
def _converted() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        reason = reason_of(error)
        if reason is None:
            raise InternalError(system_message=UNUSABLE) from error
        _log.warning("the database cannot be used", reason=reason)
        raise _unavailable() from error

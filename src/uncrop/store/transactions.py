"""Transactions, and the border where the database's errors become uncrop's."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import InternalError
from uncrop.store.bookings import Bookings
from uncrop.store.engine import WRITES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

T = TypeVar("T")

# Any number will do that no other program locks in the same PostgreSQL database.
_LOCK = 0x756E63726F70


class Transactions:
    """Runs transactions on one engine.

    A transaction that was begun is seen through, even when whoever wants it is told to stop.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._bookings = Bookings()

    async def read(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something in a transaction that only reads, by one statement.

        Raises
        ------
        InternalError
            The database cannot be used.
        """
        return await self._bookings.see_through(self._run(work, writes=False))

    async def write(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]]) -> T:
        """Do something in a transaction that writes; on SQLite it holds the writer's lock from its first moment.

        An error of the work's own rolls back what it did.

        Raises
        ------
        InternalError
            The database cannot be used.
        """
        return await self._bookings.see_through(self._run(work, writes=True))

    async def drain(self) -> None:
        """Wait for the transactions that nobody waits for any more."""
        await self._bookings.drain()

    async def _run(self, work: Callable[[AsyncConnection], Coroutine[Any, Any, T]], *, writes: bool) -> T:
        with _converted():
            async with begin(self._engine, writes=writes) as connection:
                return await work(connection)


@asynccontextmanager
async def begin(engine: AsyncEngine, *, writes: bool) -> AsyncIterator[AsyncConnection]:
    """Open a transaction; commit at the end, or roll back."""
    async with engine.connect() as connection:
        if writes:
            await connection.execution_options(**WRITES)
        async with connection.begin():
            yield connection


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
    except SQLAlchemyError as error:
        raise InternalError(system_message="The database could not be used") from error

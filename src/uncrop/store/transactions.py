"""Transactions, and the border where the database's errors become uncrop's."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import InternalError
from uncrop.store.engine import WRITES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

# Any number will do that no other program locks in the same PostgreSQL database.
_LOCK = 0x756E63726F70


class Transactions:
    """Opens transactions on one engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads.

        Raises
        ------
        InternalError
            The database cannot be used.
        """
        with _converted():
            async with self._engine.connect() as connection, connection.begin():
                yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that writes; on SQLite it holds the writer's lock from its first moment.

        Raises
        ------
        InternalError
            The database cannot be used.
        """
        with _converted():
            async with self._engine.connect() as connection:
                await connection.execution_options(**WRITES)
                async with connection.begin():
                    yield connection


@contextmanager
def _converted() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise InternalError(system_message="The database could not be used") from error


async def lock_database(connection: AsyncConnection) -> None:
    """Keep every other process from doing the same until the transaction ends.

    On SQLite a writing transaction is alone anyway.
    """
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))

"""Copies all that a database holds to another, SQLite or PostgreSQL, in one transaction on either side.

Nothing is there before all is there and compared: a copy that is cut off leaves the other database as it was, and is
simply made again.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import SettingsError
from uncrop.model.jobs import OPEN_STATES
from uncrop.store.engine import make_engine, parse_url, wait_for_locks
from uncrop.store.migration import upgrade
from uncrop.store.server_lock import AnotherServerError, hold_server_lock
from uncrop.store.tables import jobs, metadata, pepper_fingerprint
from uncrop.store.transactions import begin, lock_database
from uncrop.store.unavailable import in_a_word

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Sequence

    from sqlalchemy.engine import URL
    from sqlalchemy.ext.asyncio import AsyncConnection

TARGET = "--to"
# Rows that are in memory at once.
BATCH = 1000
REVISIONS = "alembic_version"


@dataclass(frozen=True, kw_only=True, slots=True)
class CopiedTable:
    """A table whose rows are all in the other database, and the same."""

    name: str
    rows: int


async def copy_store(source: str, target: str, *, variable: str, tell: Callable[[CopiedTable], None]) -> list[str]:
    """Copy the tables of one database to an empty one, compare all rows, and only then keep them.

    No server may use either meanwhile, and nobody can write to the source.

    Parameters
    ----------
    source
        The address of a database whose tables are up to date.
    target
        The address of a database that holds nothing.
    variable
        The setting that says where the source is.
    tell
        Told of each table once its rows have been copied.

    Returns
    -------
    list
        The names of tables in the source that are not uncrop's and were not copied.

    Raises
    ------
    SettingsError
        In one line: a server uses one of them, they are the same, jobs are open in the source, the target holds
        something, one of them cannot be used, or what arrived is not what was sent.
    """
    from_, to = parse_url(source), parse_url(target, variable=TARGET)
    if _is_same(from_, to):
        raise SettingsError([f"{TARGET}: is the database that is to be copied"])
    where = variable
    try:
        async with hold_server_lock(source, variable=variable):
            where = TARGET
            async with hold_server_lock(target, variable=TARGET):
                return await _copy(from_, to, variable, tell)
    except AnotherServerError as error:
        raise SettingsError([f"{where}: a server uses this database; stop it first"]) from error


async def _copy(source: URL, target: URL, variable: str, tell: Callable[[CopiedTable], None]) -> list[str]:
    read_from, write_to = make_engine(source, variable=variable), make_engine(target, variable=TARGET)
    try:
        async with begin(read_from, writes=True) as old, begin(write_to, writes=True) as new:
            await _keep_writers_away(old)
            await _check_no_job_is_open(old)
            await _empty(new)
            await copy_tables(old, new, metadata.sorted_tables, tell)
            return await old.run_sync(_foreign_tables)
    except (SQLAlchemyError, OSError) as error:
        raise SettingsError([f"{TARGET}: the copy failed, and nothing is kept ({in_a_word(error)})"]) from error
    finally:
        await read_from.dispose()
        await write_to.dispose()


async def _check_no_job_is_open(old: AsyncConnection) -> None:
    """Refuse to leave jobs behind whose turn is in the queue's own tables, which are not copied."""
    waiting = sa.select(sa.func.count()).select_from(jobs).where(jobs.c.state.in_(OPEN_STATES))
    count = (await old.execute(waiting)).scalar_one()
    if count:
        what = f"{count} jobs are queued or worked on, and the queue is not copied"
        raise SettingsError([f"{TARGET}: {what}; let a worker end them, or cancel them: uncrop jobs list"])


async def copy_tables(
    old: AsyncConnection, new: AsyncConnection, tables: Sequence[sa.Table], tell: Callable[[CopiedTable], None]
) -> None:
    """Copy all rows, let numbers that PostgreSQL gives out go on behind them, and compare.

    Parameters
    ----------
    old, new
        Each in a transaction.
    tables
        In an order in which a row comes after those that it refers to.
    tell
        Told of each table.

    Raises
    ------
    SettingsError
        A table is not the same on both sides.
    """
    for table in tables:
        rows = 0
        async for batch in _batches(old, table):
            await new.execute(sa.insert(table), batch)
            rows += len(batch)
        await _go_on_counting(new, table)
        tell(CopiedTable(name=table.name, rows=rows))
    for table in tables:
        if await digest_of(old, table) != await digest_of(new, table):
            raise SettingsError([f"{TARGET}: {table.name} did not arrive as it was sent; nothing is kept"])


async def digest_of(connection: AsyncConnection, table: sa.Table) -> tuple[int, int]:
    """Return how many rows a table has, and a sum over them that does not depend on their order."""
    count = total = 0
    async for batch in _batches(connection, table):
        count += len(batch)
        total += sum(int.from_bytes(hashlib.sha256(_canonical(row)).digest(), "big") for row in batch)
    return count, total % (1 << 256)


def _canonical(row: dict[str, Any]) -> bytes:
    """Return a row as bytes that are the same on both databases, and other for another row."""
    return repr([(name, _plain(value)) for name, value in row.items()]).encode()


def _plain(value: Any) -> object:
    if isinstance(value, datetime):
        return "moment", value.astimezone(UTC).isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return "bytes", bytes(value)
    if isinstance(value, Decimal):
        return "number", str(value.normalize())
    if isinstance(value, dict | list):
        return "json", json.dumps(value, sort_keys=True)
    return type(value).__name__, str(value)


async def _batches(connection: AsyncConnection, table: sa.Table) -> AsyncIterator[list[dict[str, Any]]]:
    """Read a table in pieces, each from behind the last key of the one before, so that memory does not grow with it."""
    columns = [column for column in table.c if column.computed is None]
    keys = list(table.primary_key.columns)
    query = sa.select(*columns).order_by(*keys).limit(BATCH)
    further = query
    while batch := [dict(row) for row in (await connection.execute(further)).mappings()]:
        yield batch
        last = [sa.literal(batch[-1][key.name], key.type) for key in keys]
        further = query.where(sa.tuple_(*keys) > sa.tuple_(*last))


async def _go_on_counting(connection: AsyncConnection, table: sa.Table) -> None:
    if connection.dialect.name != "postgresql":
        return  # SQLite counts from the highest number that is there
    for column in table.c:
        name = connection.dialect.identifier_preparer.format_table(table)
        found = sa.select(sa.func.pg_get_serial_sequence(name, column.name))
        sequence = (await connection.execute(found)).scalar_one()
        highest = None if sequence is None else (await connection.execute(sa.select(sa.func.max(column)))).scalar_one()
        if highest is not None:
            await connection.execute(sa.select(sa.func.setval(sequence, highest)))


async def _keep_writers_away(connection: AsyncConnection) -> None:
    """Let nobody write to the source while it is read; on SQLite, a writing transaction is alone anyway."""
    if connection.dialect.name == "postgresql":
        preparer = connection.dialect.identifier_preparer
        names = ", ".join(preparer.format_table(table) for table in metadata.sorted_tables)
        await connection.exec_driver_sql(f"LOCK TABLE {names} IN SHARE MODE")


async def _empty(connection: AsyncConnection) -> None:
    """Bring the target to the present tables, and see to it that they have no rows.

    Raises
    ------
    SettingsError
        It holds something. A fingerprint of a pepper, which every start notes, is nothing.
    """
    await wait_for_locks(connection)
    await lock_database(connection)
    if holds := await connection.run_sync(_tables_with_rows):
        raise SettingsError([f"{TARGET}: the database holds something already, in {', '.join(holds)}"])
    await connection.run_sync(upgrade)
    # What a migration has put there comes from the source.
    filled = await connection.run_sync(_tables_with_rows, besides=())
    for table in reversed(metadata.sorted_tables):
        if table.name in filled:
            await connection.execute(sa.delete(table))


def _tables_with_rows(connection: sa.Connection, besides: Iterable[str] = (pepper_fingerprint.name,)) -> list[str]:
    names = _tables(connection, besides={REVISIONS, *besides})
    queries = {name: sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1) for name in names}
    return [name for name, query in queries.items() if connection.execute(query).first() is not None]


def _foreign_tables(connection: sa.Connection) -> list[str]:
    return _tables(connection, besides={REVISIONS, *metadata.tables})


def _tables(connection: sa.Connection, *, besides: Iterable[str]) -> list[str]:
    return sorted(set(sa.inspect(connection).get_table_names()) - set(besides))


def _is_same(one: URL, other: URL) -> bool:
    if one.get_backend_name() == other.get_backend_name() == "sqlite":
        return os.path.realpath(one.database or "") == os.path.realpath(other.database or "")
    return one == other

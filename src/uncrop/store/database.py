"""Opens the store: connect, migrate, check, hand out the repositories."""

from __future__ import annotations

import hmac
import sqlite3
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import InternalError, ServerBusy, SettingsError
from uncrop.store.engine import VARIABLE, make_engine, parse_url, wait_for_locks, wait_for_writers
from uncrop.store.keys import ApiKeys, NewKey
from uncrop.store.migration import latest_revision, upgrade
from uncrop.store.organizations import Organizations
from uncrop.store.pepper import fingerprint
from uncrop.store.sqlite import BUSY_TIMEOUT_MS
from uncrop.store.tables import api_keys, metadata, pepper_fingerprint
from uncrop.store.transactions import Transactions, begin, lock_database
from uncrop.store.usage import Usage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine


def utc_now() -> datetime:
    """Return the present moment, aware."""
    return datetime.now(UTC)


class Store:
    """What is kept: organizations, keys and usage. Made by ``open_store``.

    Attributes
    ----------
    organizations, keys, usage
        The repositories.
    """

    def __init__(self, engine: AsyncEngine, *, pepper: bytes, clock: Callable[[], datetime] = utc_now) -> None:
        self._transactions = Transactions(engine)
        self.organizations = Organizations(self._transactions, clock)
        self.keys = ApiKeys(self._transactions, pepper, clock)
        self.usage = Usage(self._transactions, clock)

    async def ping(self) -> None:
        """Show that the database has the tables of this version and can be written, by writing something.

        Raises
        ------
        ServerBusy
            It cannot be used now.
        InternalError
            It is another one.
        """
        revision = await self._transactions.write(_write_something)
        if revision != latest_revision():
            raise InternalError(system_message="The database has the tables of another version")

    async def drain(self) -> None:
        """Wait for the transactions that nobody waits for any more."""
        await self._transactions.drain()


@asynccontextmanager
async def open_store(
    url: str,
    *,
    pepper: bytes,
    clock: Callable[[], datetime] = utc_now,
    variable: str = VARIABLE,
    lock_timeout_ms: int = BUSY_TIMEOUT_MS,
) -> AsyncIterator[Store]:
    """Open the database, bring its tables up to date, and close it at the end.

    Parameters
    ----------
    url
        ``sqlite+aiosqlite:///…``, whose folder is made if need be, or ``postgresql+psycopg://…``.
    pepper
        The secret under which keys are hashed, see ``uncrop.store.pepper``.
    clock
        The present moment, aware.
    variable
        The setting that says where the database is.
    lock_timeout_ms
        For how long a transaction waits for others to let go of what it needs.

    Raises
    ------
    SettingsError
        One line that names a setting: the address is wrong, nothing answers there, the database cannot be written to or
        lacks a table, it was made by a newer uncrop, or its keys were hashed under another pepper.
    """
    engine = make_engine(parse_url(url), lock_timeout_ms=lock_timeout_ms)
    try:
        await _prepare(engine, pepper, variable)
        await wait_for_writers(engine, lock_timeout_ms)
        store = Store(engine, pepper=pepper, clock=clock)
        try:
            try:
                await store.usage.release_abandoned()
            except (InternalError, ServerBusy) as error:
                raise SettingsError([_cannot_be_used(variable, error)]) from error
            yield store
        finally:
            await store.drain()
    finally:
        await engine.dispose()


async def ensure_first_key(store: Store) -> NewKey | None:
    """Make one organization and one key on an empty database; ``None`` if it was not empty.

    The key's text is known here and never again.
    """
    return await store.keys.create_first()


def reason(error: BaseException) -> str:
    """Return in a few words what the database did not do; safe to show.

    SQLite's own words are. Another driver's may repeat the address, and with it a password; the log has them from the
    chained error, and here its kind must do.
    """
    cause = error.__cause__ if isinstance(error, InternalError | ServerBusy) and error.__cause__ is not None else error
    found = getattr(cause, "orig", None) or cause
    return str(found) if isinstance(found, sqlite3.Error) else type(found).__name__


async def _prepare(engine: AsyncEngine, pepper: bytes, variable: str) -> None:
    try:
        await wait_for_writers(engine, BUSY_TIMEOUT_MS)
        async with begin(engine, writes=True) as connection:
            await wait_for_locks(connection)
            await lock_database(connection)
            await connection.run_sync(upgrade)
            await _check_pepper(connection, pepper)
            await _check_tables(connection)
    except (SQLAlchemyError, OSError) as error:
        raise SettingsError([_cannot_be_used(variable, error)]) from error


def _cannot_be_used(variable: str, error: BaseException) -> str:
    return f"{variable}: the database cannot be opened ({reason(error)})"


async def _check_tables(connection: AsyncConnection) -> None:
    """Ask for every column of every table, and write: what is found wrong later, a request would have to pay for.

    On a file that cannot be written to, SQLite begins a transaction that shall write all the same.
    """
    for table in metadata.sorted_tables:
        await connection.execute(sa.select(table).limit(0))
    await _write_something(connection)


async def _write_something(connection: AsyncConnection) -> str:
    """Change a row, change it back, and return the tables' version.

    SQLite writes nothing for a change that changes nothing.
    """
    found = await connection.execute(sa.text("SELECT version_num FROM alembic_version"))
    noted = (await connection.execute(sa.select(pepper_fingerprint.c.fingerprint))).scalar_one_or_none()
    for value in (bytes(32), noted):
        if noted is not None:
            await connection.execute(sa.update(pepper_fingerprint).values(fingerprint=value))
    return str(found.scalar_one())


async def _check_pepper(connection: AsyncConnection, pepper: bytes) -> None:
    """Compare the pepper with the one that the keys in the database were hashed with; note it if there are none."""
    noted = (await connection.execute(sa.select(pepper_fingerprint.c.fingerprint))).scalar_one_or_none()
    present = fingerprint(pepper)
    if noted is not None and hmac.compare_digest(noted, present):
        return
    if noted is not None and (await connection.execute(sa.select(api_keys.c.id).limit(1))).first() is not None:
        raise SettingsError(
            [f"{VARIABLE}: its API keys belong to another pepper; restore the file pepper or UNCROP_KEY_PEPPER"]
        )
    await connection.execute(sa.delete(pepper_fingerprint))
    await connection.execute(sa.insert(pepper_fingerprint).values(id=1, fingerprint=present))

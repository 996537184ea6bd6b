"""Opens the store: connect, migrate, check, hand out the repositories."""

from __future__ import annotations

import hmac
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import InternalError, SettingsError
from uncrop.store.engine import VARIABLE, make_engine, parse_url, wait_for_locks, wait_for_writers
from uncrop.store.keys import ApiKeys, NewKey
from uncrop.store.migration import latest_revision, upgrade
from uncrop.store.organizations import Organizations
from uncrop.store.pepper import fingerprint
from uncrop.store.sqlite import BUSY_TIMEOUT_MS
from uncrop.store.tables import api_keys, pepper_fingerprint
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
    lock_timeout_ms
        For how long a transaction waits for others to let go of what it needs.

    Raises
    ------
    SettingsError
        One line that names ``UNCROP_DATABASE_URL``: the address is wrong, nothing answers there, the database was made
        by a newer uncrop, or its keys were hashed under another pepper.
    """
    engine = make_engine(parse_url(url), lock_timeout_ms=lock_timeout_ms)
    try:
        await _prepare(engine, pepper)
        await wait_for_writers(engine, lock_timeout_ms)
        store = Store(engine, pepper=pepper, clock=clock)
        try:
            await store.usage.release_abandoned()
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


async def _prepare(engine: AsyncEngine, pepper: bytes) -> None:
    try:
        await wait_for_writers(engine, BUSY_TIMEOUT_MS)
        async with begin(engine, writes=True) as connection:
            await wait_for_locks(connection)
            await lock_database(connection)
            await connection.run_sync(upgrade)
            await _check_pepper(connection, pepper)
    except (SQLAlchemyError, OSError) as error:
        # The driver's text may repeat the address, and with it a password; the log has it from the chained error.
        raise SettingsError([f"{VARIABLE}: the database cannot be opened ({_reason(error)})"]) from error


def _reason(error: SQLAlchemyError | OSError) -> str:
    return type(getattr(error, "orig", None) or error).__name__


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

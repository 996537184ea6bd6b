"""Opens the store: connect, migrate, check, hand out the repositories."""

from __future__ import annotations

import hmac
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from uncrop.errors import InternalError, SettingsError
from uncrop.store.audit import AuditLog
from uncrop.store.batch_photos import BatchPhotos
from uncrop.store.batches import Batches
from uncrop.store.books import Books
from uncrop.store.deliveries import Deliveries
from uncrop.store.durability import risky_settings
from uncrop.store.engine import VARIABLE, make_engine, parse_url, wait_for_locks, wait_for_writers
from uncrop.store.jobs import Jobs
from uncrop.store.keyed_requests import KeyedRequests
from uncrop.store.keys import ApiKeys
from uncrop.store.migration import latest_revision, revision_of, upgrade
from uncrop.store.organizations import Organizations
from uncrop.store.pepper import Peppers, fingerprint
from uncrop.store.policies import PolicyTable
from uncrop.store.provider_keys import ProviderKeys
from uncrop.store.sealing import Sealer
from uncrop.store.sqlite import BUSY_TIMEOUT_MS
from uncrop.store.tables import api_keys, metadata, pepper_fingerprint
from uncrop.store.transactions import Transactions, begin, lock_database
from uncrop.store.unavailable import in_a_word
from uncrop.store.usage import Usage
from uncrop.store.webhooks import Webhooks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    from uncrop.store.api_key import NewKey


def utc_now() -> datetime:
    """Return the present moment, aware."""
    return datetime.now(UTC)


class Store:
    """What is kept: organizations, keys, policies, the books, jobs, webhooks and batches. Made by ``open_store``.

    Attributes
    ----------
    organizations, keys, provider_keys, policies, books, usage, audit, keyed_requests, jobs, webhooks, deliveries
    batches, batch_photos
        The repositories.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        *,
        peppers: Peppers,
        sealer: Sealer | None = None,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._transactions = Transactions(engine)
        self.organizations = Organizations(self._transactions, clock)
        self.keys = ApiKeys(self._transactions, peppers, clock)
        self.provider_keys = ProviderKeys(self._transactions, sealer, clock)
        self.audit = AuditLog(self._transactions, clock)
        self.policies = PolicyTable(self._transactions, clock)
        self.books = Books(self._transactions, clock)
        self.usage = Usage(self._transactions)
        self.keyed_requests = KeyedRequests(self._transactions, clock)
        self.jobs = Jobs(self._transactions, clock)
        self.webhooks = Webhooks(self._transactions, sealer, clock)
        self.deliveries = Deliveries(self._transactions, self.webhooks, clock)
        self.batches = Batches(self._transactions, clock)
        self.batch_photos = BatchPhotos(self._transactions)

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

    async def what_may_be_lost(self) -> tuple[str, ...]:
        """Return the settings of the database by which something committed may be lost; see ``store.durability``."""
        return await self._transactions.read(risky_settings)

    async def drain(self) -> None:
        """Wait for the transactions that nobody waits for any more."""
        await self._transactions.drain()


@asynccontextmanager
async def open_store(
    url: str,
    *,
    pepper: bytes | Peppers,
    encryption_keys: Sequence[str] = (),
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
        The secret under which keys are hashed, with earlier ones if there are any, see ``uncrop.store.pepper``.
    encryption_keys
        What organizations' own keys of providers and secrets of webhooks are encrypted with; the first encrypts, all
        decrypt.
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
    peppers = Peppers(pepper) if isinstance(pepper, bytes) else pepper
    engine = make_engine(parse_url(url), lock_timeout_ms=lock_timeout_ms)
    try:
        await _prepare(engine, peppers, variable)
        await wait_for_writers(engine, lock_timeout_ms)
        sealer = Sealer(encryption_keys) if encryption_keys else None
        store = Store(engine, peppers=peppers, sealer=sealer, clock=clock)
        try:
            yield store
        finally:
            await store.drain()
    finally:
        await engine.dispose()


async def upgrade_database(
    url: str, *, pepper: bytes | Peppers, variable: str = VARIABLE
) -> tuple[str | None, str | None]:
    """Bring a database to the present tables, as every start does too.

    Returns
    -------
    tuple
        The revisions of the tables before and after; ``None`` before the first.

    Raises
    ------
    SettingsError
        As ``open_store``.
    """
    engine = make_engine(parse_url(url))
    try:
        before = await _prepare(engine, Peppers(pepper) if isinstance(pepper, bytes) else pepper, variable)
    finally:
        await engine.dispose()
    return before, latest_revision()


async def ensure_first_key(store: Store) -> NewKey | None:
    """Make one organization and one key on an empty database; ``None`` if it was not empty.

    The key's text is known here and never again.
    """
    return await store.keys.create_first()


async def _prepare(engine: AsyncEngine, peppers: Peppers, variable: str) -> str | None:
    """Bring the tables up to date, check all that a start checks, and return the revision that was found."""
    try:
        await wait_for_writers(engine, BUSY_TIMEOUT_MS)
        async with begin(engine, writes=True) as connection:
            await wait_for_locks(connection)
            await lock_database(connection)
            found = await connection.run_sync(revision_of)
            await connection.run_sync(upgrade)
            await _check_pepper(connection, peppers)
            await _check_tables(connection)
            return found
    except (SQLAlchemyError, OSError) as error:
        raise SettingsError([_cannot_be_used(variable, error)]) from error


def _cannot_be_used(variable: str, error: BaseException) -> str:
    return f"{variable}: the database cannot be opened ({in_a_word(error)})"


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


async def _check_pepper(connection: AsyncConnection, peppers: Peppers) -> None:
    """Look whether the peppers of all keys that may still be used are known, and note the present one."""
    lost = sa.and_(api_keys.c.pepper.not_in(sorted(peppers.ids)), api_keys.c.revoked_at.is_(None))
    if (await connection.execute(sa.select(api_keys.c.id).where(lost).limit(1))).first() is not None:
        problem = (
            f"{VARIABLE}: its API keys belong to another pepper; restore the file pepper or UNCROP_KEY_PEPPER, "
            "or name the earlier one in UNCROP_KEY_PEPPER_PREVIOUS"
        )
        raise SettingsError([problem])
    noted = (await connection.execute(sa.select(pepper_fingerprint.c.fingerprint))).scalar_one_or_none()
    present = fingerprint(peppers.present)
    if noted is not None and hmac.compare_digest(noted, present):
        return
    await connection.execute(sa.delete(pepper_fingerprint))
    await connection.execute(sa.insert(pepper_fingerprint).values(id=1, fingerprint=present))

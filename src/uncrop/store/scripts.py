"""Runs scripts: the short transactions of which a picture has three, past most of what SQLAlchemy does for longer ones.

On SQLite a script runs in the connection's own thread from its first statement to its commit, and all scripts that
wait are committed together: a disk takes as long for one as for twenty. Each stands behind a savepoint, so that one
that fails takes none of the others with it, and each is answered once the commit that holds it is on the disk. On
PostgreSQL, which commits together by itself, each has a connection.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar, cast

from sqlalchemy import event
from sqlalchemy.util import greenlet_spawn

from uncrop.store.prepared import Ran
from uncrop.store.unavailable import reason_of, unavailable, wrapped

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from sqlalchemy.engine import Dialect
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
    from sqlalchemy.pool import PoolProxiedConnection

    from uncrop.store.prepared import Ask, Script
    from uncrop.store.sqlite import BriskConnection
    from uncrop.store.turns import Turns
    from uncrop.store.unavailable import Outage

T = TypeVar("T")
Make: TypeAlias = "Callable[[], Script[T]]"
"""Begins a script anew."""

# Scripts in one commit: more would hold up other processes, which wait for five seconds at most.
MOST_TOGETHER = 64


class Scripts(Protocol):
    """Runs scripts on one kind of database."""

    async def write(self, make: Make[T]) -> T:
        """Run a script in a transaction, and return what it returns once that is committed.

        What it raises undoes what it did. Errors of the driver come as SQLAlchemy's.
        """

    async def read(self, make: Make[T]) -> T:
        """Run a script of one statement that only reads."""


def scripts_for(engine: AsyncEngine, turns: Turns, outage: Outage) -> Scripts:
    """Return what runs scripts on an engine, in turn with its other transactions."""
    return (ScriptsOnSqlite if engine.dialect.name == "sqlite" else ScriptsOnPostgresql)(engine, turns, outage)


async def within(connection: AsyncConnection, script: Script[T]) -> T:
    """Run a script as a part of a longer transaction."""
    try:
        ask = next(script)
        while True:
            done = await connection.execute(cast("Any", ask.statement.statement), dict(ask.values))
            rows = [dict(row) for row in done.mappings()] if done.returns_rows else []
            ask = script.send(Ran(rows, done.rowcount))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        script.close()


# --- SQLite ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False, slots=True)
class _Waiting:
    """A script in the queue."""

    make: Make[Any]
    future: asyncio.Future[Any]
    since: float


class ScriptsOnSqlite:
    """Runs scripts on SQLite's one connection, those that write together.

    Whoever has the turn has the connection; the pool, which has this one, is not asked for it each time.
    """

    def __init__(self, engine: AsyncEngine, turns: Turns, outage: Outage) -> None:
        self._engine = engine
        self._turns = turns
        self._outage = outage
        self._queue: list[_Waiting] = []
        self._runner: asyncio.Task[None] | None = None
        self._connection: BriskConnection | None = None
        event.listen(engine.sync_engine, "close", self._closed)

    async def write(self, make: Make[T]) -> T:
        """Run a script, see ``Scripts``."""
        loop = asyncio.get_running_loop()
        waiting = _Waiting(make, loop.create_future(), time.monotonic())
        self._queue.append(waiting)
        if self._runner is None:
            self._runner = loop.create_task(self._run())
        result: T = await waiting.future
        return result

    async def read(self, make: Make[T]) -> T:
        """Run a script that only reads, see ``Scripts``."""
        async with self._turns.take():
            return await self._visit(partial(_advance, make, self._engine.dialect))

    async def _run(self) -> None:
        """Run what waits until nothing does; whoever comes meanwhile goes with the next ones."""
        while self._queue:
            some: list[_Waiting] = []
            try:
                async with self._turns.take():
                    some = self._next()
                    outcomes = await self._visit(partial(_together, [each.make for each in some], self._engine.dialect))
            except Exception as error:  # noqa: BLE001 - all who wait for it get it
                self._outage.note(error)
                for each in some or self._all():
                    each.future.set_exception(error)
                continue
            for each, (result, failure) in zip(some, outcomes, strict=True):
                if failure is None:
                    each.future.set_result(result)
                else:
                    each.future.set_exception(failure)
        self._runner = None

    def _next(self) -> list[_Waiting]:
        """Take from the queue what is committed together, without those that waited behind a failure."""
        some, self._queue = self._queue[:MOST_TOGETHER], self._queue[MOST_TOGETHER:]
        for each in some:
            if self._outage.overtakes(each.since):
                each.future.set_exception(unavailable())
        return [each for each in some if not each.future.done()]

    def _all(self) -> list[_Waiting]:
        waiting, self._queue = self._queue, []
        return waiting

    async def _visit(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do something in the connection's thread, as one piece."""
        if self._connection is None:
            async with self._engine.connect() as connection:
                self._connection = cast("Any", (await connection.get_raw_connection()).driver_connection)
        try:
            return await cast("BriskConnection", self._connection).visit(work)
        except sqlite3.Error as error:
            raise wrapped(error) from error

    def _closed(self, *_: object) -> None:
        self._connection = None


def _together(
    makes: Sequence[Make[Any]], dialect: Dialect, connection: sqlite3.Connection
) -> list[tuple[Any, Exception | None]]:
    """Run scripts in one transaction and commit it; return the result of each, or why it was undone.

    What says that the database cannot be used ends all of them: SQLite may have rolled back the whole of it.
    """
    outcomes: list[tuple[Any, Exception | None]] = []
    if not makes:
        return outcomes
    connection.execute("BEGIN IMMEDIATE")
    try:
        for make in makes:
            connection.execute("SAVEPOINT script")
            try:
                outcomes.append((_advance(make, dialect, connection), None))
            except Exception as error:
                if not connection.in_transaction or _ends_all(error):
                    raise
                connection.execute("ROLLBACK TO script")
                outcomes.append((None, wrapped(error) if isinstance(error, sqlite3.Error) else error))
            connection.execute("RELEASE script")
        connection.execute("COMMIT" if any(failure is None for _, failure in outcomes) else "ROLLBACK")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    return outcomes


def _ends_all(error: Exception) -> bool:
    return isinstance(error, sqlite3.Error) and reason_of(wrapped(error)) is not None


def _advance(make: Make[T], dialect: Dialect, connection: sqlite3.Connection) -> T:
    """Run one script on a connection, in the transaction that is open."""
    script = make()
    try:
        ask = next(script)
        while True:
            ask = script.send(_ask(ask, dialect, connection))
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        script.close()


def _ask(ask: Ask, dialect: Dialect, connection: sqlite3.Connection) -> Ran:
    text = ask.statement.text_for(dialect)
    cursor = connection.execute(text.text, text.parameters(ask.values))
    try:
        names = [column[0] for column in cursor.description or ()]
        return text.ran(cursor.fetchall(), names, cursor.rowcount)
    finally:
        cursor.close()


# --- PostgreSQL ------------------------------------------------------------------------------------------------------


class ScriptsOnPostgresql:
    """Runs scripts on PostgreSQL, each on a connection of the pool."""

    def __init__(self, engine: AsyncEngine, turns: Turns, outage: Outage) -> None:
        self._engine = engine
        self._turns = turns
        self._outage = outage

    async def write(self, make: Make[T]) -> T:
        """Run a script, see ``Scripts``."""
        return await self._run(make, writes=True)

    async def read(self, make: Make[T]) -> T:
        """Run a script that only reads, see ``Scripts``."""
        return await self._run(make, writes=False)

    async def _run(self, make: Make[T], *, writes: bool) -> T:
        try:
            return await self._try(make, writes=writes)
        except CutOffError:
            # As by a restart of PostgreSQL: it is looked first whether the next connection is still there.
            return await self._try(make, writes=writes, again=True)

    async def _try(self, make: Make[T], *, writes: bool, again: bool = False) -> T:
        since = time.monotonic()
        async with self._turns.take(), self._checked_out() as connection:
            if self._outage.overtakes(since):
                raise unavailable()
            driver: Any = connection.driver_connection
            conversation = _Conversation(driver, self._engine.dialect, writes=writes)
            try:
                # Else the driver would begin a transaction by a round trip of its own.
                await driver.set_autocommit(True)
                return await conversation.run(make())
            except self._engine.dialect.loaded_dbapi.Error as error:
                cut_off = driver.closed and not conversation.commits and not again
                # The driver believes that what it had prepared behind a statement that failed is there.
                await greenlet_spawn(connection.invalidate)
                if cut_off:
                    raise CutOffError from error
                self._outage.note(failure := wrapped(error))
                raise failure from error
            finally:
                if not driver.closed:
                    await driver.set_autocommit(False)

    @asynccontextmanager
    async def _checked_out(self) -> AsyncIterator[PoolProxiedConnection]:
        try:
            connection = await self._engine.raw_connection()
        except self._engine.dialect.loaded_dbapi.Error as error:
            raise wrapped(error) from error
        try:
            yield connection
        finally:
            await greenlet_spawn(connection.close)


class CutOffError(Exception):
    """The connection ended before anything was to be committed, so that nothing has happened."""


class _Conversation:
    """One script and PostgreSQL, with as few round trips as it can do with.

    What need not be waited for goes with the next statement that is: the beginning with the first of them. A statement
    that is the whole script needs neither beginning nor commit.
    """

    def __init__(self, driver: Any, dialect: Dialect, *, writes: bool) -> None:
        self._driver = driver
        self._dialect = dialect
        self._unsent: list[tuple[Ask, Ran]] = []
        self._writes = writes
        self._begun = False
        self.commits = False  # whether it was said that all is to be committed

    async def run(self, script: Script[T]) -> T:
        """Run the script to its end and commit."""
        try:
            result = await self._ask_all(script)
            if self._writes and not self.commits:
                await self._send(commit=True)
        except BaseException:
            if self._begun and not self._driver.closed:
                await self._driver.execute("ROLLBACK")
            raise
        finally:
            script.close()
        return result

    async def _ask_all(self, script: Script[T]) -> T:
        try:
            ask = next(script)
            while True:
                answer = Ran([], -1)
                self._unsent.append((ask, answer))
                if not ask.later:
                    answer = await self._send(commit=self._writes and ask.last)
                ask = script.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result

    async def _send(self, *, commit: bool = False) -> Ran:
        """Send the statements that are not yet, and perhaps the commit; return what came of the last of them.

        What came of the others is put into their answers.
        """
        asked, self._unsent = self._unsent, []
        texts = [ask.statement.text_for(self._dialect) for ask, _ in asked]
        sent: list[tuple[str, Any]] = [
            (text.text, text.parameters(ask.values)) for text, (ask, _) in zip(texts, asked, strict=True)
        ]
        ahead = 0
        if self._writes and not self._begun and not (commit and len(sent) <= 1):
            sent.insert(0, ("BEGIN", None))
            self._begun, ahead = True, 1
        if self._begun and commit:
            sent.append(("COMMIT", None))
        self.commits = commit
        cursors = await self._execute(sent)
        ran = Ran([], -1)
        for text, (_, answer), cursor in zip(texts, asked, cursors[ahead:], strict=False):
            names = [column.name for column in cursor.description or ()]
            ran = text.ran(await cursor.fetchall() if names else (), names, cursor.rowcount)
            answer.rows.extend(ran.rows)
        return ran

    async def _execute(self, sent: Sequence[tuple[str, Any]]) -> list[Any]:
        """Execute statements, in one round trip, and return their cursors."""
        if len(sent) == 1:
            return [await self._driver.execute(*sent[0])]
        async with self._driver.pipeline():
            return [await self._driver.execute(*each) for each in sent]

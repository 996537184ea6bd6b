"""Jobs: a row per picture that is made in the background.

::

    queued ──▶ running ──▶ done        its answer is kept until it expires
      │           ├──────▶ failed      there will be none
      │           └──────▶ unknown     its worker died after a billed call may have been sent
      └───────────┴──────▶ cancelled   its caller wanted it no more, and nothing had been sent

A worker changes a row only under the number of its own attempt, so that one which was given up for dead and wakes
changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from uncrop.errors import ServerBusy
from uncrop.model.jobs import OPEN_STATES, BackgroundJob
from uncrop.store.tables import jobs
from uncrop.store.transactions import execute

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from uncrop.model.jobs import JobState, NewJob
    from uncrop.store.transactions import Transactions

Also: TypeAlias = Callable[[AsyncConnection], Coroutine[Any, Any, None]]
"""Work that is done in the same transaction; what it raises rolls everything back."""

_PER_MILLE = 1000
_OPEN = jobs.c.state.in_(OPEN_STATES)


def in_turn(works: Sequence[Also]) -> Also:
    """Return what does several things, one after the other, in one transaction."""

    async def also(connection: AsyncConnection) -> None:
        for each in works:
            await each(connection)

    return also


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How a job ends.

    Attributes
    ----------
    state
        Anything but an open one.
    result_bytes
        Length of the result that is kept, where there is one.
    error
        Why there is none, as JSON.
    """

    state: JobState
    result_bytes: int | None = None
    error: str | None = None


class Jobs:
    """The jobs in the database."""

    def __init__(self, transactions: Transactions, clock: Callable[[], datetime]) -> None:
        self._transactions = transactions
        self._clock = clock

    async def submit(self, new: NewJob, *, most_open: int, also: Also) -> tuple[BackgroundJob, bool]:
        """Write a job down, and do ``also`` in the same transaction; or find the one of the same idempotency key.

        Parameters
        ----------
        new
            The job.
        most_open
            How many open jobs its organization may have, this one included.
        also
            Done if it is new.

        Returns
        -------
        job, is_new

        Raises
        ------
        ServerBusy
            The organization has too many open jobs.
        """
        row = {name: getattr(new, name) for name in _SUBMITTED}
        row |= {"state": "queued", "attempt": 0, "deaths": 0, "calls_sent": 0, "created_at": self._clock()}

        async def work(connection: AsyncConnection) -> tuple[BackgroundJob, bool]:
            insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(jobs).values(row)
            insert = insert.on_conflict_do_nothing(index_elements=["organization_id", "idempotency_key"])
            if (await connection.execute(insert.returning(jobs.c.id))).first() is not None:
                await _check_open(connection, new.organization_id, most_open)
                await also(connection)
                found = await connection.execute(sa.select(jobs).where(jobs.c.id == new.id))
                return job_of(found.one()), True
            same = (jobs.c.organization_id == new.organization_id, jobs.c.idempotency_key == new.idempotency_key)
            return job_of((await connection.execute(sa.select(jobs).where(*same))).one()), False

        return await self._transactions.write(work)

    async def find(self, organization_id: str, job_id: str) -> BackgroundJob | None:
        """Return an organization's job; another's is as if there were none."""
        return await self._one(jobs.c.id == job_id, jobs.c.organization_id == organization_id)

    async def named(self, organization_id: str, idempotency_key: str) -> BackgroundJob | None:
        """Return the job that was submitted under an idempotency key."""
        return await self._one(jobs.c.organization_id == organization_id, jobs.c.idempotency_key == idempotency_key)

    async def look_up(self, job_id: str) -> BackgroundJob | None:
        """Return a job, whosever it is: for workers."""
        return await self._one(jobs.c.id == job_id)

    async def page(
        self, organization_id: str | None, *, most: int, before: str | None = None, state: JobState | None = None
    ) -> tuple[BackgroundJob, ...]:
        """Return the last jobs of an organization, or of all, newest first.

        Parameters
        ----------
        most
            How many at most.
        before
            The id of a job; only older ones are returned.
        state
            Only those in this state.
        """
        query = sa.select(jobs).order_by(jobs.c.id.desc()).limit(most)
        if organization_id is not None:
            query = query.where(jobs.c.organization_id == organization_id)
        if before is not None:
            query = query.where(jobs.c.id < before)
        if state is not None:
            query = query.where(jobs.c.state == state)
        rows = await self._transactions.read(execute(query))
        return tuple(job_of(row) for row in rows.all())

    async def begin(self, job_id: str) -> BackgroundJob | None:
        """Begin a job once more, under the next number; ``None`` where it has ended, or may have sent a billed call."""
        change = (
            sa.update(jobs)
            .where(jobs.c.id == job_id, _OPEN, jobs.c.calls_sent == 0, jobs.c.cancel_requested_at.is_(None))
            .values(
                state="running",
                attempt=jobs.c.attempt + 1,
                deaths=jobs.c.deaths + 1,
                started_at=self._clock(),
                stage=None,
                per_mille=None,
            )
            .returning(jobs)
        )
        row = (await self._transactions.write(execute(change))).one_or_none()
        return None if row is None else job_of(row)

    async def mark_sent(self, job_id: str, attempt: int) -> bool:
        """Note that a billed call is sent now; False: another has the job by now, or its caller wants it no more."""
        change = (
            sa.update(jobs)
            .where(*_held(job_id, attempt), sa.or_(jobs.c.cancel_requested_at.is_(None), jobs.c.calls_sent > 0))
            .values(calls_sent=jobs.c.calls_sent + 1, sent_at=sa.func.coalesce(jobs.c.sent_at, self._clock()))
        )
        return (await self._transactions.write(execute(change))).rowcount == 1

    def still_held_by(self, job_id: str, attempt: int) -> Also:
        """Return what raises ``ServerBusy`` within a transaction where another attempt has the job by now."""
        ours = sa.select(jobs.c.id).where(*_held(job_id, attempt)).with_for_update()

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(ours)).first() is None:
                raise ServerBusy(system_message="The job was taken away from this worker")

        return work

    async def take_back(self, job_id: str, attempt: int) -> None:
        """Note that the call that was marked last was not sent, or was refused before anything was made."""
        change = sa.update(jobs).where(*_held(job_id, attempt), jobs.c.calls_sent > 0)
        await self._transactions.write(execute(change.values(calls_sent=jobs.c.calls_sent - 1)))

    async def tell(self, job_id: str, attempt: int, *, stage: str, fraction: float | None) -> bool | None:
        """Note how far a job is.

        Returns
        -------
        bool or None
            Whether its caller wants it no more; ``None``: another has it by now.
        """
        per_mille = None if fraction is None else round(fraction * _PER_MILLE)
        change = (
            sa.update(jobs)
            .where(*_held(job_id, attempt))
            .values(stage=stage, per_mille=per_mille)
            .returning(jobs.c.cancel_requested_at)
        )
        row = (await self._transactions.write(execute(change))).one_or_none()
        return None if row is None else row.cancel_requested_at is not None

    async def end(
        self, job_id: str, attempt: int, ending: Ending, *, keep: timedelta, also: Also | None = None
    ) -> bool:
        """End a job; False: another has it by now, or it has ended.

        Parameters
        ----------
        keep
            For how long its result can be had.
        also
            Done in the same transaction, if it is ended.
        """
        now = self._clock()
        change = (
            sa.update(jobs)
            .where(jobs.c.id == job_id, jobs.c.attempt == attempt, _OPEN)
            .values(
                state=ending.state,
                result_bytes=ending.result_bytes,
                error=ending.error,
                ended_at=now,
                expires_at=now + keep,
                stage=None,
            )
        )

        async def work(connection: AsyncConnection) -> bool:
            ended = (await connection.execute(change)).rowcount == 1
            if ended and also is not None:
                await also(connection)
            return ended

        return await self._transactions.write(work)

    async def hand_back(self, job: BackgroundJob, *, begun: bool, again: Callable[[int], Also]) -> None:
        """Leave a job that has sent nothing to whoever works next.

        Parameters
        ----------
        job
            As it was when it was begun, or found.
        begun
            Whether it was begun by the one who leaves it.
        again
            Returns what puts it into the queue again, in the same transaction, for the number of its next attempt.
        """
        change = (
            sa.update(jobs)
            .where(jobs.c.id == job.id, jobs.c.attempt == job.attempt, _OPEN, jobs.c.calls_sent == 0)
            # The number is one that no attempt had: it names the entry of the queue too.
            .values(state="queued", attempt=job.attempt + 1, deaths=job.deaths - int(begun), stage=None, per_mille=None)
        )

        async def work(connection: AsyncConnection) -> None:
            if (await connection.execute(change)).rowcount == 1:
                await again(job.attempt + 1)(connection)

        await self._transactions.write(work)

    async def cancel(
        self, organization_id: str, job_id: str, *, keep: timedelta, also: Also | None = None
    ) -> BackgroundJob | None:
        """End a job that nobody has begun; ask the worker of a running one to end it.

        Returns
        -------
        BackgroundJob or None
            As it is now; ``None`` where the organization has no such job.
        """
        now = self._clock()
        own = (jobs.c.id == job_id, jobs.c.organization_id == organization_id)
        waiting = sa.update(jobs).where(*own, jobs.c.state == "queued")
        running = sa.update(jobs).where(*own, jobs.c.state == "running", jobs.c.cancel_requested_at.is_(None))

        async def work(connection: AsyncConnection) -> BackgroundJob | None:
            ended = {"state": "cancelled", "ended_at": now, "expires_at": now + keep, "cancel_requested_at": now}
            if (await connection.execute(waiting.values(ended))).rowcount == 1:
                if also is not None:
                    await also(connection)
            else:
                await connection.execute(running.values(cancel_requested_at=now))
            row = (await connection.execute(sa.select(jobs).where(*own))).one_or_none()
            return None if row is None else job_of(row)

        return await self._transactions.write(work)

    async def expired(self, *, most: int) -> tuple[BackgroundJob, ...]:
        """Return jobs whose files and results are to be deleted."""
        query = sa.select(jobs).where(jobs.c.expires_at < self._clock()).order_by(jobs.c.expires_at).limit(most)
        return tuple(job_of(row) for row in (await self._transactions.read(execute(query))).all())

    async def having_files(self, job_ids: Sequence[str]) -> frozenset[str]:
        """Return which of these jobs there are whose files are not deleted yet."""
        kept = sa.or_(_OPEN, jobs.c.expires_at.is_not(None))
        rows = await self._transactions.read(execute(sa.select(jobs.c.id).where(jobs.c.id.in_(job_ids), kept)))
        return frozenset(rows.scalars())

    async def expire(self, job_ids: tuple[str, ...]) -> None:
        """Note that files and results of these jobs are gone."""
        change = sa.update(jobs).where(jobs.c.id.in_(job_ids)).values(result_bytes=None, expires_at=None)
        await self._transactions.write(execute(change))

    async def _one(self, *conditions: sa.ColumnElement[bool]) -> BackgroundJob | None:
        row = (await self._transactions.read(execute(sa.select(jobs).where(*conditions)))).one_or_none()
        return None if row is None else job_of(row)


_SUBMITTED = (*("id", "organization_id", "key_id", "provider", "request", "accept", "idempotency_key", "fingerprint"),)
_KEPT = (
    *("id", "organization_id", "key_id", "provider", "request", "accept", "state", "attempt", "deaths", "stage"),
    "calls_sent",
    *("result_bytes", "error", "fingerprint", "created_at", "started_at", "cancel_requested_at", "ended_at"),
    "expires_at",
)


def _held(job_id: str, attempt: int) -> tuple[sa.ColumnElement[bool], ...]:
    return jobs.c.id == job_id, jobs.c.attempt == attempt, jobs.c.state == "running"


async def _check_open(connection: AsyncConnection, organization_id: str, most: int) -> None:
    some = sa.select(jobs.c.id).where(jobs.c.organization_id == organization_id, _OPEN).limit(most + 1).subquery()
    if (await connection.execute(sa.select(sa.func.count()).select_from(some))).scalar_one() > most:
        raise ServerBusy(
            "The organization has as many open jobs as it may; try again later", details={"max_open_jobs": most}
        )


def job_of(row: sa.Row[Any]) -> BackgroundJob:
    """Return the job of a row of its table."""
    fraction = None if row.per_mille is None else row.per_mille / _PER_MILLE
    return BackgroundJob(**{name: getattr(row, name) for name in _KEPT}, fraction=fraction)

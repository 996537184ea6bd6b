"""Deletes what is kept of jobs and messages for longer than it shall be, and finds messages that the queue has lost."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import structlog

from uncrop.errors import UncropError
from uncrop.webhooks.deliverer import entries_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from uncrop.jobs.files import JobFiles
    from uncrop.jobs.port import Queue
    from uncrop.store.database import Store
    from uncrop.store.deliveries import Adding
    from uncrop.store.jobs import Jobs

EVERY_S = 600.0
STRAYS_EVERY_S = 6 * 3600.0  # to list a bucket costs time and money
STRAY_AFTER = timedelta(hours=24)
# A message that should have been sent so long ago is added to the queue again: as after a copy of the database, which
# leaves the queue behind. Where it only waits behind others, its old entry does nothing any more.
OVERDUE = timedelta(hours=1)
_BATCH = 100

_log = structlog.stdlib.get_logger("uncrop.jobs")


async def sweep(jobs: Jobs, files: JobFiles, queue: Queue) -> int:
    """Delete the files of jobs whose time is over, and what the queue knows of them; returns how many there were."""
    count = 0
    while found := await jobs.expired(most=_BATCH):
        for job in found:
            await files.delete(job.id)
            await queue.forget((job.id,), rounds=job.attempt + 1)
        await jobs.expire(tuple(job.id for job in found))
        count += len(found)
    return count


async def sweep_strays(jobs: Jobs, files: JobFiles, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> int:
    """Delete files that belong to no job, left by processes that died before it was taken; return of how many jobs."""
    old, count = sorted(await files.jobs_older_than(clock() - STRAY_AFTER)), 0
    for start in range(0, len(old), _BATCH):
        ids = old[start : start + _BATCH]
        for job_id in sorted({*ids} - await jobs.having_files(ids)):
            await files.delete(job_id)
            count += 1
    return count


async def sweep_deliveries(store: Store, queue: Queue, adding: Adding) -> int:
    """Delete messages whose time is over, and what the queue knows of them; returns how many there were.

    Messages that should have been sent long ago are added to the queue again.
    """
    count = 0
    while found := await store.deliveries.expired(most=_BATCH):
        for delivery in found:
            await queue.forget(entries_of(delivery.id, delivery.round), rounds=1)
        await store.deliveries.forget(tuple(delivery.id for delivery in found))
        count += len(found)
    await store.webhooks.purge()
    while lost := await store.deliveries.overdue(by=OVERDUE, most=_BATCH):
        for delivery in lost:
            await store.deliveries.hand_back(delivery, wait_s=0, adding=adding)
    return count


@asynccontextmanager
async def open_sweep(*sweeps: Callable[[], Awaitable[int]], every_s: float = EVERY_S) -> AsyncIterator[None]:
    """Sweep now and again for as long as the context lasts."""
    task = asyncio.create_task(_forever(sweeps, every_s), name="sweep of jobs")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def _forever(sweeps: tuple[Callable[[], Awaitable[int]], ...], every_s: float) -> None:
    while True:
        for each in sweeps:
            try:
                await each()
            except (UncropError, OSError) as error:
                _log.warning("expired jobs could not be deleted; it is tried again", error_type=type(error).__name__)
        await asyncio.sleep(every_s)

"""Opens what works on the batches of a database: the queue, and a worker of this process."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from uncrop.batch.callers import caller_of
from uncrop.batch.patience import Patience
from uncrop.batch.places import Places
from uncrop.batch.worker import BatchWorker
from uncrop.errors import SettingsError
from uncrop.jobs.opening import synchronous
from uncrop.jobs.port import QueueWork
from uncrop.store.worker_slots import hold_slot

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from uncrop.jobs.port import Queue
    from uncrop.ledger.ledger import Ledger
    from uncrop.model.batches import Batch
    from uncrop.service.service import Service
    from uncrop.store.jobs import Also

# Chunks of photos that nobody is billed for, and single photos that somebody may be billed for.
QUEUE, BILLED_QUEUE = "bulk", "bulk-billed"
# Of the first: while the last photos of one chunk are made, those of the next have begun.
CHUNKS_AT_ONCE = 2
ENDING_TRIES, ENDING_S = 20, 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenBatches:
    """The queue of batches, and the worker of this process.

    Attributes
    ----------
    patience
        Waits for what is away.
    """

    queue: Queue
    billed: Queue
    worker: BatchWorker
    patience: Patience

    def adding(self, batch: Batch, chunk: int, billed: bool) -> Also:
        """Return what puts a chunk into its queue, in a transaction of the store's."""
        return (self.billed if billed else self.queue).adding(f"{batch.id}-{chunk}", round_number=0)

    async def waiting(self, batch: Batch) -> frozenset[int]:
        """Return the chunks of a batch that are in the queue or worked on."""
        found = [await queue.waiting(f"{batch.id}-") for queue in (self.queue, self.billed)]
        return frozenset(int(entry.rpartition("-")[2]) for entries in found for entry in entries)

    async def forget(self, batch: Batch) -> None:
        """Delete what the queue has noted of a batch that has ended; its last entries end a moment after its photos."""
        for _ in range(ENDING_TRIES):
            if not await self.waiting(batch):
                break
            await self.patience.sleep(ENDING_S)
        for queue in (self.queue, self.billed):
            await queue.forget_all(f"{batch.id}-")


@asynccontextmanager
async def open_batches(
    service: Service, *, at_once: int | None = None, lost: Callable[[], None]
) -> AsyncIterator[OpenBatches]:
    """Work on batches until the context is left; what has sent nothing by then is given back.

    Parameters
    ----------
    service
        Open; it is told to stop at the end, if it was not before.
    at_once
        How many photos this process works on at once; by default as many as keep its engine busy.
    lost
        Called when this process has to end, since another works under its number.

    Raises
    ------
    SettingsError
        The database cannot be used for it.
    """
    try:
        from uncrop.jobs.dbos import open_queues, working
    except ModuleNotFoundError as error:
        raise SettingsError(["batches need packages that come with uncrop[jobs]"]) from error
    settings, store = service.settings, service.store
    url, stopped = synchronous(settings.database), asyncio.Event()
    photos_at_once = max(settings.jobs_at_once, settings.engine_workers + 1) if at_once is None else at_once
    async with AsyncExitStack() as stack:
        number = await stack.enter_async_context(hold_slot(settings.database, lost=lost))
        queues = await stack.enter_async_context(open_queues(url, [QUEUE, BILLED_QUEUE]))
        patience = Patience(stopping=stopped.is_set)
        worker = BatchWorker(
            batches=store.batches,
            photos=store.batch_photos,
            places=Places(),
            pictures=service.pictures,
            caller_of=partial(caller_of, store),
            facts_of=lambda name: service.registry.get(name).facts,
            at_once=photos_at_once,
            stopped=stopped,
            patience=patience,
            close_holds=partial(_close, service.ledger),
            start=service.tasks.start,
        )
        work = {
            QUEUE: QueueWork(run=partial(worker.run, queues[QUEUE]), at_once=CHUNKS_AT_ONCE),
            BILLED_QUEUE: QueueWork(run=partial(worker.run, queues[BILLED_QUEUE]), at_once=photos_at_once),
        }
        await stack.enter_async_context(working(url, f"worker-{number}", work))
        stack.push_async_callback(worker.drain)
        stack.callback(service.stop)
        stack.callback(stopped.set)
        yield OpenBatches(queue=queues[QUEUE], billed=queues[BILLED_QUEUE], worker=worker, patience=patience)


async def _close(ledger: Ledger, hold_ids: Sequence[str]) -> None:
    await ledger.expire(timedelta(0), only=hold_ids)

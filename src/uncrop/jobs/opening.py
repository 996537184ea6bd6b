"""Opens the jobs of a service: its queues, its worker, what tells webhooks, its sweep."""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from uncrop.errors import SettingsError
from uncrop.jobs.background import BackgroundJobs
from uncrop.jobs.files import KIND, JobFiles, earlier_folder_of
from uncrop.jobs.port import QueueWork
from uncrop.jobs.sweep import STRAYS_EVERY_S, open_sweep, sweep, sweep_deliveries, sweep_strays
from uncrop.jobs.webhooks import CallersWebhooks
from uncrop.jobs.worker import Worker
from uncrop.objects.objects import Objects
from uncrop.store.worker_slots import held_slots, hold_slot
from uncrop.webhooks.addresses import AddressRules, system_resolver
from uncrop.webhooks.deliverer import Deliverer, entry_of
from uncrop.webhooks.endpoints import Endpoints
from uncrop.webhooks.payload import payload_of
from uncrop.webhooks.sending import MessageSender

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from uncrop.jobs.answers import Render
    from uncrop.jobs.port import Queue
    from uncrop.service.service import Service
    from uncrop.settings import Settings
    from uncrop.store.database import Store
    from uncrop.store.deliveries import Adding
    from uncrop.store.jobs import Also

QUEUE, WEBHOOKS = "jobs", "webhooks"
EXECUTOR = "worker-"
# Messages that one process sends at once, and how many of them to one webhook: one that does not answer has one of
# these places at a time, for 20 s.
MESSAGES_AT_ONCE, MESSAGES_TO_ONE = 32, 1


@asynccontextmanager
async def open_jobs(
    service: Service,
    render: Render,
    *,
    lost: Callable[[], None],
) -> AsyncIterator[BackgroundJobs]:
    """Open a service's jobs and work on them, until the context is left; what has sent nothing by then is handed back.

    Parameters
    ----------
    service
        Open; it is told to stop at the end, if it was not before.
    render
        Writes pictures as the API answers with them.
    lost
        Called when this process has to end, since another works under its number.

    Raises
    ------
    SettingsError
        The database cannot be used for it.
    """
    settings, store = service.settings, service.store
    keep = timedelta(hours=settings.job_result_hours)
    files = JobFiles(Objects(settings.objects_place(KIND)), earlier_folder_of(settings.data_dir))
    async with AsyncExitStack() as stack:
        number = await stack.enter_async_context(hold_slot(settings.database, lost=lost))
        queues = await stack.enter_async_context(_open_queues(settings))
        queue, adding = queues[QUEUE], adding_to(queues[WEBHOOKS])
        worker = _worker(service, files, queue, render, adding)
        rules = rules_of(settings)
        deliverer = _deliverer(service, rules, adding)
        work = {
            # An organization that is alone may have all of it. That there is a bound makes the engine go from one to
            # another, in another order each time.
            QUEUE: QueueWork(run=worker.run, at_once=settings.jobs_at_once, of_each_partition=settings.jobs_at_once),
            WEBHOOKS: QueueWork(run=deliverer.run, at_once=MESSAGES_AT_ONCE, of_each_partition=MESSAGES_TO_ONE),
        }
        await stack.enter_async_context(_working(settings, f"{EXECUTOR}{number}", work))
        stack.push_async_callback(deliverer.drain)
        stack.push_async_callback(worker.drain)
        stack.callback(deliverer.stop)
        stack.callback(service.stop)
        sweeps = (partial(sweep, store.jobs, files, queue), partial(sweep_deliveries, store, queues[WEBHOOKS], adding))
        await stack.enter_async_context(open_sweep(*sweeps))
        strays = partial(sweep_strays, store.jobs, files)
        await stack.enter_async_context(open_sweep(strays, every_s=STRAYS_EVERY_S))
        yield BackgroundJobs(
            service=service,
            files=files,
            queue=queue,
            worker=worker,
            keep=keep,
            most_open=settings.max_open_jobs,
            webhooks=CallersWebhooks(
                store=store, endpoints=Endpoints(webhooks=store.webhooks, rules=rules), adding=adding
            ),
        )


def _worker(service: Service, files: JobFiles, queue: Queue, render: Render, adding: Adding) -> Worker:
    return Worker(
        jobs=service.store.jobs,
        files=files,
        queue=queue,
        pictures=service.pictures,
        ledger=service.ledger,
        caller_of=service.authenticator.caller_of,
        render=render,
        keep=timedelta(hours=service.settings.job_result_hours),
        stopping=lambda: service.stopping,
        start=service.tasks.start,
        at_once=service.at_once,
        announce=partial(announcing, service.store, adding),
    )


def _deliverer(service: Service, rules: AddressRules, adding: Adding) -> Deliverer:
    network = service.settings.network
    return Deliverer(
        deliveries=service.store.deliveries,
        send=MessageSender(
            rules=rules,
            certificates=network.trusted,
        ),
        adding=adding,
        keep=timedelta(hours=service.settings.job_result_hours),
        stopping=lambda: service.stopping,
    )


@asynccontextmanager
async def open_adding(settings: Settings) -> AsyncIterator[Adding]:
    """Open what adds messages to the queue, for commands beside the server."""
    async with _open_queues(settings) as queues:
        yield adding_to(queues[WEBHOOKS])


def adding_to(queue: Queue) -> Adding:
    """Return what adds messages to a queue."""

    def adding(delivery_id: str, webhook_id: str, round_number: int, wait_s: float) -> Also:
        return queue.adding(entry_of(delivery_id, round_number), delay_s=wait_s, partition=webhook_id)

    return adding


def announcing(store: Store, adding: Adding, job_id: str) -> Also:
    """Return what tells an organization's webhooks of a job's end, in the transaction that ends it."""
    return store.deliveries.announcing(job_id, payload=payload_of, adding=adding)


def rules_of(settings: Settings) -> AddressRules:
    """Return where messages may be sent."""
    return AddressRules(allowed=settings.webhook_networks, resolve=system_resolver())


def _open_queues(settings: Settings) -> AbstractAsyncContextManager[Mapping[str, Queue]]:
    try:
        from uncrop.jobs.dbos import open_queues
    except ModuleNotFoundError as error:
        raise _missing() from error
    return open_queues(synchronous(settings.database), [QUEUE, WEBHOOKS])


def _working(settings: Settings, executor_id: str, work: Mapping[str, QueueWork]) -> AbstractAsyncContextManager[None]:
    from uncrop.jobs.dbos import working

    return working(synchronous(settings.database), executor_id, work)


def _missing() -> SettingsError:
    return SettingsError(["jobs need packages that come with uncrop[jobs]"])


async def jobs_of_dead_workers(settings: Settings, store: Store) -> dict[int, int]:
    """Return how many open jobs wait for a worker of a number that nobody holds, by the number.

    Raises
    ------
    SettingsError, ServerBusy
        The database cannot be used.
    """
    if not await store.jobs.page(None, most=1, state="running"):
        return {}  # perhaps there is no queue yet either
    from uncrop.jobs.dbos import begun_by_executor

    begun = await begun_by_executor(synchronous(settings.database))
    held = await held_slots(settings.database)
    numbers = {int(name.removeprefix(EXECUTOR)): count for name, count in begun.items() if name.startswith(EXECUTOR)}
    return {number: count for number, count in sorted(numbers.items()) if number not in held}


def synchronous(url: str) -> str:
    """Return a database's address for a driver that blocks."""
    return url.replace("sqlite+aiosqlite:", "sqlite:", 1)

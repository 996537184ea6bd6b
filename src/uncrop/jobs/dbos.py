"""The queue by DBOS Transact: in this process, in our own database. The one importer of ``dbos``.

An entry is a workflow of one function, which is run again from its beginning when its process dies: by whoever is next
started under the dead one's executor id, see ``uncrop.jobs.executor``. What has been done before is told by our own
tables, never by the engine's.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from dbos import DBOS, DBOSClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from sqlalchemy.engine import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.jobs.port import QueueWork, Run
    from uncrop.store.jobs import Also

# Raised only when workflows of the version before can no longer be run by this one: the engine recovers and dequeues
# those of its own version alone.
APPLICATION_VERSION = "1"
APPLICATION = "uncrop"
POLL_S = 0.2
# Our own tables give a job up before that; it is the second net.
MOST_RECOVERIES = 20
_NOT_ENDED = ["ENQUEUED", "PENDING", "DELAYED"]
_ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
_LISTED_AT_A_TIME = 1000


class DbosQueue:
    """One queue, by the engine's client, which connects where it is needed."""

    def __init__(self, client: DBOSClient, name: str) -> None:
        self._client = client
        self._name = name

    def adding(self, entry_id: str, *, round_number: int = 0, delay_s: float = 0, partition: str | None = None) -> Also:
        """See ``uncrop.jobs.port.Queue``."""
        options: dict[str, Any] = {
            "queue_name": self._name,
            "workflow_name": self._name,
            "workflow_id": f"{entry_id}-{round_number}",
            "app_version": APPLICATION_VERSION,
        }
        if delay_s:
            options["delay_seconds"] = delay_s
        if partition is not None:
            options["queue_partition_key"] = partition

        def enqueue(connection: Connection) -> None:
            self._client.enqueue_in_transaction(connection, options, entry_id)  # type: ignore[arg-type]

        async def also(connection: AsyncConnection) -> None:
            await connection.run_sync(enqueue)

        return also

    async def forget(self, entry_ids: tuple[str, ...], *, rounds: int) -> None:
        """See ``uncrop.jobs.port.Queue``."""
        workflows = [f"{entry_id}-{number}" for entry_id in entry_ids for number in range(rounds)]
        await asyncio.to_thread(self._client.delete_workflows, workflows)

    async def waiting(self, beginning: str) -> frozenset[str]:
        """See ``uncrop.jobs.port.Queue``."""
        return frozenset(
            [name.rpartition("-")[0] async for names in self._pages(beginning, _NOT_ENDED) for name in names]
        )

    async def forget_all(self, beginning: str) -> None:
        """See ``uncrop.jobs.port.Queue``."""
        async for names in self._pages(beginning, _ENDED, deleted=True):
            await asyncio.to_thread(self._client.delete_workflows, names)

    async def _pages(self, beginning: str, states: list[str], *, deleted: bool = False) -> AsyncIterator[list[str]]:
        """Yield the names of workflows, so many at a time; ``deleted``: those yielded before are gone."""
        offset = 0
        while True:
            find = partial(
                self._client.list_workflows,
                workflow_id_prefix=beginning,
                queue_name=self._name,
                status=states,
                limit=_LISTED_AT_A_TIME,
                offset=offset,
                load_input=False,
                load_output=False,
            )
            found = [status.workflow_id for status in await asyncio.to_thread(find)]
            if found:
                yield found
            if len(found) < _LISTED_AT_A_TIME:
                return
            offset += 0 if deleted else len(found)


@asynccontextmanager
async def open_queues(url: str, names: Iterable[str]) -> AsyncIterator[Mapping[str, DbosQueue]]:
    """Open queues, to add entries; some process must have worked on the database before.

    Parameters
    ----------
    url
        The store's database, for a driver that blocks.
    names
        Of the queues.
    """
    # Its own lines are about its inside; what concerns the operator is logged by us.
    logging.getLogger("dbos").setLevel(logging.ERROR)
    client = DBOSClient(system_database_url=url, application_name=APPLICATION, lazy=True)
    try:
        yield {name: DbosQueue(client, name) for name in names}
    finally:
        await asyncio.to_thread(client.destroy)


@asynccontextmanager
async def working(url: str, executor_id: str, queues: Mapping[str, QueueWork]) -> AsyncIterator[None]:
    """Work on the entries of queues for as long as the context lasts; nothing may be left of that at its end.

    One set of queues in a process at a time, since there is one engine.

    Parameters
    ----------
    url
        The store's database, for a driver that blocks.
    executor_id
        Whose entries are taken over; no other living process may have it.
    queues
        By the queue's name: what is done with it.
    """
    try:
        await asyncio.to_thread(_launch, url, executor_id, queues, asyncio.get_running_loop())
        yield
    finally:
        await asyncio.to_thread(partial(DBOS.destroy, destroy_registry=True))


async def begun_by_executor(url: str) -> Counter[str]:
    """Return how many entries each executor has begun and not ended, dead ones' too.

    Parameters
    ----------
    url
        The store's database, for a driver that blocks; some process must have worked on it before.
    """
    client = DBOSClient(system_database_url=url, application_name=APPLICATION, lazy=True)
    ask = partial(client.list_workflows, status="PENDING", queues_only=True, load_input=False, load_output=False)
    try:
        return Counter(status.executor_id or "" for status in await asyncio.to_thread(ask))
    finally:
        await asyncio.to_thread(client.destroy)


def _launch(url: str, executor_id: str, queues: Mapping[str, QueueWork], loop: asyncio.AbstractEventLoop) -> None:
    DBOS(
        config={
            "name": APPLICATION,
            "system_database_url": url,
            "executor_id": executor_id,
            "application_version": APPLICATION_VERSION,
            "use_listen_notify": False,
            "log_level": "ERROR",
        }
    )
    for name, work in queues.items():
        _register(name, work.run, loop)
    DBOS.listen_queues(list(queues))
    DBOS.launch()
    for name, work in queues.items():
        DBOS.register_queue(
            name,
            worker_concurrency=work.at_once,
            # Of this process, not of all: entries of one that has died for good would keep theirs from all others.
            partition_worker_concurrency=work.of_each_partition,
            polling_interval_sec=POLL_S,
            on_conflict="always_update",
        )


def _register(name: str, run: Run, loop: asyncio.AbstractEventLoop) -> None:
    """Make a workflow of what works on an entry, which belongs to the loop of everything else."""

    @DBOS.workflow(name=name, max_recovery_attempts=MOST_RECOVERIES)
    def workflow(entry_id: str) -> None:
        asyncio.run_coroutine_threadsafe(run(entry_id), loop).result()

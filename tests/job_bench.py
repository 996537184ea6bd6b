"""A worker on jobs with a real store and files, and a queue and a maker of pictures that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from fixtures_server import picture
from uncrop.jobs.answers import Answer
from uncrop.jobs.files import IMAGE, JobFiles
from uncrop.jobs.requests import to_text
from uncrop.jobs.worker import Worker
from uncrop.ledger.ledger import Ledger
from uncrop.model import Caller, Sides, UncropRequest
from uncrop.model.jobs import BackgroundJob, NewJob
from uncrop.service.pictures import MadePicture, MadePictures

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.service.pictures import Work
    from uncrop.store.database import Store
    from uncrop.store.jobs import Also

KEEP = timedelta(hours=24)
MADE = MadePictures(pictures=(MadePicture(result=picture()),))


@dataclass
class FakeQueue:
    """Notes what is added and forgotten."""

    added: list[tuple[str, int, float]] = field(default_factory=list)
    forgotten: list[tuple[tuple[str, ...], int]] = field(default_factory=list)
    forgot: asyncio.Event = field(default_factory=asyncio.Event)

    def adding(self, entry_id: str, *, round_number: int = 0, delay_s: float = 0, partition: str | None = None) -> Also:
        async def also(_connection: AsyncConnection) -> None:
            self.added.append((entry_id, round_number, delay_s))

        return also

    async def forget(self, entry_ids: tuple[str, ...], *, rounds: int) -> None:
        self.forgotten.append((entry_ids, rounds))
        self.forgot.set()


@dataclass
class FakePictures:
    """Makes pictures as it is told."""

    action: Callable[[UncropRequest, Work], Awaitable[MadePictures]] | None = None
    requests: list[UncropRequest] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)

    async def make(self, request: UncropRequest, work: Work) -> MadePictures:
        self.requests.append(request)
        self.works.append(work)
        return MADE if self.action is None else await self.action(request, work)


@dataclass(kw_only=True)
class Bench:
    """A worker with all that it needs, and what it did."""

    store: Store
    files: JobFiles
    key_id: str
    queue: FakeQueue = field(default_factory=FakeQueue)
    pictures: FakePictures = field(default_factory=FakePictures)
    stopping: bool = False
    waits: list[float] = field(default_factory=list)
    tasks: list[asyncio.Task[Any]] = field(default_factory=list)
    numbers: int = 0

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.store.books)

    def worker(self, **changes: Any) -> Worker:
        values: dict[str, Any] = {
            "jobs": self.store.jobs,
            "files": self.files,
            "queue": self.queue,
            "pictures": self.pictures,
            "ledger": self.ledger,
            "caller_of": self.caller_of,
            "render": render,
            "keep": KEEP,
            "stopping": lambda: self.stopping,
            "start": self.start,
            "sleep": self.sleep,
            "tell_every_s": 0.01,
        }
        return Worker(**{**values, **changes})

    def start(self, work: Coroutine[Any, Any, MadePictures]) -> asyncio.Task[MadePictures]:
        task = asyncio.create_task(work)
        self.tasks.append(task)
        return task

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    async def caller_of(self, key_id: str) -> Caller:
        return Caller(organization_id="org_a", key_id=key_id)

    async def submit(self, **changes: Any) -> str:
        """Write a job and its photo down; return its id."""
        self.numbers += 1
        request = UncropRequest(provider="local", image=b"photo", organization_id="org_a", sides=Sides(left=8))
        values = {"organization_id": "org_a", "key_id": self.key_id, "provider": "local", "request": to_text(request)}
        new = NewJob(**{"id": f"job_{self.numbers:032x}", **values, **changes})
        await self.files.write(new.id, IMAGE, b"photo")
        await self.store.jobs.submit(new, most_open=100, also=self.queue.adding(new.id))
        return new.id

    async def job(self, job_id: str) -> BackgroundJob:
        found = await self.store.jobs.look_up(job_id)
        assert found is not None
        return found


def render(made: MadePictures, accept: str) -> Answer:
    result = made.pictures[0].result
    return Answer(media_type=result.media_type, headers={"X-Accept": accept}, body=result.image)

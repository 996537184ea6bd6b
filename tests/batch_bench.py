"""A worker on batches with a real store and folders, and a queue and a maker of pictures that do as they are told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from fixtures_server import picture
from uncrop.batch.patience import Patience
from uncrop.batch.places import Places
from uncrop.batch.worker import BatchWorker
from uncrop.jobs.requests import to_text
from uncrop.model import Caller, Sides, UncropRequest
from uncrop.model.batches import Batch, BatchPhoto, PlannedPhoto
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.service.pictures import MadePicture, MadePictures

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy.ext.asyncio import AsyncConnection

    from uncrop.service.pictures import Work
    from uncrop.store.database import Store
    from uncrop.store.jobs import Also

MADE = MadePictures(pictures=(MadePicture(result=picture()),))
IMAGE = MADE.pictures[0].result.image
PRICE = 70_000  # micro-dollars a call


@dataclass
class FakeQueue:
    """Notes what is added."""

    added: list[tuple[str, int]] = field(default_factory=list)
    alive: set[str] = field(default_factory=set)
    forgotten: list[str] = field(default_factory=list)

    def adding(self, entry_id: str, *, round_number: int = 0, delay_s: float = 0, partition: str | None = None) -> Also:
        async def also(_connection: AsyncConnection) -> None:
            self.added.append((entry_id, round_number))

        return also

    async def forget(self, entry_ids: tuple[str, ...], *, rounds: int) -> None:
        raise AssertionError

    async def waiting(self, beginning: str) -> frozenset[str]:
        return frozenset(entry for entry in self.alive if entry.startswith(beginning))

    async def forget_all(self, beginning: str) -> None:
        self.forgotten.append(beginning)


@dataclass
class FakePictures:
    """Makes pictures as it is told, and keeps and books them as the flow does."""

    store: Store
    action: Callable[[UncropRequest, Work], Awaitable[MadePictures]] | None = None
    requests: list[UncropRequest] = field(default_factory=list)
    booked: bool = True

    async def make(self, request: UncropRequest, work: Work) -> MadePictures:
        self.requests.append(request)
        assert work.claim is not None
        await self.store._transactions.write_script(work.claim.also)
        made = MADE if self.action is None else await self.action(request, work)
        assert work.keep is not None
        also = await work.keep(made)
        if self.booked and also is not None:
            await self.store._transactions.write_script(also)
        return made


@dataclass(kw_only=True)
class Bench:
    """A worker with all that it needs, and what it did."""

    store: Store
    folder: Path
    batch: Batch
    pictures: FakePictures
    stopped: asyncio.Event = field(default_factory=asyncio.Event)
    queue: FakeQueue = field(default_factory=FakeQueue)
    waits: list[float] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    places: Places = field(default_factory=Places)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def worker(self, **changes: Any) -> BatchWorker:
        values: dict[str, Any] = {
            "batches": self.store.batches,
            "photos": self.store.batch_photos,
            "places": self.places,
            "pictures": self.pictures,
            "caller_of": self.caller_of,
            "facts_of": lambda _name: replace(FACTS, usd_per_credit=Decimal("0.05")),
            "at_once": 2,
            "stopped": self.stopped,
            "patience": Patience(stopping=self.stopped.is_set, sleep=self.sleep),
            "close_holds": self.close_holds,
            "start": self.start,
        }
        return BatchWorker(**{**values, **changes})

    async def close_holds(self, ids: Sequence[str]) -> None:
        self.closed.append(ids[0].partition(".")[0])

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(0)

    def start(self, work: Coroutine[Any, Any, MadePictures]) -> asyncio.Task[MadePictures]:
        return asyncio.create_task(work)

    async def caller_of(self, organization_id: str) -> Caller:
        return Caller(organization_id=organization_id)

    async def plan(self, photos: int = 1, *, photo: bytes | None = b"photo", **changes: Any) -> None:
        """Write photos and their rows, put them into one chunk, and let them be worked on."""
        request = UncropRequest(provider="clipdrop", image=b"", sides=Sides(left=8))
        new = []
        for number in range(1, photos + 1):
            source = self.folder / f"{number}.jpg"
            if photo is not None:
                source.write_bytes(photo)
            values = {"source": str(source), "output": f"{number}.jpg", "request": to_text(request), "billed": False}
            new.append((None, PlannedPhoto(**{**values, "usd_micro": PRICE, **changes})))
        await self.store.batches.plan(self.batch, kept=(), new=new)
        await self.store.batches.put_into_chunks(
            self.batch, size=100, adding=lambda chunk, _billed: self.queue.adding(f"{self.batch.id}-{chunk}")
        )
        await self.store.batches.open(self.batch.id, max_usd_micro=None)

    async def run(self, worker: BatchWorker | None = None, chunk: int = 1) -> None:
        await (worker or self.worker()).run(self.queue, f"{self.batch.id}-{chunk}")

    async def photo(self, number: int = 1) -> BatchPhoto:
        found = await self.store.batch_photos.look_up(self.batch.id, number)
        assert found is not None
        return found

    def written(self) -> dict[str, bytes]:
        """Return all that lies in the output folder."""
        return {path.name: path.read_bytes() for path in sorted(self.out.glob("**/*")) if path.is_file()}


def raising(*errors: BaseException | None) -> Callable[[UncropRequest, Work], Awaitable[MadePictures]]:
    """Return what raises these errors in turn, and then makes a picture."""
    left = list(errors)

    async def action(_request: UncropRequest, _work: Work) -> MadePictures:
        if left and (error := left.pop(0)) is not None:
            raise error
        return made()

    return action


def made() -> MadePictures:
    return MADE


def why(error: str | None) -> str:
    return str(json.loads(error or "{}").get("code"))


def sending(
    error: BaseException | None = None, *, charged: bool | None = True
) -> Callable[[UncropRequest, Work], Awaitable[MadePictures]]:
    """Return what sends a call and then fails, or makes a picture; ``charged=None``: nobody knows whether it is."""

    async def action(_request: UncropRequest, work: Work) -> MadePictures:
        await work.commitment.commit()
        if error is None:
            work.commitment.note_cost(made().pictures[0].result.facts)
            return made()
        if charged is not None:
            work.commitment.note_failure(charged=charged)
        raise error

    return action

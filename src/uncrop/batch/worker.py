"""Works on the photos of batches: each is begun, made by the one flow, written, and ended, whatever happens in between.

A picture is written under a temporary name first. The transaction that books it ends its row; only then is it given its
own name. Whoever finds the row ended and the picture still under the first name has only to rename it.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from anyio import to_thread

from uncrop.admission.idempotency import Claim
from uncrop.batch.calls import PhotoCalls
from uncrop.batch.notes import AS_WANTED, is_as_wanted, kept_elsewhere, skipped
from uncrop.batch.patience import GivenUpError
from uncrop.batch.sources import reason
from uncrop.errors import (
    InternalError,
    InvalidFieldValue,
    InvalidImage,
    JobAbandoned,
    JobOutcomeUnknown,
    ServerBusy,
    UncropError,
    UsageLimitExceeded,
    ValidationError,
)
from uncrop.jobs.answers import error_to_text
from uncrop.jobs.requests import from_text
from uncrop.model.batches import PhotoEnding
from uncrop.model.claims import hold_ids
from uncrop.providers.commitment import Commitment
from uncrop.service.pictures import Work

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from uncrop.batch.patience import Patience
    from uncrop.batch.places import Places
    from uncrop.jobs.port import Queue
    from uncrop.model import Caller, ProviderFacts
    from uncrop.model.batches import Batch, BatchPhoto
    from uncrop.objects.trees import Files
    from uncrop.service.pictures import MadePictures, Pictures
    from uncrop.store.batch_photos import BatchPhotos
    from uncrop.store.batches import Batches
    from uncrop.store.books import Also, Part
    from uncrop.store.prepared import Script

# A photo is begun so often without its worker coming back; then it is the photo that ends workers.
MOST_DEATHS = 2
# What may pass by itself is tried so often, with waits between that a provider or we ourselves asked for.
MOST_TRIES = 6
LONGEST_WAIT_S = 60.0

_log = structlog.stdlib.get_logger("uncrop.batch")


class _AsWantedError(Exception):
    """Nothing is to be added to a photo."""


@dataclass(kw_only=True)
class BatchWorker:
    """Works on the entries of the queue, each of which is a chunk of a batch.

    Attributes
    ----------
    batches, photos
        What is kept of batches.
    places
        Where photos and pictures lie.
    pictures
        Makes the pictures.
    caller_of
        Returns for whom an organization's pictures are made.
    facts_of
        Returns a provider's row, by its name.
    at_once
        How many photos are worked on at once.
    stopped
        Set when this process shall end: what has sent nothing is given back.
    patience
        Waits for what is away.
    close_holds
        Ends holds in the books, by their ids: what they have not sent they never will.
    start
        Starts what makes a picture, so that it is cancelled when this process shall end at once.
    """

    batches: Batches
    photos: BatchPhotos
    places: Places
    pictures: Pictures
    caller_of: Callable[[str], Awaitable[Caller]]
    facts_of: Callable[[str], ProviderFacts]
    at_once: int
    stopped: asyncio.Event
    patience: Patience
    close_holds: Callable[[Sequence[str]], Awaitable[None]]
    start: Callable[[Coroutine[Any, Any, MadePictures]], asyncio.Task[MadePictures]]
    _turns: asyncio.Semaphore = field(init=False)
    _open: set[asyncio.Event] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._turns = asyncio.Semaphore(self.at_once)

    async def run(self, queue: Queue, entry_id: str) -> None:
        """Work on a chunk until nothing of it is left to do, or it is handed back; raises nothing."""
        ended = asyncio.Event()
        self._open.add(ended)
        try:
            with suppress(GivenUpError):
                await self._chunk(queue, entry_id)
        finally:
            self._open.discard(ended)
            ended.set()

    async def drain(self) -> None:
        """Wait for the chunks that are worked on; once it is stopped, what has sent nothing is given back."""
        while self._open:
            await next(iter(self._open)).wait()

    async def _chunk(self, queue: Queue, entry_id: str) -> None:
        batch_id, _, chunk = entry_id.rpartition("-")
        numbers = await self.patience.until_done(partial(self.photos.open_numbers, batch_id, int(chunk)))
        batch = await self.patience.until_done(partial(self.batches.find, batch_id))
        if batch is not None and numbers:
            maker = _PhotoMaker(self, batch, await self._caller(batch))
            async with asyncio.TaskGroup() as group:
                for number in numbers:
                    # Taken before the task is there: a chunk's photos wait in the table, not in memory.
                    await self._turns.acquire()
                    group.create_task(self._in_turn(maker.photo(number)))
        if self.stopped.is_set():
            again = partial(_adding, queue, entry_id)
            await self.patience.until_done(partial(self.photos.hand_back, batch_id, int(chunk), again))

    async def _in_turn(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            with suppress(GivenUpError):
                await work
        finally:
            self._turns.release()

    async def _caller(self, batch: Batch) -> Caller:
        return await self.patience.until_done(partial(self.caller_of, batch.organization_id))


def _adding(queue: Queue, entry_id: str, number: int) -> Also:
    return queue.adding(entry_id, round_number=number)


@dataclass(kw_only=True, slots=True)
class _Attempt:
    """One attempt at a photo."""

    photo: BatchPhoto
    calls: PhotoCalls
    commitment: Commitment
    started: float = field(default_factory=time.monotonic)
    made: PhotoEnding | None = None


class _PhotoMaker:
    """Makes the photos of one chunk."""

    def __init__(self, worker: BatchWorker, batch: Batch, caller: Caller) -> None:
        self._worker = worker
        self._batch = batch
        self._caller = caller
        self._files: Files = worker.places.files_at(batch.place)

    async def photo(self, number: int) -> None:
        """Work on a photo until it has ended, or is given back.

        Raises
        ------
        GivenUpError
            It is left as it is: the database is away, and this process shall end.
        """
        worker = self._worker
        if worker.stopped.is_set():
            return
        beginning = partial(worker.photos.begin, self._batch.id, number)
        photo = await worker.patience.until_done(beginning)
        if photo is None:
            if not await self._was_never_sent(number):
                return
            photo = await worker.patience.until_done(beginning)
            if photo is None:
                return
        await self._clear(photo)
        await self._close_holds(photo)
        if photo.deaths > MOST_DEATHS:
            _log.error("a photo was given up: its workers came to an end over it", number=number)
            await self._end(photo, PhotoEnding(state="failed", error=error_to_text(JobAbandoned())))
            return
        await self._attend(photo)

    async def _was_never_sent(self, number: int) -> bool:
        """Look at a photo that cannot be begun since its worker died when a call may have been sent.

        The books are written after the photo's row and before the first byte, so that they may say that nothing was
        sent; otherwise the photo is in doubt.
        """
        worker = self._worker
        photo = await worker.patience.until_done(partial(worker.photos.look_up, self._batch.id, number))
        if photo is None or not photo.is_open or not photo.calls_sent:
            return False
        await self._close_holds(photo)
        if not await worker.patience.until_done(partial(worker.batches.calls_in_books, photo)):
            await worker.patience.until_done(partial(worker.photos.unmark, photo))
            return True
        _log.error("a photo's worker died when a billed call may have been sent", number=number)
        await self._end(photo, PhotoEnding(state="unknown", error=error_to_text(JobOutcomeUnknown())))
        await self._clear(photo, present=True)
        return False

    async def _close_holds(self, photo: BatchPhoto) -> None:
        """End what an earlier attempt has left held, after which it can send nothing any more."""
        if photo.claim_id is not None:
            closing = partial(self._worker.close_holds, hold_ids(photo.claim_id))
            await self._worker.patience.until_done(closing)

    async def _clear(self, photo: BatchPhoto, *, present: bool = False) -> None:
        """Delete what earlier attempts have left under their temporary names."""
        for attempt in range(1, photo.attempt + int(present)):
            with suppress(UncropError, OSError):
                await to_thread.run_sync(self._files.delete, photo.temporary(attempt))

    async def _attend(self, photo: BatchPhoto) -> None:
        """Make a photo's picture, unless this process shall end before it has sent anything."""
        worker = self._worker
        calls = PhotoCalls(worker.photos, photo, worker.facts_of)
        attempt = _Attempt(photo=photo, calls=calls, commitment=Commitment(log=calls))
        making = worker.start(self._make(attempt))
        stopping = asyncio.create_task(worker.stopped.wait(), name="batch's end")
        try:
            await asyncio.wait({making, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if not making.done() and attempt.commitment.abandon():
                making.cancel()
            await asyncio.wait({making})
        finally:
            stopping.cancel()
        ending = self._outcome(attempt, making)
        if ending is None:
            await worker.patience.until_done(partial(worker.photos.put_back, photo))
            await self._clear(photo, present=True)
        elif ending.state == "done":
            await self._publish(attempt, ending)
        else:
            await self._end(photo, ending)
            await self._clear(photo, present=True)

    def _outcome(self, attempt: _Attempt, making: asyncio.Task[MadePictures]) -> PhotoEnding | None:
        """Return how a photo ends; ``None``: not yet."""
        calls = attempt.calls
        error = JobOutcomeUnknown() if making.cancelled() else making.exception()
        if error is None and attempt.made is not None:
            return attempt.made
        if isinstance(error, _AsWantedError):
            return PhotoEnding(state="skipped", error=skipped(AS_WANTED))
        if not calls.sent and (making.cancelled() or calls.taken or self._ends_first(error)):
            return None
        if isinstance(error, GivenUpError):
            error = ServerBusy("The picture was made and could not be kept")
        elif not isinstance(error, UncropError):
            _log.error("a photo failed", number=attempt.photo.number, exc_info=error)
            error = InternalError()
        return PhotoEnding(
            state="unknown" if calls.in_doubt else "failed",
            calls=calls.sent,
            usd_micro=calls.usd_micro,
            error=error_to_text(error),
            milliseconds=_since(attempt.started),
        )

    def _ends_first(self, error: BaseException | None) -> bool:
        return self._worker.stopped.is_set() and isinstance(error, ServerBusy | GivenUpError)

    async def _make(self, attempt: _Attempt) -> MadePictures:
        """Make the picture; what may pass by itself is tried again as long as nothing was sent."""
        worker, photo = self._worker, attempt.photo
        request = replace(
            from_text(photo.request, image=await self._read(photo), mask=None),
            organization_id=self._caller.organization_id,
        )
        tries = 0
        while True:
            tries += 1
            try:
                return await worker.pictures.make(request, self._work(attempt))
            except UncropError as error:
                if isinstance(error, InvalidFieldValue) and is_as_wanted(request):
                    raise _AsWantedError from error
                if not error.retryable or isinstance(error, UsageLimitExceeded) or attempt.calls.taken:
                    raise
                if attempt.commitment.sent or tries == MOST_TRIES or worker.stopped.is_set():
                    raise
                wait = min(LONGEST_WAIT_S, error.retry_after or float(tries))
                _log.info("a photo is tried again", number=photo.number, code=error.code, wait_s=wait)
            await worker.patience.sleep(wait)

    def _work(self, attempt: _Attempt) -> Work:
        """Return for whom the picture is made, and what is done together with its hold and its booking."""
        photo = attempt.photo

        def claiming() -> Script[None]:
            yield from self._worker.photos.claiming(photo, claim.id)()

        claim = Claim(
            organization_id=self._batch.organization_id,
            key=f"{photo.batch_id}-{photo.number}",
            fingerprint=b"",
            also=claiming,
        )

        async def keep(made: MadePictures) -> Part | None:
            ending = await self._written(attempt, made)
            return self._worker.photos.ending(photo, ending)

        return Work(caller=self._caller, commitment=attempt.commitment, claim=claim, keep=keep)

    async def _read(self, photo: BatchPhoto) -> bytes:
        async def read() -> bytes:
            try:
                return await to_thread.run_sync(self._worker.places.read, photo.source)
            except OSError as error:
                raise InvalidImage(f"The file cannot be read ({reason(error)})") from error

        return await self._worker.patience.until_done(read)

    async def _written(self, attempt: _Attempt, made: MadePictures) -> PhotoEnding:
        """Write the picture under its temporary name, and return the end that it is."""
        result, photo = made.pictures[0].result, attempt.photo
        writing = partial(to_thread.run_sync, self._files.write, photo.temporary(), result.image)
        try:
            await self._worker.patience.until_done(writing)
        except GivenUpError:
            if attempt.calls.sent:  # it was paid for
                _log.error("a picture has no place", kept_as=await to_thread.run_sync(kept_elsewhere, result.image))
            raise
        attempt.made = PhotoEnding(
            state="done",
            provider=result.facts.provider,
            width=result.width,
            height=result.height,
            seed=result.seed,
            confidence=result.facts.confidence,
            calls=attempt.calls.sent,
            usd_micro=attempt.calls.usd_micro,
            sha256=hashlib.sha256(result.image).hexdigest(),
            bytes=len(result.image),
            milliseconds=_since(attempt.started),
        )
        return attempt.made

    async def _publish(self, attempt: _Attempt, ending: PhotoEnding) -> None:
        """Give a picture its name once its row says that it is made."""
        photo, worker = attempt.photo, self._worker
        # Booking it has ended the row, unless the books could not be written.
        ended = await worker.patience.until_done(partial(worker.photos.look_up, photo.batch_id, photo.number))
        if ended is None or ended.attempt != photo.attempt or (ended.is_open and not await self._end(photo, ending)):
            await self._clear(photo, present=True)
            return
        renaming = partial(self._files.rename, photo.temporary(), photo.output, replace=photo.replace)
        try:
            await worker.patience.until_done(partial(to_thread.run_sync, renaming))
        except FileExistsError:
            message = f"Somebody else has made a file of its name meanwhile; it is kept as {photo.temporary()}"
            refusal = error_to_text(ValidationError(message))
            await worker.patience.until_done(partial(worker.photos.refuse, photo, refusal))

    async def _end(self, photo: BatchPhoto, ending: PhotoEnding) -> bool:
        ended = await self._worker.patience.until_done(partial(self._worker.photos.end, photo, ending))
        if not ended:
            _log.warning("a late result was refused: another worker has the photo", number=photo.number)
        return ended


def _since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)

"""Works on jobs: each is begun, made by the one flow, and ended, whatever happens in between."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

import anyio
import structlog

from uncrop.admission.at_once import RequestsAtOnce
from uncrop.errors import (
    InternalError,
    InvalidApiKey,
    JobAbandoned,
    JobCancelled,
    JobOutcomeUnknown,
    RateLimitExceeded,
    ServerBusy,
    UncropError,
)
from uncrop.jobs.answers import error_to_text, pack
from uncrop.jobs.files import IMAGE, MASK, result_name
from uncrop.jobs.requests import from_text, has_mask
from uncrop.ledger.job_holds import JobHolds, giving_back
from uncrop.providers.commitment import Commitment
from uncrop.service.pictures import Work
from uncrop.service.running import RunningRequest
from uncrop.store.jobs import Ending, in_turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine
    from typing import Any

    from uncrop.jobs.answers import Render
    from uncrop.jobs.files import JobFiles
    from uncrop.jobs.port import Queue
    from uncrop.ledger.ledger import Ledger
    from uncrop.model import Caller, PictureFacts
    from uncrop.model.jobs import BackgroundJob, JobState
    from uncrop.service.pictures import Ended, MadePictures, Pictures
    from uncrop.service.report import RunEnd
    from uncrop.store.jobs import Also, Jobs

# A job is begun so often without its worker coming back; then it is the job that ends workers.
MOST_DEATHS = 2
# What may pass by itself is tried so often, with waits between that a provider or we ourselves asked for.
MOST_TRIES = 6
LONGEST_WAIT_S = 60.0
TELL_EVERY_S = 1.0
AFTER_STOP_S = 5.0  # before which an entry that was handed back is not run again
# How long a job waits before it asks again for its turn: twice as long each time, so that many that wait for few turns
# keep no worker busy, and one that could be begun waits at most about as long again as it has waited already.
FIRST_TURN_S, LONGEST_TURN_S = 1.0, 60.0

_log = structlog.stdlib.get_logger("uncrop.jobs")


class _GivenUp(Exception):
    """Nothing more may be done for the job by this attempt."""


class CallMark:
    """Writes in the job's row that a billed call is sent, before it is: ``uncrop.providers.commitment.CallLog``."""

    def __init__(self, jobs: Jobs, job: BackgroundJob) -> None:
        self._jobs = jobs
        self._job = job

    async def mark_sent(self) -> None:
        """Write that the next call is sent.

        Raises
        ------
        ServerBusy
            It could not be written, another process has the job by now, or its caller wants it no more: nothing may be
            sent.
        """
        if not await self._jobs.mark_sent(self._job.id, self._job.attempt):
            raise ServerBusy(system_message="The job was taken away from this worker, or cancelled, before its call")

    async def take_back(self) -> None:
        """Write that the call marked last was not sent, or was refused before anything was made."""
        await self._jobs.take_back(self._job.id, self._job.attempt)

    def note_cost(self, said: PictureFacts) -> None:
        """Do nothing: the books note it."""

    def note_failure(self, *, charged: bool) -> None:
        """Do nothing: the books note it."""


def _nobody_is_told(_end: RunEnd) -> None:
    """Do nothing."""


@dataclass(kw_only=True)
class Worker:
    """Works on the jobs of one queue.

    Attributes
    ----------
    jobs, files
        What is kept of jobs.
    queue
        Takes those that are handed back.
    caller_of
        Returns who has a key, by its id.
    pictures
        Makes the pictures.
    ledger
        Where it is written what jobs may cost, and what they have cost.
    render
        Writes them as the API answers with them.
    keep
        For how long results can be had.
    announce
        Returns what tells an organization's webhooks of a job's end, in the transaction that ends it.
    at_once
        Counts jobs in work together with the requests of their organizations and keys.
    ended
        Told of each run of the flow.
    stopping
        Whether this process shall end: what has sent nothing is handed back.
    start
        Starts what makes a picture, so that it is cancelled when this process shall end at once.
    """

    jobs: Jobs
    files: JobFiles
    queue: Queue
    pictures: Pictures
    ledger: Ledger
    caller_of: Callable[[str], Awaitable[Caller]]
    render: Render
    keep: timedelta
    stopping: Callable[[], bool]
    start: Callable[[Coroutine[Any, Any, MadePictures]], asyncio.Task[MadePictures]]
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep
    tell_every_s: float = TELL_EVERY_S
    announce: Callable[[str], Also] = lambda _job_id: in_turn(())
    at_once: RequestsAtOnce = field(default_factory=RequestsAtOnce)
    ended: Ended = _nobody_is_told
    _running: dict[str, RunningRequest] = field(default_factory=dict)
    _open: set[asyncio.Event] = field(default_factory=set)

    async def run(self, job_id: str) -> None:
        """Work on a job until it has ended, or is handed back; raises nothing."""
        ended = asyncio.Event()
        self._open.add(ended)
        try:
            with suppress(_GivenUp):
                await self._patiently(lambda: self._run(job_id))
        finally:
            self._open.discard(ended)
            ended.set()

    def cancel(self, job_id: str) -> None:
        """Tell a job that this process works on that its caller wants it no more, sooner than its row would."""
        if (running := self._running.get(job_id)) is not None:
            running.cancel()

    async def drain(self) -> None:
        """Wait for the jobs that are worked on; when it is stopping, those that have sent nothing are handed back."""
        while self._open:
            await next(iter(self._open)).wait()

    async def _patiently(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do something, again and again while the database cannot be used."""
        while True:
            try:
                return await work()
            except ServerBusy as error:
                if self.stopping():
                    _log.error("a job was left as it is", reason=error.system_message)
                    raise _GivenUp from error
                await self.sleep(error.retry_after or 1)

    async def _run(self, job_id: str) -> None:
        found = await self.jobs.look_up(job_id)
        if found is None:
            return
        if self.stopping():
            await self._put_back(found, begun=False)
            return
        caller = await self._caller(found)
        with ExitStack() as stack:
            if caller is not None:
                try:
                    stack.enter_context(self.at_once.take(caller))
                except RateLimitExceeded:
                    await self._put_back(found, begun=False, delay_s=_turn_s(found.attempt))
                    return
            await self._begin(job_id, caller)

    async def _caller(self, job: BackgroundJob) -> Caller | None:
        """Return whose turn a job takes; ``None``: nobody's, since it is only to be ended, or its key is gone."""
        if not job.is_open or job.calls_sent or job.cancel_requested_at is not None:
            return None
        with suppress(InvalidApiKey):
            return await self.caller_of(job.key_id or "")
        return None

    async def _begin(self, job_id: str, caller: Caller | None) -> None:
        job = await self.jobs.begin(job_id)
        if job is None:
            await self._settle(job_id)
            return
        if job.deaths > MOST_DEATHS:
            _log.error("a job was given up: its workers came to an end over it", job_id=job_id)
            await self._end_without(job, "failed", JobAbandoned())
            return
        await self._attend(job, caller)

    async def _settle(self, job_id: str) -> None:
        """End a job that cannot be begun: its worker died when a call may have been sent, or it is not wanted."""
        job = await self.jobs.look_up(job_id)
        if job is None or not job.is_open:
            return
        if job.calls_sent:
            _log.error("a job's worker died when a billed call may have been sent", job_id=job_id)
            await self._end_without(job, "unknown", JobOutcomeUnknown())
        else:
            await self._end_without(job, "cancelled", JobCancelled())

    async def _attend(self, job: BackgroundJob, caller: Caller | None) -> None:
        """Make a job's pictures, and meanwhile tell how far it is and ask whether it is still wanted."""
        running = RunningRequest(request_id=job.id, commitment=Commitment(log=CallMark(self.jobs, job)))
        holds = JobHolds(self.ledger, job.id, self.jobs.still_held_by(job.id, job.attempt))
        self._running[job.id] = running
        making = self.start(self._make(job, caller, running, holds))
        watching = asyncio.create_task(self._watch(job, running, making), name="job's watch")
        try:
            await asyncio.wait({making})
        finally:
            watching.cancel()
            self._running.pop(job.id, None)
        ending = await self._outcome(job, running, making)
        if ending is None:
            await self._put_back(job, begun=True)
        else:
            made = ending.state == "done" or running.commitment.sent
            await self._patiently(lambda: self._end(job, ending, holds.ending(made=made)))

    async def _outcome(
        self, job: BackgroundJob, running: RunningRequest, making: asyncio.Task[MadePictures]
    ) -> Ending | None:
        """Return how the job ends; ``None``: not yet, since this process does first."""
        if making.cancelled():
            if running.cancelled:
                return Ending(state="cancelled", error=error_to_text(JobCancelled()))
            unknown = Ending(state="unknown", error=error_to_text(JobOutcomeUnknown()))
            return unknown if running.commitment.sent else None
        error = making.exception()
        if error is None:
            return await self._kept(job, making.result())
        if isinstance(error, ServerBusy) and self.stopping() and not running.commitment.sent:
            return None
        if not isinstance(error, UncropError):
            _log.error("a job failed", job_id=job.id, exc_info=error)
            error = InternalError()
        return Ending(state="failed", error=error_to_text(error))

    async def _kept(self, job: BackgroundJob, made: MadePictures) -> Ending:
        """Keep the answer, and return the end that it is."""
        data = pack(self.render(made, job.accept))
        try:
            await self._patiently(lambda: self.files.write(job.id, result_name(job.attempt), data))
        except _GivenUp as given_up:
            error = given_up.__cause__
            _log.error("a picture could not be kept", job_id=job.id, bytes=len(data), exc_info=error)
            return Ending(state="failed", error=error_to_text(ServerBusy("The picture was made and could not be kept")))
        return Ending(state="done", result_bytes=len(data))

    async def _make(
        self, job: BackgroundJob, caller: Caller | None, running: RunningRequest, holds: JobHolds
    ) -> MadePictures:
        """Make the pictures; what may pass by itself is tried again as long as nothing was sent."""
        request = from_text(
            job.request,
            image=await self.files.read(job.id, IMAGE),
            mask=await self.files.read(job.id, MASK) if has_mask(job.request) else None,
        )
        work = Work(
            caller=caller or await self.caller_of(job.key_id or ""),
            commitment=running.commitment,
            progress_of=running.progress_of,
            begins=running.begin,
            ended=self.ended,
            holds=holds,
        )
        tries = 0
        while True:
            tries += 1
            try:
                return await self.pictures.make(request, work)
            except UncropError as error:
                if not error.retryable or running.commitment.sent or tries == MOST_TRIES or self.stopping():
                    raise
                wait = min(LONGEST_WAIT_S, error.retry_after or float(tries))
                _log.info("a job is tried again", job_id=job.id, code=error.code, wait_s=wait)
            await self.sleep(wait)

    async def _watch(self, job: BackgroundJob, running: RunningRequest, making: asyncio.Task[MadePictures]) -> None:
        """Write down how far the job is; end it when it is not wanted, not ours any more, or this process shall end."""
        while True:
            with anyio.move_on_after(self.tell_every_s):
                await running.unwanted(_never())
            wanted = not running.cancelled
            try:
                told = await self.jobs.tell(job.id, job.attempt, stage=running.stage, fraction=running.fraction)
            except UncropError:
                told = False  # the database will be back, or the job's end will tell
            if told:
                running.cancel()
                wanted = False
            if (not wanted or told is None or self.stopping()) and running.commitment.abandon():
                making.cancel()
            if not wanted:
                return

    async def _put_back(self, job: BackgroundJob, *, begun: bool, delay_s: float = AFTER_STOP_S) -> None:
        """Leave a job to whoever works next: another process, or this one after its restart, or later.

        Parameters
        ----------
        job
            As it was when this worker began it, or looked at it, which ``begun`` tells.
        delay_s
            Seconds before which it is not run again.
        """

        def again(number: int) -> Also:
            return self.queue.adding(job.id, partition=job.organization_id, round_number=number, delay_s=delay_s)

        await self.jobs.hand_back(job, begun=begun, again=again)

    async def _end_without(self, job: BackgroundJob, state: JobState, error: UncropError) -> None:
        """End a job that this attempt does nothing for."""
        await self._end(job, Ending(state=state, error=error_to_text(error)), giving_back(self.ledger, job.id))

    async def _end(self, job: BackgroundJob, ending: Ending, also: Also) -> None:
        also = in_turn((also, self.announce(job.id)))
        if not await self.jobs.end(job.id, job.attempt, ending, keep=self.keep, also=also):
            _log.warning("a late result was refused: another process has the job", job_id=job.id)


def _turn_s(attempt: int) -> float:
    """Return how long a job waits for its turn that has had so many attempts; each wait is one."""
    return min(LONGEST_TURN_S, FIRST_TURN_S * 2.0 ** min(attempt, 10))


async def _never() -> None:
    await asyncio.Event().wait()

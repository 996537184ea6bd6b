"""The jobs of callers: submitted, looked at, fetched, cancelled."""

from __future__ import annotations

import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread

from uncrop.admission.admission import check_organization
from uncrop.errors import (
    IdempotencyMismatch,
    InternalError,
    InvalidFieldValue,
    JobCancelled,
    JobNotDone,
    NotFound,
    ProviderNotAllowed,
    ProviderNotConfigured,
    ResultExpired,
    ServerBusy,
    UncropError,
)
from uncrop.intake.fields import check_variations
from uncrop.jobs.answers import error_from_text, unpack
from uncrop.jobs.files import IMAGE, MASK, result_name
from uncrop.jobs.requests import fingerprint_of, to_text
from uncrop.ledger.job_holds import giving_back
from uncrop.model.jobs import JOB_PREFIX, JOB_STATES, NewJob, job_hold_id
from uncrop.service.administration import page_of
from uncrop.service.quote import QuoteRequest, makers_for, quote
from uncrop.store.jobs import in_turn

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

    from uncrop.jobs.answers import Answer
    from uncrop.jobs.files import JobFiles
    from uncrop.jobs.port import Queue
    from uncrop.jobs.webhooks import CallersWebhooks
    from uncrop.jobs.worker import Worker
    from uncrop.model import Caller, UncropRequest
    from uncrop.model.jobs import BackgroundJob, JobState
    from uncrop.service.administration import Page
    from uncrop.service.quote import Quote
    from uncrop.service.report import RunReport
    from uncrop.service.service import Service
    from uncrop.store.books import Also

MOST_ON_A_PAGE = 100
_MOST_ACCEPT = 200  # characters, as the table has it


@dataclass(frozen=True, kw_only=True, slots=True)
class BackgroundJobs:
    """What fronts call.

    Attributes
    ----------
    service
        Knows who asks, and the makers.
    files
        Where photos and answers lie.
    queue
        Brings jobs to workers.
    worker
        The one of this process.
    keep
        For how long results can be had.
    most_open
        How many open jobs an organization may have.
    webhooks
        Those of callers, who are told of the ends of their jobs.
    """

    service: Service
    files: JobFiles
    queue: Queue
    worker: Worker
    keep: timedelta
    most_open: int
    webhooks: CallersWebhooks

    async def submit(
        self,
        keys: Sequence[str],
        read: Callable[[], Awaitable[UncropRequest]],
        *,
        accept: str = "",
        idempotency_key: str | None = None,
        report: RunReport,
    ) -> tuple[BackgroundJob, bool]:
        """Take a job once it is known that it can be made.

        Parameters
        ----------
        keys, read, report
            As for a picture that is waited for.
        accept
            How the answer shall be written, as the header of that name says it.
        idempotency_key
            The caller's own name for this submission; the same again is the same job.

        Returns
        -------
        job, is_new

        Raises
        ------
        UncropError
            As for the picture itself, where that can be known beforehand; or the organization has too many open jobs.
        """
        caller = await self.service.admit(keys, report, "images:write")
        request = await read()
        report.provider = self.service.told(request.provider)
        check_organization(request, caller)
        organization = caller.organization_id or ""
        mark = fingerprint_of(request)
        if idempotency_key is not None:
            before = await self.service.store.jobs.named(organization, idempotency_key)
            if before is not None:
                return _same(before, mark), False
        offers = await self._check(request, caller)
        new = NewJob(
            id=new_id(),
            organization_id=organization,
            key_id=caller.key_id,
            provider=request.provider,
            request=to_text(request),
            accept=accept[:_MOST_ACCEPT],
            idempotency_key=idempotency_key,
            fingerprint=mark,
        )
        return await self._write(new, request, caller, offers)

    async def find(self, keys: Sequence[str], job_id: str, report: RunReport) -> BackgroundJob:
        """Return one of the caller's jobs.

        Raises
        ------
        NotFound
            There is none, or it is another organization's.
        """
        return await self._own(await self.service.identify(keys, report, "images:write"), job_id)

    async def page(
        self,
        keys: Sequence[str],
        *,
        report: RunReport,
        most: int = 20,
        cursor: str | None = None,
        state: str | None = None,
    ) -> Page[BackgroundJob]:
        """Return some of the caller's jobs, newest first; the id of the last is the cursor of older ones.

        Raises
        ------
        InvalidFieldValue
            There is no such state, or ``most`` is out of its range.
        """
        caller = await self.service.identify(keys, report, "images:write")
        if not 1 <= most <= MOST_ON_A_PAGE:
            raise InvalidFieldValue(f"limit must be between 1 and {MOST_ON_A_PAGE}", details={"field": "limit"})
        found = await self.service.store.jobs.page(
            caller.organization_id or "", most=most + 1, before=cursor, state=_state(state)
        )
        return page_of(found, most)

    async def answer(self, keys: Sequence[str], job_id: str, report: RunReport) -> Answer:
        """Return the answer that the picture's own request would have had.

        Raises
        ------
        JobNotDone
            There is none yet.
        ResultExpired
            It is kept no longer.
        UncropError
            There is none, and this is why.
        """
        job = await self.find(keys, job_id, report)
        if job.is_open:
            raise JobNotDone(details={"state": job.state})
        if job.error is not None:
            raise error_from_text(job.error)
        if job.state == "cancelled":
            raise JobCancelled  # before anybody began it, so that nobody wrote down why
        if job.result_bytes is None:
            raise ResultExpired
        try:
            return unpack(await self.files.read(job.id, result_name(job.attempt)))
        except InternalError as error:
            # Deleted while it was asked for.
            if (await self.find(keys, job_id, report)).result_bytes is None:
                raise ResultExpired from error
            raise

    async def cancel(self, keys: Sequence[str], job_id: str, report: RunReport) -> BackgroundJob:
        """End one of the caller's jobs; one that may have sent a billed call is seen through, an ended one stays.

        Raises
        ------
        NotFound
        """
        caller = await self.service.identify(keys, report, "images:write")
        also = in_turn((giving_back(self.service.ledger, job_id), self.worker.announce(job_id)))
        job = await self.service.store.jobs.cancel(caller.organization_id or "", job_id, keep=self.keep, also=also)
        if job is None:
            raise NotFound("There is no such job")
        self.worker.cancel(job.id)
        return job

    async def _own(self, caller: Caller, job_id: str) -> BackgroundJob:
        job = await self.service.store.jobs.find(caller.organization_id or "", job_id)
        if job is None:
            raise NotFound("There is no such job")
        return job

    async def _check(self, request: UncropRequest, caller: Caller) -> list[Quote]:
        """Refuse what can never be made, before anything is kept; what only may not be made now is for the worker.

        Returns
        -------
        list
            What those who can make it would take, those first who can now.
        """
        check_variations(request.variations)
        pictures = self.service.pictures
        makers = makers_for(request.provider, pictures.registry, pictures.auto, caller.provider_keys)
        ask = partial(quote, durations=pictures.durations, max_output_pixels=pictures.max_output_pixels)
        # In a thread of its own: a hostile header takes a third of a second to read.
        offers = await to_thread.run_sync(ask, QuoteRequest(request=request), makers)
        able = [offer for offer in offers if offer.calls_of_one is not None]
        if not able:
            raise next(offer.refusal for offer in offers if offer.refusal is not None)
        return sorted(able, key=lambda offer: not offer.possible)

    async def _write(
        self, new: NewJob, request: UncropRequest, caller: Caller, offers: Sequence[Quote]
    ) -> tuple[BackgroundJob, bool]:
        if self.service.stopping:
            raise ServerBusy("The server is stopping; try again later")
        try:
            for name, data in ((IMAGE, request.image), (MASK, request.mask)):
                if data is not None:
                    await self.files.write(new.id, name, data)
            job, is_new = await self._submit(new, caller, request.variations or 1, offers)
        except UncropError:
            await self._forget_files(new.id)
            raise
        if not is_new:
            await self._forget_files(new.id)
            _same(job, new.fingerprint)
        return job, is_new

    async def _forget_files(self, job_id: str) -> None:
        with suppress(ServerBusy):  # what is left is found by the sweep
            await self.files.delete(job_id)

    async def _submit(
        self, new: NewJob, caller: Caller, pictures: int, offers: Sequence[Quote]
    ) -> tuple[BackgroundJob, bool]:
        """Write a job down, hold what it may cost and put it into the queue, all in one transaction.

        For ``auto``, what is held is the price of the first provider that the caller may use.
        """
        refusals: list[UncropError] = []
        for offer in offers:
            works = [
                *self._holding(new.id, caller, pictures, offer),
                self.queue.adding(new.id, partition=new.organization_id),
            ]
            try:
                return await self.service.store.jobs.submit(new, most_open=self.most_open, also=in_turn(works))
            except (ProviderNotAllowed, ProviderNotConfigured) as refusal:
                refusals.append(refusal)
        raise refusals[0]

    def _holding(self, job_id: str, caller: Caller, pictures: int, offer: Quote) -> Iterator[Also]:
        for number in range(pictures):
            hold_id, calls = job_hold_id(job_id, number), offer.calls_of_one or 1
            yield self.service.ledger.holding(caller, offer.facts, calls=calls, hold_id=hold_id)


def new_id() -> str:
    """Return an id; later ones are greater, by the millisecond."""
    return f"{JOB_PREFIX}{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def _same(job: BackgroundJob, mark: bytes | None) -> BackgroundJob:
    """Return a job that was submitted before, if it asks for the same."""
    if job.fingerprint != mark:
        raise IdempotencyMismatch(details={"job_id": job.id})
    return job


def _state(text: str | None) -> JobState | None:
    if text is None:
        return None
    for state in JOB_STATES:
        if state == text:
            return state
    raise InvalidFieldValue(
        f"state must be one of {', '.join(JOB_STATES)}", details={"field": "state", "allowed": list(JOB_STATES)}
    )

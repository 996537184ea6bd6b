"""Jobs: pictures that the server makes in the background."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from uncrop.client.answers import picture_of
from uncrop.client.errors import NoAnswer, unexpected
from uncrop.client.forms import picture_form
from uncrop.client.retries import new_key
from uncrop.model import Sides

if TYPE_CHECKING:
    import httpx2

    from uncrop.client.answers import ExtendedPicture
    from uncrop.client.forms import Access, File
    from uncrop.model import Options

ROUTE = "/api/v1/jobs"
_ENDED = frozenset({"done", "failed", "cancelled", "unknown"})


@dataclass(frozen=True, kw_only=True, slots=True)
class JobStatus:
    """How far a job is.

    Attributes
    ----------
    state
        ``queued``, ``running``, ``done``, ``failed``, ``cancelled``, or ``unknown``: its server died when a call that
        may be billed may have been sent.
    progress
        How far the provider is, 0..1; ``None`` before it says anything.
    error
        Why there is no picture, as the HTTP API tells it.
    expires_at
        When the picture is deleted, in ISO 8601.
    """

    id: str
    state: str
    provider: str
    stage: str | None
    progress: float | None
    calls_billed: int
    created_at: str
    ended_at: str | None
    expires_at: str | None
    error: dict[str, Any] | None

    @property
    def ended(self) -> bool:
        """Whether nothing more will become of it."""
        return self.state in _ENDED


@dataclass(frozen=True, kw_only=True, slots=True)
class JobPage:
    """Some jobs, newest first; ``next`` is the cursor of older ones, where there are any."""

    jobs: tuple[JobStatus, ...]
    next: str | None


def job_of(response: httpx2.Response) -> JobStatus:
    """Return the job that an answer tells of."""
    try:
        return _job(response.json())
    except (ValueError, KeyError, TypeError) as error:
        raise unexpected(response) from error


def page_of(response: httpx2.Response) -> JobPage:
    """Return the jobs that an answer lists."""
    try:
        told = response.json()
        return JobPage(jobs=tuple(_job(job) for job in told["jobs"]), next=told["next"])
    except (ValueError, KeyError, TypeError) as error:
        raise unexpected(response) from error


def _job(told: dict[str, Any]) -> JobStatus:
    return JobStatus(**{name: told[name] for name in JobStatus.__dataclass_fields__})


class _Requests:
    """What both clients send."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def _submission(
        self, image: File, provider: str, sides: Sides, mask: File | None, options: Options
    ) -> dict[str, Any]:
        form = picture_form(self._access, image, provider, sides, mask, options)
        return {"data": form.fields, "files": form.files}


def _query(limit: int, cursor: str | None, state: str | None) -> dict[str, str]:
    query = {"limit": str(limit), "cursor": cursor, "state": state}
    return {name: value for name, value in query.items() if value is not None}


class Jobs(_Requests):
    """The jobs of the blocking client: ``client.jobs``.

    Parameters
    ----------
    access
        Who asks.
    send
        Sends a request, again where it began nothing, and returns its answer.
    sleep, clock
        For tests.
    """

    def __init__(
        self,
        access: Access,
        send: Callable[..., httpx2.Response],
        *,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(access)
        self._send = send
        self._sleep = sleep
        self._clock = clock

    def submit(
        self,
        image: File,
        *,
        provider: str = "local",
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        mask: File | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Have an image extended in the background; arguments as of ``extend``.

        Parameters
        ----------
        idempotency_key
            Your own name of this submission: the same again is the same job. One is drawn where none is passed.

        Raises
        ------
        ApiError
            The server refused.
        OSError
            A file cannot be read.
        """
        sides = Sides(left=left, right=right, up=up, down=down)
        content = self._submission(image, provider, sides, mask, options)
        # The same over all repeats of this call, so that no repeat makes a second job.
        return job_of(self._send("POST", ROUTE, idempotency_key or new_key(), **content))

    def get(self, job_id: str) -> JobStatus:
        """Return how far a job is."""
        return job_of(self._send("GET", f"{ROUTE}/{job_id}"))

    def list(self, *, limit: int = 20, cursor: str | None = None, state: str | None = None) -> JobPage:
        """Return some jobs of the organization, newest first."""
        return page_of(self._send("GET", ROUTE, params=_query(limit, cursor, state)))

    def result(self, job_id: str) -> ExtendedPicture:
        """Return a job's picture.

        Raises
        ------
        ApiError
            There is none: not yet, no more, or for a reason that it tells.
        """
        return picture_of(self._send("GET", f"{ROUTE}/{job_id}/result"))

    def cancel(self, job_id: str) -> JobStatus:
        """End a job; one that may have been billed is seen through."""
        return job_of(self._send("DELETE", f"{ROUTE}/{job_id}"))

    def wait(self, job_id: str, *, timeout_s: float = 600, every_s: float = 1) -> JobStatus:
        """Ask again and again until a job has ended.

        Raises
        ------
        ApiError
            As ``get``; ``NoAnswer`` where it takes longer than that.
        """
        until = self._clock() + timeout_s
        while not (job := self.get(job_id)).ended:
            if self._clock() + every_s > until:
                raise _too_long(job)
            self._sleep(every_s)
        return job


class AsyncJobs(_Requests):
    """The jobs of the asynchronous client: the same as ``Jobs``, awaited."""

    def __init__(
        self,
        access: Access,
        send: Callable[..., Awaitable[httpx2.Response]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(access)
        self._send = send
        self._sleep = sleep
        self._clock = clock

    async def submit(
        self,
        image: File,
        *,
        provider: str = "local",
        left: int = 0,
        right: int = 0,
        up: int = 0,
        down: int = 0,
        mask: File | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[Options],
    ) -> JobStatus:
        """Have an image extended in the background: see ``Jobs.submit``."""
        sides = Sides(left=left, right=right, up=up, down=down)
        content = self._submission(image, provider, sides, mask, options)
        return job_of(await self._send("POST", ROUTE, idempotency_key or new_key(), **content))

    async def get(self, job_id: str) -> JobStatus:
        """Return how far a job is."""
        return job_of(await self._send("GET", f"{ROUTE}/{job_id}"))

    async def list(self, *, limit: int = 20, cursor: str | None = None, state: str | None = None) -> JobPage:
        """Return some jobs of the organization, newest first."""
        return page_of(await self._send("GET", ROUTE, params=_query(limit, cursor, state)))

    async def result(self, job_id: str) -> ExtendedPicture:
        """Return a job's picture: see ``Jobs.result``."""
        return picture_of(await self._send("GET", f"{ROUTE}/{job_id}/result"))

    async def cancel(self, job_id: str) -> JobStatus:
        """End a job; one that may have been billed is seen through."""
        return job_of(await self._send("DELETE", f"{ROUTE}/{job_id}"))

    async def wait(self, job_id: str, *, timeout_s: float = 600, every_s: float = 1) -> JobStatus:
        """Ask again and again until a job has ended: see ``Jobs.wait``."""
        until = self._clock() + timeout_s
        while not (job := await self.get(job_id)).ended:
            if self._clock() + every_s > until:
                raise _too_long(job)
            await self._sleep(every_s)
        return job


def _too_long(job: JobStatus) -> NoAnswer:
    return NoAnswer(f"The job is still {job.state}", started=True)

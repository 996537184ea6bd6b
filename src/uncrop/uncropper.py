"""The one flow: five stages from a request to a picture."""

from __future__ import annotations

import secrets
import time
from contextlib import AsyncExitStack, contextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio
from anyio import to_thread

from uncrop.finish.pipeline import finish
from uncrop.finish.work import scale_photo
from uncrop.imaging import codec, mask
from uncrop.intake.parse import parse
from uncrop.model import (
    MEDIA_TYPES,
    Caller,
    Capabilities,
    Fill,
    Job,
    Picture,
    StageTime,
    Task,
    UncropRequest,
    UncropResult,
)
from uncrop.providers.base import Flight

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from uncrop.admission.admission import Admission
    from uncrop.model import ConfidenceMap, Progress
    from uncrop.providers.registry import Registry

T = TypeVar("T")
ANYBODY = Caller()


class Stopwatch:
    """Notes how long each stage took, whether it ended well or not."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self._clock = clock
        self.stages: list[StageTime] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        started = self._clock()
        try:
            yield
        finally:
            self.stages.append(StageTime(name=name, milliseconds=(self._clock() - started) * 1000))


class Uncropper:
    """Extends photographs; safe to share between tasks of one event loop.

    Parameters
    ----------
    registry
        The makers of pixels, by name.
    admission
        Who may spend what, and the slots.
    max_output_pixels
        Largest canvas of providers that state no limit of their own.
    threads
        How many pictures may be decoded, finished or encoded at once.
    draw_seed
        Draws a seed in 0..maximum for requests that name none.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        admission: Admission,
        max_output_pixels: int,
        threads: int = 2,
        draw_seed: Callable[[int], int] = lambda maximum: secrets.randbelow(maximum + 1),
    ) -> None:
        self._registry = registry
        self._admission = admission
        self._max_output_pixels = max_output_pixels
        self._draw_seed = draw_seed
        self._threads = anyio.CapacityLimiter(threads)
        # One more than there are threads, so that none is idle while the next answer is handed over.
        self._runway = anyio.CapacityLimiter(threads + 1)

    async def run(
        self,
        request: UncropRequest,
        caller: Caller = ANYBODY,
        *,
        flight: Flight | None = None,
        watch: Stopwatch | None = None,
        progress: Progress | None = None,
    ) -> UncropResult:
        """Take one request through all five stages.

        Parameters
        ----------
        request
            What is asked.
        caller
            Who asks.
        flight
            For a caller that may leave: to be abandoned.
        watch
            Where the stages are noted, whether or not all goes well.
        progress
            Told how far the local engine is, in a thread of its own; what it raises ends the work.

        Raises
        ------
        UncropError
            Any of ``uncrop.errors``; whatever it was, every slot and reservation has been given back.
        """
        flight, watch = flight or Flight(), watch or Stopwatch()
        flight.use_runway(self._runway)
        flight.use_progress(progress)
        with watch.stage("intake"):
            provider = self._registry.get(request.provider)
            # Before the values are looked at: a request that will be refused counts too.
            await self._admission.count(provider.capabilities, caller)
            # In a thread of its own, not behind pictures: a hostile header takes a third of a second to read.
            job = await to_thread.run_sync(self._parse, request, provider.capabilities)
        async with AsyncExitStack() as stack:
            stack.callback(flight.leave_runway)
            with watch.stage("admission"):
                self._admission.check(job, caller)
                provider.check_configured()
                granted = await stack.enter_async_context(self._admission.grant(job, caller))
            with watch.stage("provider"):
                task = await self._in_thread(_open, job)
                fill = await provider.fill(task, flight)
            with watch.stage("finish"):
                picture = await self._in_thread(finish, task, fill)
            with watch.stage("encode"):
                image = await self._in_thread(_encode, job, picture)
                trust = None if fill.confidence_map is None else await self._in_thread(_encode_map, fill.confidence_map)
            await granted.capture(fill.facts)
        return _result(job, fill, picture, image, trust, watch)

    def _parse(self, request: UncropRequest, capabilities: Capabilities) -> Job:
        return parse(request, capabilities, max_output_pixels=self._max_output_pixels, draw_seed=self._draw_seed)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await to_thread.run_sync(function, *arguments, limiter=self._threads)


def _open(job: Job) -> Task:
    """Decode the photo and the mask whole, which proves that they are."""
    photo = codec.decode(job.request.image, job.header)
    scaled = scale_photo(photo, job.canvas)
    return Task(
        job=job,
        photo=photo,
        scaled=scaled,
        mask=None if job.request.mask is None else mask.decode_mask(job.request.mask),
    )


def _encode(job: Job, picture: Picture) -> bytes:
    header = job.header
    return codec.encode(
        picture.pixels, job.answer_format, jpeg=header.jpeg, metadata=header.metadata, lossless=header.lossless
    )


def _encode_map(trust: ConfidenceMap) -> bytes:
    return codec.encode(trust[:, :, None], "PNG")


def _result(
    job: Job, fill: Fill, picture: Picture, image: bytes, trust: bytes | None, watch: Stopwatch
) -> UncropResult:
    return UncropResult(
        image=image,
        media_type=MEDIA_TYPES[job.answer_format],
        width=job.canvas.width,
        height=job.canvas.height,
        seed=job.seed,
        facts=fill.facts,
        drift=picture.drift,
        warnings=(*fill.facts.warnings, *picture.warnings),
        stages=tuple(watch.stages),
        confidence_map=trust,
    )

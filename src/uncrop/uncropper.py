"""The one flow: five stages from a request to a picture."""

from __future__ import annotations

import math
import secrets
import threading
import time
from contextlib import AsyncExitStack, ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import anyio
from anyio import to_thread

from uncrop.capacity.pixel_memory import decoding_bytes
from uncrop.finish.detail.progress import Pace, nobody_left
from uncrop.finish.pipeline import finish
from uncrop.finish.work import scale_photo
from uncrop.imaging import codec
from uncrop.intake.parse import parse
from uncrop.model import (
    MEDIA_TYPES,
    Caller,
    Job,
    Picture,
    StageTime,
    Task,
    UncropRequest,
    UncropResult,
)
from uncrop.providers.commitment import Commitment
from uncrop.providers.maker import Between
from uncrop.telemetry.spans import UNTRACED
from uncrop.workers.decoding.decoder import INLINE
from uncrop.workers.watched import watched

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from contextlib import AbstractContextManager

    from uncrop.admission.admission import Admission, Take
    from uncrop.admission.idempotency import Claim
    from uncrop.capacity.capacity import Capacity
    from uncrop.model import ConfidenceMap, Fill, PictureFacts, Progress, ProviderFacts
    from uncrop.model.stages import Original
    from uncrop.providers.maker import Maker
    from uncrop.providers.registry import Registry
    from uncrop.store.books import Part
    from uncrop.telemetry.spans import Tracer
    from uncrop.workers.decoding.decoder import Decoder

T = TypeVar("T")
ANYBODY = Caller()


class Stopwatch:
    """Notes how long each stage took, whether it ended well or not.

    Parameters
    ----------
    clock
        Returns seconds from any origin.
    begins
        Told the name of each stage when it begins.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        *,
        begins: Callable[[str], None] = lambda _name: None,
    ) -> None:
        self._clock = clock
        self._begins = begins
        self.stages: list[StageTime] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time one stage."""
        self._begins(name)
        started = self._clock()
        try:
            yield
        finally:
            self.stages.append(StageTime(name=name, milliseconds=(self._clock() - started) * 1000))


class OnceMade(NamedTuple):
    """What a request under a key, or a job, adds to its picture.

    Attributes
    ----------
    claim
        Made together with the picture's hold.
    keep
        Told the result before it is booked; what it returns is done in the transaction that books. ``None`` for one of
        several pictures, whose answer is kept once all are made.
    take
        Returns the picture's hold, where it was opened before.
    """

    claim: Claim | None = None
    keep: Callable[[UncropResult], Awaitable[Part | None]] | None = None
    take: Take | None = None


NO_KEY = OnceMade()


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
    capacity
        Threads in which pictures are decoded, finished and encoded, and places for answers to be unpacked.
    decoder
        Decodes photos and masks.
    draw_seed
        Draws a seed in 0..maximum for requests that name none.
    tracer
        Told of the stages.
    detail_s
        Seconds in which detail must be drawn into what was enlarged; after them it stays as it is.
    """

    def __init__(
        self,
        *,
        registry: Registry,
        admission: Admission,
        capacity: Capacity,
        max_output_pixels: int,
        decoder: Decoder = INLINE,
        draw_seed: Callable[[int], int] = lambda maximum: secrets.randbelow(maximum + 1),
        tracer: Tracer = UNTRACED,
        detail_s: float = math.inf,
    ) -> None:
        self._registry = registry
        self._admission = admission
        self._max_output_pixels = max_output_pixels
        self._draw_seed = draw_seed
        self._capacity = capacity
        self._decoder = decoder
        self._tracer = tracer
        self._detail_s = detail_s
        self._between = Between(finish=partial(_finish, seconds=self._detail_s))

    async def run(
        self,
        request: UncropRequest,
        caller: Caller = ANYBODY,
        *,
        commitment: Commitment | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
        admit_by: float = math.inf,
        once: OnceMade = NO_KEY,
    ) -> UncropResult:
        """Take one request through all five stages.

        Parameters
        ----------
        request
            What is asked.
        caller
            Who asks.
        commitment
            For a caller that may leave: to be abandoned.
        stopwatch
            Where the stages are noted, whether or not all goes well.
        progress
            Told how far the work is, in any thread; what it raises ends the work.
        admit_by
            When to stop waiting for a turn, on the clock of ``anyio.current_time``.
        once
            For a request under a key, or a job.

        Raises
        ------
        UncropError
            Any of ``uncrop.errors``; whatever it was, every slot and reservation has been given back.
        """
        commitment, stopwatch = commitment or Commitment(), stopwatch or Stopwatch()
        stage = partial(self._stage, stopwatch)
        maker, job = await self._take_in(request, caller, stage)
        async with AsyncExitStack() as stack:
            place = stack.enter_context(self._capacity.unpacking.place())
            with stage("admission"):
                self._admission.check(job, caller)
                maker.check_configured()
                granting = self._admission.grant(job, caller, admit_by=admit_by, claim=once.claim, take=once.take)
                granted = await stack.enter_async_context(granting)
            with stage("provider"):
                async with self._capacity.unpacking.memory(decoding_bytes(job)):
                    task = await self._in_thread(_open, self._decoder, job)
                calls = commitment.branch(granted.held)
                fill = await maker.fill(task, calls, progress=progress, place=place, between=self._between)
            with stage("finish"):
                # All that counts of its pixels is in the picture, and encoding needs their memory.
                picture, fill = await self._finish(task, fill, progress), fill.without_pixels()
            with stage("encode"):
                encoded, trust = await self._encoded(task, picture, fill.confidence_map)
            result = _result(job, fill.facts, picture, encoded, trust, stopwatch, calls.billed_calls)
            await granted.capture(fill.facts, None if once.keep is None else await once.keep(result))
            return result

    async def _take_in(
        self, request: UncropRequest, caller: Caller, stage: Callable[[str], AbstractContextManager[None]]
    ) -> tuple[Maker, Job]:
        with stage("intake"):
            maker = self._registry.get(request.provider, caller.provider_keys)
            # Before the values are looked at: a request that will be refused counts too.
            await self._admission.count(maker.facts, caller)
            # In a thread of its own, not behind pictures: a hostile header takes a third of a second to read.
            return maker, await to_thread.run_sync(self._parse, request, maker.facts)

    async def _encoded(
        self, task: Task, picture: Picture, confidence_map: ConfidenceMap | None
    ) -> tuple[_Encoded, bytes | None]:
        encoded = await self._in_thread(_encode, self._decoder, task, picture)
        if confidence_map is None:
            return encoded, None
        return encoded, await self._in_thread(_encode_map, task.job, confidence_map)

    @contextmanager
    def _stage(self, stopwatch: Stopwatch, name: str) -> Iterator[None]:
        with self._tracer.span(name), stopwatch.stage(name):
            yield

    def _parse(self, request: UncropRequest, facts: ProviderFacts) -> Job:
        return parse(request, facts, max_output_pixels=self._max_output_pixels, draw_seed=self._draw_seed)

    async def _finish(self, task: Task, fill: Fill, progress: Progress | None) -> Picture:
        """Finish a picture; whoever is not there any more ends the longest step of it."""
        left = threading.Event()

        async def watch() -> None:
            with ExitStack() as stack:
                stack.callback(left.set)
                await anyio.sleep_forever()

        finished = partial(_finish, seconds=self._detail_s, left=left.is_set, progress=progress)
        return await watched(lambda: self._in_thread(finished, task, fill), watch)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await to_thread.run_sync(function, *arguments, limiter=self._capacity.threads)


def _finish(
    task: Task,
    fill: Fill,
    *,
    seconds: float,
    left: Callable[[], bool] = nobody_left,
    progress: Progress | None = None,
) -> Picture:
    """Finish a picture, with so many seconds for its detail."""
    return finish(task, fill, Pace(deadline=time.monotonic() + seconds, left=left, progress=progress))


def _open(decoder: Decoder, job: Job) -> Task:
    """Decode the photo and the mask whole, which proves that they are."""
    photo = decoder.photo(job.photo_file)
    scaled = scale_photo(photo, job.placement)
    return Task(
        job=job,
        photo=photo,
        scaled=scaled,
        mask=None if job.mask_file is None else decoder.mask(job.mask_file),
    )


class _Encoded(NamedTuple):
    image: bytes
    original: Original


def _encode(decoder: Decoder, task: Task, picture: Picture) -> _Encoded:
    """Encode the picture, and tell how the photo's own pixels stand in it."""
    job, header = task.job, task.job.header
    if job.may_keep_coefficients:
        kept = codec.encode_kept(
            job.photo_file, task.photo, picture.pixels, job.placement, reads_own=decoder.coefficients
        )
        if kept is not None:
            return _Encoded(kept.data, "exact" if kept.exact else "recompressed")
    image = codec.encode(
        codec.resize(picture.pixels, *job.output_size),
        job.answer_format,
        jpeg=header.jpeg,
        metadata=header.metadata,
        lossless=header.lossless,
        webp_quality=header.webp_quality,
    )
    return _Encoded(image, _original(job))


def _encode_map(job: Job, trust: ConfidenceMap) -> bytes:
    return codec.encode(codec.resize(trust[:, :, None], *job.output_size), "PNG")


def _result(
    job: Job,
    facts: PictureFacts,
    picture: Picture,
    encoded: _Encoded,
    trust: bytes | None,
    stopwatch: Stopwatch,
    calls: int,
) -> UncropResult:
    return UncropResult(
        image=encoded.image,
        media_type=MEDIA_TYPES[job.answer_format],
        width=job.output_size[0],
        height=job.output_size[1],
        seed=job.seed,
        facts=facts,
        repaint_difference=picture.repaint_difference,
        warnings=(*facts.warnings, *picture.warnings),
        stages=tuple(stopwatch.stages),
        confidence_map=trust,
        placement=job.placement,
        original=encoded.original,
        provider_calls=calls,
        detail=picture.detail,
    )


def _original(job: Job) -> Original:
    """Tell how the photo's own pixels stand in an answer that was encoded anew."""
    source, kept = job.placement.source, job.placement.kept
    flattened = job.header.bits == 16 and (job.answer_format != "PNG" or not job.provider.keeps_depth)
    # CMYK, and grey that became RGB.
    flattened = flattened or job.header.source_icc is not None or job.header.mode == "CMYK"
    scaled = (source.width, source.height) != (kept.width, kept.height)
    if flattened or scaled or not job.is_unscaled:
        return "resampled"
    lossless = job.answer_format == "PNG" or (job.answer_format == "WEBP" and job.header.lossless)
    return "exact" if lossless else "recompressed"

"""The one flow: five stages from a request to a picture."""

from __future__ import annotations

import math
import secrets
import time
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from anyio import to_thread

from uncrop.capacity.pixel_memory import decoding_bytes
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from uncrop.admission.admission import Admission
    from uncrop.capacity.capacity import Capacity
    from uncrop.model import ConfidenceMap, PictureFacts, Progress, ProviderFacts
    from uncrop.model.stages import Original
    from uncrop.providers.registry import Registry
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
    ) -> None:
        self._registry = registry
        self._admission = admission
        self._max_output_pixels = max_output_pixels
        self._draw_seed = draw_seed
        self._capacity = capacity
        self._decoder = decoder
        self._tracer = tracer

    async def run(
        self,
        request: UncropRequest,
        caller: Caller = ANYBODY,
        *,
        commitment: Commitment | None = None,
        stopwatch: Stopwatch | None = None,
        progress: Progress | None = None,
        admit_by: float = math.inf,
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

        Raises
        ------
        UncropError
            Any of ``uncrop.errors``; whatever it was, every slot and reservation has been given back.
        """
        commitment, stopwatch = commitment or Commitment(), stopwatch or Stopwatch()
        stage = partial(self._stage, stopwatch)
        with stage("intake"):
            maker = self._registry.get(request.provider)
            # Before the values are looked at: a request that will be refused counts too.
            await self._admission.count(maker.facts, caller)
            # In a thread of its own, not behind pictures: a hostile header takes a third of a second to read.
            job = await to_thread.run_sync(self._parse, request, maker.facts)
        async with AsyncExitStack() as stack:
            place = stack.enter_context(self._capacity.unpacking.place())
            with stage("admission"):
                self._admission.check(job, caller)
                maker.check_configured()
                granted = await stack.enter_async_context(self._admission.grant(job, caller, admit_by=admit_by))
            with stage("provider"):
                async with self._capacity.unpacking.memory(decoding_bytes(job)):
                    task = await self._in_thread(_open, self._decoder, job)
                between = Between(finish=finish, made=granted.note)
                fill = await maker.fill(task, commitment, progress=progress, place=place, between=between)
            with stage("finish"):
                picture = await self._in_thread(finish, task, fill)
            facts, confidence_map = fill.facts, fill.confidence_map
            del fill  # all that counts of it is in the picture, and encoding needs its memory
            with stage("encode"):
                encoded = await self._in_thread(_encode, task, picture)
                trust = None if confidence_map is None else await self._in_thread(_encode_map, job, confidence_map)
            await granted.capture(facts)
        return _result(job, facts, picture, encoded, trust, stopwatch, commitment.billed_calls)

    @contextmanager
    def _stage(self, stopwatch: Stopwatch, name: str) -> Iterator[None]:
        with self._tracer.span(name), stopwatch.stage(name):
            yield

    def _parse(self, request: UncropRequest, facts: ProviderFacts) -> Job:
        return parse(request, facts, max_output_pixels=self._max_output_pixels, draw_seed=self._draw_seed)

    async def _in_thread(self, function: Callable[..., T], *arguments: object) -> T:
        return await to_thread.run_sync(function, *arguments, limiter=self._capacity.threads)


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


def _encode(task: Task, picture: Picture) -> _Encoded:
    """Encode the picture, and tell how the photo's own pixels stand in it."""
    job, header = task.job, task.job.header
    if job.may_keep_coefficients:
        kept = codec.encode_kept(job.photo_file, task.photo, picture.pixels, job.placement)
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

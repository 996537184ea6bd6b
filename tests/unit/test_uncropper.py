"""The flow, with a provider that paints everything one colour."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import numpy as np
import pytest

from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.capacity.unpacking import UnpackPlace
from uncrop.errors import (
    InvalidFieldValue,
    InvalidImage,
    ProviderNotConfigured,
    ProviderTimeout,
    RateLimitExceeded,
    UncropError,
)
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.jpeg import pixels as jpeg_pixels
from uncrop.model import (
    Caller,
    FieldFacts,
    Fill,
    GeometryFacts,
    Job,
    PictureFacts,
    ProviderFacts,
    Sides,
    Task,
    UncropRequest,
    UploadFacts,
)
from uncrop.providers.commitment import Commitment
from uncrop.providers.maker import Between
from uncrop.testing import pictures
from uncrop.uncropper import Stopwatch, Uncropper

FACTS = PictureFacts(provider="paint", request_id="req_7", credits_consumed=Decimal(1), warnings=("painted",))
PAINT = ProviderFacts(
    name="paint",
    title="Paint",
    sentence="",
    implementation="",
    geometry=GeometryFacts(speaks="sides", crops=True),
    fields=(FieldFacts(name="seed", help="", minimum=0, maximum=100),),
    upload=UploadFacts(formats=frozenset({"PNG"}), max_bytes=1_000_000),
    answer_format="PNG",
    bills=True,
)


class Paint:
    """A provider that works, or fails as told."""

    confidence_map = None

    def __init__(self, facts: ProviderFacts = PAINT, failure: UncropError | None = None) -> None:
        self.facts = facts
        self.failure = failure
        self.configured = True
        self.tasks: list[Task] = []
        self.commitments: list[Commitment] = []
        self.progress: list[Any] = []
        self.landed = self.most_landed = 0

    def check_configured(self) -> None:
        if not self.configured:
            raise ProviderNotConfigured

    async def fill(
        self,
        task: Task,
        commitment: Commitment,
        *,
        progress: object = None,
        place: UnpackPlace,
        between: Between,
    ) -> Fill:
        self.tasks.append(task)
        self.commitments.append(commitment)
        self.progress.append(progress)
        if self.failure:
            raise self.failure
        await place.take()
        commitment.commit()
        between.made(FACTS)
        self.landed += 1
        self.most_landed = max(self.most_landed, self.landed)
        canvas = task.job.placement
        pixels = np.full((canvas.height, canvas.width, 3), 90, np.uint8)
        return Fill(pixels=pixels, facts=FACTS, confidence_map=self.confidence_map)


class Shelf:
    """A registry with one provider."""

    def __init__(self, provider: Paint) -> None:
        self.provider = provider

    def get(self, name: str) -> Paint:
        if name != self.provider.facts.name:
            raise InvalidFieldValue
        return self.provider


class Door:
    """An admission that lets everybody in and notes who came and went."""

    def __init__(self, provider: Paint | None = None) -> None:
        self.provider = provider or Paint()
        self.log: list[str] = []
        self.limited = False

    async def count(self, facts: ProviderFacts, caller: Caller) -> None:
        self.log.append(f"counted {caller.organization_id} {facts.name}")
        if self.limited:
            raise RateLimitExceeded

    @asynccontextmanager
    async def grant(self, job: Job, caller: Caller, *, admit_by: float) -> AsyncIterator["Door"]:
        assert admit_by == float("inf")  # on the command line and in Python nobody hurries
        self.log.append(f"in {caller.organization_id} {job.placement.width}x{job.placement.height}")
        try:
            yield self
        finally:
            self.log.append("out")

    def check(self, job: Job, caller: Caller) -> None:
        """Everybody may ask."""

    def note(self, facts: PictureFacts) -> None:
        self.log.append(f"spent {facts.request_id}")

    async def capture(self, facts: PictureFacts) -> None:
        self.provider.landed -= 1
        self.log.append(f"booked {facts.request_id}")


def photo(width: int = 40, height: int = 30) -> bytes:
    return codec.encode(np.full((height, width, 3), 90, np.uint8), "PNG")


def request(**fields: object) -> UncropRequest:
    return replace(UncropRequest(provider="paint", image=photo(), sides=Sides(left=8), seed=5), **fields)


def capacity() -> Capacity:
    return Capacity(slots=Slots(2, 0))


def uncropper(provider: Paint, door: Door) -> Uncropper:
    return Uncropper(
        registry=Shelf(provider),
        admission=door,
        capacity=capacity(),
        max_output_pixels=10**6,
        draw_seed=lambda _most: 42,
    )  # type: ignore[arg-type]


async def test_a_photo_passes_all_stations() -> None:
    provider, door, stopwatch, commitment = Paint(), Door(), Stopwatch(count().__next__), Commitment()
    result = await uncropper(provider, door).run(
        request(), Caller(organization_id="org_a"), commitment=commitment, stopwatch=stopwatch
    )
    assert (result.width, result.height, result.media_type, result.seed) == (48, 30, "image/png", 5)
    pixels = codec.decode_8bit(open_file(result.image))
    assert np.array_equal(pixels, np.full((30, 48, 3), 90, np.uint8))
    assert result.facts is FACTS
    assert result.warnings == ("painted",)
    assert result.repaint_difference == 0
    assert [(stage.name, stage.milliseconds) for stage in result.stages] == [
        (name, 1000) for name in ("intake", "admission", "provider", "finish", "encode")
    ]
    assert door.log == ["counted org_a paint", "in org_a 48x30", "spent req_7", "booked req_7", "out"]
    assert result.provider_calls == 1
    assert provider.commitments == [commitment]
    assert provider.tasks[0].photo.shape == (30, 40, 3)
    assert provider.tasks[0].mask is None


async def test_nobody_in_particular_may_ask_and_a_seed_is_drawn() -> None:
    door = Door()
    result = await uncropper(Paint(), door).run(request(seed=None))
    assert result.seed == 42
    assert door.log[:2] == ["counted None paint", "in None 48x30"]


async def test_an_illegal_request_is_counted_and_not_let_in() -> None:
    provider, door, stopwatch = Paint(), Door(), Stopwatch()
    with pytest.raises(InvalidFieldValue):
        await uncropper(provider, door).run(request(seed=101), stopwatch=stopwatch)
    assert (door.log, provider.tasks) == (["counted None paint"], [])
    assert [stage.name for stage in stopwatch.stages] == ["intake"]


async def test_a_providers_limit_comes_before_the_values() -> None:
    door = Door()
    door.limited = True
    with pytest.raises(RateLimitExceeded):
        await uncropper(Paint(), door).run(request(seed=101))
    assert door.log == ["counted None paint"]


async def test_an_unknown_provider_is_refused_first() -> None:
    door = Door()
    with pytest.raises(InvalidFieldValue):
        await uncropper(Paint(), door).run(request(provider="none"))
    assert door.log == []


async def test_a_provider_without_key_costs_nothing() -> None:
    provider, door = Paint(), Door()
    provider.configured = False
    with pytest.raises(ProviderNotConfigured):
        await uncropper(provider, door).run(request())
    assert door.log == ["counted None paint"]


async def test_a_failing_provider_costs_nothing() -> None:
    provider, door, stopwatch = Paint(failure=ProviderTimeout()), Door(), Stopwatch()
    with pytest.raises(ProviderTimeout):
        await uncropper(provider, door).run(request(), stopwatch=stopwatch)
    assert door.log == ["counted None paint", "in None 48x30", "out"]
    assert [stage.name for stage in stopwatch.stages] == ["intake", "admission", "provider"]


async def test_a_photo_that_is_cut_off_never_reaches_the_provider() -> None:
    provider, door = Paint(), Door()
    with pytest.raises(InvalidImage):
        await uncropper(provider, door).run(request(image=photo()[:-40]))
    assert provider.tasks == []
    assert "booked req_7" not in door.log


async def test_a_mask_is_opened_with_its_photo() -> None:
    facts = replace(PAINT, geometry=GeometryFacts(speaks="mask"), fields=(FieldFacts(name="mask_file", help=""),))
    provider = Paint(facts)
    mask = np.zeros((30, 40, 4), np.uint8)
    mask[:, :30, 3] = 255
    sent = request(sides=Sides(), seed=None, mask=codec.encode(mask, "PNG"))
    result = await uncropper(provider, Door()).run(sent)
    opened = provider.tasks[0].mask
    assert opened is not None
    assert np.array_equal(opened, mask[..., 3] == 0)
    assert (result.width, result.height, result.seed) == (40, 30, None)


async def test_a_map_becomes_a_grey_png_as_it_is() -> None:
    provider = Paint(replace(PAINT, fields=(*PAINT.fields, FieldFacts(name="confidence_map", help=""))))
    provider.confidence_map = np.arange(48 * 30, dtype=np.uint32).reshape(30, 48).astype(np.uint8)
    result = await uncropper(provider, Door()).run(request(confidence_map=True))
    assert result.confidence_map is not None
    header = read_header(result.confidence_map)
    assert (header.format, header.channels, header.bits) == ("PNG", 1, 8)
    assert np.array_equal(codec.decode(open_file(result.confidence_map))[:, :, 0], provider.confidence_map)


async def test_without_a_map_there_is_none_in_the_result() -> None:
    assert (await uncropper(Paint(), Door()).run(request())).confidence_map is None


async def test_progress_goes_along_to_the_provider() -> None:
    provider, told = Paint(), []
    await uncropper(provider, Door()).run(request(), progress=lambda *step: told.append(step))
    assert provider.progress[0] is not None
    provider.progress[0](0.5, "search")
    assert told == [(0.5, "search")]
    await uncropper(provider, Door()).run(request())
    assert provider.progress[1] is None


async def test_few_answers_are_unpacked_at_once() -> None:
    provider = Paint()
    flow = uncropper(provider, Door(provider))
    await asyncio.gather(*(flow.run(request()) for _ in range(12)))
    assert provider.landed == 0
    assert 1 <= provider.most_landed <= 3


@pytest.mark.parametrize(
    ("fields", "original"),
    [
        ({}, "exact"),
        ({"answer_format": "JPEG"}, "recompressed"),
        ({"answer_format": "WEBP"}, "exact"),  # a PNG becomes a WebP without loss
        ({"image": codec.encode(np.full((30, 40, 3), 9000, np.uint16), "PNG")}, "resampled"),
    ],
)
async def test_how_the_photos_own_pixels_stand_is_told(fields: dict[str, Any], original: str) -> None:
    result = await uncropper(Paint(), Door()).run(request(**fields))
    assert result.original == original


def jpeg_photo(sampling: str, width: int = 40, height: int = 32) -> bytes:
    return jpeg_pixels.write(pictures.photo(width, height), quality=70, subsampling=sampling)


JPEG_PAINT = replace(PAINT, answer_format="JPEG")


@pytest.mark.parametrize(
    ("fields", "original", "kept"),
    [
        ({"image": jpeg_photo("444")}, "exact", True),
        ({"image": jpeg_photo("444"), "answer_format": "JPEG"}, "exact", True),
        ({"image": jpeg_photo("420"), "sides": Sides(left=16)}, "recompressed", True),
        ({"image": jpeg_photo("444"), "sides": Sides(left=7)}, "recompressed", False),
        ({"image": jpeg_photo("444"), "output_size": "96x64"}, "resampled", False),
        ({"image": jpeg_photo("444"), "answer_format": "PNG"}, "exact", False),
        ({}, "recompressed", False),  # a PNG's photo
    ],
)
async def test_a_jpeg_of_a_jpeg_keeps_what_can_be_kept(fields: dict[str, Any], original: str, kept: bool) -> None:
    result = await uncropper(Paint(JPEG_PAINT), Door()).run(request(**fields))
    file = open_file(result.image)
    assert result.original == original
    # What was encoded anew has at least a quality of 90, what was kept the photo's own.
    assert (file.header.jpeg is not None and file.header.jpeg.quality == 70) == kept
    if original == "exact":
        own, photo = codec.decode(file)[:, 8:], codec.decode(open_file(fields["image"]))
        assert np.array_equal(own, photo)


async def test_a_finished_picture_of_another_size_is_resampled_and_says_so() -> None:
    result = await uncropper(Paint(), Door()).run(request(output_size="96x60"))
    assert (result.width, result.height, result.original) == (96, 60, "resampled")
    assert (await uncropper(Paint(), Door()).run(request())).original == "exact"

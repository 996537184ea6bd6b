"""The flow, with a provider that paints everything one colour."""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from itertools import count
from typing import Any

import anyio
import numpy as np
import pytest

from call_logs import NotingLog
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
from uncrop.finish.detail.progress import Pace
from uncrop.finish.pipeline import finish
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.jpeg import pixels as jpeg_pixels
from uncrop.imaging.jpeg.coefficients.blocks import Coefficients
from uncrop.model import (
    SERVERS,
    Caller,
    Detail,
    FieldFacts,
    Fill,
    GeometryFacts,
    Job,
    OpenedFile,
    Picture,
    PictureFacts,
    ProviderFacts,
    ProviderKeys,
    Sides,
    Task,
    UncropRequest,
    UncropResult,
    UploadFacts,
)
from uncrop.providers.commitment import Commitment
from uncrop.providers.maker import Between
from uncrop.testing import pictures
from uncrop.uncropper import OnceMade, Stopwatch, Uncropper
from uncrop.workers.decoding.decoder import InlineDecoder

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
        await commitment.commit()
        commitment.note_cost(FACTS)
        self.landed += 1
        self.most_landed = max(self.most_landed, self.landed)
        canvas = task.job.placement
        pixels = np.full((canvas.height, canvas.width, 3), 90, np.uint8)
        return Fill(pixels=pixels, facts=FACTS, confidence_map=self.confidence_map)


class Shelf:
    """A registry with one provider."""

    def __init__(self, provider: Paint) -> None:
        self.provider = provider
        self.keys = SERVERS

    def get(self, name: str, keys: ProviderKeys = SERVERS) -> Paint:
        self.keys = keys
        if name != self.provider.facts.name:
            raise InvalidFieldValue
        return self.provider


class Door:
    """An admission that lets everybody in and notes who came and went."""

    def __init__(self, provider: Paint | None = None) -> None:
        self.provider = provider or Paint()
        self.log: list[str] = []
        self.limited = False
        self.claims: list[Any] = []
        self.also: list[Any] = []
        self.held = NotingLog(noticing=self.log.append)

    async def count(self, facts: ProviderFacts, caller: Caller) -> None:
        self.log.append(f"counted {caller.organization_id} {facts.name}")
        if self.limited:
            raise RateLimitExceeded

    @asynccontextmanager
    async def grant(self, job: Job, caller: Caller, *, admit_by: float, claim: Any, take: Any) -> AsyncIterator["Door"]:
        self.claims.append(claim)
        assert admit_by == float("inf")  # on the command line and in Python nobody hurries
        self.log.append(f"in {caller.organization_id} {job.placement.width}x{job.placement.height}")
        try:
            yield self
        finally:
            self.log.append("out")

    def check(self, job: Job, caller: Caller) -> None:
        """Everybody may ask."""

    async def capture(self, facts: PictureFacts, also: Any = None) -> None:
        self.provider.landed -= 1
        self.also.append(also)
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
    assert door.log == ["counted org_a paint", "in org_a 48x30", "sent", "made", "booked req_7", "out"]
    assert door.held.costs == [FACTS]
    assert result.provider_calls == 1
    assert [each.billed_calls for each in (*provider.commitments, commitment)] == [1, 1]
    assert provider.tasks[0].photo.shape == (30, 40, 3)
    assert provider.tasks[0].mask is None


async def test_the_maker_is_the_one_that_calls_with_the_callers_keys() -> None:
    shelf, keys = Shelf(Paint()), ProviderKeys(own={"paint": "sk-own"})
    made = Uncropper(registry=shelf, admission=Door(), capacity=capacity(), max_output_pixels=10**6)  # type: ignore[arg-type]
    await made.run(request(), Caller(provider_keys=keys))
    assert shelf.keys is keys


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


NOISY = codec.encode(np.random.default_rng(1).integers(60, 200, (120, 150, 3), dtype=np.uint8), "PNG")


class Small(Paint):
    """Paints a third of the canvas's size."""

    async def fill(self, task: Task, *given: Any, **named: Any) -> Fill:
        fill = await super().fill(task, *given, **named)
        return replace(fill, pixels=np.ascontiguousarray(fill.pixels[::3, ::3]))


def small_flow(**named: Any) -> Uncropper:
    return Uncropper(registry=Shelf(Small()), admission=Door(), capacity=capacity(), max_output_pixels=10**6, **named)  # type: ignore[arg-type]


async def test_what_was_enlarged_is_redrawn_unless_it_is_not_wanted_or_late() -> None:
    wanted = request(image=NOISY, sides=Sides(left=30))
    told: list[tuple[float, str]] = []
    drawn = await small_flow().run(wanted, progress=lambda *step: told.append(step))
    assert drawn.detail == Detail(state="redrawn", factor=3.0)
    assert set(told) == {(1.0, "drawing detail")}
    plain = await small_flow().run(replace(wanted, detail="off"))
    assert plain.detail == Detail(state="off", factor=3.0)
    late = await small_flow(detail_s=-1).run(wanted)
    assert late.detail == Detail(state="skipped", factor=3.0, reason="no time was left")
    assert late.image == plain.image != drawn.image


async def test_whoever_watches_the_detail_may_end_it() -> None:
    def stop(_fraction: float, _step: str) -> None:
        raise InvalidImage

    with pytest.raises(InvalidImage):
        await small_flow().run(request(image=NOISY, sides=Sides(left=30)), progress=stop)


async def test_when_the_caller_leaves_no_more_detail_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    paces: list[Pace] = []
    reached, go_on = threading.Event(), threading.Event()

    def waiting(task: Task, fill: Fill, pace: Pace) -> Picture:
        paces.append(pace)
        reached.set()
        assert go_on.wait(60)
        return finish(task, fill, pace)

    monkeypatch.setattr("uncrop.uncropper.finish", waiting)
    work = asyncio.create_task(small_flow().run(request(image=NOISY, sides=Sides(left=30))))
    await asyncio.to_thread(reached.wait, 60)
    assert not paces[0].left()
    work.cancel()
    await anyio.wait_all_tasks_blocked()
    assert paces[0].left()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await work


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


async def test_coefficients_are_read_by_the_decoder_and_not_missed() -> None:
    class Dying(InlineDecoder):
        def coefficients(self, file: OpenedFile) -> Coefficients:
            raise InvalidImage

    made = Uncropper(
        registry=Shelf(Paint(JPEG_PAINT)),  # type: ignore[arg-type]
        admission=Door(),  # type: ignore[arg-type]
        capacity=capacity(),
        max_output_pixels=10**6,
        decoder=Dying(),
    )
    result = await made.run(request(image=jpeg_photo("444")))
    assert result.original == "recompressed"
    assert open_file(result.image).header.width == 48


async def test_a_finished_picture_of_another_size_is_resampled_and_says_so() -> None:
    result = await uncropper(Paint(), Door()).run(request(output_size="96x60"))
    assert (result.width, result.height, result.original) == (96, 60, "resampled")
    assert (await uncropper(Paint(), Door()).run(request())).original == "exact"


async def test_a_request_under_a_key_claims_it_and_is_kept_before_it_is_booked() -> None:
    door = Door()

    async def keep(result: UncropResult) -> Any:
        door.log.append(f"kept {result.width}x{result.height} after {len(result.stages)} stages")
        return "noted with the booking"

    await uncropper(door.provider, door).run(request(), once=OnceMade("claim", keep))
    assert (door.claims, door.also) == (["claim"], ["noted with the booking"])
    assert door.log[-3:] == ["kept 48x30 after 5 stages", "booked req_7", "out"]


async def test_one_of_several_pictures_under_a_key_is_not_kept_by_itself() -> None:
    door = Door()
    await uncropper(door.provider, door).run(request(), once=OnceMade("claim"))
    assert (door.claims, door.also) == (["claim"], [None])

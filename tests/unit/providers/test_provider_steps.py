"""A plan of several calls, run through one provider's conversation: what is sent, put together, booked, and told."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import anyio
import numpy as np
import pytest

from call_logs import NotingLog
from uncrop import errors
from uncrop.finish.pipeline import finish
from uncrop.geometry.steps import plan
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.model import (
    Detail,
    Fill,
    GeometryFacts,
    PictureFacts,
    Plan,
    ProviderFacts,
    SettingFacts,
    Sides,
    Task,
    TokenUsage,
    UncropRequest,
    UploadFacts,
)
from uncrop.providers.base import Provider, ProviderSettings
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer, Call, Extend, Wait, ask, compute
from uncrop.providers.maker import Between, Maker
from uncrop.providers.steps import Steps, add_facts, worst
from uncrop.testing import EdgeEngine, ScriptedSend
from uncrop.testing.pictures import noise, photo, photo_jpeg, photo_png
from uncrop.testing.workbench import make_context, make_task

if TYPE_CHECKING:
    from uncrop.providers.conversation import Conversation

CAST = 6  # grey levels by which the provider repaints all that it sends back
TINY = ProviderFacts(
    name="tiny",
    title="Tiny",
    sentence="",
    implementation=f"{__name__}:Edges",
    geometry=GeometryFacts(speaks="sides", max_side=20),
    upload=UploadFacts(formats=frozenset({"PNG", "JPEG"}), max_bytes=1_000_000),
    answer_format="PNG",
    bills=True,
    settings=(
        SettingFacts(name="api_key", kind="secret", help="", required=True),
        SettingFacts(name="base_url", kind="address", help="", required=True),
    ),
)


class Edges(Provider):
    """Carries the photo's border on, a little lighter; keeps the tasks that it was given."""

    def __init__(self, facts: ProviderFacts, settings: ProviderSettings) -> None:
        super().__init__(facts, settings)
        self.tasks: list[Task] = []

    def converse(self, task: Task) -> Conversation:
        self.tasks.append(task)
        yield Wait(seconds=0, fraction=0.5, step="waiting")
        answer = yield from ask(Call(method="POST", url=self.settings.base_url))
        if answer.status != 200:
            raise errors.ProviderError
        canvas = task.job.placement
        kept = canvas.kept
        right, down = canvas.width - kept.x - kept.width, canvas.height - kept.y - kept.height
        assert (task.job.sides.left, task.job.sides.right) == (kept.x, right)
        assert (task.job.sides.up, task.job.sides.down) == (kept.y, down)
        made = np.pad(task.photo[..., :3], ((kept.y, down), (kept.x, right), (0, 0)), mode="edge")
        made = (np.minimum(made, 255 - CAST) + CAST).astype(np.uint8)
        number = answer.body.decode()
        facts = PictureFacts(provider="tiny", request_id=number, credits_consumed=Decimal(number), warnings=("odd",))
        return Fill(pixels=made, facts=facts)


class House:
    """A maker on a scripted sender, and what became known on the way."""

    def __init__(self, *script: Answer | BaseException, facts: ProviderFacts = TINY, kind: Any = Edges) -> None:
        self.send = ScriptedSend(*script)
        self.provider = kind(facts, ProviderSettings(values={"api_key": "k", "base_url": "http://tiny"}))
        self.maker = Maker(self.provider, make_context(send=self.send))
        self.log = NotingLog()
        self.commitment = Commitment(log=self.log)

    async def fill(self, task: Task, **options: Any) -> Fill:
        return await self.maker.fill(task, self.commitment, between=Between(finish=finish), **options)

    @property
    def noted(self) -> list[PictureFacts]:
        return self.log.costs


def made(number: int) -> Answer:
    return Answer(status=200, body=str(number).encode())


def task_of(facts: ProviderFacts, image: bytes, max_calls: int = 8, **sides: int) -> Task:
    return make_task(UncropRequest(provider="tiny", image=image, sides=Sides(**sides), max_calls=max_calls), facts)


def inside(task: Task, pixels: np.ndarray) -> np.ndarray:
    kept = task.job.placement.kept
    return pixels[kept.y : kept.y + kept.height, kept.x : kept.x + kept.width]


async def test_each_call_is_fed_with_what_the_ones_before_it_made() -> None:
    task = task_of(TINY, photo_png(64, 48), right=50, up=10)
    house = House(made(1), made(2), made(3))
    fill = await house.fill(task)
    assert [each.job.placement.width for each in house.provider.tasks] == [81, 98, 114]
    assert [each.photo.shape[:2] for each in house.provider.tasks] == [(48, 64), (52, 81), (55, 98)]
    # Each has a file of its own, which is what is sent.
    for each in house.provider.tasks:
        assert (codec.decode(open_file(each.job.photo_file.data)) == each.photo).all()
    assert fill.pixels.shape == (58, 114, 3)
    assert (inside(task, fill.pixels) == task.photo).all()
    assert fill.keeps_original
    assert house.commitment.billed_calls == 3
    assert fill.facts.request_id == "1,2,3"
    assert fill.facts.credits_consumed == 6
    assert fill.facts.warnings == ("odd",)
    assert [facts.credits_consumed for facts in house.noted] == [1, 2, 3]
    assert house.log.told == ["sent", "made"] * 3
    # The first call repainted the photo; what it was repainted by is told of the picture.
    assert fill.repaint_difference == pytest.approx(CAST, abs=0.3)
    assert finish(task, fill).repaint_difference == fill.repaint_difference


async def test_no_cast_grows_from_call_to_call() -> None:
    flat = codec.encode(np.full((48, 64, 3), 90, np.uint8), "PNG")
    fill = await House(made(1), made(2), made(3)).fill(task_of(TINY, flat, right=60))
    assert np.abs(fill.pixels.astype(int) - 90).max() <= 1


async def test_a_part_is_cut_and_put_back_where_it_was() -> None:
    facts = replace(TINY, geometry=GeometryFacts(speaks="sides", max_photo_ratio=2.5))
    task = task_of(facts, photo_png(800, 40), left=30)
    house = House(made(1), facts=facts)
    fill = await house.fill(task)
    assert house.provider.tasks[0].photo.shape == (40, 100, 3)
    assert (house.provider.tasks[0].photo == task.photo[:, :100]).all()
    assert fill.pixels.shape == (40, 830, 3)
    assert (inside(task, fill.pixels) == task.photo).all()
    assert fill.repaint_difference == pytest.approx(CAST, abs=0.5)


@pytest.mark.parametrize("bits", [8, 16])
async def test_a_scaled_call_is_finished_with_the_picture(bits: Any) -> None:
    facts = replace(TINY, geometry=GeometryFacts(speaks="sides", scales=True, max_photo_pixels=1000))
    task = task_of(facts, photo_png(80, 60, bits=bits), right=20, down=20)
    house = House(made(1), facts=facts)
    fill = await house.fill(task)
    shown = house.provider.tasks[0].photo
    assert shown.dtype == np.uint8
    assert 900 < shown.shape[0] * shown.shape[1] <= 1000
    assert not fill.keeps_original
    picture = finish(task, fill)
    assert picture.pixels.shape == (80, 100, 3)
    assert (inside(task, picture.pixels) == (task.photo if bits == 8 else codec.decode_8bit(task.job.photo_file))).all()
    # It is as large as was asked for, so that there is no word about its size but that of the scale.
    assert picture.warnings == ("what was made was enlarged 2.2 times to the canvas",)


async def test_what_was_done_about_the_detail_of_all_calls_is_told_of_the_picture() -> None:
    facts = replace(TINY, geometry=GeometryFacts(speaks="sides", scales=True, max_photo_pixels=1000, max_side=16))
    task = task_of(facts, photo_png(80, 60), right=60)
    house = House(*(made(number) for number in range(1, 6)), facts=facts)
    fill = await house.fill(task)
    assert fill.keeps_original
    picture = finish(task, fill)
    assert picture.detail is not None
    assert picture.detail == fill.detail
    assert (picture.detail.state, picture.detail.factor > 2) == ("skipped", True)


def test_of_several_calls_a_skipped_one_is_told_and_else_what_was_enlarged_the_most() -> None:
    small, large = (Detail(state="redrawn", factor=factor) for factor in (1.6, 2.5))
    skipped = Detail(state="skipped", factor=1.5, reason="no time was left")
    assert worst(None, None) is None
    assert worst(small, None) == worst(None, small) == small
    assert worst(small, large) == worst(large, small) == large
    assert worst(skipped, large) == worst(large, skipped) == skipped


async def test_transparent_pixels_are_made_by_the_first_call() -> None:
    task = task_of(TINY, photo_png(64, 48, channels=4), right=40)
    house = House(made(1), made(2))
    fill = await house.fill(task)
    assert [each.photo.shape[2] for each in house.provider.tasks] == [4, 3]
    opaque = task.photo[..., 3] == 255
    assert (inside(task, fill.pixels)[opaque] == task.photo[opaque][:, :3]).all()


async def test_what_is_too_long_as_a_png_is_sent_as_a_jpeg() -> None:
    image = codec.encode(noise(64, 40), "PNG")
    facts = replace(TINY, upload=replace(TINY.upload, max_bytes=len(image)))
    task = task_of(facts, image, right=40)
    house = House(made(1), made(2), facts=facts)
    await house.fill(task)
    formats = [each.job.header.format for each in house.provider.tasks]
    assert formats == ["PNG", "JPEG"]


async def test_parts_of_a_jpeg_are_sent_as_fine_jpegs() -> None:
    task = task_of(TINY, photo_jpeg(64, 48, grey=True), right=40)
    house = House(made(1), made(2))
    fill = await house.fill(task)
    header = house.provider.tasks[0].job.header
    assert (header.format, header.jpeg and header.jpeg.quality) == ("JPEG", 95)
    assert (inside(task, fill.pixels) == task.photo).all()


# --- failures --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "details"),
    [
        ((Answer(status=500),), {"provider": "tiny"}),
        ((made(1), Answer(status=500)), {"provider": "tiny", "calls_billed": 2}),
        ((made(1), made(2), errors.ProviderTimeout()), {"provider": "tiny", "calls_billed": 3}),
    ],
)
async def test_what_was_billed_before_a_failure_is_told(
    script: tuple[Answer | BaseException, ...], details: dict[str, object]
) -> None:
    house = House(*script)
    with pytest.raises(errors.ProviderFault) as failed:
        await house.fill(task_of(TINY, photo_png(64, 48), right=60))
    assert failed.value.details == details
    assert house.commitment.billed_calls == len(script)
    assert len(house.noted) == len(script) - 1


async def test_who_is_not_billed_is_told_of_no_bill() -> None:
    facts = replace(TINY, bills=False)
    house = House(made(1), Answer(status=500), facts=facts)
    with pytest.raises(errors.ProviderFault) as failed:
        await house.fill(task_of(facts, photo_png(64, 48), right=40))
    assert failed.value.details == {"provider": "tiny"}


async def test_who_leaves_between_two_calls_pays_for_no_more() -> None:
    house = House(made(1), made(2))
    house.log.noticing = lambda what: what == "made" and house.commitment.abandon()
    with pytest.raises(asyncio.CancelledError):
        await house.fill(task_of(TINY, photo_png(64, 48), right=40))
    assert len(house.send.calls) == 1
    assert house.noted[-1].credits_consumed == 1


async def test_all_calls_share_the_deadline() -> None:
    house = House(made(1), made(2))
    context = replace(make_context(send=house.send, timeout_s=0.2), sleep=lambda _seconds: anyio.sleep(0.15))
    house.maker = Maker(house.provider, context)
    with pytest.raises(errors.ProviderTimeout) as failed:
        await house.fill(task_of(TINY, photo_png(64, 48), right=60))
    assert len(house.send.calls) < 3
    assert failed.value.details is not None
    assert failed.value.details["provider"] == "tiny"


async def test_the_progress_is_that_of_all_calls() -> None:
    told: list[tuple[float, str]] = []
    house = House(made(1), made(2))
    await house.fill(
        task_of(TINY, photo_png(64, 48), right=40), progress=lambda fraction, step: told.append((fraction, step))
    )
    assert told == [(0.25, "waiting"), (0.75, "waiting")]


async def test_the_engine_can_be_a_step_of_a_plan() -> None:
    class Here(Provider):
        def converse(self, task: Task) -> Conversation:
            work = Extend(photo=task.photo, sides=task.job.sides, seed=2, quality="fast")
            extension = yield from compute(work)
            facts = PictureFacts(provider="tiny", request_id="here")
            return Fill(pixels=extension.pixels, facts=facts, keeps_original=True)

    facts = replace(TINY, bills=False, computes_here=True)
    house = House(facts=facts, kind=Here)
    house.maker = Maker(house.provider, make_context(send=house.send, engine=EdgeEngine()))
    told: list[float] = []
    task = task_of(facts, photo_png(64, 48), right=40)
    fill = await house.fill(task, progress=lambda fraction, _step: told.append(fraction))
    assert fill.pixels.shape == (48, 104, 3)
    assert told == sorted(told)
    assert house.commitment.billed_calls == 0


async def test_steps_without_a_finish_are_a_fault_of_our_own() -> None:
    house = House(made(1))
    with pytest.raises(errors.InternalError):
        await house.maker.fill(task_of(TINY, photo_png(64, 48), right=40), house.commitment)
    assert house.send.calls == []
    planned = plan(task_of(TINY, photo_png(64, 48), right=40).job.placement, TINY.geometry, 2)
    assert isinstance(planned, Plan)
    with pytest.raises(errors.InternalError):
        Steps(task_of(TINY, photo_png(64, 48), right=40), planned, finish).fill()


# --- facts of several calls ------------------------------------------------------------------------------------------


def test_facts_of_several_calls_are_added_up() -> None:
    usage = TokenUsage(input_tokens=1, output_tokens=2, total_tokens=3)
    first = PictureFacts(provider="p", request_id="a", model="m", credits_remaining=Decimal(9), usage=usage)
    last = replace(first, request_id="b", credits_remaining=Decimal(8), usage=None, warnings=("w",))
    assert add_facts([first]) is first
    assert add_facts([first, last]) == PictureFacts(
        provider="p", request_id="a,b", model="m", credits_remaining=Decimal(8), usage=usage, warnings=("w",)
    )
    assert add_facts([last, last]).usage is None
    assert add_facts([first, first]).usage == TokenUsage(input_tokens=2, output_tokens=4, total_tokens=6)


def test_a_photo_is_what_it_was() -> None:
    """The tests above compare with these pixels."""
    assert (task_of(TINY, photo_png(64, 48), right=40).photo == photo(64, 48)).all()

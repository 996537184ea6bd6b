from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from uncrop.admission.admission import Admission
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.pixel_memory import PixelMemory, decoding_bytes, finishing_bytes, pixel_bytes
from uncrop.capacity.slots import Slots
from uncrop.errors import ImageTooLarge, ServerBusy
from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.steps import plan
from uncrop.imaging.cost import cost_of
from uncrop.imaging.header import open_file
from uncrop.model import Caller, GeometryFacts, Job, Placement, Plan, Sides
from uncrop.providers.local.facts import FACTS as LOCAL
from uncrop.testing import pictures


class Holder:
    """Holds memory until told to stop."""

    def __init__(self, memory: PixelMemory, share: int) -> None:
        self._memory = memory
        self._share = share
        self._stop = asyncio.Event()
        self.holds = False
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self._memory.hold(self._share):
            self.holds = True
            await self._stop.wait()

    async def stop(self) -> None:
        self._stop.set()
        await self.task


async def settle() -> None:
    await anyio.wait_all_tasks_blocked()


async def test_memory_that_is_closed_refuses_those_who_wait_and_takes_back_what_is_held() -> None:
    memory = PixelMemory(10)
    first, second = (Holder(memory, share) for share in (6, 6))
    await settle()
    memory.close(ServerBusy)
    with pytest.raises(ServerBusy):
        await second.task
    with pytest.raises(ServerBusy):
        async with memory.hold(1):
            pytest.fail("it was closed")
    await first.stop()
    assert memory.held == 0


async def test_there_is_no_more_than_there_is() -> None:
    memory = PixelMemory(10)
    first, second, third = (Holder(memory, share) for share in (6, 4, 1))
    await settle()
    assert (first.holds, second.holds, third.holds, memory.held) == (True, True, False, 10)
    await second.stop()
    await settle()
    assert (third.holds, memory.held) == (True, 7)
    await first.stop()
    await third.stop()
    assert memory.held == 0


async def test_a_large_one_is_not_overtaken_for_ever() -> None:
    memory = PixelMemory(10)
    first, large, small = (Holder(memory, share) for share in (4, 8, 2))
    await settle()
    assert (large.holds, small.holds) == (False, False)
    await first.stop()
    await settle()
    assert (large.holds, small.holds) == (True, True)
    await large.stop()
    await small.stop()


async def test_what_is_larger_than_all_there_is_runs_alone() -> None:
    memory = PixelMemory(10)
    first, huge = Holder(memory, 1), Holder(memory, 1000)
    await settle()
    assert not huge.holds
    await first.stop()
    await settle()
    assert (huge.holds, memory.held) == (True, 10)
    await huge.stop()


async def test_who_leaves_the_queue_lets_the_next_one_through() -> None:
    memory = PixelMemory(10)
    first, large, small = (Holder(memory, share) for share in (6, 8, 4))
    await settle()
    large.task.cancel()
    await settle()
    assert (small.holds, memory.held) == (True, 10)
    await first.stop()
    await small.stop()
    assert memory.held == 0


async def test_a_share_given_in_the_moment_of_cancelling_is_given_back() -> None:
    memory = PixelMemory(10)
    first, second = Holder(memory, 10), Holder(memory, 10)
    await settle()
    first._stop.set()
    await asyncio.sleep(0)  # the first one gives back, the second one's turn has come, but it has not run yet
    second.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second.task
    await first.task
    assert memory.held == 0


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 4)), max_size=12))
def test_nothing_leaks_whenever_anyone_is_cancelled(plan: list[tuple[int, int]]) -> None:
    async def run() -> None:
        memory = PixelMemory(10)

        async def work(share: int) -> None:
            async with memory.hold(share):
                await asyncio.sleep(0)
                await asyncio.sleep(0)

        tasks = [asyncio.create_task(work(share)) for share, _ in plan]
        for step in range(5):
            for task, (_, cancelled_at) in zip(tasks, plan, strict=True):
                if cancelled_at == step and step < 4:
                    task.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*tasks, return_exceptions=True)
        assert memory.held == 0

    asyncio.run(run())


def with_header(job: Job, **changes: Any) -> Job:
    """The same job for a photo whose header says something else."""
    return replace(job, photo_file=replace(job.photo_file, header=replace(job.header, **changes)))


def test_what_a_job_takes_is_known_before_it_is_opened(job: Job) -> None:
    assert pixel_bytes(job) == 16 * 16 * 3
    masked = replace(with_header(job, bits=16, channels=4), request=replace(job.request, mask=b"mask"))
    assert pixel_bytes(masked) == 16 * 16 * (4 * 2 + 4)


def test_what_works_on_this_machine_takes_memory_for_it(job: Job) -> None:
    facts = replace(job.provider, working_bytes=lambda header, sides: 1000 * header.width + sides.left)
    assert pixel_bytes(replace(job, provider=facts, sides=Sides(left=7))) == 16 * 16 * 3 + 16_007


def test_a_plan_of_calls_takes_memory_for_the_canvas_and_what_a_call_makes(job: Job) -> None:
    placement = placement_of_sides(16, 16, Sides(right=20))
    for reach, between in ((20, 0), (10, 3 * 16 * (36 + 36))):
        planned = plan(placement, GeometryFacts(speaks="sides", max_side=reach), 2)
        assert isinstance(planned, Plan)
        assert pixel_bytes(replace(job, placement=placement, plan=planned)) == 16 * 16 * 3 + between


@pytest.mark.parametrize(
    ("orientation", "right", "samples"),
    [(1, 64, (64 + 128) * 64), (1, 16, (64 + 80) * 64), (6, 64, (64 + 128) * 64), (6, 16, 3 * 64 * 64)],
)
def test_a_jpeg_of_a_jpeg_takes_memory_for_coefficients(job: Job, orientation: int, right: int, samples: int) -> None:
    file = open_file(pictures.photo_jpeg(64, 64))  # 4:2:0: one and a half samples a pixel, of two bytes
    file = replace(file, header=replace(file.header, orientation=orientation))
    placement = placement_of_sides(64, 64, Sides(right=right))
    jpeg = replace(job, photo_file=file, placement=placement, answer_format="JPEG")
    unscaled = replace(jpeg, output_size=(placement.width, placement.height))
    files = 5 * len(file.data) * placement.width // 64
    assert pixel_bytes(unscaled) == 64 * 64 * 3 + 3 * samples + files
    assert pixel_bytes(replace(unscaled, output_size=(50, 40))) == 64 * 64 * 3
    assert pixel_bytes(replace(unscaled, answer_format="PNG")) == 64 * 64 * 3
    local = replace(job.provider, working_bytes=lambda header, sides: 10**6)
    assert pixel_bytes(replace(unscaled, provider=local)) == 64 * 64 * 3 + 10**6  # one after the other


async def test_a_picture_that_cannot_fit_is_refused_where_that_is_asked_for(job: Job) -> None:
    large = with_header(job, width=10_000, height=1000)
    for refuses in (True, False):
        memory = PixelMemory(10_000_000, refuses=refuses)
        admission = Admission(capacity=Capacity(slots=Slots(9, 0), memory=memory))
        admission.check(job, Caller())
        if not refuses:
            admission.check(large, Caller())
            continue
        with pytest.raises(ImageTooLarge) as caught:
            admission.check(large, Caller())
        assert caught.value.details == {"needed": 30, "max_allowed": 10, "unit": "megabytes"}


def test_decoding_takes_what_its_larger_file_takes(job: Job) -> None:
    assert decoding_bytes(job) == cost_of(job.photo_file).peak_bytes
    mask = open_file(pictures.mask_png(300, 300, hole=None))
    assert decoding_bytes(replace(job, mask_file=mask)) == cost_of(mask).peak_bytes


def planned_calls(canvas: Placement, facts: GeometryFacts) -> Plan:
    planned = plan(canvas, facts, 1)
    assert isinstance(planned, Plan)
    return planned


def test_detail_takes_memory_where_what_is_made_will_be_enlarged(job: Job) -> None:
    canvas = placement_of_sides(1600, 1200, Sides(left=200, right=200, up=100, down=100))
    scaled = GeometryFacts(speaks="sides", scales=True, max_photo_pixels=600_000)
    same = replace(job, placement=canvas, request=replace(job.request, detail=None))
    plain = finishing_bytes(same)
    drawn = plain + 40 * canvas.width * canvas.height
    planned = replace(same, plan=planned_calls(canvas, scaled))
    assert finishing_bytes(planned) == drawn
    assert finishing_bytes(replace(planned, request=replace(job.request, detail="off"))) == plain
    little = replace(scaled, max_photo_pixels=1_200_000)
    assert finishing_bytes(replace(same, plan=planned_calls(canvas, little))) == plain
    # By a mask alone it depends on how large a picture the provider makes at all.
    for most, wanted in ((None, plain), (1_000_000, drawn), (2_000_000, plain)):
        provider = replace(job.provider, geometry=GeometryFacts(speaks="mask", max_pixels=most))
        assert finishing_bytes(replace(same, plan=None, provider=provider)) == wanted


async def test_two_large_pictures_of_the_local_engine_wait_for_each_other_and_no_small_one_does(job: Job) -> None:
    large = replace(
        with_header(job, width=3872, height=2592),
        provider=LOCAL,
        sides=Sides(left=580, right=580, up=390, down=390),
    )
    memory = PixelMemory(400_000_000)
    admission = Admission(capacity=Capacity(slots=Slots(9, 0), memory=memory))
    stop, admitted = asyncio.Event(), []

    async def work(name: str, wanted: Job) -> None:
        async with admission.grant(wanted, Caller()):
            admitted.append(name)
            await stop.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(work("small", replace(job, provider=LOCAL)))
        tasks.create_task(work("large", large))
        tasks.create_task(work("another large", large))
        await settle()
        assert admitted == ["small", "large"]
        stop.set()
    assert admitted == ["small", "large", "another large"]
    assert memory.held == 0


async def test_a_job_holds_its_memory_while_it_is_admitted(job: Job) -> None:
    memory = PixelMemory(10**6)
    async with Admission(capacity=Capacity(slots=Slots(1, 0), memory=memory)).grant(job, Caller()):
        assert memory.held == 16 * 16 * 3
    assert memory.held == 0

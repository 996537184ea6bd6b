"""What every provider promises, whoever it is: the local one on a double of the engine, the others on emulators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import anyio.lowlevel
import numpy as np
import pytest

from fixtures_plugin import sketch_row
from uncrop.errors import ProviderNotConfigured
from uncrop.finish.pipeline import finish
from uncrop.model import Fill, Sides, Task, UncropRequest
from uncrop.providers.commitment import Commitment
from uncrop.providers.registry import Registry, load_rows
from uncrop.providers.rows import problems
from uncrop.providers.transport.sender import Sender
from uncrop.testing import EdgeEngine, Emulator, emulator_of
from uncrop.testing.pictures import mask_png, photo_jpeg, photo_png, photo_webp, rotated
from uncrop.testing.workbench import make_context, make_registry, make_settings, make_task

if TYPE_CHECKING:
    from uncrop.providers.maker import Maker

# Every provider that uncrop brings along, and one that is a plug-in.
ROWS = {**load_rows(()), "sketch": sketch_row()}
REMOTE = [name for name, row in ROWS.items() if not row.computes_here]
SEEDED = [name for name, row in ROWS.items() if row.takes("seed")]
SIDES = Sides(left=24, right=-8, up=0, down=16)
PHOTOS = {
    "JPEG": photo_jpeg(96, 64),
    "grey JPEG": photo_jpeg(96, 64, grey=True),
    "turned JPEG": rotated("JPEG", 6, width=96, height=64),
    "PNG": photo_png(96, 64),
    "grey PNG": photo_png(96, 64, channels=1),
    "grey PNG with alpha": photo_png(96, 64, channels=2),
    "PNG with alpha": photo_png(96, 64, channels=4),
    "PNG of 16 bits": photo_png(96, 64, bits=16),
    "WebP": photo_webp(96, 64),
    "WebP with alpha": photo_webp(96, 64, channels=4),
}


@dataclass(frozen=True, kw_only=True)
class World:
    registry: Registry
    emulators: Mapping[str, Emulator]
    engine: EdgeEngine

    def made(self) -> int:
        """Return how many pictures were asked for: polls, downloads and the like do not count."""
        return sum(len(emulator.submits) for emulator in self.emulators.values()) + len(self.engine.calls)

    def calls(self) -> int:
        return sum(len(emulator.calls) for emulator in self.emulators.values()) + len(self.engine.calls)


@pytest.fixture(scope="module")
def emulators() -> Iterator[dict[str, Emulator]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(emulator_of(ROWS[name])()) for name in REMOTE}


@pytest.fixture
async def world(emulators: dict[str, Emulator]) -> AsyncIterator[World]:
    engine = EdgeEngine()
    async with Sender(sleep=do_not_wait) as send:
        context = replace(make_context(send=send, engine=engine), sleep=do_not_wait)
        registry = make_registry(context, rows=ROWS, urls={name: each.url for name, each in emulators.items()})
        yield World(registry=registry, emulators=emulators, engine=engine)


async def do_not_wait(_seconds: float) -> None:
    await anyio.lowlevel.checkpoint()


@pytest.fixture(params=ROWS)
def provider(request: pytest.FixtureRequest, world: World) -> Maker:
    return world.registry.get(request.param)


def task_for(provider: Maker, image: bytes = PHOTOS["PNG"], size: str | None = None, kind: str = "") -> Task:
    facts = provider.facts
    takes_mask = facts.takes("mask_file") and kind != "sides"
    wishes: dict[str, object] = {"mask": mask_png(96, 64), "size": size} if takes_mask else {"sides": SIDES}
    return make_task(UncropRequest(provider=facts.name, image=image, **wishes), facts)  # type: ignore[arg-type]


def test_it_goes_by_its_name(provider: Maker, world: World) -> None:
    assert world.registry.get(provider.facts.name) is provider


def test_it_is_configured(provider: Maker) -> None:
    provider.check_configured()


def test_its_facts_agree_with_one_another(provider: Maker) -> None:
    facts = provider.facts
    assert list(problems(facts, {})) == []
    assert facts.takes("size") <= facts.takes("mask_file")
    assert facts.geometry.min_photo_edge >= 1
    assert facts.upload.max_bytes >= 1_000_000
    assert facts.title
    assert facts.sentence.endswith(".")
    assert facts.evidence


@pytest.mark.parametrize("geometry", ["", "sides"])
@pytest.mark.parametrize("kind", PHOTOS)
async def test_every_kind_of_photo_is_filled(provider: Maker, kind: str, geometry: str) -> None:
    task = task_for(provider, PHOTOS[kind], kind=geometry)
    before = task.photo.copy()
    fill = await provider.fill(task, Commitment())
    check(task, fill)
    assert (task.photo == before).all()
    assert fill.facts.provider == provider.facts.name
    picture = finish(task, fill)
    assert picture.pixels.shape[:2] == (task.job.placement.height, task.job.placement.width)


def check(task: Task, fill: Fill) -> None:
    canvas, pixels = task.job.placement, fill.pixels
    assert pixels.ndim == 3
    assert abs(pixels.shape[1] * canvas.height / (pixels.shape[0] * canvas.width) - 1) <= 0.02
    assert fill.facts.request_id
    assert fill.facts.confidence is None or 0 <= fill.facts.confidence <= 1
    if task.job.provider.keeps_depth:
        assert pixels.dtype == task.photo.dtype
        assert pixels.shape[2] == task.photo.shape[2]
    else:
        assert pixels.dtype == np.uint8
    if fill.keeps_original:
        kept, source = canvas.kept, canvas.source
        assert pixels.shape[:2] == (canvas.height, canvas.width)
        inside = pixels[kept.y : kept.y + kept.height, kept.x : kept.x + kept.width]
        used = task.photo[source.y : source.y + source.height, source.x : source.x + source.width]
        assert (inside == used).all()


async def test_a_size_that_was_asked_for_is_met(provider: Maker) -> None:
    row = provider.facts.field("size")
    for size in () if row is None else row.choices:
        task = task_for(provider, size=size)
        check(task, await provider.fill(task, Commitment()))


async def test_only_what_is_billed_is_committed(provider: Maker) -> None:
    commitment = Commitment()
    await provider.fill(task_for(provider), commitment)
    assert commitment.sent is provider.facts.bills
    assert commitment.billed_calls == int(provider.facts.bills)


async def test_who_has_left_costs_nothing(provider: Maker, world: World) -> None:
    commitment, before = Commitment(), world.calls()
    commitment.abandon()
    with pytest.raises(asyncio.CancelledError):
        await provider.fill(task_for(provider), commitment)
    assert (commitment.sent, world.calls()) == (False, before)


async def test_several_at_once_do_not_disturb_one_another(provider: Maker, world: World) -> None:
    before = world.made()
    tasks = [task_for(provider, PHOTOS[kind]) for kind in ("JPEG", "PNG", "WebP", "PNG with alpha")] * 2
    fills = await asyncio.gather(*(provider.fill(task, Commitment()) for task in tasks))
    for task, fill in zip(tasks, fills, strict=True):
        check(task, fill)
    assert len({fill.facts.request_id for fill in fills}) == len(tasks)
    assert world.made() - before == len(tasks)


@pytest.mark.parametrize("provider", SEEDED, indirect=True)
async def test_the_same_seed_gives_the_same_pixels(provider: Maker) -> None:
    first, second = [(await provider.fill(task_for(provider), Commitment())).pixels for _ in range(2)]
    assert (first == second).all()


@pytest.mark.parametrize(
    ("name", "setting"),
    [(name, setting.name) for name in REMOTE for setting in ROWS[name].settings if setting.required],
)
async def test_without_what_it_needs_a_remote_provider_is_not_configured_and_says_so(name: str, setting: str) -> None:
    provider = make_registry(rows=ROWS, settings={name: make_settings(ROWS[name], **{setting: None})}).get(name)
    with pytest.raises(ProviderNotConfigured) as refused:
        provider.check_configured()
    assert refused.value.details == {"provider": name}

"""The embedded engine behind the providers' interface."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from uncrop import errors
from uncrop.engine import peak_bytes
from uncrop.model import Sides, UncropRequest
from uncrop.providers.commitment import Commitment
from uncrop.providers.maker import Maker
from uncrop.testing import EdgeEngine
from uncrop.testing.pictures import photo, photo_png
from uncrop.testing.workbench import make_context, make_registry, make_task


@pytest.fixture
def engine() -> EdgeEngine:
    return EdgeEngine()


@pytest.fixture
def local(engine: EdgeEngine) -> Maker:
    return make_registry(make_context(engine=engine)).get("local")


def request(**wishes: object) -> UncropRequest:
    return UncropRequest(provider="local", image=photo_png(40, 30), sides=Sides(left=8, down=-10), **wishes)  # type: ignore[arg-type]


async def test_the_engine_makes_the_whole_canvas(local: Maker, engine: EdgeEngine) -> None:
    flight = Commitment()
    task = make_task(request(seed=11, quality="best"), local.facts)
    fill = await local.fill(task, flight)
    assert fill.pixels.shape == (20, 48, 3)
    assert (fill.pixels[:, 8:] == photo(40, 30)[:20]).all()
    assert fill.keeps_original is True
    assert engine.calls == [(11, "best")]
    facts = fill.facts
    assert (facts.provider, facts.confidence, facts.model, facts.credits_consumed) == ("local", 0.5, None, None)
    assert facts.advice == Sides(left=4)
    assert fill.confidence_map is None
    assert re.fullmatch(r"req_[0-9a-f]{24}", facts.request_id)


async def test_a_map_is_handed_on_when_it_was_asked_for(local: Maker) -> None:
    fill = await local.fill(make_task(request(confidence_map=True), local.facts), Commitment())
    assert fill.confidence_map is not None
    assert (fill.confidence_map[:, 8:] == 255).all()
    assert (fill.confidence_map[:, :8] == 128).all()


def test_the_memory_that_a_process_of_the_engine_takes_for_it_is_told(local: Maker) -> None:
    predict = local.facts.working_bytes
    assert predict is not None
    header = replace(make_task(request(), local.facts).job.header, width=4000, height=3000)
    sides = Sides(left=600, right=600, up=-100)
    process = peak_bytes(16, 16, 3, Sides(left=1)) - 13 * 16 * 17 - 12 * 16 * 16
    for channels, bits, size in ((1, 8, 1), (3, 8, 3), (4, 16, 8)):
        told = predict(replace(header, channels=channels, bits=bits), sides)
        assert told == peak_bytes(3000, 4000, size, sides) - process


async def test_progress_reaches_whoever_waits(local: Maker) -> None:
    told = []
    task = make_task(request(), local.facts)
    await local.fill(task, Commitment(), progress=lambda fraction, step: told.append((fraction, step)))
    assert told == [(0.0, "edge"), (1.0, "done")]


async def test_local_work_is_never_committed_so_that_it_can_be_stopped(local: Maker) -> None:
    flight = Commitment()
    await local.fill(make_task(request(), local.facts), flight)
    assert flight.sent is False


async def test_who_has_left_is_not_worked_for(local: Maker, engine: EdgeEngine) -> None:
    flight = Commitment()
    flight.abandon()
    with pytest.raises(asyncio.CancelledError):
        await local.fill(make_task(request(), local.facts), flight)
    assert engine.calls == []


async def test_a_drawn_seed_and_the_standard_quality_are_used(local: Maker, engine: EdgeEngine) -> None:
    await local.fill(make_task(request(), local.facts, seed=99), Commitment())
    assert engine.calls == [(99, "standard")]


async def test_a_job_without_a_seed_is_worked_on_with_seed_0(local: Maker, engine: EdgeEngine) -> None:
    task = make_task(request(), local.facts)
    await local.fill(replace(task, job=replace(task.job, seed=None)), Commitment())
    assert engine.calls == [(0, "standard")]


async def test_the_engines_refusals_come_through() -> None:
    class Refusing(EdgeEngine):
        async def extend(self, *_arguments: object, **_wishes: object) -> None:  # type: ignore[override]
            raise errors.ProviderTimeout

    provider = make_registry(make_context(engine=Refusing())).get("local")  # type: ignore[arg-type]
    with pytest.raises(errors.ProviderTimeout):
        await provider.fill(make_task(request(), provider.facts), Commitment())


def test_it_is_always_configured(local: Maker) -> None:
    local.check_configured()


def test_the_row_of_facts(local: Maker) -> None:
    facts = local.facts
    assert (facts.name, facts.geometry.speaks, facts.geometry.crops) == ("local", "sides", True)
    assert [field.name for field in facts.fields] == ["seed", "quality", "confidence_map"]
    assert facts.fields[0].maximum == 4_294_967_295
    assert (facts.geometry.min_photo_edge, facts.upload.max_bytes) == (16, 30_000_000)
    assert (facts.max_output_pixels, facts.answer_format) == (None, None)
    assert (facts.keeps_depth, facts.bills, facts.computes_here) == (True, False, True)

"""The requests that are worked on."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from uncrop.model import Caller
from uncrop.service.running import STAGES, RunningRequest, RunningRequests, not_running

ANN, BOB = Caller(organization_id="org_a"), Caller(organization_id="org_b")


async def test_it_tells_the_stage_the_step_and_the_time() -> None:
    running = RunningRequest(request_id="mine", clock=count().__next__)
    told = running.to_json()
    assert (told["stage"], told["step"], told["progress"], told["elapsed_seconds"]) == ("upload", None, None, 1)
    running.begin("provider")
    running.progress_of(0)(0.5, "seams")
    await running.commitment.commit()
    told = running.to_json()
    assert (told["stage"], told["step"], told["progress"], told["elapsed_seconds"]) == ("provider", "seams", 0.5, 2)
    assert (told["request_id"], told["running"], told["calls_billed"], told["cancelled"]) == ("mine", True, 1, False)
    assert list(not_running("mine")) == list(told)


async def test_it_tells_when_it_begins_to_wait_for_its_turn() -> None:
    running, told = RunningRequest(request_id="r"), list[str]()
    running.begin("admission")  # nobody wants to know
    running.asks_for_turn = lambda: told.append(running.stage)
    for stage in STAGES:
        running.begin(stage)
    assert told == ["admission"]


async def test_of_several_pictures_the_mean_is_told() -> None:
    running = RunningRequest(request_id="mine")
    first, second = running.progress_of(0), running.progress_of(1)
    first(1, "done")
    assert running.fraction == 0.5
    second(0.5, "seams")
    assert running.fraction == 0.75
    second(7, "a provider that cannot count")
    assert running.fraction == 1


async def test_only_its_own_organization_finds_it_and_only_while_it_runs() -> None:
    all_running = RunningRequests()
    with all_running.note(ANN, "mine") as running:
        assert all_running.find(ANN, "mine") is running
        for caller, name in ((BOB, "mine"), (ANN, "yours")):
            assert all_running.find(caller, name) is None
    assert all_running.find(ANN, "mine") is None


async def test_without_an_id_nobody_finds_it() -> None:
    all_running = RunningRequests()
    with all_running.note(ANN, ""):
        assert all_running.find(ANN, "") is None


async def test_of_two_with_one_id_the_later_one_is_found_and_the_first_ones_end_does_not_hide_it() -> None:
    all_running = RunningRequests()
    first = all_running.note(ANN, "same")
    first.__enter__()
    with all_running.note(ANN, "same") as second:
        first.__exit__(None, None, None)
        assert all_running.find(ANN, "same") is second


@pytest.mark.parametrize("cancels", [True, False])
async def test_it_is_unwanted_once_the_caller_leaves_or_cancels(cancels: bool) -> None:
    gone = asyncio.Event()

    async def left() -> None:
        await gone.wait()

    running = RunningRequest(request_id="mine")
    unwanted = asyncio.create_task(running.unwanted(left()))
    await asyncio.sleep(0)
    assert not unwanted.done()
    if cancels:
        running.cancel()
    else:
        gone.set()
    await unwanted
    assert running.cancelled is cancels

"""Where the engine computes. Workers get small stand-ins for ``compute``; one test runs the real engine."""

from __future__ import annotations

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import anyio
import numpy as np
import pytest
import structlog
from anyio import to_thread, wait_all_tasks_blocked

from processes import is_running
from uncrop import engine
from uncrop.engine import Extension
from uncrop.errors import InternalError, InvalidExtendParameters, ProviderTimeout
from uncrop.model import Sides
from uncrop.workers import engine_runner
from uncrop.workers.engine_runner import InlineRunner, ProcessRunner, compute, compute_variation, prepare, tell_through
from uncrop.workers.progress_pipe import progress_pipe

PHOTO = np.full((16, 16, 3), 7, np.uint8)
SIDES = Sides(left=4)


def answer_with(number: int) -> Extension:
    return Extension(
        pixels=np.full((1, 1, 1), number % 256, np.uint8), confidence=number, confidence_map=PHOTO[:, :, 0]
    )


# The stand-ins run in worker processes and are found there by their names.


def tell_process(*_arguments: object) -> Extension:
    return answer_with(os.getpid())


def tell_deadline(_cache: object, deadline: float, *_arguments: object) -> Extension:
    return Extension(pixels=PHOTO, confidence=deadline, confidence_map=PHOTO[:, :, 0])


def tell_arguments(
    cache: Path, _deadline: float, photo: object, sides: object, seed: int, quality: str, confidence_map: bool
) -> Extension:
    assert (photo == PHOTO).all()  # type: ignore[attr-defined]
    assert (str(cache), sides, seed, quality) == ("kernels", SIDES, 3, "fast")
    return answer_with(int(confidence_map))


def die(*_arguments: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die_the_first_time(folder: Path, *_arguments: object) -> Extension:
    died = folder / "died"
    if not died.exists():
        died.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return answer_with(os.getpid())


def hang(pipe: Path, *_arguments: object) -> NoReturn:
    if pipe is not None:
        pipe.write_text(str(os.getpid()))
    while True:
        time.sleep(60)


def refuse(*_arguments: object) -> NoReturn:
    raise InvalidExtendParameters("Too far", details={"extend_left": 4})


def tell_twice(*arguments: Any) -> Extension:
    progress = arguments[-1]
    progress(0.5, "half")
    progress(1.0, "done")
    return answer_with(1)


def tell_and_hang(*arguments: Any) -> NoReturn:
    arguments[-1](0.5, "half")
    while True:
        time.sleep(60)


def stand_in(monkeypatch: pytest.MonkeyPatch, function: object) -> None:
    monkeypatch.setattr(engine_runner, "compute", function)


async def extend(runner: ProcessRunner | InlineRunner) -> Extension:
    return await runner.extend(PHOTO, SIDES, seed=3, quality="fast")


def runner(cache: Path | None = None, *, workers: int = 1, deadline_s: float = 60, grace_s: float = 5) -> ProcessRunner:
    return ProcessRunner(workers=workers, cache=cache, deadline_s=deadline_s, grace_s=grace_s)


async def test_the_work_is_done_in_another_process_which_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tell_process)
    processes = runner()
    first, second = await extend(processes), await extend(processes)
    assert first.confidence == second.confidence != os.getpid()


async def test_the_worker_gets_all_that_was_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tell_arguments)
    for wanted in (False, True):
        answer = await runner(Path("kernels")).extend(PHOTO, SIDES, seed=3, quality="fast", confidence_map=wanted)
        assert answer.confidence == wanted


async def test_a_killed_worker_spoils_only_its_own_call(monkeypatch: pytest.MonkeyPatch) -> None:
    processes = runner()
    stand_in(monkeypatch, die)
    with pytest.raises(InternalError) as failed:
        await extend(processes)
    assert failed.value.system_message == "The engine's worker ended in the middle of its work"
    stand_in(monkeypatch, tell_process)
    assert (await extend(processes)).confidence > 0


async def test_a_picture_whose_worker_is_killed_is_made_by_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stand_in(monkeypatch, die_the_first_time)
    processes = runner(tmp_path)
    with structlog.testing.capture_logs() as logs:
        assert (await extend(processes)).confidence > 0
    assert [line["event"] for line in logs] == ["a worker of the engine died; its picture is tried once more"]


async def test_a_refusal_crosses_the_border_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, refuse)
    with pytest.raises(InvalidExtendParameters) as refused:
        await extend(runner())
    assert (refused.value.message, refused.value.details) == ("Too far", {"extend_left": 4})


async def test_a_worker_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tell_process)
    worker = int((await extend(runner())).confidence)
    stand_in(monkeypatch, hang)
    with pytest.raises(ProviderTimeout) as failed:
        await extend(runner(deadline_s=0.2, grace_s=0))
    assert failed.value.system_message == "The engine's worker did not come back and was ended"
    assert not is_running(worker)


async def test_cancelling_ends_the_worker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stand_in(monkeypatch, hang)
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    processes = runner(pipe)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(extend, processes)
        worker = int(await to_thread.run_sync(pipe.read_text))
        tasks.cancel_scope.cancel()
    assert not is_running(worker)
    stand_in(monkeypatch, tell_process)
    assert (await extend(processes)).confidence > 0


async def test_the_wait_for_a_worker_and_its_start_count(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tell_deadline)
    processes = runner(deadline_s=60)
    deadlines: list[float] = []

    async def note() -> None:
        deadlines.append((await extend(processes)).confidence)

    before = time.monotonic()
    async with anyio.create_task_group() as tasks, processes._workers:  # all workers are busy
        tasks.start_soon(note)
        await wait_all_tasks_blocked()
        asked = time.monotonic()
    assert before + 60 <= deadlines[0] <= asked + 60


async def test_who_waits_for_a_worker_until_the_deadline_waits_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, die)
    processes = runner(deadline_s=0.05, grace_s=3600)
    await processes._workers.acquire_on_behalf_of("another caller")
    with pytest.raises(ProviderTimeout) as failed:
        await extend(processes)
    assert failed.value.system_message == "No worker of the engine became free in time"


# --- warming up ------------------------------------------------------------------------------------------------------


def note_process(cache: Path) -> None:
    (cache / "pid").write_text(str(os.getpid()))


def tell_kernels(*_arguments: object) -> Extension:
    from uncrop.engine.search.patch_match import sweep_band

    return answer_with(len(sweep_band.overloads))


async def test_the_first_picture_finds_the_worker_that_was_warmed_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine_runner, "prepare", note_process)
    stand_in(monkeypatch, tell_process)
    processes = runner(tmp_path)
    assert not processes.warm
    await processes.warm_up()
    assert (processes.warming, processes.warm) == (False, True)
    assert (await extend(processes)).confidence == int((tmp_path / "pid").read_text()) != os.getpid()


async def test_a_picture_waits_for_the_worker_that_is_being_warmed_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine_runner, "prepare", answer_on)
    stand_in(monkeypatch, tell_process)
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    processes = runner(pipe)
    pictures: list[Extension] = []

    async def note() -> None:
        pictures.append(await extend(processes))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(processes.warm_up)
        await wait_all_tasks_blocked()
        tasks.start_soon(note)
        await wait_all_tasks_blocked()
        assert (processes.warming, pictures) == (True, [])
        worker = int(await to_thread.run_sync(pipe.read_text))
    assert [picture.confidence for picture in pictures] == [worker]


def answer_on(pipe: Path) -> None:
    pipe.write_text(str(os.getpid()))  # waits for a reader


async def test_a_worker_that_cannot_be_warmed_up_spoils_no_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    processes = runner(tmp_path)
    monkeypatch.setattr(engine_runner, "prepare", die)
    with pytest.raises(InternalError):
        await processes.warm_up()
    assert (processes.warming, processes.warm) == (False, False)
    stand_in(monkeypatch, tell_process)
    assert (await extend(processes)).confidence > 0


async def test_a_warm_worker_has_loaded_the_kernels(monkeypatch: pytest.MonkeyPatch, real_cache: Path) -> None:
    stand_in(monkeypatch, tell_kernels)
    processes = runner(real_cache, deadline_s=280)
    await processes.warm_up()
    assert (await extend(processes)).confidence == 1


# --- in a thread -----------------------------------------------------------------------------------------------------


async def test_inline_work_is_done_in_a_thread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen: list[Any] = []

    def note(*arguments: object) -> Extension:
        seen.extend((threading.current_thread(), *arguments[:2], *arguments[3:7]))
        return answer_with(1)

    stand_in(monkeypatch, note)
    before = time.monotonic()
    assert (await extend(InlineRunner(cache=tmp_path, deadline_s=9))).confidence == 1
    thread, cache, deadline, *wishes = seen
    assert thread is not threading.current_thread()
    assert cache == tmp_path
    assert before + 9 <= deadline <= time.monotonic() + 9
    assert wishes == [SIDES, 3, "fast", False]


async def test_inline_work_tells_its_progress_which_can_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []

    def work(*arguments: object) -> Extension:
        for step in ((0.0, "prepare"), (0.5, "search"), (1.0, "done")):
            arguments[-1](*step)  # type: ignore[operator]
        return answer_with(1)

    def stop(fraction: float, step: str) -> None:
        told.append((fraction, step))
        if step == "search":
            raise InterruptedError

    stand_in(monkeypatch, work)
    with pytest.raises(InterruptedError):
        await InlineRunner(cache=None, deadline_s=9).extend(PHOTO, SIDES, seed=3, quality="fast", progress=stop)
    assert told == [(0.0, "prepare"), (0.5, "search")]


async def test_cancelling_inline_work_ends_it_at_the_next_step(monkeypatch: pytest.MonkeyPatch) -> None:
    started, ended = threading.Event(), threading.Event()

    def work(*arguments: object) -> Extension:
        try:
            while True:
                arguments[-1](0.5, "search")  # type: ignore[operator]
                started.set()  # nobody listens, and it goes on until it is cancelled
                time.sleep(0.001)
        finally:
            ended.set()

    stand_in(monkeypatch, work)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(extend, InlineRunner(cache=None, deadline_s=9))
        await to_thread.run_sync(started.wait)
        tasks.cancel_scope.cancel()
    assert ended.is_set()


# --- the engine itself -----------------------------------------------------------------------------------------------


def test_computing_calls_the_engine_with_a_deadline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[object] = []

    def note(*arguments: object, **wishes: object) -> Extension:
        calls.append((arguments[1:], wishes))
        return answer

    answer = answer_with(1)
    monkeypatch.setattr(engine, "use_cache", calls.append)
    monkeypatch.setattr(engine, "extend", note)
    deadline = time.monotonic() + 60
    assert compute(tmp_path, deadline, PHOTO, SIDES, 3, "fast", True) == answer
    assert calls == [
        tmp_path,
        (
            (SIDES,),
            {"seed": 3, "quality": "fast", "progress": None, "deadline": deadline, "threads": None, "shared": None},
        ),
    ]


def test_variations_share_what_they_can_until_something_else_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[object] = []
    photo = np.zeros((4, 4, 3), np.uint8)

    def note(*_arguments: object, shared: engine.SharedCandidates | None, **_wishes: object) -> Extension:
        if shared is not None:
            kept.append(dict(shared.of(photo, SIDES, "fast")))
            shared.of(photo, SIDES, "fast")["candidate"] = 1
        return answer_with(1)

    monkeypatch.setattr(engine, "use_cache", lambda _folder: None)
    monkeypatch.setattr(engine, "extend", note)
    wishes = (None, time.monotonic() + 60, PHOTO, SIDES, 3, "fast", False)
    for work in (compute_variation, compute_variation, compute, compute_variation, compute):
        work(*wishes)
    assert kept == [{}, {"candidate": 1}, {}]


async def test_a_variation_is_computed_as_one_wherever_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_runner, "compute_variation", tell_process)
    for where, here in ((runner(), False), (InlineRunner(cache=None, deadline_s=60), True)):
        made = await where.extend(PHOTO, SIDES, seed=3, quality="fast", is_variation=True)
        assert (made.confidence == os.getpid()) is here


def test_preparing_loads_the_engine_from_the_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    calls: list[object] = []
    monkeypatch.setattr(engine, "use_cache", calls.append)
    monkeypatch.setattr(engine, "warm_up", lambda: calls.append("warm"))
    prepare(tmp_path)
    assert calls == [tmp_path, "warm"]


def test_past_its_deadline_not_even_the_compiler_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    touched: list[object] = []
    monkeypatch.setattr(engine, "use_cache", touched.append)
    with pytest.raises(ProviderTimeout, match="The local engine did not finish in time"):
        compute(None, time.monotonic() - 1, PHOTO, SIDES, 3, "fast", False)
    assert touched == []


def test_a_map_that_nobody_wants_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = replace(answer_with(1), advice=SIDES)
    monkeypatch.setattr(engine, "use_cache", lambda _folder: None)
    monkeypatch.setattr(engine, "extend", lambda *_arguments, **_wishes: answer)
    made = compute(None, time.monotonic() + 60, PHOTO, SIDES, 3, "fast", False)
    assert made == replace(answer, confidence_map=None)


async def test_the_real_engine_extends_a_photo_in_a_worker(real_cache: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 256, (48, 64, 3), np.uint8)
    made = await runner(real_cache, deadline_s=280).extend(photo, Sides(left=8, up=4), seed=5, quality="fast")
    assert made.pixels.shape == (52, 72, 3)
    assert (made.pixels[4:, 8:] == photo).all()
    assert 0 <= made.confidence <= 1
    assert made.confidence_map is None
    assert made.advice is not None


@pytest.fixture(scope="session")
def real_cache() -> Path:
    """The folder of compiled kernels that the checkout's own runs use, so that nothing is compiled twice."""
    from uncrop.settings import load

    return load().kernel_cache


# --- progress of workers ---------------------------------------------------------------------------------------------


async def test_a_worker_tells_how_far_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[float, str]] = []
    stand_in(monkeypatch, tell_twice)
    made = await runner().extend(
        PHOTO, SIDES, seed=3, quality="fast", progress=lambda fraction, step: told.append((fraction, step))
    )
    assert made.confidence == 1
    # What is told at the very end may come after the answer.
    assert told == [(0.5, "half"), (1.0, "done")][: len(told)]


async def test_what_the_progress_raises_ends_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in(monkeypatch, tell_and_hang)

    class Enough(Exception):
        pass

    def stop(fraction: float, step: str) -> None:
        raise Enough

    processes = runner()
    with pytest.raises(Enough):
        await processes.extend(PHOTO, SIDES, seed=3, quality="fast", progress=stop)
    stand_in(monkeypatch, tell_process)
    assert (await extend(processes)).confidence > 0


async def test_where_no_pipe_can_be_made_the_work_is_done_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse_pipe() -> NoReturn:
        raise OSError("read-only")

    monkeypatch.setattr(engine_runner, "progress_pipe", refuse_pipe)
    stand_in(monkeypatch, tell_process)
    made = await runner().extend(PHOTO, SIDES, seed=3, quality="fast", progress=lambda *_: None)
    assert made.confidence not in (0, os.getpid())
    assert "no pipe can be made" in caplog.text


async def test_work_tells_through_the_pipe_that_it_is_given() -> None:
    told: list[float] = []

    def note(fraction: float, _step: str) -> None:
        told.append(fraction)
        if fraction == 1:
            raise InternalError

    with progress_pipe() as pipe:
        assert tell_through(pipe.path, tell_twice, PHOTO).confidence == 1
        with anyio.fail_after(60), pytest.raises(InternalError):
            await pipe.listen(note)
    assert told == [0.5, 1]

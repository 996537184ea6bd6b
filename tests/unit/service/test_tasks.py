from __future__ import annotations

import asyncio
from typing import Any

import pytest

from uncrop.errors import ProviderError
from uncrop.providers.commitment import Commitment
from uncrop.service.tasks import BackgroundTasks, CallerLeft, while_there


class Client:
    """Leaves when it is told to."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def left(self) -> None:
        await self.gone.wait()


class Work:
    """Goes on to each next step when it is let."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = ""

    async def run(self, commitment: Commitment, *, sends: bool, error: Exception | None = None) -> str:
        try:
            if sends:
                await commitment.commit()
            self.started.set()
            await self.go_on.wait()
            if error is not None:
                raise error
        except asyncio.CancelledError:
            self.ended = "cancelled"
            raise
        self.ended = "done"
        return "picture"


async def test_the_result_is_handed_on() -> None:
    tasks, work, commitment = BackgroundTasks(), Work(), Commitment()
    work.go_on.set()
    assert await tasks.attend(work.run(commitment, sends=True), commitment, Client().left()) == "picture"
    assert not commitment.abandoned


async def test_an_error_is_handed_on() -> None:
    tasks, work, commitment = BackgroundTasks(), Work(), Commitment()
    work.go_on.set()
    with pytest.raises(ProviderError):
        await tasks.attend(work.run(commitment, sends=True, error=ProviderError()), commitment, Client().left())


async def leave(work: Work, tasks: BackgroundTasks, commitment: Commitment, *, sends: bool, **options: Any) -> None:
    client = Client()
    attending = asyncio.create_task(
        tasks.attend(work.run(commitment, sends=sends, **options), commitment, client.left())
    )
    await work.started.wait()
    client.gone.set()
    with pytest.raises(CallerLeft):
        await attending


async def test_work_that_was_not_sent_is_cancelled_when_the_client_leaves() -> None:
    tasks, work, commitment = BackgroundTasks(), Work(), Commitment()
    await leave(work, tasks, commitment, sends=False)
    await tasks.drain()
    assert work.ended == "cancelled"
    with pytest.raises(asyncio.CancelledError):
        await commitment.commit()


async def test_a_call_that_was_sent_is_finished_without_its_client() -> None:
    tasks, work, commitment = BackgroundTasks(), Work(), Commitment()
    await leave(work, tasks, commitment, sends=True)
    assert commitment.abandoned
    draining = asyncio.create_task(tasks.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    work.go_on.set()
    await draining
    assert work.ended == "done"


async def test_a_request_that_is_cancelled_treats_its_work_alike() -> None:
    for sends, ended in ((False, "cancelled"), (True, "done")):
        tasks, work, commitment = BackgroundTasks(), Work(), Commitment()
        attending = asyncio.create_task(tasks.attend(work.run(commitment, sends=sends), commitment, Client().left()))
        await work.started.wait()
        attending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attending
        work.go_on.set()
        await tasks.drain()
        assert work.ended == ended


@pytest.mark.parametrize(("error", "logged"), [(ProviderError(), False), (RuntimeError("CANARY"), True)])
async def test_a_failure_that_nobody_waits_for_is_not_forgotten(
    error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    tasks, work, commitment = BackgroundTasks(), Work(), Commitment()
    await leave(work, tasks, commitment, sends=True, error=error)
    work.go_on.set()
    await tasks.drain()
    assert ("work failed" in caplog.text) is logged
    assert "CANARY" not in caplog.text


async def test_draining_nothing_ends_at_once() -> None:
    await BackgroundTasks().drain()


# --- what may be cut off anywhere ---


async def test_waiting_ends_as_soon_as_the_one_who_asked_leaves() -> None:
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(left.set_result, None)
    with pytest.raises(CallerLeft), while_there(left):
        await asyncio.Event().wait()
    await asyncio.sleep(0)  # the task itself was not told to stop
    with pytest.raises(CallerLeft), while_there(left):
        pytest.fail("nobody is there")


async def test_who_leaves_afterwards_ends_nothing() -> None:
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    with while_there(left):
        left.set_result(None)  # seen when the loop runs again
    await asyncio.sleep(0)
    with while_there(None):
        await asyncio.sleep(0)


@pytest.mark.parametrize("leaves", [False, True])
async def test_a_task_that_is_told_to_stop_is_not_taken_for_one_whose_caller_left(leaves: bool) -> None:
    left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait() -> None:
        with while_there(left):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    if leaves:
        left.set_result(None)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting

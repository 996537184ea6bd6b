from __future__ import annotations

import asyncio

import anyio
import pytest
import structlog

from uncrop.errors import InternalError
from uncrop.store.bookings import Bookings


class Work:
    """Something that takes until it is let go, and can be undone."""

    def __init__(self, error: Exception | None = None) -> None:
        self.go = asyncio.Event()
        self.done = False
        self.undone = 0
        self.undone_before_done = False
        self._error = error

    async def __call__(self) -> str:
        await self.go.wait()
        self.done = True
        if self._error is not None:
            raise self._error
        return "result"

    async def undo(self) -> None:
        self.undone += 1
        self.undone_before_done |= not self.done


async def test_the_result_is_handed_on() -> None:
    bookings, work = Bookings(), Work()
    work.go.set()

    assert await bookings.see_through(work(), undo=work.undo) == "result"
    await bookings.drain()
    assert work.undone == 0


async def test_an_error_is_handed_on_and_not_logged() -> None:
    bookings, work = Bookings(), Work(InternalError())
    work.go.set()

    with structlog.testing.capture_logs() as logs, pytest.raises(InternalError):
        await bookings.see_through(work(), undo=work.undo)
    await bookings.drain()
    assert (work.undone, logs) == (0, [])


async def _stopped(bookings: Bookings, work: Work, *, undo: bool) -> None:
    waiting = asyncio.ensure_future(bookings.see_through(work(), undo=work.undo if undo else None))
    for _ in range(5):
        await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting


@pytest.mark.parametrize("undo", [True, False])
async def test_whoever_is_stopped_stops_at_once_and_the_work_goes_on(undo: bool) -> None:
    bookings, work = Bookings(), Work()
    await _stopped(bookings, work, undo=undo)
    assert not work.done

    draining = asyncio.ensure_future(bookings.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    work.go.set()
    await draining
    assert (work.done, work.undone, work.undone_before_done) == (True, int(undo), False)


async def test_a_result_that_came_too_late_is_undone() -> None:
    bookings, work = Bookings(), Work()
    waiting = asyncio.ensure_future(bookings.see_through(work(), undo=work.undo))
    work.go.set()
    for _ in range(10):
        if work.done:
            break
        await asyncio.sleep(0)
    waiting.cancel()  # the work is done, whoever waits for it has not run since
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await bookings.drain()
    assert work.undone == 1


async def test_a_cancel_scope_does_not_reach_the_work() -> None:
    bookings, work = Bookings(), Work()
    with anyio.move_on_after(0) as scope:
        await bookings.see_through(work(), undo=work.undo)
    assert scope.cancelled_caught
    work.go.set()
    await bookings.drain()
    assert (work.done, work.undone) == (True, 1)


async def test_a_failure_that_nobody_waits_for_is_logged_and_undone() -> None:
    error = RuntimeError("the disk is full")
    bookings, work = Bookings(), Work(error)
    with structlog.testing.capture_logs() as logs:
        await _stopped(bookings, work, undo=True)
        work.go.set()
        await bookings.drain()

    assert logs == [{"event": "failed after its request was stopped", "log_level": "error", "exc_info": error}]
    assert work.undone == 1


async def test_an_undoing_that_fails_is_logged() -> None:
    bookings, work, error = Bookings(), Work(), RuntimeError("the disk is full")

    async def fail() -> None:
        raise error

    waiting = asyncio.ensure_future(bookings.see_through(work(), undo=fail))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with structlog.testing.capture_logs() as logs:
        work.go.set()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await bookings.drain()
    assert logs == [{"event": "failed after its request was stopped", "log_level": "error", "exc_info": error}]


async def test_work_that_is_itself_stopped_is_no_failure() -> None:
    bookings, work = Bookings(), Work()
    with structlog.testing.capture_logs() as logs:
        await _stopped(bookings, work, undo=False)
        for task in list(bookings._tasks):
            task.cancel()
        await bookings.drain()
    assert logs == []


async def test_draining_nothing_ends_at_once() -> None:
    await Bookings().drain()

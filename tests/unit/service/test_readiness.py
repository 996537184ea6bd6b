from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from typing import Any

import pytest

from uncrop import engine
from uncrop.errors import InternalError, ServerBusy, UncropError
from uncrop.service.readiness import Readiness, ReadinessChecks
from uncrop.workers.decoding.decoder import InlineDecoder


class Database:
    """Is written, or fails, or hangs, as told; counts."""

    def __init__(self) -> None:
        self.written = 0
        self.failure: Exception | None = None
        self.asked = asyncio.Event()
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def ping(self) -> None:
        self.written += 1
        self.asked.set()
        await self.go_on.wait()
        if self.failure is not None:
            raise self.failure


class Runner:
    warming = False


@pytest.fixture(autouse=True)
def _compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_compiled", lambda _folder: True)


class StartedLate(InlineDecoder):
    """Cannot decode before it is warm; may fail to become so; counts how often it was tried."""

    is_ready = False

    def __init__(self, failure: UncropError | None) -> None:
        self.failure = failure
        self.tried = 0
        self.go_on = threading.Event()

    def warm_up(self) -> None:
        self.tried += 1
        self.go_on.wait(10)
        if self.failure is not None:
            raise self.failure
        self.is_ready = True


async def look(checks: ReadinessChecks, database: Database, decoder: InlineDecoder | None = None) -> Readiness:
    store: Any = database
    runner: Any = Runner()
    return await checks.look(store, runner, Path(), decoder or InlineDecoder())


async def test_what_was_found_is_told_again_for_a_moment() -> None:
    now = 0.0
    database, checks = Database(), ReadinessChecks(keep_s=0.5, clock=lambda: now)
    assert [(await look(checks, database)).database for _ in range(3)] == [True] * 3
    assert database.written == 1
    now, database.failure = 0.6, ServerBusy()
    assert [(await look(checks, database)).database for _ in range(3)] == [False] * 3
    assert database.written == 2
    now, database.failure = 1.2, None
    assert (await look(checks, database)).database


async def test_those_who_ask_together_cause_one_write() -> None:
    database, checks = Database(), ReadinessChecks()
    database.go_on.clear()
    asking = [asyncio.ensure_future(look(checks, database)) for _ in range(9)]
    await database.asked.wait()
    asking[0].cancel()  # who leaves takes nothing from the others
    database.go_on.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert isinstance(found[0], asyncio.CancelledError)
    assert [each.database for each in found[1:] if isinstance(each, Readiness)] == [True] * 8
    assert database.written == 1


async def test_a_write_that_hangs_is_none() -> None:
    database, checks = Database(), ReadinessChecks(limit_s=0.01)
    database.go_on.clear()
    assert not (await look(checks, database)).database


@pytest.mark.parametrize("failure", [ServerBusy(), InternalError(system_message="another version")])
async def test_a_failure_is_a_failure(failure: Exception) -> None:
    database, checks = Database(), ReadinessChecks()
    database.failure = failure
    assert not (await look(checks, database)).database


@pytest.mark.parametrize("failure", [None, ServerBusy(system_message="no process can be started")])
async def test_decoders_that_are_not_there_are_started_once_and_their_failure_is_logged(
    failure: UncropError | None, caplog: pytest.LogCaptureFixture
) -> None:
    decoder, checks, database = StartedLate(failure), ReadinessChecks(), Database()
    found = [await look(checks, database, decoder) for _ in range(3)]
    assert [each.decoders for each in found] == [False] * 3
    decoder.go_on.set()
    started = checks._starting
    assert started is not None
    await started
    assert decoder.tried == 1
    assert ("no process can be started" in caplog.text) == (failure is not None)
    assert (await look(checks, database, decoder)).decoders == (failure is None)
    if failure is not None:  # the next one who asks has it tried again
        assert checks._starting is not None
        await checks._starting
    assert decoder.tried == (1 if failure is None else 2)

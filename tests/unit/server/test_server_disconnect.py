from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.requests import ClientDisconnect

from uncrop.errors import ProviderError
from uncrop.providers.base import Flight
from uncrop.server.disconnect import Works


class Client:
    """Leaves when it is told to."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.chatter = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self) -> dict[str, Any]:
        if self.chatter:
            return self.chatter.pop()
        await self.gone.wait()
        return {"type": "http.disconnect"}


class Work:
    """Goes on to each next step when it is let."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.go_on = asyncio.Event()
        self.ended = ""

    async def run(self, flight: Flight, *, sends: bool, error: Exception | None = None) -> str:
        try:
            if sends:
                flight.commit()
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
    works, work, flight = Works(), Work(), Flight()
    work.go_on.set()
    assert await works.attend(work.run(flight, sends=True), flight, Client().receive) == "picture"
    assert not flight.abandoned


async def test_an_error_is_handed_on() -> None:
    works, work, flight = Works(), Work(), Flight()
    work.go_on.set()
    with pytest.raises(ProviderError):
        await works.attend(work.run(flight, sends=True, error=ProviderError()), flight, Client().receive)


async def leave(work: Work, works: Works, flight: Flight, *, sends: bool, **options: Any) -> None:
    client = Client()
    attending = asyncio.create_task(works.attend(work.run(flight, sends=sends, **options), flight, client.receive))
    await work.started.wait()
    client.gone.set()
    with pytest.raises(ClientDisconnect):
        await attending


async def test_work_that_was_not_sent_is_cancelled_when_the_client_leaves() -> None:
    works, work, flight = Works(), Work(), Flight()
    await leave(work, works, flight, sends=False)
    await works.drain()
    assert work.ended == "cancelled"
    with pytest.raises(asyncio.CancelledError):
        flight.commit()


async def test_a_call_that_was_sent_is_finished_without_its_client() -> None:
    works, work, flight = Works(), Work(), Flight()
    await leave(work, works, flight, sends=True)
    assert flight.abandoned
    draining = asyncio.create_task(works.drain())
    await asyncio.sleep(0)
    assert not draining.done()
    work.go_on.set()
    await draining
    assert work.ended == "done"


async def test_a_request_that_is_cancelled_treats_its_work_alike() -> None:
    for sends, ended in ((False, "cancelled"), (True, "done")):
        works, work, flight = Works(), Work(), Flight()
        attending = asyncio.create_task(works.attend(work.run(flight, sends=sends), flight, Client().receive))
        await work.started.wait()
        attending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await attending
        work.go_on.set()
        await works.drain()
        assert work.ended == ended


@pytest.mark.parametrize(("error", "logged"), [(ProviderError(), False), (RuntimeError("CANARY"), True)])
async def test_a_failure_that_nobody_waits_for_is_not_forgotten(
    error: Exception, logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    works, work, flight = Works(), Work(), Flight()
    await leave(work, works, flight, sends=True, error=error)
    work.go_on.set()
    await works.drain()
    assert ("work failed" in caplog.text) is logged
    assert "CANARY" not in caplog.text


async def test_draining_nothing_ends_at_once() -> None:
    await Works().drain()

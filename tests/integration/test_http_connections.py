"""Raw sockets: clients that stop sending before they read, that close, and that are too many."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_http import Refusal
from fixtures_server import FakeUncropper, Running, already_open, fake_service, picture, running, wait_until
from fixtures_wire import FORM_TYPE, LIVEZ, Hasty, Wire, form, head, whole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Gate:
    """Work that goes on when it is let, and tells whether it was stopped."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.begun = 0
        self.stopped = 0

    async def work(self, *_: Any) -> Any:
        self.begun += 1
        try:
            while not self.go_on.is_set():  # noqa: ASYNC110 - another thread sets it
                await asyncio.sleep(0.002)
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return picture()


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def server(tmp_path: Path, gate: Gate) -> Iterator[Running]:
    service = fake_service(tmp_path, uncropper=FakeUncropper(action=gate.work), rate_limit=10_000)
    with running(already_open(service), protocol=Few) as started:
        yield started
        gate.go_on.set()


class Few(Hasty):
    head_s = 30.0
    most_connections = 5
    first_probe_s = probe_s = 0.01


def final(wire: Wire) -> Any:
    """Return the next answer that is none of those that only say to go on."""
    while (answer := wire.answer()).status == 100:
        pass
    return answer


def test_what_is_written_goes_out_at_once(server: Running) -> None:
    """Otherwise the body of each later answer on a connection waits 40 ms for the client's kernel."""
    with Wire(server) as wire:
        wire.send(LIVEZ)
        assert wire.answer().status == 200
        (connection,) = (each.transport.get_extra_info("socket") for each in server.connections)
        assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


# --- who stops sending -----------------------------------------------------------------------------------------------


def test_a_client_that_stops_sending_after_its_body_is_answered(server: Running, gate: Gate) -> None:
    with Wire(server) as wire:
        wire.send(whole())
        wire.socket.shutdown(socket.SHUT_WR)
        wait_until(lambda: gate.begun == 1)
        assert wire.answer().status == 100  # it is asked whether it is still there
        gate.go_on.set()
        answer = final(wire)
        assert (answer.status, answer.body) == (200, picture().image)
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()
    assert gate.stopped == 0


def test_all_requests_that_came_whole_before_are_answered(server: Running, gate: Gate) -> None:
    with Wire(server) as wire:
        wire.send(LIVEZ + whole() + LIVEZ + b"GET /livez HT")
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.answer().status == 200
        wait_until(lambda: gate.begun == 1)
        gate.go_on.set()
        assert [final(wire).body for _ in range(2)] == [picture().image, b'{"status":"ok"}']
        assert wire.is_closed()


@pytest.mark.parametrize("data", [b"", b"GET /li", head(FORM_TYPE, "Content-Length: 500"), whole()[:-3]])
def test_a_client_that_stops_sending_in_the_middle_is_not_waited_for(server: Running, gate: Gate, data: bytes) -> None:
    with Wire(server) as wire:
        wire.send(data)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.is_closed()
    assert gate.begun == 0


@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_client_that_closes_is_found_out_and_its_work_ended(server: Running, gate: Gate, how: str) -> None:
    with Wire(server) as wire:
        wire.send(whole())
        wait_until(lambda: gate.begun == 1)
        if how == "reset":
            wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        wire.close()
        wait_until(lambda: gate.stopped == 1)
        wait_until(lambda: not server.connections)


def test_http_1_0_has_no_interim_answers_and_the_end_of_sending_is_leaving(server: Running, gate: Gate) -> None:
    with Wire(server) as wire:
        wire.send(whole().replace(b"HTTP/1.1", b"HTTP/1.0"))
        wait_until(lambda: gate.begun == 1)
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.is_closed()
    wait_until(lambda: gate.stopped == 1)


# --- who closes while it is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data", [whole(key="wrong"), head(FORM_TYPE, "Content-Length: 9000000", key="wrong"), b"x\r\n\r\n"]
)
def test_a_client_that_closes_while_it_is_refused_is_no_error(
    server: Running, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    for number in range(30):
        with Wire(server) as wire:
            wire.send(data)
            if number % 2:
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    wait_until(lambda: not server.connections)
    assert "Traceback" not in caplog.text
    assert "unexpected error" not in caplog.text


# --- who is too many -------------------------------------------------------------------------------------------------

FULL = Refusal(
    status=503,
    code="SERVER_BUSY",
    message="The server is busy; try again later",
    system_message="Too many connections are open",
    type="server_error",
)


def test_of_too_many_connections_the_one_that_was_idle_for_longest_goes(server: Running) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(Wire(server)) for _ in range(2)]
        wait_until(lambda: len(server.connections) == 2)
        spoken = [stack.enter_context(Wire(server)) for _ in range(3)]
        for wire in (*spoken, silent[1]):
            wire.send(LIVEZ)
            assert wire.answer().status == 200
        newcomer = stack.enter_context(Wire(server))
        newcomer.send(LIVEZ)
        assert newcomer.answer().status == 200
        assert silent[0].is_closed()
        another = stack.enter_context(Wire(server))
        another.send(LIVEZ)
        assert another.answer().status == 200
        assert spoken[0].is_closed()
        for wire in (*spoken[1:], silent[1]):
            wire.send(LIVEZ)
            assert wire.answer().status == 200


def test_where_none_is_idle_the_newcomer_is_refused(server: Running, gate: Gate) -> None:
    with ExitStack() as stack:
        busy = [stack.enter_context(Wire(server)) for _ in range(3)]
        for wire in busy:
            wire.send(whole())
        wait_until(lambda: gate.begun == 3)
        sending = [stack.enter_context(Wire(server)) for _ in range(2)]
        for wire in sending:
            wire.send(head(FORM_TYPE, f"Content-Length: {len(form())}", "Expect: 100-continue"))
            assert wire.answer().status == 100
        newcomer = stack.enter_context(Wire(server))
        answer = newcomer.answer()
        answer.check(FULL)
        assert answer.headers["retry-after"] == "5"
        assert newcomer.is_closed()
        gate.go_on.set()
        for wire in sending:
            wire.send(form())
        assert [wire.answer().status for wire in (*busy, *sending)] == [200] * 5

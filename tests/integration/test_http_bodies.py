"""Raw sockets against the real protocol: bodies, early answers, slow readers. Bounds are fractions of a second."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_http import Refusal
from fixtures_server import FakeUncropper, Running, already_open, fake_service, picture, running, wait_until
from fixtures_wire import FORM_TYPE, LIVEZ, TE, Hasty, Wire, chunked, form, head, requests_seen, send_what_goes, whole
from uncrop.capacity.bodies import BodyBudget
from uncrop.capacity.capacity import Capacity
from uncrop.capacity.slots import Slots
from uncrop.server.form import BodyLimits

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from uncrop.service.service import Service


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = fake_service(tmp_path_factory.mktemp("framing"), rate_limit=100_000)
    limits = BodyLimits(max_bytes=200_000, stall_s=0.5, total_s=1.0)
    with running(already_open(service), protocol=Hasty, limits=limits) as started:
        yield started


# --- bodies ----------------------------------------------------------------------------------------------------------


def body_late(received: int) -> Refusal:
    return Refusal(
        status=408,
        code="REQUEST_TIMEOUT",
        message="The request body did not arrive in time",
        details={"received_bytes": received, "seconds": 1.0, "stall_seconds": 0.5},
    )


def test_a_body_that_stalls_is_ended(server: Running) -> None:
    before = requests_seen(server)
    with Wire(server) as wire:
        wire.send(whole()[:-10])
        wire.answer().check(body_late(len(form()) - 10))
        assert wire.is_closed()
    assert requests_seen(server) == before


def test_a_body_that_drips_is_ended(server: Running) -> None:
    stop = threading.Event()
    with Wire(server) as wire, ThreadPoolExecutor(1) as pool:
        wire.send(head(FORM_TYPE, "Content-Length: 100000"))

        def drip() -> None:
            while not stop.wait(0.02):
                send_what_goes(wire.socket, b"-")

        wire.send(form(end=False)[:-2])
        dripping = pool.submit(drip)
        answer = wire.answer()
        stop.set()
        dripping.result()
        assert answer.status == 408
        assert wire.is_closed()


@pytest.mark.parametrize("cut", [1, 4, 30, 60, 200])
def test_a_form_without_its_closing_boundary_is_not_half_a_request(server: Running, cut: int) -> None:
    before = requests_seen(server)
    with Wire(server) as wire:
        wire.send(whole(form().rstrip()[:-cut]))
        answer = wire.answer()
        assert (answer.status, json.loads(answer.body)["error"]["code"]) == (422, "VALIDATION_ERROR")
    assert requests_seen(server) == before


@pytest.mark.parametrize("share", [0.05, 0.5, 0.95])
def test_a_client_that_leaves_within_its_body_is_not_served(server: Running, share: float) -> None:
    before = requests_seen(server)
    with Wire(server) as wire:
        data = whole()
        wire.send(data[: int(len(data) * share)])
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.is_closed()
    assert requests_seen(server) == before


def test_a_body_longer_than_declared_is_another_request(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(whole() + b"5 more bytes\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.is_closed()


TOO_LONG = Refusal(
    status=413,
    code="REQUEST_TOO_LARGE",
    message="The request body exceeds 200000 bytes",
    details={"max_bytes": 200_000},
)


def test_a_declared_length_beyond_the_limit_is_refused_before_the_body(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(head(FORM_TYPE, "Content-Length: 99999999999"))
        answer = wire.answer()
        answer.check(TOO_LONG)
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()


def test_chunks_beyond_the_limit_are_refused_while_they_come(server: Running) -> None:
    with Wire(server) as wire, ThreadPoolExecutor(1) as pool:
        start = head(FORM_TYPE, TE) + chunked(form(end=False), end=b"")
        sending = pool.submit(send_what_goes, wire.socket, start + chunked(*[b"x" * 10_000] * 2_000, end=b""))
        answer = wire.answer()
        answer.check(TOO_LONG)
        sending.result()
        assert wire.is_closed()


# --- early answers ---------------------------------------------------------------------------------------------------

WRONG_KEY = Refusal(status=401, code="INVALID_API_KEY", message="The API key is not valid")


def test_the_key_is_judged_before_a_byte_of_the_body(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(head(FORM_TYPE, "Content-Length: 150000", key="wrong"))
        answer = wire.answer()
        answer.check(WRONG_KEY)
        assert answer.headers["connection"] == "close"


def test_a_client_that_asks_first_is_not_told_to_go_on_with_a_wrong_key(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(head(FORM_TYPE, "Content-Length: 150000", "Expect: 100-continue", key="wrong"))
        wire.answer().check(WRONG_KEY)
        assert wire.is_closed()


def test_a_client_that_asks_first_is_told_to_go_on_with_a_right_key(server: Running) -> None:
    with Wire(server) as wire:
        body = form()
        wire.send(head(FORM_TYPE, f"Content-Length: {len(body)}", "Expect: 100-continue"))
        assert (wire.line(), wire.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        wire.send(body)
        assert wire.answer().status == 200


def test_a_client_that_sends_all_before_it_reads_gets_its_early_answer(server: Running) -> None:
    """Closing at once would reset the connection, and the answer would be lost."""
    body = form(b"x" * 5_000_000)
    with Wire(server) as wire:
        wire.send(whole(body, key="wrong"))
        wire.answer().check(WRONG_KEY)
        assert wire.is_closed()


def test_a_client_that_never_stops_sending_after_its_answer_is_cut_off(server: Running) -> None:
    with Wire(server) as wire, ThreadPoolExecutor(1) as pool:
        wire.send(head(FORM_TYPE, TE, key="wrong"))
        assert wire.answer().status == 401

        def pour() -> bool:
            try:
                while True:
                    wire.socket.sendall(b"400\r\n" + bytes(1024) + b"\r\n")
            except OSError:
                return True

        assert pool.submit(pour).result(timeout=30)


def test_the_rest_of_a_refused_body_is_no_request(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(head(FORM_TYPE, f"Content-Length: {len(LIVEZ)}", key="wrong") + LIVEZ)
        assert wire.answer().status == 401
        assert wire.is_closed()


def test_a_get_with_a_body_does_not_keep_its_connection(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc" + LIVEZ)
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_closed()


# --- slow readers ----------------------------------------------------------------------------------------------------


def test_a_client_that_does_not_take_its_picture_is_dropped(tmp_path: Path) -> None:
    async def huge(*_: Any) -> Any:
        return picture(image=bytes(50_000_000))

    uncropper = FakeUncropper(action=huge)
    service = fake_service(tmp_path, uncropper=uncropper)
    with running(already_open(service), protocol=Hasty) as server, Wire(server) as wire:
        wire.send(whole())
        wait_until(lambda: bool(uncropper.requests))
        wait_until(lambda: not server.connections)
        assert len(_all_that_comes(wire.socket)) < 50_000_000


def test_a_client_that_takes_its_picture_slowly_gets_it(tmp_path: Path) -> None:
    async def large(*_: Any) -> Any:
        return picture(image=bytes(30_000_000))

    class Watchful(Hasty):
        """Looks so often that it looks several times."""

        write_stall_s = 0.3
        write_bytes = 1
        looks = 0

        def _check_writing(self) -> None:
            Watchful.looks += 1
            super()._check_writing()

    service = fake_service(tmp_path, uncropper=FakeUncropper(action=large))
    with running(already_open(service), protocol=Watchful) as server, Wire(server) as wire:
        wire.send(whole())
        taken = 0
        while taken < 30_000_000 and (chunk := wire.socket.recv(131_072)):
            taken += len(chunk)
            threading.Event().wait(0.003)
        assert taken >= 30_000_000
        assert Watchful.looks > 0


HUGE = 20_000_000


def serving_huge_pictures(folder: Path, **parts: Any) -> Service:
    async def huge(*_: Any) -> Any:
        return picture(image=bytes(HUGE))

    return fake_service(folder, uncropper=FakeUncropper(action=huge), **parts)


def test_an_answer_counts_until_its_last_byte_has_been_taken(tmp_path: Path) -> None:
    service = serving_huge_pictures(tmp_path)
    with running(already_open(service)) as server, Wire(server) as wire:
        wire.send(whole() + LIVEZ)
        taken = wire.socket.recv(65_536)
        bodies = service.capacity.bodies
        wait_until(lambda: bodies.held >= HUGE)
        # What the client has not taken lies in no buffer of the server, and only a little of it in the kernel.
        (protocol,) = server.connections
        assert protocol.transport.get_write_buffer_size() <= 131_072
        # The kernel's buffers hold up to ten megabytes on loopback; more than that is left here.
        while len(taken) < HUGE // 4:
            taken += wire.socket.recv(131_072)
            assert bodies.held == HUGE
        while not taken.endswith(b'{"status":"ok"}'):
            taken += wire.socket.recv(131_072)
        wait_until(lambda: bodies.held == 0)
        # The same connection serves on, and nobody watches whether its client takes anything.
        wait_until(lambda: protocol._write_timer is None)
        wire.send(LIVEZ)
        assert wire.answer().status == 200


def test_an_answer_that_is_not_taken_leaves_less_memory_for_bodies_that_come(tmp_path: Path) -> None:
    capacity = Capacity(slots=Slots(3, 5), bodies=BodyBudget(HUGE))
    service = serving_huge_pictures(tmp_path, capacity=capacity)
    with running(already_open(service)) as server, Wire(server) as slow, Wire(server) as other:
        slow.send(whole())
        slow.socket.recv(1000)
        wait_until(lambda: service.capacity.bodies.held == HUGE)
        other.send(whole())
        answer = other.answer()
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        slow.close()
        wait_until(lambda: service.capacity.bodies.held == 0)


def test_a_client_that_takes_its_picture_at_less_than_the_least_rate_is_dropped(tmp_path: Path) -> None:
    class Demanding(Hasty):
        """Satisfied with any progress from look to look, but not with so little in all."""

        write_bytes = 1
        write_grace_s = 0.3
        write_rate = 1_000_000_000

    service = serving_huge_pictures(tmp_path)
    with running(already_open(service), protocol=Demanding) as server, Wire(server) as wire:
        wire.send(whole())
        taken = 0
        while chunk := _some(wire.socket):
            taken += len(chunk)
            threading.Event().wait(0.02)
        assert taken < HUGE
        wait_until(lambda: not server.connections)
        wait_until(lambda: service.capacity.bodies.held == 0)


def _some(connection: socket.socket) -> bytes:
    try:
        return connection.recv(131_072)
    except ConnectionResetError:
        return b""


def _all_that_comes(connection: socket.socket) -> bytes:
    taken = b""
    try:
        while chunk := connection.recv(65_536):
            taken += chunk
    except ConnectionResetError:
        pass
    return taken


# --- an answer that has begun ----------------------------------------------------------------------------------------


def test_broken_framing_cannot_change_an_answer_that_has_begun(tmp_path: Path) -> None:
    async def streams(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})
        await send({"type": "http.response.body", "body": b"one", "more_body": True})
        while (await receive())["type"] != "http.disconnect":
            pass

    service = fake_service(tmp_path)
    with (
        running(already_open(service), protocol=Hasty, make_app=lambda _service: streams) as server,
        Wire(server) as wire,
    ):
        wire.send(head(TE))
        assert wire.line() == b"HTTP/1.1 200 OK\r\n"
        wire.send(b"not a chunk\r\n\r\n")
        rest = wire.rest()
        assert rest.endswith(b"\r\n\r\none")
        assert b"HTTP/1.1" not in rest

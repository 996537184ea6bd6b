"""Raw sockets against the real protocol: framing, heads, slow clients, early answers. Bounds are cut to fractions of a
second, so that no test waits."""

from __future__ import annotations

import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Self

import pytest

from fixtures_http import Refusal, check_refusal
from fixtures_server import (
    KEY,
    ORGANIZATION,
    PATH,
    FakeUncropper,
    Running,
    already_open,
    fake_service,
    picture,
    running,
    wait_until,
)
from uncrop.server.form import BodyLimits
from uncrop.server.protocol import BoundedProtocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BOUNDARY = "frontier"


class Hasty(BoundedProtocol):
    """The real bounds, in less time."""

    head_s = 0.3
    linger_s = 0.5
    write_stall_s = 0.2


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = fake_service(tmp_path_factory.mktemp("framing"), rate_limit=100_000)
    limits = BodyLimits(max_bytes=200_000, stall_s=0.2, total_s=0.6)
    with running(already_open(service), protocol=Hasty, limits=limits) as started:
        yield started


def requests_seen(server: Running) -> int:
    uncropper: Any = server.service.uncropper
    return len(uncropper.requests)


class Answer:
    """One answer off a raw connection."""

    def __init__(self, head: bytes, body: bytes) -> None:
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:])}
        self.body = body

    def check(self, expected: Refusal) -> None:
        check_refusal(self.status, self.headers, json.loads(self.body), expected)


class Wire:
    """A raw connection that is read answer by answer."""

    def __init__(self, server: Running) -> None:
        self.socket = server.connect()
        self._read = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._read.close()
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> bytes:
        return self._read.readline()

    def answer(self) -> Answer:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self._read.readline()
            assert line, f"the connection ended within a head: {head!r}"
            head += line
        answer = Answer(head.removesuffix(b"\r\n\r\n"), b"")
        answer.body = self._read.read(int(answer.headers.get("content-length", "0")))
        return answer

    def is_closed(self) -> bool:
        """Wait for the end; anything else that comes is an answer too many."""
        try:
            rest = self._read.read()
        except ConnectionResetError:
            return True
        assert rest == b"", rest
        return True


def head(*lines: str, method: str = "POST", path: str = PATH, host: str | None = "a.example", key: str = KEY) -> bytes:
    first = [f"{method} {path} HTTP/1.1", *([] if host is None else [f"Host: {host}"]), f"X-API-Key: {key}"]
    return "\r\n".join([*first, *lines, "", ""]).encode("latin-1")


def form(image: bytes = b"photo", *, end: bool = True) -> bytes:
    texts = {"provider": "clipdrop", "organization_id": ORGANIZATION}
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in texts.items()
    ]
    file_head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image_file"; filename="a.jpg"\r\n\r\n'
    return b"".join([*parts, file_head.encode(), image, b"\r\n", f"--{BOUNDARY}--\r\n".encode() if end else b""])


FORM_TYPE = f"Content-Type: multipart/form-data; boundary={BOUNDARY}"


def whole(body: bytes | None = None, *lines: str, **options: Any) -> bytes:
    body = form() if body is None else body
    return head(FORM_TYPE, f"Content-Length: {len(body)}", *lines, **options) + body


def chunked(*chunks: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + end


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
TE = "Transfer-Encoding: chunked"


def malformed(system_message: str = "Invalid HTTP request received.") -> Refusal:
    return Refusal(
        status=400,
        code="MALFORMED_REQUEST",
        message="The request is not valid HTTP",
        system_message=system_message,
    )


NO_HOST = malformed("A request needs one valid Host header")

# --- broken framing --------------------------------------------------------------------------------------------------

BROKEN: dict[str, tuple[bytes, Refusal]] = {
    "length and chunked": (head(FORM_TYPE, "Content-Length: 5", TE) + chunked(form()), malformed()),
    "chunked and length": (head(FORM_TYPE, TE, "Content-Length: 5") + chunked(form()), malformed()),
    "two equal lengths": (head(FORM_TYPE, "Content-Length: 5", "Content-Length: 5") + b"12345", malformed()),
    "two lengths": (head(FORM_TYPE, "Content-Length: 5", "Content-Length: 6") + b"12345", malformed()),
    "length with a sign": (head(FORM_TYPE, "Content-Length: +5") + b"12345", malformed()),
    "negative length": (head(FORM_TYPE, "Content-Length: -1"), malformed()),
    "endless length": (head(FORM_TYPE, "Content-Length: " + "9" * 400), malformed()),
    "length list": (head(FORM_TYPE, "Content-Length: 5, 5") + b"12345", malformed()),
    "another coding": (head(FORM_TYPE, "Transfer-Encoding: xchunked") + chunked(form()), malformed()),
    "coding not last": (head(FORM_TYPE, "Transfer-Encoding: chunked, gzip") + chunked(form()), malformed()),
    "space before colon": (head(FORM_TYPE, "Transfer-Encoding : chunked") + chunked(form()), malformed()),
    "bad chunk size": (head(FORM_TYPE, TE) + b"zz\r\nabc\r\n0\r\n\r\n", malformed()),
    "bad chunk end": (head(FORM_TYPE, TE) + b"3\r\nabcX\r\n0\r\n\r\n", malformed()),
    "long chunk size": (head(FORM_TYPE, TE) + b"1" * 17 + b"\r\nabc", malformed()),
    "bare line feeds": (head(FORM_TYPE, "Content-Length: 0").replace(b"\r\n", b"\n"), malformed()),
    "bare return": (head("X-A: b\rc"), malformed()),
    "folded header": (head("X-A: b\r\n c"), malformed()),
    "null in header": (head("X-A: b\0c"), malformed()),
    "space in name": (head("X A: b"), malformed()),
    "no name": (head(": b"), malformed()),
    "no host": (head("Content-Length: 0", host=None), NO_HOST),
    "two hosts": (head("Host: b.example", "Content-Length: 0"), NO_HOST),
    "host with a path": (head("Content-Length: 0", host="a.example/abc?bar="), NO_HOST),
    "host with a user": (head("Content-Length: 0", host="user@a.example"), NO_HOST),
    "no http": (b"SSH-2.0-OpenSSH_9.2\r\n", malformed()),
    "tls hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), malformed()),
    "unknown version": (b"GET /livez HTTP/3.7\r\nHost: a\r\n\r\n", malformed()),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", malformed()),
    "unknown method": (b"BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n", malformed()),
    "no absolute path": (b"GET @google.com HTTP/1.1\r\nHost: a\r\n\r\n", malformed()),
    "bytes beyond ascii": ("GET /\u00fc HTTP/1.1\r\nHost: a\r\n\r\n".encode(), malformed()),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_framing_is_answered_once_and_the_connection_closed(server: Running, name: str) -> None:
    data, expected = BROKEN[name]
    before = requests_seen(server)
    with Wire(server) as wire:
        # A second request in the same bytes must not be answered: that is how requests are smuggled.
        wire.send(data + LIVEZ)
        answer = wire.answer()
        answer.check(expected)
        assert answer.headers["connection"] == "close"
        assert "server" not in answer.headers
        assert wire.is_closed()
    assert requests_seen(server) == before


def test_chunk_framing_that_brings_no_body_is_refused(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(head(FORM_TYPE, TE) + b"3;")
        for _ in range(300):
            _send_what_goes(wire.socket, b"x" * 1000)
        wire.answer().check(malformed("chunked framing without a body"))
        assert wire.is_closed()


# --- heads -----------------------------------------------------------------------------------------------------------

TOO_LARGE = Refusal(
    status=431,
    code="REQUEST_HEADERS_TOO_LARGE",
    message="The request headers are too large",
    details={"max_bytes": 32_768, "max_headers": 100},
)


@pytest.mark.parametrize(
    "lines",
    [
        ["X-A: " + "x" * 33_000],
        ["X-A: " + "x" * 1_000_000],
        [f"X-{number}: {'x' * 1000}" for number in range(40)],
        [f"X-{number}: 1" for number in range(99)],
        [f"X-{number}: 1" for number in range(20_000)],
        ["Cookie: a=b"] * 100,
    ],
    ids=["33 KB", "1 MB", "40 of 1 KB", "101 lines", "20000 lines", "100 cookies"],
)
def test_a_head_beyond_the_limits_is_refused(server: Running, lines: list[str]) -> None:
    with Wire(server) as wire, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_send_what_goes, wire.socket, head(*lines))
        answer = wire.answer()
        sending.result()
        answer.check(TOO_LARGE if answer.status == 431 and b"max_bytes" in answer.body else _without_details(TOO_LARGE))
        assert wire.is_closed()


def _without_details(refusal: Refusal) -> Refusal:
    # A header that never ends is stopped before its line is whole, so that nothing is known about lines.
    return Refusal(status=refusal.status, code=refusal.code, message=refusal.message)


def _send_what_goes(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        return  # the server has heard enough


def test_a_head_of_just_the_limits_is_served(server: Running) -> None:
    lines = [f"X-{number}: 1" for number in range(98)]
    with Wire(server) as wire:
        wire.send(head(*lines, method="GET", path="/livez"))
        assert wire.answer().status == 200
        wire.send(head("X-A: " + "x" * 32_000, method="GET", path="/livez"))
        assert wire.answer().status == 200


def test_a_long_address_is_refused(server: Running) -> None:
    with Wire(server) as wire, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(_send_what_goes, wire.socket, head(path="/" + "x" * 1_000_000))
        assert wire.answer().status == 431
        sending.result()
        assert wire.is_closed()


def test_a_head_that_comes_in_pieces_is_served(server: Running) -> None:
    with Wire(server) as wire:
        for piece in head(method="GET", path="/livez").partition(b"X-API"):
            wire.send(piece)
        assert wire.answer().body == b'{"status":"ok"}'


def test_a_head_that_does_not_come_to_its_end_is_answered_and_closed(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /livez HTTP/1.1\r\nHost:")
        wire.answer().check(
            Refusal(status=408, code="REQUEST_TIMEOUT", message="The request headers did not arrive in time")
        )
        assert wire.is_closed()


@pytest.mark.parametrize("data", [b"", b"\r\n"])
def test_a_connection_that_says_nothing_is_closed(server: Running, data: bytes) -> None:
    with Wire(server) as wire:
        wire.send(data)
        assert wire.is_closed()


def test_a_second_head_has_its_own_time(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(LIVEZ)
        assert wire.answer().status == 200
        wire.send(b"GET /li")
        assert wire.answer().status == 408
        assert wire.is_closed()


def test_blank_lines_do_not_hold_a_connection(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(LIVEZ)
        assert wire.answer().status == 200
        wire.send(b"\r\n")
        assert wire.is_closed()


# --- what is legal stays legal ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "status"),
    [
        (b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", 200),
        (b"GET http://evil.example/livez HTTP/1.1\r\nHost: a\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-Proto: https\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 200),
        (b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 200),
        (b"GET //evil.example/livez HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /..;/livez HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"GET /%2flivez HTTP/1.1\r\nHost: a\r\n\r\n", 404),
        (b"TRACE /livez HTTP/1.1\r\nHost: a\r\n\r\n", 405),
    ],
)
def test_odd_but_legal_requests_are_routed_by_their_path_alone(server: Running, first: bytes, status: int) -> None:
    with Wire(server) as wire:
        wire.send(first)
        assert wire.answer().status == status


def test_http_1_0_needs_no_host_and_is_closed(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(b"GET /livez HTTP/1.0\r\n\r\n")
        assert wire.answer().status == 200
        assert wire.is_closed()


def test_a_chunked_body_is_read(server: Running) -> None:
    with Wire(server) as wire:
        body = form()
        wire.send(head(FORM_TYPE, TE) + chunked(body[:10], body[10:]))
        assert wire.answer().status == 200


def test_a_body_of_tiny_chunks_with_extensions_is_read(server: Running) -> None:
    with Wire(server) as wire:
        chunks = b"".join(b"1;a=b\r\n%c\r\n" % byte for byte in form(b"x" * 20_000))
        wire.send(head(FORM_TYPE, TE) + chunks + b"0\r\n\r\n")
        assert wire.answer().status == 200


def test_trailers_are_ignored(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(
            head(FORM_TYPE, TE, key="wrong") + chunked(form(), end=b"0\r\nX-API-Key: " + KEY.encode() + b"\r\n\r\n")
        )
        assert wire.answer().status == 401


def test_requests_in_one_breath_are_answered_in_order(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(LIVEZ + whole() + LIVEZ)
        assert [wire.answer().body for _ in range(3)] == [b'{"status":"ok"}', picture().image, b'{"status":"ok"}']


def test_nonsense_after_a_whole_request_does_not_take_its_answer_away(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(whole() + b"nonsense\r\n\r\n" + LIVEZ)
        assert wire.answer().body == picture().image
        assert wire.is_closed()


# --- bodies ----------------------------------------------------------------------------------------------------------


def body_late(received: int) -> Refusal:
    return Refusal(
        status=408,
        code="REQUEST_TIMEOUT",
        message="The request body did not arrive in time",
        details={"received_bytes": received, "seconds": 0.6, "stall_seconds": 0.2},
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
                _send_what_goes(wire.socket, b"-")

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
        sending = pool.submit(_send_what_goes, wire.socket, start + chunked(*[b"x" * 10_000] * 2_000, end=b""))
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


def _all_that_comes(connection: socket.socket) -> bytes:
    taken = b""
    try:
        while chunk := connection.recv(65_536):
            taken += chunk
    except ConnectionResetError:
        pass
    return taken

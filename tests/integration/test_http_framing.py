"""Raw sockets against the real protocol: framing and heads. Bounds are cut to fractions of a second."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_http import Refusal
from fixtures_server import KEY, Running, already_open, fake_service, picture, running
from fixtures_wire import FORM_TYPE, LIVEZ, TE, Hasty, Wire, chunked, form, head, requests_seen, send_what_goes, whole
from uncrop.server.form import BodyLimits

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    service = fake_service(tmp_path_factory.mktemp("framing"), rate_limit=100_000)
    limits = BodyLimits(max_bytes=200_000, stall_s=0.5, total_s=1.0)
    with running(already_open(service), protocol=Hasty, limits=limits) as started:
        yield started


def malformed(system_message: str = "Invalid HTTP request received.") -> Refusal:
    return Refusal(
        status=400,
        code="MALFORMED_REQUEST",
        message="The request is not valid HTTP",
        system_message=system_message,
    )


NO_HOST = malformed("A request needs one valid Host header")

NOT_CHUNKED = malformed("Of transfer codings, chunked alone is understood, in HTTP/1.1")

OTHER_VERSION = Refusal(
    status=505, code="HTTP_VERSION_NOT_SUPPORTED", message="The server speaks HTTP/1.1", type="server_error"
)

NOT_EXPECTED = Refusal(
    status=417, code="EXPECTATION_FAILED", message="Of expectations, the server knows 100-continue alone"
)

NO_SUCH_METHOD = Refusal(status=405, code="METHOD_NOT_ALLOWED", message="This address does not take that method")

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
    "a coding before chunked": (head(FORM_TYPE, "Transfer-Encoding: gzip, chunked") + chunked(form()), NOT_CHUNKED),
    "a coding on a line before": (head(FORM_TYPE, "Transfer-Encoding: gzip", TE) + chunked(form()), NOT_CHUNKED),
    "chunked in another spelling": (
        head(FORM_TYPE, "Transfer-Encoding: gzip,\tCHUNKED") + chunked(form()),
        NOT_CHUNKED,
    ),
    "chunked twice": (head(FORM_TYPE, "Transfer-Encoding: chunked, chunked") + chunked(form()), malformed()),
    "chunked in the old version": (
        head(FORM_TYPE, TE).replace(b"HTTP/1.1", b"HTTP/1.0") + chunked(form()),
        NOT_CHUNKED,
    ),
    "the next version": (head("Content-Length: 0").replace(b"HTTP/1.1", b"HTTP/2.0"), OTHER_VERSION),
    "the first version": (head("Content-Length: 0").replace(b"HTTP/1.1", b"HTTP/0.9"), OTHER_VERSION),
    "unknown expectation": (head(FORM_TYPE, "Content-Length: 5", "Expect: 200-ok") + b"12345", NOT_EXPECTED),
    "one expectation too many": (
        head(FORM_TYPE, "Content-Length: 5", "Expect: 100-continue, x") + b"12345",
        NOT_EXPECTED,
    ),
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
    "half a method": (b"BREW /livez", malformed()),
    "unknown method without http": (b"BREW /livez SIP/2.0\r\nHost: a\r\n\r\n", malformed()),
    "connect": (b"CONNECT a.example:80 HTTP/1.1\r\nHost: a\r\n\r\n", malformed()),
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


UNKNOWN_METHODS = [b"BREW", b"FOO", b"post", b"POSTX", b"GE", b"X-1", b"A" * 1000]


@pytest.mark.parametrize("before", [b"", b"\r\n"])
@pytest.mark.parametrize("method", UNKNOWN_METHODS)
def test_an_unknown_method_is_a_method_that_is_not_allowed(server: Running, method: bytes, before: bytes) -> None:
    with Wire(server) as wire:
        wire.send(before + method + b" /livez HTTP/1.1\r\nHost: a\r\n\r\n" + LIVEZ)
        answer = wire.answer()
        answer.check(NO_SUCH_METHOD)
        assert answer.headers["allow"] == "GET, HEAD, POST"
        assert answer.headers["connection"] == "close"
        assert wire.is_closed()


def test_an_unknown_method_comes_after_a_request_that_was_answered(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(LIVEZ)
        assert wire.answer().status == 200
        wire.send(b"BREW /livez HTTP/1.1\r\nHost: a\r\n\r\n")
        wire.answer().check(NO_SUCH_METHOD)
        assert wire.is_closed()


def test_chunk_framing_that_brings_no_body_is_refused(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(head(FORM_TYPE, TE) + b"3;")
        for _ in range(300):
            send_what_goes(wire.socket, b"x" * 1000)
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
        sending = pool.submit(send_what_goes, wire.socket, head(*lines))
        answer = wire.answer()
        sending.result()
        answer.check(TOO_LARGE if answer.status == 431 and b"max_bytes" in answer.body else _without_details(TOO_LARGE))
        assert wire.is_closed()


def _without_details(refusal: Refusal) -> Refusal:
    # A header that never ends is stopped before its line is whole, so that nothing is known about lines.
    return Refusal(status=refusal.status, code=refusal.code, message=refusal.message)


def test_a_head_of_just_the_limits_is_served(server: Running) -> None:
    lines = [f"X-{number}: 1" for number in range(98)]
    with Wire(server) as wire:
        wire.send(head(*lines, method="GET", path="/livez"))
        assert wire.answer().status == 200
        wire.send(head("X-A: " + "x" * 32_000, method="GET", path="/livez"))
        assert wire.answer().status == 200


def test_a_long_address_is_refused(server: Running) -> None:
    with Wire(server) as wire, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(send_what_goes, wire.socket, head(path="/" + "x" * 1_000_000))
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
        (b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 404),
    ],
)
def test_odd_but_legal_requests_are_routed_by_their_path_alone(server: Running, first: bytes, status: int) -> None:
    with Wire(server) as wire:
        wire.send(first)
        assert wire.answer().status == status


def test_http_1_0_has_no_expectations(server: Running) -> None:
    for wish in ("100-continue", "nonsense"):
        with Wire(server) as wire:
            wire.send(whole(form(), f"Expect: {wish}").replace(b"HTTP/1.1", b"HTTP/1.0"))
            assert wire.answer().status == 200


def test_an_expectation_may_be_spelled_in_any_way(server: Running) -> None:
    with Wire(server) as wire:
        wire.send(head(FORM_TYPE, f"Content-Length: {len(form())}", "EXPECT:  100-Continue "))
        assert wire.line() == b"HTTP/1.1 100 Continue\r\n"
        assert wire.line() == b"\r\n"
        wire.send(form())
        assert wire.answer().status == 200


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


# --- upgrades are ignored --------------------------------------------------------------------------------------------

# What curl --http2, Java's client and browsers send; and odd spellings of the same.
WISHES: dict[str, tuple[str, ...]] = {
    "h2c": ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA"),
    "websocket": ("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Key: eA==", "Sec-WebSocket-Version: 13"),
    "unknown": ("Connection: upgrade", "Upgrade: nonsense/7"),
    "several": ("Upgrade: h2c", "Connection: keep-alive", "Upgrade: websocket, TLS/1.0", "Connection: Upgrade"),
    "odd case": ("UPGRADE: H2C", "CONNECTION: uPgRaDe"),
    "with a proxy's name": ("Proxy-Connection: Upgrade", "Upgrade: h2c"),
    "empty": ("Connection: Upgrade", "Upgrade:"),
}


def one_more_request(server: Running, before: int) -> bool:
    return requests_seen(server) == before + 1


@pytest.mark.parametrize("wish", WISHES)
def test_a_post_that_asks_for_an_upgrade_is_a_post(server: Running, wish: str) -> None:
    before = requests_seen(server)
    with Wire(server) as wire:
        wire.send(whole(form(), *WISHES[wish]) + LIVEZ)
        answer = wire.answer()
        assert (answer.status, answer.body) == (200, picture().image)
        assert "upgrade" not in answer.headers
        assert wire.answer().body == b'{"status":"ok"}'
    assert one_more_request(server, before)


@pytest.mark.parametrize("wish", WISHES)
def test_a_chunked_post_that_asks_for_an_upgrade_is_a_post(server: Running, wish: str) -> None:
    before = requests_seen(server)
    with Wire(server) as wire:
        body = form()
        wire.send(head(FORM_TYPE, *WISHES[wish], TE) + chunked(body[:10], body[10:]) + LIVEZ)
        assert (wire.answer().status, wire.answer().body) == (200, b'{"status":"ok"}')
    assert one_more_request(server, before)


@pytest.mark.parametrize("wish", WISHES)
def test_a_body_that_comes_after_a_head_that_asks_for_an_upgrade_is_no_request(server: Running, wish: str) -> None:
    """The body is itself a request, as a smuggler would send it; only as a body is it harmless."""
    inner = head("Content-Length: 0") + LIVEZ
    smuggled = form(inner)
    before = requests_seen(server)
    with Wire(server) as wire:
        data = whole(smuggled, *WISHES[wish], "Expect: 100-continue")
        wire.send(data[: -len(smuggled)])
        # The server has read the head, and waits for what was announced.
        assert (wire.line(), wire.line()) == (b"HTTP/1.1 100 Continue\r\n", b"\r\n")
        wire.send(smuggled)
        assert wire.answer().status == 200
        wire.send(LIVEZ)
        assert wire.answer().body == b'{"status":"ok"}'
    assert one_more_request(server, before)
    uncropper: Any = server.service.uncropper
    assert uncropper.requests[-1].image == inner


@pytest.mark.parametrize("wish", WISHES)
def test_a_body_of_a_refused_request_that_asks_for_an_upgrade_is_no_request(server: Running, wish: str) -> None:
    before = requests_seen(server)
    with Wire(server) as wire:
        smuggled = whole()
        wire.send(whole(smuggled, *WISHES[wish], key="wrong"))
        assert wire.answer().status == 401
        assert wire.is_closed()
    assert requests_seen(server) == before


@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_heads_that_ask_for_an_upgrade_come_in_any_pieces(server: Running, pieces: int) -> None:
    data = whole(form(), *WISHES["h2c"]) + LIVEZ.replace(b"Host: a", b"Host: a\r\nConnection: Upgrade\r\nUpgrade: h2c")
    with Wire(server) as wire:
        wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), pieces):
            wire.send(data[start : start + pieces])
        assert (wire.answer().status, wire.answer().body) == (200, b'{"status":"ok"}')


def test_many_requests_in_one_breath_may_all_ask_for_an_upgrade(server: Running) -> None:
    get = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with Wire(server) as wire, ThreadPoolExecutor(1) as pool:
        sending = pool.submit(wire.send, get * 1500 + whole(form(), *WISHES["h2c"]) + LIVEZ)
        assert {wire.answer().status for _ in range(1502)} == {200}
        sending.result()


@pytest.mark.parametrize("wish", WISHES)
def test_a_head_that_asks_for_an_upgrade_is_checked_like_any_other(server: Running, wish: str) -> None:
    for lines, host, expected in (
        (("Content-Length: 5", TE), "a.example", malformed()),
        ((), None, NO_HOST),
        (("Host: b.example",), "a.example", NO_HOST),
    ):
        with Wire(server) as wire:
            wire.send(head(*WISHES[wish], *lines, host=host) + LIVEZ)
            wire.answer().check(expected)
            assert wire.is_closed()
    with Wire(server) as wire:
        wire.send(head(*WISHES[wish], *[f"X-{number}: 1" for number in range(100)]) + LIVEZ)
        wire.answer().check(TOO_LARGE)
        assert wire.is_closed()


@pytest.mark.parametrize("wish", WISHES)
def test_whoever_asks_for_an_upgrade_may_close_too(server: Running, wish: str) -> None:
    with Wire(server) as wire:
        wire.send(head(*WISHES[wish], "Connection: close", method="GET", path="/livez"))
        answer = wire.answer()
        assert (answer.status, answer.headers["connection"]) == (200, "close")
        assert wire.is_closed()

"""A message on its way: to the number that was checked, within time and bytes, whatever the receiver does."""

from __future__ import annotations

import asyncio
import ssl
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import pytest

from uncrop.store.deliveries import Sent
from uncrop.webhooks.addresses import AddressRules
from uncrop.webhooks.numbers import networks_of
from uncrop.webhooks.sending import MessageSender, Outcome
from webhook_receivers import NO_CONTENT, Certificates, answering, make_certificates, receiving, silent

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.webhooks.numbers import Number

BODY = '{"type":"job.done"}'
HEADERS = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,x"}


def no_certificates() -> ssl.SSLContext:
    raise AssertionError("not needed")


class Names(dict[str, str]):
    """What names stand for, and which were asked for."""

    def __init__(self, **known: str) -> None:
        super().__init__({name.replace("_", "."): numbers for name, numbers in known.items()})
        self.asked: list[str] = []

    async def __call__(self, host: str) -> tuple[Number, ...]:
        self.asked.append(host)
        return tuple(ip_address(each) for each in self[host].split())


def sender(names: Names | None = None, **options: Any) -> MessageSender:
    rules = AddressRules(allowed=networks_of("127.0.0.0/8"), resolve=names or Names())
    return MessageSender(rules=rules, **{"certificates": no_certificates, **options})


async def send(url: str, **options: Any) -> Outcome:
    return await sender(**options)(url, HEADERS, BODY)


async def outcome_of(answer: bytes, **options: Any) -> Outcome:
    async with receiving(answering(answer)) as receiver:
        return await send(receiver.url(), **options)


async def test_a_message_as_it_arrives() -> None:
    async with receiving(answering(NO_CONTENT)) as receiver:
        outcome = await send(receiver.url())
        assert outcome == Outcome(sent=Sent(status=204, duration_ms=outcome.sent.duration_ms))
        (request,) = receiver.requests
    assert request.line == "POST /hook?a=b HTTP/1.1"
    assert request.body == BODY.encode()
    assert (
        request.headers.items()
        >= {
            "host": f"127.0.0.1:{receiver.port}",
            "content-type": "application/json",
            "connection": "close",
            **HEADERS,
        }.items()
    )
    assert request.headers["user-agent"].startswith("uncrop/")
    assert not {"cookie", "authorization", "accept-encoding"} & set(request.headers)


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
async def test_what_is_taken(status: int) -> None:
    outcome = await outcome_of(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
    assert (outcome.sent.status, outcome.sent.failure) == (status, None)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        *((each, "redirect") for each in (300, 301, 302, 304, 399)),
        (410, "gone"),
        *((s, "status") for s in (400, 404, 500, 599)),
    ],
)
async def test_what_is_not(status: int, failure: str) -> None:
    outcome = await outcome_of(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\n\r\n".encode())
    assert (outcome.sent.status, outcome.sent.failure) == (status, failure)


@pytest.mark.parametrize(
    ("status", "said", "asked"),
    [(429, "120", 120), (503, "7", 7), (503, "999999", 3600), (503, "soon", None), (503, "-5", None), (500, "9", None)],
)
async def test_time_that_is_asked_for(status: int, said: str, asked: float | None) -> None:
    outcome = await outcome_of(f"HTTP/1.1 {status} x\r\nRetry-After: {said}\r\nContent-Length: 0\r\n\r\n".encode())
    assert (outcome.sent.failure, outcome.asked_s) == ("status", asked)


async def test_redirects_are_not_followed() -> None:
    async with receiving(answering(NO_CONTENT)) as private:
        for status in (301, 302, 303, 307, 308):
            outcome = await outcome_of(f"HTTP/1.1 {status} x\r\nLocation: {private.url()}\r\n\r\n".encode())
            assert outcome.sent.failure == "redirect"
        assert private.connections == 0


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (b"", "protocol"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n", "protocol"),
        (b"HTTP/1.1 abc\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Many: 1\r\n" * 10_000 + b"\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 1_000_000, "protocol"),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" * 10_000, "protocol"),
    ],
)
async def test_answers_that_are_none(answer: bytes, failure: str) -> None:
    outcome = await outcome_of(answer)
    assert (outcome.sent.status, outcome.sent.failure) == (None, failure)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi and more",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnogz",
    ],
)
async def test_what_comes_behind_a_status_is_of_no_interest(answer: bytes) -> None:
    assert (await outcome_of(answer)).sent.failure is None


async def test_of_an_endless_answer_little_is_read() -> None:
    written = 0

    async def endless(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        while True:
            writer.write(bytes(65536))
            await writer.drain()
            written += 65536

    async with receiving(endless) as receiver:
        assert (await send(receiver.url())).sent.failure is None
    assert written < 20_000_000  # what the system's buffers took, of a gigabyte


async def test_no_more_bytes_than_the_limit_are_read() -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    assert (await outcome_of(answer, most_bytes=len(answer))).sent.status == 200
    assert (await outcome_of(answer, most_bytes=len(answer) - 1)).sent.failure == "protocol"


async def test_who_says_nothing_is_given_up() -> None:
    async with receiving(silent) as receiver:
        outcome = await send(receiver.url(), attempt_s=0.05)
    assert (outcome.sent.status, outcome.sent.failure) == (None, "timeout")
    assert outcome.sent.duration_ms >= 50


async def test_who_dribbles_is_given_up() -> None:
    async def dribble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for byte in b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 1000:
            writer.write(bytes([byte]))
            await writer.drain()
            await asyncio.sleep(0.01)

    async with receiving(dribble) as receiver:
        assert (await send(receiver.url(), attempt_s=0.1)).sent.failure == "timeout"


async def test_a_status_counts_though_its_body_never_ends() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")
        await reader.read()

    async with receiving(half) as receiver:
        outcome = await send(receiver.url(), attempt_s=0.3)
    assert (outcome.sent.status, outcome.sent.failure) == (200, None)


async def test_a_connection_that_breaks() -> None:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.abort()

    for reads in (True, False):
        async with receiving(reset, reads=reads) as receiver:
            assert (await send(receiver.url())).sent.failure in {"connection", "protocol"}
    assert (await send(receiver.url())).sent.failure == "connection"  # nobody is there any more


async def test_the_number_that_was_checked_is_connected_to() -> None:
    async with receiving(answering(NO_CONTENT)) as receiver:
        names = Names(hooks_example="127.0.0.1")
        url = f"http://hooks.example:{receiver.port}/"
        assert (await send(url, names=names)).sent.failure is None
        assert (names.asked, receiver.requests[0].headers["host"]) == (
            ["hooks.example"],
            f"hooks.example:{receiver.port}",
        )
        names["hooks.example"] = "10.0.0.1 127.0.0.1"
        assert (await send(url, names=names)).sent.failure == "address"
        assert (await send(f"http://8.8.8.8:{receiver.port}/")).sent.failure == "address"
        assert receiver.connections == 1


async def test_further_numbers_are_tried_a_few() -> None:
    async with receiving(answering(NO_CONTENT)) as receiver:
        url = f"http://hooks.example:{receiver.port}/"
        names = Names(hooks_example="127.0.0.3 127.0.0.2 127.0.0.1")
        assert (await send(url, names=names)).sent.failure is None
        names["hooks.example"] = "127.0.0.4 127.0.0.3 127.0.0.2 127.0.0.1"
        assert (await send(url, names=names)).sent.failure == "connection"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    folder: Path = tmp_path_factory.mktemp("certificates")
    return make_certificates(folder, "hooks.example", "127.0.0.1")


async def test_the_certificate_must_be_the_hosts(certificates: Certificates) -> None:
    async with receiving(answering(NO_CONTENT), certificates=certificates.server) as receiver:
        names = Names(hooks_example="127.0.0.1", other_example="127.0.0.1")
        trusting = {"names": names, "certificates": lambda: certificates.trusting}
        told = {
            host: (await send(f"https://{host}:{receiver.port}/", **trusting)).sent.failure
            for host in ("hooks.example", "127.0.0.1", "other.example")
        }
        assert told == {"hooks.example": None, "127.0.0.1": None, "other.example": "tls"}
        strict = await send(receiver.url(scheme="https"), certificates=ssl.create_default_context)
        assert strict.sent.failure == "tls"
        assert len(receiver.requests) == 2


async def test_what_speaks_no_tls(certificates: Certificates) -> None:
    async with receiving(answering(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 99), reads=False) as receiver:
        outcome = await send(receiver.url(scheme="https"), certificates=lambda: certificates.trusting)
    assert outcome.sent.failure == "tls"

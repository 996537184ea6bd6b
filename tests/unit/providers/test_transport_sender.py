"""The sender, against a real server on loopback and against scripted transports."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import anyio
import httpx2
import pytest

from fixtures_socks import SocksProxy
from uncrop.errors import ProviderError, ProviderInvalidResponse, ProviderTimeout
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Answer, Call, Part
from uncrop.providers.transport.addresses import Addresses
from uncrop.providers.transport.network import Network
from uncrop.providers.transport.sender import BACKOFF_S, CONNECT_S, WRITE_S, Sender, open_client
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator

PARTS = (
    Part(name="image_file", value=b"\x00\xff" * 100_000, filename="image.png", media_type="image/png"),
    Part(name="note", value="grün, 1 & 2", filename="note.txt", media_type="text/plain"),
    Part(name="extend_left", value="10"),
    Part(name="prompt", value='a "quoted"\nline; ünd mehr'),
)


def call(url: str, parts: tuple[Part, ...] = PARTS) -> Call:
    return Call(method="POST", url=f"{url}/uncrop/v1", headers={"x-api-key": "k"}, body=parts)


class Posting:
    """A sender whose calls may go wherever they say, for those who have no configured address."""

    def __init__(self, sender: Sender) -> None:
        self.sender = sender

    async def __call__(self, sent: Call, commitment: Commitment | None) -> Answer:
        return await self.sender(sent, Addresses.of(FACTS, sent.url), commitment)


@pytest.fixture
def emulator() -> Iterator[ClipdropEmulator]:
    with ClipdropEmulator() as running:
        yield running


@pytest.fixture
async def send() -> AsyncIterator[Posting]:
    async with Sender(backoff_s=0) as sender:
        yield Posting(sender)


class Failing(httpx2.AsyncBaseTransport):
    """Raises the given errors, one per call, then answers."""

    def __init__(self, *script: Exception) -> None:
        self.script = list(script)
        self.calls = 0

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.calls += 1
        if self.script:
            raise self.script.pop(0)
        await request.extensions["trace"]("http11.send_request_headers.started", {})
        return httpx2.Response(200, content=b"made", headers={"X-Upper": "Case"})


class Waits(list[float]):
    """Notes how long it was to sleep, and does not."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def over(transport: httpx2.AsyncBaseTransport, waits: Waits | None = None) -> Sender:
    return Sender(
        client=lambda: httpx2.AsyncClient(transport=transport),
        sleep=Waits() if waits is None else waits,
    )


# --- what goes out, what comes in ------------------------------------------------------------------------------------


async def test_the_form_arrives_as_it_was_built(emulator: ClipdropEmulator, send: Posting) -> None:
    emulator.script(outcomes.refuse(402))
    await send(call(emulator.url), Commitment())
    received = emulator.calls[0]
    assert received.fields == {"extend_left": "10", "prompt": 'a "quoted"\nline; ünd mehr'}
    image, note = received.files["image_file"], received.files["note"]
    assert (image.filename, image.media_type, image.data) == ("image.png", "image/png", b"\x00\xff" * 100_000)
    assert (note.filename, note.media_type, note.text) == ("note.txt", "text/plain", "grün, 1 & 2")
    assert received.headers["x-api-key"] == "k"
    assert received.headers["user-agent"].startswith("uncrop/")


async def test_an_answer_of_any_status_is_returned_whole(emulator: ClipdropEmulator, send: Posting) -> None:
    emulator.script(outcomes.refuse(418, b"short and stout", X_Kind="Teapot"))
    answer = await send(call(emulator.url), Commitment())
    assert (answer.status, answer.body) == (418, b"short and stout")
    assert answer.headers["x-kind"] == "Teapot"


async def test_redirects_are_not_followed(emulator: ClipdropEmulator, send: Posting) -> None:
    emulator.script(outcomes.redirect(f"{emulator.url}/elsewhere"))
    answer = await send(call(emulator.url), Commitment())
    assert answer.status == 302
    assert [received.path for received in emulator.calls] == ["/uncrop/v1"]


async def test_cookies_are_not_kept(emulator: ClipdropEmulator, send: Posting) -> None:
    emulator.script(outcomes.refuse(429, Set_Cookie="who=me; Path=/"), outcomes.refuse(429))
    first = await send(call(emulator.url), Commitment())
    await send(call(emulator.url), Commitment())
    assert first.headers["set-cookie"] == "who=me; Path=/"
    assert ["cookie" in received.headers for received in emulator.calls] == [False, False]


async def test_a_compressed_answer_is_decompressed(emulator: ClipdropEmulator, send: Posting) -> None:
    emulator.script(outcomes.refuse(200, gzip.compress(b"made"), content_encoding="gzip"))
    assert (await send(call(emulator.url), Commitment())).body == b"made"


async def test_the_flight_is_marked_when_the_first_byte_goes_out(emulator: ClipdropEmulator, send: Posting) -> None:
    commitment = Commitment()
    emulator.script(outcomes.refuse(500))
    await send(call(emulator.url), commitment)
    assert commitment.sent


async def test_the_client_is_opened_by_the_first_call_and_closed_at_the_end(emulator: ClipdropEmulator) -> None:
    opened: list[httpx2.AsyncClient] = []

    def open_one() -> httpx2.AsyncClient:
        opened.append(open_client())
        return opened[-1]

    async with Sender(client=open_one) as sender:
        send = Posting(sender)
        assert opened == []
        for _ in range(3):
            await send(call(emulator.url), Commitment())
        assert [client.is_closed for client in opened] == [False]
    assert [client.is_closed for client in opened] == [True]


async def test_a_sender_that_sent_nothing_closes_nothing() -> None:
    async with Sender(client=lambda: pytest.fail("nothing was to be sent")):
        pass


async def test_the_deadlines_of_the_real_client() -> None:
    async with open_client() as client:
        assert client.timeout == httpx2.Timeout(None, connect=CONNECT_S, write=WRITE_S, pool=CONNECT_S)
        assert (CONNECT_S, WRITE_S) == (5, 30)
        assert client.follow_redirects is False


# --- what is sent again, and what never ------------------------------------------------------------------------------

NOT_STARTED = [httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout]
MAY_HAVE_ARRIVED = {
    httpx2.ReadTimeout: ProviderTimeout,
    httpx2.WriteTimeout: ProviderTimeout,
    httpx2.ReadError: ProviderError,
    httpx2.WriteError: ProviderError,
    httpx2.CloseError: ProviderError,
    httpx2.ProxyError: ProviderError,
    httpx2.LocalProtocolError: ProviderError,
    httpx2.UnsupportedProtocol: ProviderError,
    httpx2.TooManyRedirects: ProviderError,
    httpx2.InvalidURL: ProviderError,
    httpx2.RemoteProtocolError: ProviderInvalidResponse,
    httpx2.DecodingError: ProviderInvalidResponse,
}


@pytest.mark.parametrize("kind", NOT_STARTED)
@pytest.mark.parametrize("times", [1, 2])
async def test_a_call_that_did_not_start_is_sent_again(kind: type[httpx2.TransportError], times: int) -> None:
    transport, commitment, waits = Failing(*[kind("no connection")] * times), Commitment(), Waits()
    async with over(transport, waits) as sender:
        send = Posting(sender)
        answer = await send(call("http://127.0.0.1:9"), commitment)
    assert (answer.body, answer.headers["x-upper"], commitment.sent) == (b"made", "Case", True)
    assert (transport.calls, len(waits)) == (times + 1, times)


@pytest.mark.parametrize("kind", NOT_STARTED)
async def test_but_twice_at_most(kind: type[httpx2.TransportError]) -> None:
    transport, commitment, waits = Failing(*[kind("no connection")] * 9), Commitment(), Waits()
    async with over(transport, waits) as sender:
        send = Posting(sender)
        with pytest.raises(ProviderError) as failed:
            await send(call("http://127.0.0.1:9"), commitment)
    assert (transport.calls, len(waits), commitment.sent) == (3, 2, False)
    assert isinstance(failed.value.__cause__, kind)
    assert failed.value.system_message == "No connection to the provider came about"


async def test_the_waits_grow_and_are_jittered() -> None:
    waits = Waits()
    async with over(Failing(*[httpx2.ConnectError("no connection")] * 24), waits) as sender:
        send = Posting(sender)
        for _ in range(8):
            with pytest.raises(ProviderError):
                await send(call("http://127.0.0.1:9"), Commitment())
    first, second = waits[0::2], waits[1::2]
    assert len(first) == len(second) == 8
    assert all(BACKOFF_S <= wait <= 2 * BACKOFF_S for wait in first)
    assert all(2 * BACKOFF_S <= wait <= 3 * BACKOFF_S for wait in second)
    assert len(set(first)) > 1


async def test_who_leaves_between_two_attempts_ends_them() -> None:
    commitment, transport = Commitment(), Failing(*[httpx2.ConnectError("no connection")] * 9)

    class Leaving(Waits):
        async def __call__(self, seconds: float) -> None:
            commitment.abandon()

    async with over(transport, Leaving()) as sender:
        send = Posting(sender)
        with pytest.raises(asyncio.CancelledError):
            await send(call("http://127.0.0.1:9"), commitment)
    assert (transport.calls, commitment.sent) == (1, False)


@pytest.mark.parametrize("kind", MAY_HAVE_ARRIVED)
async def test_a_call_that_may_have_arrived_is_never_sent_again(kind: type[Exception]) -> None:
    transport = Failing(kind("upstream text"))
    async with over(transport) as sender:
        send = Posting(sender)
        with pytest.raises(MAY_HAVE_ARRIVED[kind]) as failed:
            await send(call("http://127.0.0.1:9"), Commitment())
    assert type(failed.value) is MAY_HAVE_ARRIVED[kind]
    assert transport.calls == 1
    assert "upstream text" not in f"{failed.value.message}{failed.value.system_message}{failed.value.details}"


async def test_a_failure_to_connect_after_bytes_went_out_is_not_believed() -> None:
    class Odd(Failing):
        async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
            await request.extensions["trace"]("http11.send_request_headers.started", {})
            return await super().handle_async_request(request)

    transport = Odd(httpx2.ConnectError("no connection"))
    async with over(transport) as sender:
        send = Posting(sender)
        with pytest.raises(ProviderError):
            await send(call("http://127.0.0.1:9"), Commitment())
    assert transport.calls == 1


async def test_a_closed_port_is_tried_three_times() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    commitment, waits = Commitment(), Waits()
    async with Sender(sleep=waits) as sender:
        send = Posting(sender)
        with pytest.raises(ProviderError):
            await send(call(f"http://127.0.0.1:{port}"), commitment)
    assert (len(waits), commitment.sent) == (2, False)


async def test_a_port_that_speaks_no_tls_is_an_error_without_a_sent_byte_of_ours(
    emulator: ClipdropEmulator, send: Posting
) -> None:
    commitment = Commitment()
    with pytest.raises(ProviderError):
        await send(call(emulator.url.replace("http:", "https:")), commitment)
    assert (commitment.sent, emulator.calls) == (False, [])


# --- bad answers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (outcomes.garbage(), ProviderInvalidResponse),
        (outcomes.Outcome(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"), ProviderInvalidResponse),
        (outcomes.Outcome(raw=b"HTTP/1.1 200 OK\r\nContent-Length: nine\r\n\r\n"), ProviderInvalidResponse),
        (
            outcomes.Outcome(raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"),
            ProviderInvalidResponse,
        ),
        (outcomes.Outcome(raw=b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 60_000), ProviderInvalidResponse),
        (outcomes.hang_up_unanswered(), ProviderInvalidResponse),
        (outcomes.hang_up_unanswered(reset=True), ProviderError),
        (outcomes.refuse(200, b"not gzip", content_encoding="gzip"), ProviderInvalidResponse),
    ],
)
async def test_what_is_no_http_answer(
    emulator: ClipdropEmulator, send: Posting, outcome: outcomes.Outcome, kind: type[Exception]
) -> None:
    emulator.script(outcome)
    with pytest.raises(kind):
        await send(call(emulator.url), Commitment())
    assert len(emulator.calls) == 1
    emulator.script(outcomes.refuse(418))
    assert (await send(call(emulator.url), Commitment())).status == 418  # the pool is well


async def test_an_answer_of_just_the_cap_is_taken_and_one_byte_more_refused(emulator: ClipdropEmulator) -> None:
    async with Sender(max_answer_bytes=100_000) as sender:
        send = Posting(sender)
        emulator.script(outcomes.oversize(100_000), outcomes.oversize(100_001))
        assert len((await send(call(emulator.url), Commitment())).body) == 100_000
        with pytest.raises(ProviderInvalidResponse) as refused:
            await send(call(emulator.url), Commitment())
    assert refused.value.system_message == "The provider's answer exceeds 100000 bytes"


async def test_the_cap_counts_after_decompression(emulator: ClipdropEmulator) -> None:
    bomb = gzip.compress(bytes(50_000_000))
    assert len(bomb) < 100_000
    async with Sender(max_answer_bytes=100_000) as sender:
        send = Posting(sender)
        emulator.script(outcomes.refuse(200, bomb, content_encoding="gzip"))
        with pytest.raises(ProviderInvalidResponse, match="could not be used"):
            await send(call(emulator.url), Commitment())


# --- those who leave ---------------------------------------------------------------------------------------


async def test_who_left_before_sends_nothing(emulator: ClipdropEmulator, send: Posting) -> None:
    commitment = Commitment()
    commitment.abandon()
    with pytest.raises(asyncio.CancelledError):
        await send(call(emulator.url), commitment)
    assert (commitment.sent, emulator.calls) == (False, [])


async def test_who_leaves_while_the_connection_is_made_sends_nothing(emulator: ClipdropEmulator, send: Posting) -> None:
    class Leaving(Commitment):
        async def commit(self) -> None:
            self.abandon()
            await super().commit()

    commitment = Leaving()
    with pytest.raises(asyncio.CancelledError):
        await send(call(emulator.url), commitment)
    assert (commitment.sent, emulator.calls) == (False, [])
    emulator.script(outcomes.refuse(418))
    assert (await send(call(emulator.url), Commitment())).status == 418  # the pool is well


async def test_who_leaves_afterwards_is_answered_all_the_same(emulator: ClipdropEmulator, send: Posting) -> None:
    go_on, commitment = threading.Event(), Commitment()
    emulator.script(outcomes.Outcome(status=418, wait_for=go_on))
    answers: list[int] = []

    async def run() -> None:
        answers.append((await send(call(emulator.url), commitment)).status)

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        await anyio.to_thread.run_sync(emulator.wait_for_calls, 1)
        assert commitment.abandon() is False
        go_on.set()
    assert answers == [418]


async def test_there_is_only_one_retry_loop() -> None:
    async with open_client() as client:
        assert client._transport._pool._retries == 0  # type: ignore[attr-defined]


# --- through a proxy --------------------------------------------------------------------------------------------------


def through(proxy: str) -> Sender:
    return Sender(client=lambda: open_client(Network(proxies={"all://": proxy})), backoff_s=0)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
async def test_a_call_goes_through_a_socks_proxy(emulator: ClipdropEmulator, socks: SocksProxy, scheme: str) -> None:
    commitment = Commitment()
    emulator.script(outcomes.refuse(418))
    async with through(f"{scheme}://127.0.0.1:{socks.port}") as sender:
        answer = await Posting(sender)(call(emulator.url), commitment)
    assert answer.status == 418
    assert commitment.sent
    assert [f"http://{host}:{port}" for host, port in socks.asked] == [emulator.url]


async def test_a_socks_proxy_that_knows_its_users(emulator: ClipdropEmulator) -> None:
    emulator.script(outcomes.refuse(418))
    with SocksProxy(user=b"u", password=b"p w") as proxy:
        async with through(f"socks5://u:p%20w@127.0.0.1:{proxy.port}") as sender:
            assert (await Posting(sender)(call(emulator.url), Commitment())).status == 418


@pytest.mark.parametrize(
    "proxy",
    [
        {"reply": 2},
        {"reply": 5},
        {"user": b"u"},
        {"greeting": b""},
        {"greeting": b"\x05"},
        {"greeting": b"HTTP/1.1 400 Bad Request\r\n\r\n"},
    ],
    ids=str,
)
async def test_a_socks_proxy_that_does_not_connect_is_told_and_nothing_was_sent(
    emulator: ClipdropEmulator, proxy: dict[str, Any]
) -> None:
    commitment = Commitment()
    with SocksProxy(**proxy) as refusing:
        async with through(f"socks5://127.0.0.1:{refusing.port}") as sender:
            with pytest.raises(ProviderError) as caught:
                await Posting(sender)(call(emulator.url), commitment)
    assert caught.value.system_message == "The proxy made no connection to the provider"
    assert not commitment.sent
    assert emulator.calls == []


async def test_a_proxy_that_is_not_there_is_no_connection(emulator: ClipdropEmulator) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        async with through(f"socks5://127.0.0.1:{taken.getsockname()[1]}") as sender:
            with pytest.raises(ProviderError) as caught:
                await Posting(sender)(call(emulator.url), Commitment())
    assert caught.value.system_message == "No connection to the provider came about"


async def test_what_a_proxy_is_asked_before_is_not_the_call() -> None:
    asked: list[bytes] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    commitment = Commitment()
    async with (
        await asyncio.start_server(refuse, "127.0.0.1", 0) as server,
        through(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as sender,
    ):
        with pytest.raises(ProviderError) as caught:
            await Posting(sender)(call("https://provider.example"), commitment)
    assert caught.value.system_message == "The proxy made no connection to the provider"
    assert [request.split(b"\r\n")[0] for request in asked] == [b"CONNECT provider.example:443 HTTP/1.1"]
    assert not commitment.sent


async def test_the_environment_is_not_read_by_the_client(
    emulator: ClipdropEmulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "foo://bar")
    monkeypatch.setenv("SSL_CERT_FILE", "/none.pem")
    emulator.script(outcomes.refuse(418))
    async with Sender() as sender:
        assert (await Posting(sender)(call(emulator.url), Commitment())).status == 418

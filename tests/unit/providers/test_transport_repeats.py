"""Polls and downloads: how often they are repeated, where they lead, and what goes along."""

from __future__ import annotations

import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from uncrop import errors
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.conversation import Answer, Call, json_body
from uncrop.providers.transport.addresses import Addresses, Target
from uncrop.providers.transport.sender import MAX_REDIRECTS, Patience, Sender, open_client
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator

BASE = "http://provider.test"
ADDRESSES = Addresses.of(FACTS, BASE)
POLL = Call(method="GET", url=f"{BASE}/jobs/1", headers={"x-key": "secret"}, kind="repeat")
FETCH = Call(
    method="GET", url=f"{BASE}/1.png", headers={"x-key": "secret", "authorization": "Bearer s"}, kind="download"
)
FIRST, MOST = 0.5, 8.0


class Scripted(httpx2.AsyncBaseTransport):
    """Gives the scripted answers, or raises the scripted errors, and keeps the last for ever."""

    def __init__(self, *script: httpx2.Response | Exception) -> None:
        self.script = list(script)
        self.requests: list[httpx2.Request] = []

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        outcome = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(outcome, Exception):
            raise outcome
        return httpx2.Response(outcome.status_code, headers=outcome.headers, content=outcome.content)


class Waits(list[float]):
    async def __call__(self, seconds: float) -> None:
        self.append(seconds)


def says(status: int, body: bytes = b"", **headers: str) -> httpx2.Response:
    return httpx2.Response(
        status, content=body, headers={name.replace("_", "-"): text for name, text in headers.items()}
    )


@dataclass(kw_only=True)
class Sent:
    answer: Answer | None
    error: errors.UncropError | None
    requests: list[httpx2.Request]
    waits: list[float]


async def send(call: Call, *script: httpx2.Response | Exception, **options: Any) -> Sent:
    transport, waits = Scripted(*script), Waits()
    sent = Sent(answer=None, error=None, requests=transport.requests, waits=waits)
    async with Sender(client=lambda: httpx2.AsyncClient(transport=transport), sleep=waits, **options) as sender:
        try:
            sent.answer = await sender(call, ADDRESSES, None)
        except errors.UncropError as error:
            sent.error = error
    return sent


# --- how often -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [POLL, FETCH])
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_asked_again(call: Call, status: int) -> None:
    sent = await send(call, says(status), says(status), says(200, b"made"))
    assert sent.answer is not None
    assert (sent.answer.status, sent.answer.body) == (200, b"made")
    assert (len(sent.requests), len(sent.waits)) == (3, 2)


@pytest.mark.parametrize("call", [POLL, FETCH])
@pytest.mark.parametrize("status", [200, 202, 204, 400, 401, 402, 403, 404, 405, 409, 410, 413, 422, 501])
async def test_any_other_answer_is_final(call: Call, status: int) -> None:
    sent = await send(call, says(status))
    assert sent.answer is not None
    assert (sent.answer.status, len(sent.requests), sent.waits) == (status, 1, [])


async def test_the_waits_double_up_to_a_limit_and_are_jittered() -> None:
    runs = [await send(POLL, says(503), patience=Patience(attempts=8)) for _ in range(6)]
    for sent in runs:
        assert sent.answer is not None
        assert (sent.answer.status, len(sent.requests)) == (503, 8)
        bounds = [min(FIRST * 2**failures, MOST) for failures in range(7)]
        assert len(sent.waits) == 7
        assert all(low <= wait <= 2 * low for wait, low in zip(sent.waits, bounds, strict=True))
    assert len({sent.waits[0] for sent in runs}) > 1


async def test_what_the_provider_asks_for_comes_first() -> None:
    sent = await send(
        POLL,
        says(429, retry_after="7"),
        says(503, retry_after_ms="250"),
        says(503, retry_after="soon"),
        says(429, retry_after="0"),
        says(429, retry_after="999999"),
        says(200),
    )
    seven, quarter, unreadable, nothing, an_hour = sent.waits
    assert (seven, quarter, an_hour) == (7, 0.25, 3600)
    assert 4 * FIRST <= unreadable <= 8 * FIRST
    assert 8 * FIRST <= nothing <= 16 * FIRST


async def test_a_last_refusal_is_the_answer() -> None:
    sent = await send(FETCH, says(500, b"why"))
    assert sent.answer is not None
    assert (sent.answer.status, sent.answer.body) == (500, b"why")
    assert (len(sent.requests), len(sent.waits)) == (6, 5)


BROKEN = {
    httpx2.ConnectError: errors.ProviderError,
    httpx2.ConnectTimeout: errors.ProviderError,
    httpx2.PoolTimeout: errors.ProviderError,
    httpx2.ReadError: errors.ProviderError,
    httpx2.WriteError: errors.ProviderError,
    httpx2.ReadTimeout: errors.ProviderTimeout,
    httpx2.WriteTimeout: errors.ProviderTimeout,
    httpx2.RemoteProtocolError: errors.ProviderInvalidResponse,
    httpx2.DecodingError: errors.ProviderInvalidResponse,
}


@pytest.mark.parametrize("call", [POLL, FETCH])
@pytest.mark.parametrize("kind", BROKEN)
async def test_what_the_network_broke_is_asked_again(call: Call, kind: type[httpx2.RequestError]) -> None:
    sent = await send(call, kind("upstream text"), says(503), kind("upstream text"), says(200, b"made"))
    assert sent.answer is not None
    assert (sent.answer.body, len(sent.requests), len(sent.waits)) == (b"made", 4, 3)
    for_ever = await send(call, kind("upstream text"))
    assert type(for_ever.error) is BROKEN[kind]
    assert "upstream text" not in f"{for_ever.error}{for_ever.error.system_message}"
    assert (len(for_ever.requests), len(for_ever.waits)) == (6, 5)


@pytest.mark.parametrize("call", [POLL, FETCH])
async def test_what_is_too_much_is_not_asked_for_again(call: Call) -> None:
    sent = await send(call, says(200, bytes(101)), max_answer_bytes=100)
    assert type(sent.error) is errors.ProviderInvalidResponse
    assert len(sent.requests) == 1


async def test_a_submit_is_never_asked_again_whatever_the_status() -> None:
    for status in (408, 425, 429, 500, 502, 503, 504):
        sent = await send(Call(method="POST", url=f"{BASE}/jobs"), says(status))
        assert sent.answer is not None
        assert (sent.answer.status, len(sent.requests), sent.waits) == (status, 1, [])


# --- where it leads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("location", ["/2.png", "2.png", "//provider.test/2.png", f"{BASE}:8080/2.png"])
async def test_a_download_follows_within_its_host(status: int, location: str) -> None:
    sent = await send(FETCH, says(status, location=location), says(200, b"made"))
    assert sent.answer is not None
    assert sent.answer.body == b"made"
    assert [request.url.path for request in sent.requests] == ["/1.png", "/2.png"]
    assert sent.waits == []


async def test_but_not_for_ever() -> None:
    sent = await send(FETCH, *(says(302, location=f"/{number}.png") for number in range(9)))
    assert sent.answer is not None
    assert (sent.answer.status, len(sent.requests)) == (302, MAX_REDIRECTS + 1)


@pytest.mark.parametrize(
    "location",
    [
        "http://elsewhere.test/2.png",
        "https://elsewhere.test/2.png",
        "http://169.254.169.254/latest/meta-data/",
        "http://127.0.0.1/2.png",
        "http://provider.test.evil.test/",
        "http://[::1",
        "file:///etc/passwd",
        "//elsewhere.test/2.png",
    ],
)
async def test_nor_to_another_host(location: str) -> None:
    sent = await send(FETCH, says(302, location=location))
    assert sent.answer is not None
    assert (sent.answer.status, len(sent.requests)) == (302, 1)


@pytest.mark.parametrize("location", ["ftp://provider.test/2.png", "http://user@provider.test/2.png"])
async def test_nor_to_what_is_no_plain_address(location: str) -> None:
    sent = await send(FETCH, says(302, location=location))
    assert type(sent.error) is errors.ProviderInvalidResponse
    assert len(sent.requests) == 1


async def test_a_redirect_without_an_address_or_of_a_poll_is_the_answer() -> None:
    for call, answer in ((FETCH, says(302)), (FETCH, says(304, location="/2.png")), (POLL, says(302, location="/2"))):
        sent = await send(call, answer)
        assert sent.answer is not None
        assert (sent.answer.status, len(sent.requests)) == (answer.status_code, 1)


async def test_after_a_redirect_patience_starts_anew() -> None:
    sent = await send(FETCH, says(503), says(302, location="/2.png"), *[says(503)] * 5, says(200, b"made"))
    assert sent.answer is not None
    assert (sent.answer.body, len(sent.requests), len(sent.waits)) == (b"made", 8, 6)


# --- what goes along -------------------------------------------------------------------------------------------------


async def test_a_download_carries_nothing_of_ours_to_any_station() -> None:
    with ClipdropEmulator() as emulator:
        emulator.script(
            outcomes.Outcome(
                status=302, body=b"", headers={"location": "/2.png", "set-cookie": "who=me; Path=/", "x-key": "s"}
            ),
            outcomes.refuse(503, retry_after_ms="1"),
            outcomes.Outcome(status=200, body=b"made"),
        )
        fetch = Call(
            method="GET",
            url=f"{emulator.url}/1.png",
            headers={"x-key": "secret", "Authorization": "Bearer secret", "Cookie": "a=b", "X-Api-Key": "secret"},
            kind="download",
        )
        async with Sender() as sender:
            answer = await sender(fetch, Addresses.of(FACTS, emulator.url), None)
    assert answer.body == b"made"
    assert [call.path for call in emulator.calls] == ["/1.png", "/2.png", "/2.png"]
    for call in emulator.calls:
        assert set(call.headers) <= {"host", "accept", "accept-encoding", "connection", "user-agent"}
        assert "secret" not in str(call.headers)


async def test_a_poll_carries_its_key_and_its_body() -> None:
    poll = Call(
        method="POST", url=f"{BASE}/state", headers={"x-key": "secret"}, body=json_body({"id": 1}), kind="repeat"
    )
    sent = await send(poll, says(503), says(200))
    for request in sent.requests:
        assert request.headers["x-key"] == "secret"
        assert request.headers["content-type"] == "application/json"
        assert request.headers["content-length"] == "8"
        assert await request.aread() == b'{"id":1}'


async def test_only_what_can_be_repeated_has_to_speak_up() -> None:
    for call, read in ((POLL, 30.0), (FETCH, 30.0), (Call(method="POST", url=f"{BASE}/jobs"), None)):
        transport = Scripted(says(200))
        client = open_client()
        client._transport = transport
        async with Sender(client=lambda opened=client: opened) as sender:
            await sender(call, ADDRESSES, None)
        assert transport.requests[0].extensions["timeout"]["read"] == read


# --- a number in place of a name, over real TLS ----------------------------------------------------------------------

HOSTS = ("files.example.org", "files.example.net")


class Pinned(Addresses):
    """Leads every call to one port of this machine, under the name that it asked for."""

    port = 0

    async def target(self, call: Call) -> Target:
        url = httpx2.URL(call.url)
        return Target(url=f"https://127.0.0.1:{type(self).port}{url.path}", host=url.host)


class Secure(ThreadingHTTPServer):
    """Notes the name of each handshake, and the ``Host`` and ``Connection`` of each request."""

    def __init__(self, certificate: Path) -> None:
        self.handshakes: list[str | None] = []
        self.requests: list[tuple[str | None, str | None, set[str]]] = []
        super().__init__(("127.0.0.1", 0), SecureHandler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        context.sni_callback = lambda _socket, name, _context: self.handshakes.append(name)
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that refused the certificate hangs up."""


class SecureHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Secure

    def do_GET(self) -> None:
        names = {name.lower() for name in self.headers}
        self.server.requests.append((self.headers["host"], self.headers["connection"], names))
        self.send_response_only(200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"made")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not on this machine, and makes the certificate of this test")
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    names = ",".join(f"DNS:{host}" for host in HOSTS)
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", str(path) + ".key"]
    subject = ["-subj", "/CN=test", "-addext", f"subjectAltName={names}", "-days", "2"]
    subprocess.run(["openssl", "req", "-x509", *key, *subject, "-out", path], check=True, capture_output=True)
    path.write_text(Path(f"{path}.key").read_text() + path.read_text())
    return path


@pytest.fixture
def secure(certificate: Path) -> Iterator[Secure]:
    server = Secure(certificate)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    Pinned.port = server.server_address[1]
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def trusting(certificate: Path) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(verify=ssl.create_default_context(cafile=certificate), trust_env=False)


async def test_the_hosts_own_name_is_asked_for_and_checked(secure: Secure, certificate: Path) -> None:
    addresses = Pinned(base=ADDRESSES.base)
    async with Sender(client=lambda: trusting(certificate)) as sender:
        for host in (*HOSTS, HOSTS[0]):
            fetch = Call(method="GET", url=f"https://{host}/1.png", headers={"x-key": "s"}, kind="download")
            assert (await sender(fetch, addresses, None)).body == b"made"
    # A connection that was checked for one name is not used for another that leads to the same number.
    assert secure.handshakes == [*HOSTS, HOSTS[0]]
    assert [request[:2] for request in secure.requests] == [(host, "close") for host in (*HOSTS, HOSTS[0])]
    assert all("x-key" not in names for _, _, names in secure.requests)


async def test_a_certificate_of_another_name_is_refused(secure: Secure, certificate: Path) -> None:
    fetch = Call(method="GET", url="https://files.example.com/1.png", kind="download")
    async with Sender(client=lambda: trusting(certificate), patience=Patience(attempts=1)) as sender:
        with pytest.raises(errors.ProviderError) as failed:
            await sender(fetch, Pinned(base=ADDRESSES.base), None)
    assert failed.value.system_message == "No connection to the provider came about"
    assert secure.requests == []

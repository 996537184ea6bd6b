"""An upstream that sends more than one answer to a call: nobody gets what was left over from somebody else's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import httpx2
import pytest

from fixtures_socks import SocksProxy
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.commitment import Commitment
from uncrop.providers.conversation import Call, CallKind
from uncrop.providers.transport.addresses import Addresses
from uncrop.providers.transport.network import Network
from uncrop.providers.transport.sender import Sender, open_client


class Surplus:
    """A server that answers each call with its own path, then sends more, and keeps every connection open.

    Attributes
    ----------
    asked
        The heads of the calls that came on each connection.
    """

    def __init__(self, framed: Callable[[bytes], bytes], more: bytes) -> None:
        self.asked: list[list[bytes]] = []
        self._framed = framed
        self._more = more
        self._connections: list[asyncio.Task[None]] = []

    def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads: list[bytes] = []
        self.asked.append(heads)
        self._connections.append(asyncio.create_task(self._serve(reader, writer, heads)))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, heads: list[bytes]) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                heads.append(await reader.readuntil(b"\r\n\r\n"))
                writer.write(self._framed(heads[-1].split()[1]) + self._more)
                await writer.drain()
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    async def wait(self) -> None:
        """Wait until the client has ended every connection."""
        await asyncio.gather(*self._connections)


def by_length(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: keep-alive\r\n\r\n%s" % (len(body), body)


def by_chunks(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)


@asynccontextmanager
async def running(server: Surplus) -> AsyncIterator[str]:
    async with await asyncio.start_server(server.connect, "127.0.0.1", 0) as listening:
        yield f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        await server.wait()


async def ask(send: Sender, url: str, kind: CallKind) -> bytes:
    call = Call(method="POST" if kind == "submit" else "GET", url=url, kind=kind)
    return (await send(call, Addresses.of(FACTS, url), Commitment())).body


STRANGE = b"somebody else's picture"
MORE = [by_length(STRANGE), by_length(STRANGE) * 5, by_chunks(STRANGE), by_length(STRANGE)[:40], b"\r\n", b"\0"]


@pytest.mark.parametrize("more", MORE)
@pytest.mark.parametrize("framed", [by_length, by_chunks])
@pytest.mark.parametrize("kind", ["submit", "repeat", "download"])
async def test_later_calls_never_get_what_is_left_over(
    kind: CallKind, framed: Callable[[bytes], bytes], more: bytes
) -> None:
    server = Surplus(framed, more)
    async with running(server) as url, Sender() as send:
        for number in range(4):
            assert await ask(send, f"{url}/{number}", kind) == b"/%d" % number
    assert [len(heads) for heads in server.asked] == [1, 1, 1, 1]


async def test_calls_of_several_kinds_at_once_get_their_own() -> None:
    server = Surplus(by_length, by_length(STRANGE))
    kinds: list[CallKind] = ["submit", "repeat", "download"] * 8
    async with running(server) as url, Sender() as send:
        for _ in range(3):
            asked = (ask(send, f"{url}/{number}", kind) for number, kind in enumerate(kinds))
            assert await asyncio.gather(*asked) == [b"/%d" % number for number in range(len(kinds))]
    assert {len(heads) for heads in server.asked} == {1}


async def test_through_a_proxy_too() -> None:
    server = Surplus(by_length, by_length(STRANGE))
    with SocksProxy() as proxy:
        network = Network(proxies={"all://": f"socks5://127.0.0.1:{proxy.port}"})
        async with running(server) as url, Sender(client=lambda: open_client(network)) as send:
            for number in range(3):
                assert await ask(send, f"{url}/{number}", "submit") == b"/%d" % number
    assert [len(heads) for heads in server.asked] == [1, 1, 1]


async def test_a_client_that_would_keep_connections_does_not_either() -> None:
    server = Surplus(by_length, by_length(STRANGE))
    async with running(server) as url, Sender(client=lambda: httpx2.AsyncClient(trust_env=False)) as send:
        for number in range(3):
            assert await ask(send, f"{url}/{number}", "submit") == b"/%d" % number


@pytest.mark.parametrize("kind", ["submit", "repeat", "download"])
async def test_the_server_is_told_that_the_connection_ends(kind: CallKind) -> None:
    server = Surplus(by_length, b"")
    async with running(server) as url, Sender() as send:
        await ask(send, f"{url}/a", kind)
    assert [head.lower().count(b"connection: close") for [head] in server.asked] == [1]

"""A balancer for tests: divides connections between servers that say that they are ready, and sends nothing twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx2

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

LOST = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


class Balancer:
    """Hands each connection to the ready server that has the fewest.

    A connection that a server refuses is answered with 502, as is one for which there is no server.

    Attributes
    ----------
    servers
        All that there are, by their addresses; may be changed at any time.
    ready
        Those that said so when they were looked at last.
    """

    def __init__(self, servers: Iterable[str] = ()) -> None:
        self.servers = list(servers)
        self.ready: list[str] = []
        self._open: Counter[str] = Counter()
        self._listener: asyncio.Server | None = None

    @property
    def url(self) -> str:
        assert self._listener is not None
        return f"http://127.0.0.1:{self._listener.sockets[0].getsockname()[1]}"

    async def look(self) -> None:
        """Ask each server whether it is ready."""
        ready = []
        async with httpx2.AsyncClient(timeout=30) as client:
            for server in tuple(self.servers):
                with suppress(httpx2.HTTPError):
                    if (await client.get(f"{server}/readyz")).status_code == 200:
                        ready.append(server)
        self.ready = ready

    async def look_until(self, ready: Iterable[str]) -> None:
        """Look until exactly these are ready."""
        wanted = set(ready)
        while set(self.ready) != wanted:
            await self.look()

    async def wait_until_done_with(self, server: str) -> None:
        """Wait until no connection to a server is open."""
        while self._open[server]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Balancer]:
        """Take connections for as long as the context lasts."""
        self._listener = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        async with self._listener:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.ready:
            await _end(writer, LOST)
            return
        server = min(self.ready, key=lambda each: self._open[each])
        self._open[server] += 1
        try:
            address = httpx2.URL(server)
            to_server = await asyncio.open_connection(address.host, address.port)
        except OSError:
            await _end(writer, LOST)
        else:
            await asyncio.gather(_pipe(reader, to_server[1]), _pipe(to_server[0], writer))
        finally:
            self._open[server] -= 1


async def _pipe(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Hand on what comes until its end, and the end."""
    with suppress(OSError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
    await _end(target)


async def _end(target: asyncio.StreamWriter, last: bytes = b"") -> None:
    with suppress(OSError, RuntimeError):
        target.write(last)
        await target.drain()
        target.close()

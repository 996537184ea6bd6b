"""What a network does to calls: a TCP proxy on loopback that delays, cuts, resets and slows what passes through it.

It stands between a client and an emulator, or any other server. The faults are those of toxiproxy (its page of toxics):
latency, bandwidth, slicer, timeout, reset_peer, limit_data, down; and the end of one direction alone.
"""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from types import TracebackType
    from typing import Any

_PIECE = 65_536


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What happens to the bytes of one direction of a connection. As it stands: nothing.

    Attributes
    ----------
    latency_s, jitter_s
        Seconds before each piece, and up to so many more at random.
    bytes_per_s
        The bandwidth.
    slice_bytes
        The longest piece that is passed on at once.
    cut_after
        The connection ends after so many bytes: 0 for none of them.
    reset
        It ends with a TCP reset.
    half
        Only this direction ends; the other stays open.
    silent_after
        After so many bytes nothing more is passed on, and the connection stays open.
    """

    latency_s: float = 0.0
    jitter_s: float = 0.0
    bytes_per_s: float | None = None
    slice_bytes: int = _PIECE
    cut_after: int | None = None
    reset: bool = False
    half: bool = False
    silent_after: int | None = None


NO_FAULT = Fault()


@dataclass(kw_only=True)
class Passed:
    """A connection that came: how many bytes were passed on in each direction."""

    to_server: int = 0
    to_client: int = 0

    def count_to_server(self, size: int) -> int:
        """Add bytes to those that the server got, and return their number."""
        self.to_server += size
        return self.to_server

    def count_to_client(self, size: int) -> int:
        """Add bytes to those that the client got, and return their number."""
        self.to_client += size
        return self.to_client


class FaultProxy:
    """A context manager: ``with FaultProxy(emulator.origin) as proxy: client.get(proxy.origin)``.

    Parameters
    ----------
    upstream
        ``http://host:port``, where everything is passed on to.

    Attributes
    ----------
    to_server, to_client
        The faults of connections that come from now on, by direction.
    down
        Whether connections end as soon as they came.
    connections
        Those that came.
    """

    def __init__(self, upstream: str) -> None:
        url = urlsplit(upstream)
        self._upstream = (url.hostname or "127.0.0.1", url.port or 80)
        self._random = random.Random(0)  # noqa: S311 - the same delays each time
        self.to_server = self.to_client = NO_FAULT
        self.down = False
        self.connections: list[Passed] = []
        self._loop = asyncio.new_event_loop()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._tasks: set[asyncio.Task[None]] = set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)

    def __enter__(self) -> Self:
        """Start to listen."""
        self._thread.start()
        self._in_loop(asyncio.start_server(self._connected, sock=self._socket))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End every connection and stop."""
        self._in_loop(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def origin(self) -> str:
        """``http://127.0.0.1:port``."""
        host, port = self._socket.getsockname()
        return f"http://{host}:{port}"

    def heal(self) -> None:
        """Let connections that come from now on pass untouched."""
        self.to_server = self.to_client = NO_FAULT
        self.down = False

    def _in_loop(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _close(self) -> None:
        self._socket.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passed = Passed()
        self.connections.append(passed)
        both = [writer]
        # Whoever hangs up is no fault of the proxy's, and when it closes nobody waits for this task.
        with suppress(OSError, asyncio.CancelledError):
            if not self.down:
                answers, upstream = await asyncio.open_connection(*self._upstream)
                both.append(upstream)
                await _until_one_ends(
                    self._pass(reader, upstream, self.to_server, passed.count_to_server),
                    self._pass(answers, writer, self.to_client, passed.count_to_client),
                )
        for each in both:
            each.close()

    async def _pass(
        self,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        fault: Fault,
        count: Callable[[int], int],
    ) -> bool:
        """Pass on one direction; return whether the whole connection is to end."""
        while data := await source.read(fault.slice_bytes):
            await asyncio.sleep(self._delay(fault, len(data)))
            end = fault.cut_after if fault.silent_after is None else fault.silent_after
            kept = data if end is None else data[: max(0, end - count(0))]
            target.write(kept)
            await target.drain()
            if count(len(kept)) == end and fault.silent_after is None:
                return self._cut(target, fault)
        if fault.silent_after is not None:  # the end is kept from the other side too
            await asyncio.Event().wait()
        with suppress(OSError):
            target.write_eof()
        return False

    def _cut(self, target: asyncio.StreamWriter, fault: Fault) -> bool:
        if fault.half:
            target.write_eof()
            return False
        if fault.reset:
            # Closing with a linger time of zero makes the kernel send a reset.
            connection = target.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            target.transport.abort()
        return True

    def _delay(self, fault: Fault, size: int) -> float:
        on_the_way = 0.0 if fault.bytes_per_s is None else size / fault.bytes_per_s
        return fault.latency_s + fault.jitter_s * self._random.random() + on_the_way


async def _until_one_ends(*directions: Coroutine[Any, Any, bool]) -> None:
    """Wait for both directions, or for one that ends the whole connection."""
    waiting = {asyncio.ensure_future(direction) for direction in directions}
    try:
        while waiting:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if any(task.result() for task in done):
                return
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

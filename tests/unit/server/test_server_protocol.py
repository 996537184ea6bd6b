"""What raw sockets cannot show of the protocol: a transport that cannot be half closed, as TLS cannot."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from uncrop.server.protocol import BoundedProtocol


class TlsTransport(asyncio.Transport):
    """Takes everything, and cannot say that it has nothing more to say."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False
        self.end = asyncio.Event()

    def write(self, data: Any) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        assert (high, low) == (0, None)

    def can_write_eof(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True
        self.end.set()

    def is_closing(self) -> bool:
        return self.closed

    def resume_reading(self) -> None:
        return


class Brief(BoundedProtocol):
    linger_s = 0.01


@pytest.fixture
async def connection() -> tuple[BoundedProtocol, TlsTransport]:
    async def app(_scope: object, _receive: object, _send: object) -> None:
        raise AssertionError

    config = uvicorn.Config(app, http=Brief, ws="none", log_config=None)
    config.load()
    protocol = Brief(config=config, server_state=ServerState(), app_state={}, _loop=asyncio.get_running_loop())
    transport = TlsTransport()
    protocol.connection_made(transport)
    return protocol, transport


async def test_a_refusal_over_tls_waits_a_moment_and_closes(connection: tuple[BoundedProtocol, TlsTransport]) -> None:
    protocol, transport = connection
    protocol.data_received(b"nonsense\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert not transport.closed
    written = transport.written
    protocol.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert transport.written == written
    await transport.end.wait()
    protocol.connection_lost(None)


@pytest.mark.parametrize("error", [OSError("Transport endpoint is not connected"), RuntimeError("closed")])
async def test_a_client_that_has_gone_before_its_refusal_is_no_error(
    connection: tuple[BoundedProtocol, TlsTransport], error: Exception
) -> None:
    """Told so by the kernel, or by an event loop whose transport has noticed meanwhile."""
    protocol, transport = connection

    def fail() -> None:
        raise error

    transport.can_write_eof = lambda: True  # type: ignore[method-assign]
    transport.write_eof = fail  # type: ignore[method-assign]
    transport.abort = transport.close  # type: ignore[method-assign]
    protocol.data_received(b"nonsense\r\n\r\n")
    assert transport.closed
    protocol.linger()
    assert protocol._linger_timer is None
    protocol.connection_lost(None)


async def test_a_connection_that_lingers_does_not_hold_up_the_end_of_the_server(
    connection: tuple[BoundedProtocol, TlsTransport],
) -> None:
    protocol, transport = connection
    protocol.data_received(b"nonsense\r\n\r\n")
    assert not transport.closed
    protocol.shutdown()
    assert transport.closed
    protocol.connection_lost(None)


async def test_an_idle_connection_is_closed_with_the_server(connection: tuple[BoundedProtocol, TlsTransport]) -> None:
    protocol, transport = connection
    protocol.shutdown()
    assert transport.closed
    protocol.connection_lost(None)


async def test_a_lost_connection_leaves_no_timer(connection: tuple[BoundedProtocol, TlsTransport]) -> None:
    protocol, transport = connection
    timer = protocol._head_timer
    assert timer is not None
    protocol.connection_lost(None)
    assert timer.cancelled()
    assert transport.closed

"""A SOCKS5 proxy on loopback (RFC 1928, RFC 1929), which connects, refuses, or talks something else."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

NO_PASSWORD, PASSWORD, NOTHING_FITS = 0, 2, 255


@dataclass
class SocksProxy:
    """Takes connections until it is closed.

    Attributes
    ----------
    user, password
        What a client must say; ``None``: nothing.
    reply
        What is answered to the wish to connect; 0 means that it came about.
    greeting
        Sent in place of the protocol's first answer, where given.
    asked
        The hosts and ports that clients wanted.
    """

    user: bytes | None = None
    password: bytes = b""
    reply: int = 0
    greeting: bytes | None = None
    asked: list[tuple[str, int]] = field(default_factory=list)
    _listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _open: list[socket.socket] = field(default_factory=list)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # it was closed
            while True:
                client, _ = self._listener.accept()
                self._open.append(client)
                self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError, EOFError):
            if self._greet(client):
                server = self._connect(client)
                if server is not None:
                    self._start(_pump, client, server)
                    _pump(server, client)
            client.shutdown(socket.SHUT_RDWR)

    def _greet(self, client: socket.socket) -> bool:
        _, count = _exactly(client, 2)
        offered = _exactly(client, count)
        if self.greeting is not None:
            client.sendall(self.greeting)
            return False
        wanted = NO_PASSWORD if self.user is None else PASSWORD
        client.sendall(bytes((5, wanted if wanted in offered else NOTHING_FITS)))
        if wanted not in offered or self.user is None:
            return wanted in offered
        user = _exactly(client, _exactly(client, 2)[1])
        password = _exactly(client, _exactly(client, 1)[0])
        known = (user, password) == (self.user, self.password)
        client.sendall(bytes((1, 0 if known else 1)))
        return known

    def _connect(self, client: socket.socket) -> socket.socket | None:
        kind = _exactly(client, 4)[3]
        name = _exactly(client, 4 if kind == 1 else _exactly(client, 1)[0])
        host = socket.inet_ntoa(name) if kind == 1 else name.decode()
        port = int.from_bytes(_exactly(client, 2))
        self.asked.append((host, port))
        client.sendall(bytes((5, self.reply, 0, 1, 0, 0, 0, 0, 0, 0)))
        if self.reply:
            return None
        server = socket.create_connection((host, port))
        self._open.append(server)
        return server


def _exactly(source: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count:
        piece = source.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


@pytest.fixture
def socks() -> Iterator[SocksProxy]:
    """A proxy that lets everybody through."""
    with SocksProxy() as proxy:
        yield proxy

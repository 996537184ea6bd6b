from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from uncrop.testing.fault_proxy import Fault, FaultProxy

ANSWER = bytes(range(256)) * 400


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A listening socket; the tests play the server themselves."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(20)
        yield listening


@pytest.fixture
def proxy(server: socket.socket) -> Iterator[FaultProxy]:
    with FaultProxy(f"http://127.0.0.1:{server.getsockname()[1]}") as running:
        yield running


def connect(proxy: FaultProxy, server: socket.socket) -> tuple[socket.socket, socket.socket]:
    """Return both ends of a connection through the proxy: the client's and the server's."""
    url = urlsplit(proxy.origin)
    client = socket.create_connection((url.hostname, url.port), timeout=20)
    accepted, _ = server.accept()
    accepted.settimeout(20)
    return client, accepted


def read_all(end: socket.socket) -> bytes:
    parts = []
    while part := end.recv(65_536):
        parts.append(part)
    return b"".join(parts)


def read_exactly(end: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += end.recv(size - len(found))
    return found


def test_without_a_fault_everything_passes_in_both_directions(proxy: FaultProxy, server: socket.socket) -> None:
    client, accepted = connect(proxy, server)
    with client, accepted:
        client.sendall(b"question")
        client.shutdown(socket.SHUT_WR)
        assert read_all(accepted) == b"question"
        accepted.sendall(ANSWER)
        accepted.close()
        assert read_all(client) == ANSWER
    (passed,) = proxy.connections
    assert (passed.to_server, passed.to_client) == (8, len(ANSWER))


@pytest.mark.parametrize("after", [0, 1, 1000])
def test_an_answer_is_cut_after_so_many_bytes(proxy: FaultProxy, server: socket.socket, after: int) -> None:
    proxy.to_client = Fault(cut_after=after)
    client, accepted = connect(proxy, server)
    with client, accepted:
        accepted.sendall(ANSWER[:5000])
        assert read_all(client) == ANSWER[:after]


def test_a_cut_may_be_a_reset(proxy: FaultProxy, server: socket.socket) -> None:
    proxy.to_client = Fault(cut_after=0, reset=True)
    client, accepted = connect(proxy, server)
    with client, accepted:
        accepted.sendall(b"answer")
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_one_direction_alone_may_end(proxy: FaultProxy, server: socket.socket) -> None:
    proxy.to_client = Fault(cut_after=3, half=True)
    client, accepted = connect(proxy, server)
    with client, accepted:
        accepted.sendall(b"answer")
        assert read_all(client) == b"ans"
        client.sendall(b"still here")
        assert read_exactly(accepted, 10) == b"still here"


def test_a_request_may_be_cut_too(proxy: FaultProxy, server: socket.socket) -> None:
    proxy.to_server = Fault(cut_after=4)
    client, accepted = connect(proxy, server)
    with client, accepted:
        client.sendall(b"question")
        assert read_all(accepted) == b"ques"
        assert read_all(client) == b""


def test_a_silent_connection_stays_open(proxy: FaultProxy, server: socket.socket) -> None:
    proxy.to_client = Fault(silent_after=2)
    client, accepted = connect(proxy, server)
    with client, accepted:
        accepted.sendall(b"answer")
        assert read_exactly(client, 2) == b"an"
        client.sendall(b"on")
        assert read_exactly(accepted, 2) == b"on"
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            client.recv(1)


@pytest.mark.parametrize(
    ("fault", "at_least_s"),
    [
        (Fault(latency_s=0.05), 0.05),
        (Fault(latency_s=0.01, jitter_s=0.01, slice_bytes=20), 0.05),
        (Fault(bytes_per_s=2000), 0.05),
    ],
)
def test_what_is_slow_arrives_whole(proxy: FaultProxy, server: socket.socket, fault: Fault, at_least_s: float) -> None:
    proxy.to_client = fault
    client, accepted = connect(proxy, server)
    with client, accepted:
        begun = time.monotonic()
        accepted.sendall(ANSWER[:100])
        assert read_exactly(client, 100) == ANSWER[:100]
        assert time.monotonic() - begun >= at_least_s


def test_down_and_healed(proxy: FaultProxy, server: socket.socket) -> None:
    proxy.down = True
    url = urlsplit(proxy.origin)
    with socket.create_connection((url.hostname, url.port), timeout=20) as client:
        assert read_all(client) == b""
    proxy.to_server = Fault(cut_after=0)
    proxy.heal()
    client, accepted = connect(proxy, server)
    with client, accepted:
        client.sendall(b"question")
        assert read_exactly(accepted, 8) == b"question"


def test_nobody_listens_behind_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
        url = urlsplit(proxy.origin)
        with socket.create_connection((url.hostname, url.port), timeout=20) as client:
            assert read_all(client) == b""


def test_it_closes_with_connections_open(server: socket.socket) -> None:
    with FaultProxy(f"http://127.0.0.1:{server.getsockname()[1]}") as proxy:
        client, accepted = connect(proxy, server)
    with client, accepted:
        assert read_all(client) == b""

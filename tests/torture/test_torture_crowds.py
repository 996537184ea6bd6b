"""Many at once: slow clients beside honest ones, and servers that are stopped in the middle of their work."""

from __future__ import annotations

import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2

from fixtures_http import ask, clipdrop_form
from fixtures_server import already_open, fake_service, real, running, wait_until
from fixtures_wire import FORM_TYPE, LIVEZ, Hasty, Wire, form, head, whole
from uncrop.server.form import BodyLimits
from uncrop.server.protocol import BoundedProtocol
from uncrop.testing import outcomes
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures_torture import Cases

FORM = clipdrop_form(photo_jpeg(64, 48))
# What each kind of slow client sends at once, and then byte by byte.
SLOW = {
    "heads": (b"GET /livez HTTP/1.1\r\nHost: a\r\n", b"X"),
    "bodies": (head(FORM_TYPE, "Content-Length: 100000") + form(end=False), b"-"),
    "silence": (b"", b""),
    "blank lines": (b"\r\n", b"\r\n"),
}


def _crowd(port: int, number: int) -> Iterator[tuple[socket.socket, bytes]]:
    kinds = list(SLOW.values())
    for place in range(number):
        first, more = kinds[place % len(kinds)]
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(first)
        connection.setblocking(False)
        yield connection, more


def _end(crowd: list[tuple[socket.socket, bytes]], until: float) -> int:
    """Feed them a byte a second until the server has closed all; return how many it has not."""
    while crowd and time.monotonic() < until:
        crowd = [each for each in crowd if _is_open(*each)]
        time.sleep(0.2)
    for connection, _ in crowd:
        connection.close()
    return len(crowd)


def _is_open(connection: socket.socket, more: bytes) -> bool:
    try:
        if more:
            connection.send(more)
        while connection.recv(65_536):
            pass
    except BlockingIOError:
        return True
    except OSError:
        pass
    connection.close()
    return False


def test_slow_clients_are_closed_and_honest_ones_served(tmp_path: Path, cases: Cases) -> None:
    """With the real bounds in ``scripts/torture``, with short ones each time."""
    number = cases.number(40, 500)
    protocol = BoundedProtocol if cases.full else Hasty
    limits = BodyLimits() if cases.full else BodyLimits(stall_s=0.5, total_s=1.0)
    patience_s = (limits.total_s if cases.full else 1.0) + protocol.head_s + protocol.linger_s + 5
    with running(already_open(fake_service(tmp_path, rate_limit=10**6)), protocol=protocol, limits=limits) as server:
        crowd = list(_crowd(server.port, number))
        wait_until(lambda: len(server.connections) >= number * 9 // 10)
        left: list[int] = []
        watcher = threading.Thread(target=lambda: left.append(_end(crowd, time.monotonic() + patience_s)))
        watcher.start()
        honest = 0
        while watcher.is_alive() or not honest:
            with Wire(server) as wire:
                wire.send(whole() if honest % 2 else LIVEZ)
                assert wire.answer().status == 200
            honest += 1
            watcher.join(0.1)
        assert left == [0]
        wait_until(lambda: not server.connections)
    cases.ran(number + honest)


def test_a_stop_under_load_drops_nothing_that_was_accepted(tmp_path: Path, kernels: Path, cases: Cases) -> None:
    """Eight clients at two slots: each gets its picture or a refusal, and what was billed is booked."""
    rounds, clients, pictures = cases.number(2, 100), 8, 0
    for number in range(rounds):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "kernels").symlink_to(kernels)
        release = threading.Event()
        with real(folder, settings={"max_running": 2}) as house, ThreadPoolExecutor(clients) as pool:
            house.clipdrop.script(outcomes.hold(release), outcomes.hold(release))
            # However slow this machine is, nobody is cut off.
            house.server.server.config.timeout_graceful_shutdown = 600
            asked = [pool.submit(ask, house.url, FORM, key=house.key) for _ in range(clients)]
            house.clipdrop.wait_for_calls(2)
            # At any moment: some wait for a turn, some have not arrived.
            time.sleep(0.002 * (number % 8))
            house.server.loop.call_soon_threadsafe(house.server.server.handle_exit, 15, None)
            release.set()
            answers = [_outcome(each) for each in asked]
        assert set(answers) <= {200, 503, None}
        assert answers.count(200) >= 2
        with real(folder, key=False) as again:
            assert again.booked() >= answers.count(200)
            assert again.booked() <= len(house.clipdrop.calls)
        pictures += answers.count(200)
    cases.ran(rounds)
    assert pictures >= 2 * rounds


def _outcome(asked: Any) -> int | None:
    """Return the status; ``None`` for who came when nobody listened any more."""
    try:
        return int(asked.result().status_code)
    except httpx2.ConnectError:
        return None

"""The server's end: who waits is refused, who is served is finished, what was billed is booked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import IO, TYPE_CHECKING, Any

import httpx2
import pytest

from fixtures_http import Refusal, ask, check, check_refusal, clipdrop_form, send
from fixtures_server import ORGANIZATION, PROVIDER_KEY, Real, real, wait_until
from fixtures_wire import LIVEZ, Wire
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from http.client import HTTPConnection
    from pathlib import Path

FORM = clipdrop_form(photo_jpeg(64, 48))
STOPPING = Refusal(
    status=503, code="SERVER_BUSY", message="The server is stopping; try again later", type="server_error"
)


def stop(house: Real) -> None:
    """Do what the first signal does, and what each further one does."""
    house.server.loop.call_soon_threadsafe(house.server.server.handle_exit, signal.SIGTERM, None)


def refused(connection: HTTPConnection) -> None:
    response = connection.getresponse()
    headers = {name.lower(): value for name, value in response.getheaders()}
    check_refusal(response.status, headers, json.load(response), STOPPING)
    assert headers["retry-after"] == "5"
    assert headers["connection"] == "close"
    connection.close()


def logged(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.getMessage().startswith("{")]
    return [line for line in lines if line["event"] == event]


def test_who_waits_for_a_turn_is_refused_at_once_and_who_is_served_is_finished(tmp_path: Path) -> None:
    release = threading.Event()
    with real(tmp_path, settings={"max_running": 1}) as house, ThreadPoolExecutor(2) as pool:
        house.clipdrop.script(outcomes.hold(release))
        first = pool.submit(ask, house.url, FORM, key=house.key)
        house.clipdrop.wait_for_calls(1)
        waiting = [send(house.url, FORM, key=house.key) for _ in range(3)]
        wait_until(lambda: house.server.service.capacity.slots.waiting == 3)
        stop(house)
        for connection in waiting:
            refused(connection)
        assert not first.done()
        release.set()
        assert first.result().status_code == 200
    with real(tmp_path, key=False) as again:
        assert again.booked() == 1


def test_a_body_that_is_still_arriving_is_refused_when_it_is_there(tmp_path: Path) -> None:
    with real(tmp_path) as house, Wire(house.server) as wire, Wire(house.server) as idle:
        idle.send(LIVEZ)
        assert idle.answer().status == 200
        body = b"--b\r\n"
        wire.send(
            f"POST /v1/images/uncrop HTTP/1.1\r\nHost: a\r\nX-API-Key: {house.key}\r\nContent-Length: 5\r\n"
            "Content-Type: multipart/form-data; boundary=b\r\nExpect: 100-continue\r\n\r\n".encode()
        )
        assert wire.line() == b"HTTP/1.1 100 Continue\r\n"
        assert wire.line() == b"\r\n"
        stop(house)
        assert idle.is_closed()
        wire.send(body)
        assert wire.answer().status == 422  # of what is no form nobody need know that the server stops


def test_what_is_cut_off_is_told_so_and_what_was_billed_is_booked(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    release = threading.Event()
    with real(tmp_path) as house:
        house.server.server.config.timeout_graceful_shutdown = 1
        house.clipdrop.script(outcomes.hold(release))
        cut = send(house.url, FORM, key=house.key)
        house.clipdrop.wait_for_calls(1)
        stop(house)
        refused(cut)
        release.set()
    assert [(line["status"], line["outcome"]) for line in logged(caplog, "request")] == [(503, "STOPPED")]
    assert [line["outcome"] for line in logged(caplog, "the server is stopping")] == ["OK"]
    assert logged(caplog, "the client left") == []
    assert "Exception in ASGI application" not in caplog.text
    with real(tmp_path, key=False) as again:
        assert again.booked() == 1


@pytest.mark.parametrize("grace_s", [0, 30], ids=["while it is drained", "within its time"])
def test_a_second_signal_ends_the_server_at_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, grace_s: int
) -> None:
    never = threading.Event()
    with real(tmp_path) as house:
        house.server.server.config.timeout_graceful_shutdown = grace_s
        house.clipdrop.script(outcomes.hold(never))
        cut = send(house.url, FORM, key=house.key)
        house.clipdrop.wait_for_calls(1)
        stop(house)
        wait_until(lambda: house.server.service.stopping)
        if grace_s == 0:
            refused(cut)
        stop(house)
        if grace_s:
            refused(cut)
    # The server has ended although its provider never answered; nobody knows what that call came to.
    assert [line["outcome"] for line in logged(caplog, "request")] == ["STOPPED"]


def test_readiness_ends_with_the_first_signal(tmp_path: Path) -> None:
    with real(tmp_path) as house:
        house.server.service.stop()
        response = ask(house.url, FORM, key=house.key)
        check(response, STOPPING)
        with Wire(house.server) as wire:
            wire.send(LIVEZ.replace(b"livez", b"readyz"))
            answer = wire.answer()
        assert (answer.status, json.loads(answer.body)["error"]["message"]) == (503, "The server is stopping")


def test_a_process_ends_at_its_second_signal_with_a_picture_still_in_the_making(data_dir: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNCROP_")}
    command = [sys.executable, "-m", "uncrop"]
    with ClipdropEmulator(api_key=PROVIDER_KEY) as clipdrop:
        environment |= {
            "UNCROP_DATA_DIR": str(data_dir),
            "UNCROP_CLIPDROP_BASE_URL": clipdrop.url,
            "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY,
        }
        create = [*command, "keys", "create", "--organization", ORGANIZATION]
        key = subprocess.run(create, env=environment, check=True, capture_output=True, text=True).stdout.strip()
        clipdrop.script(outcomes.hold(threading.Event()))
        with subprocess.Popen(
            [*command, "serve", "--port", "0"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as server:
            try:
                assert server.stderr is not None
                url = read_until(server.stderr, b"listening on").split()[-1].decode()
                wait_until(lambda: listens(url))
                connection = send(url, FORM, key=key)
                clipdrop.wait_for_calls(1)
                server.send_signal(signal.SIGTERM)
                read_until(server.stderr, b"Waiting for connections to close")
                server.send_signal(signal.SIGTERM)
                refused(connection)
                _, errors = server.communicate(timeout=60)
            finally:
                server.kill()
    assert server.returncode == 0, errors
    assert b"Traceback" not in errors
    assert b'"outcome": "STOPPED"' in errors


def listens(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/livez").status_code == 200
    except httpx2.ConnectError:
        return False


def read_until(log: IO[bytes], word: bytes) -> bytes:
    """Return the line of a running server's log that has the word."""
    while word not in (line := log.readline()):
        assert line, "the server ended"
    return line

"""Messages whose server is killed again and again: each arrives, on either database."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx2
import pytest
from standardwebhooks.webhooks import Webhook
from test_jobs_chaos import PATIENCE_S, Server, SlowClipdrop, environment

from fixtures_server import ORGANIZATION, PROVIDER_KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["environment"]  # the fixture
SETTINGS = {"UNCROP_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8", "UNCROP_ENCRYPTION_KEY": "n" * 32}


@dataclass
class SlowReceiver:
    """Notes each message, and holds its answers while it is told to."""

    url: str = ""
    secret: str = ""
    messages: list[tuple[str, str]] = field(default_factory=list)
    came: threading.Event = field(default_factory=threading.Event)
    answers: threading.Event = field(default_factory=threading.Event)

    def told_of(self) -> set[str]:
        return {job_id for job_id, _ in self.messages}


@contextmanager
def receiver_running() -> Iterator[SlowReceiver]:
    receiver = SlowReceiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            told = Webhook(receiver.secret).verify(body, dict(self.headers))
            receiver.messages.append((told["data"]["id"], self.headers["webhook-id"]))
            receiver.came.set()
            receiver.answers.wait(PATIENCE_S)
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            pass

        def finish(self) -> None:
            try:
                super().finish()
            except OSError:  # its sender was killed
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.url = f"http://127.0.0.1:{server.server_address[1]}/"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.answers.set()
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_every_job_is_told_of_however_often_its_server_is_killed(
    environment: dict[str, str],
    database: str,
    request: pytest.FixtureRequest,
) -> None:
    if database == "postgresql":
        environment = {**environment, "UNCROP_DATABASE_URL": request.getfixturevalue("postgres_url")}
    drawn, kills, each = random.Random(5), 6, 3
    with SlowClipdrop() as emulator, receiver_running() as receiver:
        settings = {"UNCROP_CLIPDROP_BASE_URL": emulator.url, "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY, **SETTINGS}
        server = Server(environment={**environment, **settings})
        create = [sys.executable, "-m", "uncrop", "keys", "create", "--organization", ORGANIZATION]
        server.key = subprocess.run(
            create, env=server.environment, check=True, capture_output=True, text=True
        ).stdout.strip()
        server.start()
        try:
            headers = {"X-API-Key": server.key}
            made = httpx2.post(f"{server.url}/api/v1/webhooks", json={"url": receiver.url}, headers=headers, timeout=60)
            receiver.secret = made.json()["secret"]
            for round_number in range(kills):
                in_flight = round_number % 2 == 0
                (receiver.answers.clear if in_flight else receiver.answers.set)()
                receiver.came.clear()
                numbers = range(8 + round_number * each, 8 + (round_number + 1) * each)
                for number in numbers:
                    server.submit(number)
                if in_flight:
                    assert receiver.came.wait(PATIENCE_S)
                else:
                    threading.Event().wait(drawn.random())
                server.kill()
                receiver.answers.set()
                server.start()
                for number in set(numbers) - server.sent:
                    server.submit(number)
            _wait_for_all(server, receiver)
            jobs = server.jobs()
        finally:
            assert server.process is not None
            server.process.kill()
            server.process.wait()
    assert len(jobs) == kills * each
    assert receiver.told_of() == {job["id"] for job in jobs}
    # One message a job, however often it was sent.
    assert len({message for _, message in receiver.messages}) == len(jobs), json.dumps(receiver.messages)


def _wait_for_all(server: Server, receiver: SlowReceiver) -> None:
    """Return when all jobs have ended and were told of; each message that was cut off comes once more by itself."""
    while True:
        jobs = server.jobs()
        ended = all(job["ended_at"] is not None for job in jobs)
        if ended and receiver.told_of() >= {job["id"] for job in jobs}:
            return
        threading.Event().wait(0.2)

"""Jobs whose server is killed again and again: nothing is billed twice, and nothing is lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import httpx2
import psycopg
import pytest

from fixtures_server import ORGANIZATION, PROVIDER_KEY
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_png

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.testing.emulator import ReceivedCall, Reply
    from uncrop.testing.outcomes import Outcome

PHOTO = photo_png(64, 48)
# Far above the limits of the everyday, which are not what is tried here.
SETTINGS = {"UNCROP_RATE_LIMIT_PER_MINUTE": "100000", "UNCROP_JOBS_AT_ONCE": "4", "UNCROP_LOG_LEVEL": "error"}
PATIENCE_S = 60  # a busy machine's
SERVE = "from uncrop.__main__ import main; main()"
MARK_OFF = """
from uncrop.jobs import worker
async def nothing(self): pass
worker.CallMark.mark_sent = nothing
"""


class SlowClipdrop(ClipdropEmulator):
    """Notes each picture by its width, and holds its answers while it is told to."""

    def __init__(self) -> None:
        super().__init__(api_key=PROVIDER_KEY)
        self.billed: list[int] = []
        self.came, self.answers = threading.Event(), threading.Event()
        self.answers.set()

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        self.billed.append(int(call.fields["extend_left"]))
        self.came.set()
        self.answers.wait(PATIENCE_S)
        return super().answer(call, outcome)


@dataclass(kw_only=True)
class Server:
    """A server that is killed and started again, with the jobs that were sent to it."""

    environment: dict[str, str]
    program: str = SERVE
    process: subprocess.Popen[bytes] | None = None
    url: str = ""
    key: str = ""
    kills: int = 0
    sent: set[int] = field(default_factory=set)

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", self.program, "serve", "--port", "0"],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert self.process.stderr is not None
        while b"listening on" not in (line := self.process.stderr.readline()):
            assert line, "the server ended"
        self.url = line.split()[-1].decode()
        threading.Thread(target=_read_to_its_end, args=(self.process.stderr,), daemon=True).start()

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.kills += 1

    def submit(self, number: int) -> None:
        """Send a job; one that the server was killed over is sent again, under the same key."""
        form = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": str(number)}
        headers = {"X-API-Key": self.key, "Idempotency-Key": f"job {number}"}
        try:
            files = {"image_file": PHOTO}
            answer = httpx2.post(f"{self.url}/api/v1/jobs", data=form, files=files, headers=headers, timeout=PATIENCE_S)
        except httpx2.TransportError:
            return
        assert answer.status_code == 202, answer.text
        self.sent.add(number)

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            query = {"limit": "100", "cursor": cursor}
            headers = {"X-API-Key": self.key}
            answer = httpx2.get(f"{self.url}/api/v1/jobs", params=query, headers=headers, timeout=PATIENCE_S)
            page = answer.json()
            found += page["jobs"]
            if page["next"] is None:
                return found
            cursor = page["next"]


def _read_to_its_end(log: IO[bytes]) -> None:
    with log:
        log.read()


def chaos(
    server: Server, emulator: SlowClipdrop, *, jobs: int, kills: int, seed: int, always_in_flight: bool = False
) -> Counter[str]:
    """Send jobs, kill the server so often, and wait until all have ended; return how many ended how."""
    drawn = random.Random(seed)
    numbers = range(8, 8 + jobs)
    server.start()
    for round_number in range(kills):
        share = [number for number in numbers if number % kills == round_number]
        # Half of the time when a call has come and is not answered yet; else at any moment.
        in_flight = always_in_flight or drawn.random() < 0.5
        if in_flight:
            emulator.came.clear()
            emulator.answers.clear()
        for number in share:
            server.submit(number)
        if in_flight:
            assert emulator.came.wait(PATIENCE_S)
        else:
            threading.Event().wait(drawn.random() * 0.4)
        server.kill()
        emulator.answers.set()
        server.start()
        for number in set(share) - server.sent:
            server.submit(number)
    assert server.sent == set(numbers)
    found = server.jobs()
    while any(job["ended_at"] is None for job in found):
        threading.Event().wait(0.2)
        found = server.jobs()
    assert len(found) == jobs
    return Counter(job["error"]["code"] if job["state"] == "failed" else job["state"] for job in found)


@pytest.fixture
def environment(data_dir: Path) -> dict[str, str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UNCROP_")}
    return {**clean, **SETTINGS, "UNCROP_DATA_DIR": str(data_dir)}


def run(
    environment: dict[str, str], *, program: str = SERVE, **how_much: Any
) -> tuple[Counter[str], SlowClipdrop, int]:
    """Return how the jobs ended, what was billed, and how often the server was killed."""
    with SlowClipdrop() as emulator, ExitStack() as stack:
        settings = {"UNCROP_CLIPDROP_BASE_URL": emulator.url, "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY}
        server = Server(environment={**environment, **settings}, program=program)
        create = [sys.executable, "-m", "uncrop", "keys", "create", "--organization", ORGANIZATION]
        made = subprocess.run(create, env=server.environment, check=True, capture_output=True, text=True)
        server.key = made.stdout.strip()
        stack.callback(lambda: server.process is not None and server.process.kill())
        states = chaos(server, emulator, **how_much)
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(60) == 0
        books = [sys.executable, "-m", "uncrop", "ledger", "verify"]
        verified = subprocess.run(books, env=server.environment, check=False, capture_output=True, text=True)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        return states, emulator, server.kills


def check(states: Counter[str], emulator: SlowClipdrop, *, jobs: int) -> None:
    twice = {number: count for number, count in Counter(emulator.billed).items() if count > 1}
    assert twice == {}
    # One that two servers died over before its call is given up.
    assert states["done"] + states["unknown"] + states["JOB_ABANDONED"] == jobs
    # Every unknown job was billed or not, every one that was made was, and none that was given up.
    assert states["done"] <= len(emulator.billed) <= states["done"] + states["unknown"]


def test_no_job_is_billed_twice_or_lost_when_its_server_is_killed(environment: dict[str, str]) -> None:
    states, emulator, kills = run(environment, jobs=8, kills=2, seed=1)
    assert kills == 2
    check(states, emulator, jobs=8)


@pytest.mark.slow
def test_without_the_mark_jobs_are_billed_twice(environment: dict[str, str]) -> None:
    """The control: what the loop tries can fail."""
    _, emulator, _ = run(environment, program=MARK_OFF + SERVE, jobs=3, kills=1, seed=2, always_in_flight=True)
    assert max(Counter(emulator.billed).values()) > 1


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_two_hundred_jobs_and_thirty_kills(
    environment: dict[str, str],
    database: str,
    request: pytest.FixtureRequest,
    record_property: Callable[[str, object], None],
) -> None:
    if database == "postgresql":
        environment = {**environment, "UNCROP_DATABASE_URL": request.getfixturevalue("postgres_url")}
    states, emulator, kills = run(environment, jobs=200, kills=30, seed=3)
    figures = {"database": database, "kills": kills, "states": states, "billed": len(emulator.billed)}
    record_property("chaos", json.dumps(figures))
    assert kills == 30
    check(states, emulator, jobs=200)


# --- two processes on one queue --------------------------------------------------------------------------------------

AT_ONCE = 4  # of each of them


@dataclass(kw_only=True)
class WorkerProcess:
    """`uncrop work` beside the server."""

    environment: dict[str, str]
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; return the moment in which it says that it works."""
        command = [sys.executable, "-c", SERVE, "work"]
        self.process = subprocess.Popen(command, env=self.environment, stderr=subprocess.PIPE)
        assert self.process.stderr is not None
        while b"working on jobs" not in (line := self.process.stderr.readline()):
            assert line, "the worker ended"
        threading.Thread(target=_read_to_its_end, args=(self.process.stderr,), daemon=True).start()
        return time.monotonic()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def ended_by(url: str) -> dict[str, int]:
    """Return how many entries of the queue each worker has ended."""
    query = (
        "SELECT executor_id, count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS' AND queue_name = 'jobs'"
        " GROUP BY 1"
    )
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return dict(connection.execute(query).fetchall())


def work_in_two(environment: dict[str, str], url: str, *, jobs: int) -> dict[str, Any]:
    """Send jobs to a server beside which a worker is killed and started again; return what was measured."""
    with SlowClipdrop() as emulator, ExitStack() as stack:
        environment = {
            **environment,
            "UNCROP_DATABASE_URL": url,
            "UNCROP_CLIPDROP_BASE_URL": emulator.url,
            "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY,
            "UNCROP_MAX_OPEN_JOBS": "100000",
            "UNCROP_JOBS_AT_ONCE": str(AT_ONCE),
        }
        server, worker = Server(environment=environment), WorkerProcess(environment=environment)
        create = [sys.executable, "-m", "uncrop", "keys", "create", "--organization", ORGANIZATION]
        made = subprocess.run(create, env=environment, check=True, capture_output=True, text=True)
        server.key = made.stdout.strip()
        stack.callback(lambda: server.process is not None and server.kill())
        stack.callback(worker.kill)
        client = stack.enter_context(httpx2.Client(timeout=PATIENCE_S))
        server.start()
        worker.start()

        def in_state(state: str) -> int:
            query, headers = {"limit": "100", "state": state}, {"X-API-Key": server.key}
            return len(client.get(f"{server.url}/api/v1/jobs", params=query, headers=headers).json()["jobs"])

        # Each has as many calls under way as it may when the worker is killed, and none is answered.
        emulator.answers.clear()
        for number in range(2 * AT_ONCE):
            server.submit(8 + number)
        while len(emulator.billed) < 2 * AT_ONCE:
            threading.Event().wait(0.01)
        worker.kill()
        works = worker.start()
        while in_state("unknown") < AT_ONCE:
            threading.Event().wait(0.01)
        taken_over_s = time.monotonic() - works
        emulator.answers.set()
        for number in range(2 * AT_ONCE, jobs):
            server.submit(8 + number)
        while in_state("queued") or in_state("running"):
            threading.Event().wait(0.1)
        states = Counter(job["state"] for job in server.jobs())
        return {
            "billed": Counter(emulator.billed),
            "states": dict(states),
            "ended_by": ended_by(url),
            "taken_over_s": round(taken_over_s, 2),
        }


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("jobs", [16, 1000])
def test_two_processes_make_each_job_once_and_a_killed_ones_number_is_taken_over(
    environment: dict[str, str], postgres_url: str, jobs: int, record_property: Callable[[str, object], None]
) -> None:
    found = work_in_two(environment, postgres_url, jobs=jobs)
    billed = found.pop("billed")
    record_property("two workers", json.dumps(found))
    assert set(billed.values()) == {1}
    assert set(billed) == set(range(8, 8 + jobs))
    # What the killed one had sent is in doubt, and nothing else is.
    assert found["states"] == {"done": jobs - AT_ONCE, "unknown": AT_ONCE}
    # The one that came back has the number of the killed one, and both have worked.
    assert set(found["ended_by"]) == {"worker-0", "worker-1"}
    assert sum(found["ended_by"].values()) == jobs

"""What a job takes beside its picture: to be submitted, to be worked on, and to be taken over from a worker that died.

usage: python benchmarks/jobs.py [--jobs 200] [--many 1000] [--database sqlite | postgresql]

Real processes on a database of their own, and an emulated provider that answers at once; the photo has 100 KB.
PostgreSQL and Redis are started here. The load of the machine is told with the figures: they are wall clock.
"""

from __future__ import annotations

import argparse
import os
import re
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import numpy as np
from growth_services import postgresql, redis_server
from PIL import Image

from uncrop import settings
from uncrop.testing.clipdrop import ClipdropEmulator

ORGANIZATION = "org_bench"
PHOTO_BYTES = 100_000
KEY = "key"


class Counting(ClipdropEmulator):
    """Notes which job each call is of, and holds its answers while it is told to."""

    keeps_calls = False

    def __init__(self) -> None:
        super().__init__(api_key=KEY)
        self.calls_of: Counter[str] = Counter()
        self.came, self.answers = threading.Event(), threading.Event()
        self.answers.set()

    def answer(self, call: Any, outcome: Any) -> Any:
        """Note the call, and answer when it is time."""
        self.calls_of[call.fields["extend_left"]] += 1
        self.came.set()
        self.answers.wait()
        return super().answer(call, outcome)


def photo() -> bytes:
    """Return a JPEG of about so many bytes."""
    from io import BytesIO

    noise = np.random.default_rng(1).integers(0, 256, (300, 340, 3), dtype=np.uint8)
    for quality in range(95, 20, -5):
        file = BytesIO()
        Image.fromarray(noise).save(file, "JPEG", quality=quality)
        if file.tell() <= PHOTO_BYTES:
            break
    return file.getvalue()


@contextmanager
def process(environment: dict[str, str], *arguments: str, says: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start a command, wait until it says so, and return it with that line."""
    command = [sys.executable, "-m", "uncrop", *arguments]
    started = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert started.stderr is not None
    line = ""
    while says not in line:
        line = started.stderr.readline()
        if not line:
            raise RuntimeError(f"uncrop {arguments[0]} ended")
    threading.Thread(target=started.stderr.read, daemon=True).start()
    try:
        yield started, line
    finally:
        if started.poll() is None:
            started.send_signal(signal.SIGTERM)
            started.wait(60)


class Server:
    """A server to which jobs are sent."""

    def __init__(self, url: str, key: str, image: bytes) -> None:
        self._http = httpx2.Client(base_url=url, headers={"X-API-Key": key}, timeout=120)
        self._image = image

    def send(self, path: str, number: int) -> tuple[float, Any]:
        """Send a form, and return the milliseconds that its answer took."""
        form = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": str(number)}
        began = time.perf_counter()
        answer = self._http.post(path, data=form, files={"image_file": ("photo.jpg", self._image)})
        took = (time.perf_counter() - began) * 1000
        if answer.status_code not in {200, 202}:
            raise RuntimeError(answer.text)
        return took, answer

    def jobs(self) -> list[dict[str, Any]]:
        """Return all jobs."""
        found: list[dict[str, Any]] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._http.get("/api/v1/jobs", params={"limit": "100", "cursor": cursor}).json()
            found, cursor = found + page["jobs"], page["next"]
        return found

    def all_ended(self) -> list[dict[str, Any]]:
        """Wait until no job is open, and return all."""
        while self._http.get("/api/v1/jobs", params={"limit": "1", "state": "queued"}).json()["jobs"]:
            time.sleep(0.2)
        while self._http.get("/api/v1/jobs", params={"limit": "1", "state": "running"}).json()["jobs"]:
            time.sleep(0.05)
        return self.jobs()


def told(name: str, values: list[float], unit: str = "ms") -> None:
    """Print the median and the 95th percentile of some measurements."""
    ordered = sorted(values)
    late = ordered[int(len(ordered) * 0.95)]
    print(f"{name:<46}{statistics.median(values):>9.1f} {unit}  p95 {late:>9.1f} {unit}  n={len(values)}")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def submitting(server: Server, emulator: Counting, jobs: int) -> None:
    """Time submissions while the workers wait for their provider, then what a job takes that is worked on."""
    emulator.answers.clear()
    told("a submission", [server.send("/api/v1/jobs", 1000 + number)[0] for number in range(jobs)])
    emulator.answers.set()
    ended = server.all_ended()
    lasted = [(_moment(job["ended_at"]) - _moment(job["started_at"])).total_seconds() * 1000 for job in ended]
    direct = [server.send("/api/v1/images/uncrop", 10 + number)[0] for number in range(40)]
    told("a job, from its begin to its end, 4 at once", lasted)
    told("the picture's own request", direct)
    one = []
    for number in range(40):
        server.send("/api/v1/jobs", 60 + number)
        last = server.all_ended()[0]
        one.append((_moment(last["ended_at"]) - _moment(last["started_at"])).total_seconds() * 1000)
    told("a job, from its begin to its end, alone", one)
    print(
        f"{'a job beyond its picture, of the medians':<46}{statistics.median(one) - statistics.median(direct):>9.1f} ms"
    )


def many(server: Server, emulator: Counting, environment: dict[str, str], jobs: int) -> None:
    """Have two processes work on many jobs, and count what was billed of each."""
    emulator.calls_of.clear()
    before = len(server.jobs())
    with process(environment, "work", says="working on jobs"):
        began = time.perf_counter()
        for number in range(jobs):
            server.send("/api/v1/jobs", 1 + number)
        found = server.all_ended()[:jobs]
        took = time.perf_counter() - began
    states = Counter(job["state"] for job in found)
    twice = sum(count > 1 for count in emulator.calls_of.values())
    calls = emulator.calls_of.total()
    print(f"two workers, {jobs} jobs: {dict(states)}, billed twice: {twice}, calls: {calls}, {took:.1f} s")
    assert len(server.jobs()) == before + jobs


def takeover(environment: dict[str, str], key: str, emulator: Counting, image: bytes) -> None:
    """Kill a server in the middle of a call; time from its next start until the job is told to be unknown."""
    times = []
    for _ in range(5):
        emulator.came.clear()
        emulator.answers.clear()
        with process(environment, "serve", "--port", "0", says="listening on") as (first, line):
            server = Server(line.split()[-1], key, image)
            job = server.send("/api/v1/jobs", 8)[1].json()
            emulator.came.wait()
            first.kill()
            first.wait()
        emulator.answers.set()
        with process(environment, "serve", "--port", "0", says="listening on") as (_, line):
            began = time.perf_counter()
            server = Server(line.split()[-1], key, image)
            while next(each for each in server.jobs() if each["id"] == job["id"])["state"] != "unknown":
                time.sleep(0.01)
            times.append((time.perf_counter() - began) * 1000)
    told("from a restart until a dead worker's job is told", times)


def run(database: str, jobs: int, more: int) -> None:
    """Measure all on one kind of database."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="uncrop-jobs-"))
        kernels = settings.load(_env_file=None).kernel_cache
        if kernels.exists():
            (Path(folder) / "kernels").symlink_to(kernels)  # else each server compiles its own
        emulator = stack.enter_context(Counting())
        environment = {name: value for name, value in os.environ.items() if not name.startswith("UNCROP_")} | {
            "UNCROP_DATA_DIR": folder,
            "UNCROP_KEY_PEPPER": secrets.token_hex(32),
            "UNCROP_CLIPDROP_BASE_URL": emulator.url,
            "UNCROP_CLIPDROP_API_KEY": KEY,
            "UNCROP_RATE_LIMIT_PER_MINUTE": "1000000",
            "UNCROP_MAX_OPEN_JOBS": "100000",
            "UNCROP_ENGINE_WORKERS": "1",
            "UNCROP_LOG_LEVEL": "error",
        }
        if database == "postgresql":
            environment["UNCROP_DATABASE_URL"] = stack.enter_context(postgresql())[0]
            environment["UNCROP_REDIS_URL"] = stack.enter_context(redis_server())[0]
        create = [sys.executable, "-m", "uncrop", "keys", "create", "--organization", ORGANIZATION]
        key = subprocess.run(create, env=environment, check=True, capture_output=True, text=True).stdout.strip()
        image = photo()
        load = re.split(r"\s", " ".join(f"{each:.1f}" for each in os.getloadavg()))
        print(f"\n{database}; a photo of {len(image) / 1000:.0f} KB; load {', '.join(load)} on {os.cpu_count()} cores")
        with process(environment, "serve", "--port", "0", says="listening on") as (_, line):
            server = Server(line.split()[-1], key, image)
            server.send("/api/v1/images/uncrop", 9)
            submitting(server, emulator, jobs)
            if more:
                many(server, emulator, environment, more)
        takeover(environment, key, emulator, image)


def main() -> None:
    """Parse the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=200, help="how many are submitted for the times")
    parser.add_argument("--many", type=int, default=1000, help="how many two workers share; 0: none")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], help="by default one after the other")
    arguments = parser.parse_args()
    for database in ["sqlite", "postgresql"] if arguments.database is None else [arguments.database]:
        run(database, arguments.jobs, arguments.many)


if __name__ == "__main__":
    main()

"""More requests than the server has room for: what still gets done, who is refused how fast, and who suffers.

usage: scripts/bench overload [--factor 2] [--seconds 20]

Three processes on loopback: an emulated provider that takes a fixed time for each picture, the server, and this one.
The server works on RUNNING pictures at once, so that it can make at most RUNNING / HOLD_S a second. One organization,
the flood, asks for ``--factor`` times as many; another, the neighbour, for a tenth. The load is open-loop: requests are
sent when they are due, whether or not earlier ones were answered, and a request's time counts from the moment at which
it was due. Before that, the flood alone asks for just as many as can be made; what is then done a second is the peak.

"refused" are answers 503; their time counts from the last byte sent. Among them are those of the flood that waited, and
whose place the neighbour took, so that the late quantiles say little where it is there. `/livez` is asked twenty times
a second meanwhile.
"late" is how far this process was behind its own schedule: a run that is later than LATEST_S says nothing about the
server, and ends with status 1.
"""

from __future__ import annotations

import argparse
import asyncio
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway import UNCROP, Process, running

from uncrop.settings import load
from uncrop.testing import pictures
from uncrop.testing.clipdrop import ClipdropEmulator

RUNNING, WAITING, HOLD_S = 4, 16, 0.5
CAPACITY = RUNNING / HOLD_S
FLOOD, NEIGHBOUR = "org_flood", "org_neighbour"
LIVEZ_EVERY_S = 0.05
MOST_SECONDS, MOST_FACTOR = 300, 20
LATEST_S = 0.25
BOUNDARY = "frontier"


class SlowClipdrop(ClipdropEmulator):
    """Takes its time for every picture."""

    keeps_calls = False

    def receive(self, call: Any) -> Any:
        """Wait, then answer as always."""
        time.sleep(HOLD_S)
        return super().receive(call)


def emulate(told: Connection) -> None:
    """Run the provider in a process of its own until told to stop."""
    with SlowClipdrop() as emulator:
        told.send(emulator.url)
        told.recv()


@dataclass
class Tally:
    """What came of one kind of requests; times in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    done: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    without_retry_after: int = 0

    def row(self, name: str, seconds: float) -> str:
        """Return a line of the table."""
        others = {status: count for status, count in self.statuses.items() if status not in {200, 503}}
        return (
            f"{name:<12}{sum(self.statuses.values()):>6}{self.statuses[200] / seconds:>10.2f}"
            f"{self.statuses[503]:>9}{milliseconds(self.done, 0.5):>9}{milliseconds(self.done, 0.99):>9}"
            f"{milliseconds(self.refused, 0.5):>12}{milliseconds(self.refused, 0.99):>9}"
            f"{self.without_retry_after:>10}   {others or ''}"
        )


HEADER = (
    f"{'who':<12}{'sent':>6}{'done/s':>10}{'refused':>9}{'p50 ms':>9}{'p99 ms':>9}"
    f"{'refusal p50':>12}{'p99':>9}{'no Retry':>10}   other"
)


def milliseconds(times: list[float], quantile: float) -> str:
    if not times:
        return "-"
    ordered = sorted(times)
    return f"{ordered[min(len(ordered) - 1, int(quantile * len(ordered)))] * 1000:.0f}"


def request(organization: str, key: str, photo: bytes) -> bytes:
    texts = {"provider": "clipdrop", "organization_id": organization, "extend_left": "16"}
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in texts.items()
    ]
    file_head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="image_file"; filename="a.jpg"\r\n\r\n'
    body = b"".join([*parts, file_head.encode(), photo, f"\r\n--{BOUNDARY}--\r\n".encode()])
    head = (
        f"POST /v1/images/uncrop HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {key}\r\nConnection: close\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


class Generator:
    """Sends what is due when it is due."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = str(parts.hostname), parts.port or 80
        self.late = 0.0
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self, plan: list[tuple[float, bytes, Tally]]) -> None:
        """Send every request of the plan at its second, and wait for all answers."""
        begun = time.perf_counter()
        for due, data, tally in sorted(plan, key=lambda entry: entry[0]):
            await asyncio.sleep(max(0.0, begun + due - time.perf_counter()))
            self.late = max(self.late, time.perf_counter() - begun - due)
            task = asyncio.create_task(self._send(data, tally, begun + due))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        while self._sending:
            await asyncio.wait(set(self._sending))

    async def _send(self, data: bytes, tally: Tally, due: float) -> None:
        status, head = 0, b""
        sent = due
        try:
            reader, writer = await asyncio.open_connection(self._host, self._port)
            writer.write(data)
            await writer.drain()
            sent = time.perf_counter()
            head = await reader.readuntil(b"\r\n\r\n")
            answered = time.perf_counter()
            await reader.read()
            writer.close()
            status = int(head.split(b" ", 2)[1])
        except (OSError, asyncio.IncompleteReadError):
            answered = time.perf_counter()
        tally.statuses[status] += 1
        if status == 200:
            tally.done.append(time.perf_counter() - due)
        elif status == 503:
            tally.refused.append(answered - sent)
            tally.without_retry_after += b"\nretry-after:" not in head.lower()


def evenly(per_second: float, seconds: float, data: bytes, tally: Tally) -> list[tuple[float, bytes, Tally]]:
    return [(number / per_second, data, tally) for number in range(int(per_second * seconds))]


def measure(url: str, flood: bytes, neighbour: bytes | None, factor: float, seconds: float) -> float:
    """Send one load, print its table, and return how late this process was."""
    tallies = {"flood": Tally(), "neighbour": Tally(), "livez": Tally()}
    plan = evenly(CAPACITY * factor, seconds, flood, tallies["flood"])
    plan += evenly(1 / LIVEZ_EVERY_S, seconds, LIVEZ, tallies["livez"])
    if neighbour is not None:
        plan += evenly(CAPACITY / 10, seconds, neighbour, tallies["neighbour"])
    generator = Generator(url)
    begun = time.perf_counter()
    asyncio.run(generator.run(plan))
    took = time.perf_counter() - begun
    print(
        f"\n{factor:g} x capacity ({CAPACITY:g} pictures a second) for {seconds:g} s, all answered after {took:.1f} s"
    )
    print(HEADER)
    for name, tally in tallies.items():
        if tally.statuses:
            print(tally.row(name, took if name != "livez" else seconds))
    print(f"late by at most {generator.late * 1000:.0f} ms", flush=True)
    return generator.late


def new_key(organization: str, environment: dict[str, str]) -> str:
    create = [UNCROP, "keys", "create", "--organization", organization]
    return subprocess.run(create, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def served(stack: ExitStack) -> tuple[Process, dict[str, str]]:
    """Start the provider and the server, and return the server with its environment."""
    here, there = multiprocessing.Pipe()
    provider = multiprocessing.get_context("spawn").Process(target=emulate, args=(there,))
    provider.start()
    stack.callback(provider.join, 30)
    stack.callback(here.send, None)
    folder = stack.enter_context(tempfile.TemporaryDirectory())
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNCROP_")} | {
        "UNCROP_DATA_DIR": folder,
        "UNCROP_RATE_LIMIT_PER_MINUTE": "1000000",
        "UNCROP_MAX_RUNNING": str(RUNNING),
        "UNCROP_MAX_WAITING": str(WAITING),
        "UNCROP_CLIPDROP_API_KEY": "key",
        "UNCROP_CLIPDROP_BASE_URL": here.recv(),
    }
    # What the set-up compiled serves here too: compiling anew takes a minute or more.
    Path(folder, "kernels").symlink_to(load().kernel_cache)
    return stack.enter_context(running(["serve"], environment, "/livez")), environment


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--factor", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=20)
    arguments = parser.parse_args()
    factor, seconds = min(arguments.factor, MOST_FACTOR), min(arguments.seconds, MOST_SECONDS)
    photo = pictures.photo_jpeg(64, 48)
    with ExitStack() as stack:
        server, environment = served(stack)
        flood = request(FLOOD, new_key(FLOOD, environment), photo)
        neighbour = request(NEIGHBOUR, new_key(NEIGHBOUR, environment), photo)
        late = measure(server.url, flood, None, 1, seconds)
        late = max(late, measure(server.url, flood, neighbour, factor, seconds))
    if late > LATEST_S:
        print("this process was too late for its own schedule: the figures say nothing", file=sys.stderr)
    return int(late > LATEST_S)


if __name__ == "__main__":
    sys.exit(main())

"""Batches whose command is killed again and again: nothing is billed twice, nothing is lost, and all sums agree."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from fixtures_server import PROVIDER_KEY
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_png

if TYPE_CHECKING:
    from uncrop.testing.emulator import ReceivedCall, Reply
    from uncrop.testing.outcomes import Outcome

PATIENCE_S = 120  # a busy machine's
PHOTO = photo_png(64, 48)
MARK_OFF = """
from uncrop.store.batch_photos import BatchPhotos
async def nothing(self, photo): pass
BatchPhotos.mark_sent = nothing
"""
UNCROP = "from uncrop.__main__ import main; main()"


class SlowClipdrop(ClipdropEmulator):
    """Notes each picture by its width, and holds its answers after so many while it is told to."""

    def __init__(self) -> None:
        super().__init__(api_key=PROVIDER_KEY)
        self.billed: list[int] = []
        self._after: int | None = None
        self._changed = threading.Condition()

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        with self._changed:
            self.billed.append(int(call.fields["extend_left"]))
            number = len(self.billed)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._after is None or number <= self._after, PATIENCE_S)
        return super().answer(call, outcome)

    def hold(self, after: int | None) -> None:
        """Answer no call after the first so many; ``None``: all."""
        with self._changed:
            self._after = after
            self._changed.notify_all()

    def wait_for(self, count: int, process: subprocess.Popen[bytes]) -> None:
        """Wait until so many calls have come from a command."""
        with self._changed:
            while len(self.billed) < count:
                assert process.poll() is None, process.communicate()
                self._changed.wait(1)


@dataclass(kw_only=True)
class Command:
    """A batch of a table, each of whose photos is extended by another number of pixels."""

    folder: Path
    environment: dict[str, str]
    photos: int
    program: str = UNCROP
    more: tuple[str, ...] = ()
    kills: int = 0
    notes: list[str] = field(default_factory=list)
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write_sources(self) -> None:
        rows = ["source,left\n"]
        for number in range(8, 8 + self.photos):
            (self.folder / f"{number}.png").write_bytes(PHOTO)
            rows.append(f"{number}.png,{number}\n")
        (self.folder / "photos.csv").write_text("".join(rows))

    def end(self) -> None:
        """End what a failed test has left running."""
        for process in self.started:
            if process.poll() is None:
                process.kill()
                process.communicate()

    def start(self) -> subprocess.Popen[bytes]:
        arguments = ["batch", "photos.csv", "--output-dir", "out", "--provider", "clipdrop", *self.more]
        process = subprocess.Popen(
            [sys.executable, "-c", self.program, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        return process

    def work_beside(self) -> subprocess.Popen[bytes]:
        """Start a worker on batches, which ends with the test."""
        process = subprocess.Popen(
            [sys.executable, "-c", self.program, "work", "--queue", "bulk", *self.more],
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self.started.append(process)
        assert process.stderr is not None
        while b"working on batches" not in (line := process.stderr.readline()):
            assert line, "the worker ended"
        return process

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        self.notes.append(process.communicate()[1].decode())
        self.kills += 1

    def finish(self) -> int:
        """Run it to its end, and return its exit code."""
        process = self.start()
        self.notes.append(process.communicate(timeout=600)[1].decode())
        return process.returncode


@pytest.fixture
def command(tmp_path: Path, data_dir: Path) -> Iterator[Callable[..., Command]]:
    commands: list[Command] = []
    clean = {name: value for name, value in os.environ.items() if not name.startswith("UNCROP_")}
    environment = {**clean, "UNCROP_DATA_DIR": str(data_dir), "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY}

    def make(emulator: SlowClipdrop, photos: int, **changes: Any) -> Command:
        made = Command(
            folder=tmp_path,
            environment={
                **environment,
                "UNCROP_CLIPDROP_BASE_URL": emulator.url,
                "UNCROP_CLIPDROP_USD_PER_CREDIT": "0.1",
            },
            photos=photos,
            **changes,
        )
        made.write_sources()
        commands.append(made)
        return made

    yield make
    for each in commands:
        each.end()


def chaos(batch: Command, emulator: SlowClipdrop, *, kills: int, seed: int) -> int:
    """Kill the command so often, at moments spread over its work, and then let it end; return its exit code."""
    drawn = random.Random(seed)
    for number in range(1, kills + 1):
        target = batch.photos * number // (kills + 1)
        # Half of the time when calls have come and are not answered yet; else at any moment.
        in_flight = drawn.random() < 0.5
        emulator.hold(target if in_flight else None)
        process = batch.start()
        emulator.wait_for(target + 1, process)
        if not in_flight:
            threading.Event().wait(drawn.random() * 0.1)
        batch.kill(process)
        emulator.hold(None)
    return batch.finish()


def check(batch: Command, emulator: SlowClipdrop, code: int) -> Counter[str]:
    """Compare the report with folder, books and what the provider has seen; return how many are in which state."""
    assert {number: count for number, count in Counter(emulator.billed).items() if count > 1} == {}
    told = json.loads((batch.out / "report.json").read_text())
    states = Counter(photo["status"] for photo in told["photos"])
    assert states["done"] + states["unknown"] == batch.photos == told["sums"]["photos"], batch.notes
    assert code == (5 if states["unknown"] else 0)
    with (batch.out / "report.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert Counter(row["status"] for row in rows) == states
    # The folder.
    files = {path.name: path.read_bytes() for path in batch.out.iterdir() if not path.name.startswith("report.")}
    done = {photo["output"]: photo["sha256"] for photo in told["photos"] if photo["status"] == "done"}
    assert {name: hashlib.sha256(data).hexdigest() for name, data in files.items()} == done
    # The provider: every done photo was billed, and each in doubt was or was not.
    assert states["done"] <= len(emulator.billed) <= batch.photos
    assert told["sums"]["calls"] == states["done"]
    if "UNCROP_DATABASE_URL" not in batch.environment:
        check_books(batch, told, states)
    return states


def check_books(batch: Command, told: dict[str, Any], states: Counter[str]) -> None:
    with closing(sqlite3.connect(Path(batch.environment["UNCROP_DATA_DIR"]) / "uncrop.db")) as books:
        captured = books.execute("SELECT count(*) FROM holds WHERE state = 'captured'").fetchone()[0]
        in_doubt = books.execute(
            "SELECT count(*) FROM holds WHERE state IN ('held', 'unknown') AND calls_sent > calls_settled"
        ).fetchone()[0]
        spent = books.execute("SELECT sum(spent) FROM balances WHERE unit = 'usd_micro' AND key_id = ''").fetchone()[0]
    assert (captured, in_doubt) == (states["done"], states["unknown"])
    assert float(told["sums"]["usd"]) * 1_000_000 == pytest.approx(spent)


def test_a_batch_that_is_killed_ends_complete(command: Callable[..., Command]) -> None:
    with SlowClipdrop() as emulator:
        batch = command(emulator, 24)
        code = chaos(batch, emulator, kills=2, seed=1)
        check(batch, emulator, code)
        assert batch.kills == 2


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_hundred_photos_and_five_kills(
    command: Callable[..., Command], record_property: Callable[[str, object], None]
) -> None:
    with SlowClipdrop() as emulator:
        batch = command(emulator, 500)
        code = chaos(batch, emulator, kills=5, seed=2)
        states = check(batch, emulator, code)
        seen = len(emulator.billed)
        # Nothing is left to do, and nothing is done.
        assert batch.finish() == code
        assert len(emulator.billed) == seen
        assert check(batch, emulator, code) == states
        record_property("chaos", json.dumps({"kills": batch.kills, "states": states, "billed": len(emulator.billed)}))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_two_processes_make_each_of_a_thousand_photos_once(
    command: Callable[..., Command], postgres_url: str, record_property: Callable[[str, object], None]
) -> None:
    with SlowClipdrop() as emulator:
        batch = command(emulator, 1000, more=("--jobs", "2"))
        batch.environment["UNCROP_DATABASE_URL"] = postgres_url
        worker = batch.work_beside()
        emulator.hold(0)
        process = batch.start()
        # So many are under way only when both work; one is killed over its own two, and started again.
        emulator.wait_for(4, process)
        worker.kill()
        worker.communicate()
        batch.work_beside()
        emulator.hold(None)
        batch.notes.append(process.communicate(timeout=1200)[1].decode())
        states = check(batch, emulator, process.returncode)
        record_property("two workers", json.dumps(states))
        assert states == {"done": 998, "unknown": 2}


@pytest.mark.slow
def test_without_the_mark_photos_are_billed_twice(command: Callable[..., Command]) -> None:
    """The control: what the loop tries can fail."""
    with SlowClipdrop() as emulator:
        batch = command(emulator, 8, program=MARK_OFF + UNCROP)
        emulator.hold(0)
        process = batch.start()
        emulator.wait_for(1, process)
        batch.kill(process)
        emulator.hold(None)
        batch.finish()
        assert max(Counter(emulator.billed).values()) > 1


@pytest.mark.slow
def test_interrupted_it_ends_cleanly_and_goes_on(command: Callable[..., Command]) -> None:
    with SlowClipdrop() as emulator:
        batch = command(emulator, 24)
        emulator.hold(4)
        process = batch.start()
        emulator.wait_for(5, process)
        process.send_signal(signal.SIGINT)
        emulator.hold(None)
        _, told = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 130, told
        assert b"the same command goes on with the rest" in told
        first = json.loads((batch.out / "report.json").read_text())
        assert {photo["status"] for photo in first["photos"]} == {"done", "queued"}, "what was sent was seen through"
        assert check(batch, emulator, batch.finish()) == {"done": 24}

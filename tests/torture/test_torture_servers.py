"""Whole servers that are killed at any moment while pictures are asked for: group F of the trust plan."""

from __future__ import annotations

import asyncio
import random
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
import sqlalchemy as sa

from fixtures_server import ORGANIZATION, PATH, PROVIDER_KEY
from forked_servers import Forks, forks
from uncrop.ledger import postings
from uncrop.store.database import open_store
from uncrop.store.transactions import begin
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from fixtures_torture import Cases
    from forked_servers import Forked
    from uncrop.store.database import Store
    from uncrop.testing.emulator import ReceivedCall, Reply
    from uncrop.testing.outcomes import Outcome

FIELDS = {"provider": "clipdrop", "organization_id": ORGANIZATION, "extend_left": "8"}
PHOTO = photo_jpeg(64, 48)
PEPPER = "a pepper for tests that is long enough"
AT_ONCE = 3
PATIENCE_S = 60  # a busy machine's


class CountingClipdrop(ClipdropEmulator):
    """Makes something of every whole call, and keeps count in a process that is not killed."""

    made = 0

    def answer(self, call: ReceivedCall, outcome: Outcome) -> Reply:
        self.made += 1
        return super().answer(call, outcome)


@dataclass
class Told:
    """What clients were told, and when so many were."""

    pictures: int = 0
    more: threading.Condition = field(default_factory=threading.Condition)

    def note(self) -> None:
        """Note one more picture."""
        with self.more:
            self.pictures += 1
            self.more.notify_all()

    def wait_for(self, number: int) -> None:
        """Wait until so many are there."""
        with self.more:
            assert self.more.wait_for(lambda: self.pictures >= number, PATIENCE_S), "no picture came"


@pytest.fixture(scope="module")
def forked(kernels: Path) -> Iterator[Forks]:
    with forks(kernels) as opened:
        yield opened


def ask_until_it_is_killed(server: Forked, key: str, told: Told) -> None:
    """Ask for one picture after the other; whatever is told is a picture."""
    with httpx2.Client(trust_env=False, timeout=PATIENCE_S, verify=False) as client:
        while True:
            try:
                answer = client.post(
                    server.url + PATH, headers={"X-API-Key": key}, data=FIELDS, files={"image_file": PHOTO}
                )
            except httpx2.TransportError:
                return
            assert answer.status_code == 200, answer.text
            told.note()


def kill_while_asked(server: Forked, key: str, told: Told, threads: ThreadPoolExecutor, chance: random.Random) -> None:
    """Kill a server at some moment after some of its pictures."""
    wanted = told.pictures + chance.randrange(1, 4)
    asking = [threads.submit(ask_until_it_is_killed, server, key, told) for _ in range(AT_ONCE)]
    told.wait_for(wanted)
    time.sleep(chance.random() * 0.03)  # any moment
    server.end(signal.SIGKILL)
    for each in asking:
        each.result(PATIENCE_S)


async def check_books(store: Store, told: int, made: int) -> None:
    """Compare the books with what was told and made: charged once or in doubt, nothing lost, nothing else charged."""
    await _dead_sessions_are_gone(store)
    await store.books.expire(timedelta(0), lambda _hold, so_far: postings.give_back(so_far, "expire"))
    async with begin(store._transactions._engine, writes=False) as connection:
        rows = await connection.execute(sa.text("SELECT state, count(*) AS number FROM holds GROUP BY state"))
        states: dict[str, int] = {row.state: row.number for row in rows}
    captured, doubtful = states.pop("captured", 0), states.pop("unknown", 0)
    assert set(states) <= {"expired"}, states
    assert told <= captured <= made <= captured + doubtful
    assert await store.books.verify() == ()


async def _dead_sessions_are_gone(store: Store) -> None:
    """Wait until PostgreSQL has noticed the death of a server, whose last commit may be under way."""
    engine = store._transactions._engine
    if engine.dialect.name == "sqlite":
        return
    others = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND (state <> 'idle' OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory'))"
    )
    while True:
        async with begin(engine, writes=False) as connection:
            if not (await connection.execute(others)).scalar_one():
                return


def settings(folder: Path, database_url: str, emulator: ClipdropEmulator) -> dict[str, Any]:
    return {
        "data_dir": str(folder),
        "database_url": database_url,
        "clipdrop_api_key": PROVIDER_KEY,
        "clipdrop_base_url": emulator.url,
        "rate_limit_per_minute": 10_000_000,
        "key_pepper": PEPPER,
    }


@pytest.mark.parametrize("url", ["sqlite_url", pytest.param("postgres_url", marks=pytest.mark.slow)])
def test_a_server_that_is_killed_loses_nothing_and_charges_nothing_twice(
    url: str, request: pytest.FixtureRequest, tmp_path: Path, forked: Forks, kernels: Path, cases: Cases
) -> None:
    """Nobody sends a key, so that each request is one picture, whoever asks again."""
    database_url: str = request.getfixturevalue(url)
    (tmp_path / "kernels").symlink_to(kernels)
    kills, chance, told = cases.number(12, 500), random.Random(18), Told()

    async def run(emulator: CountingClipdrop, threads: ThreadPoolExecutor) -> None:
        values = settings(tmp_path, database_url, emulator)
        server = await asyncio.to_thread(forked.start, values, organization=ORGANIZATION)
        key = server.key or ""
        async with open_store(database_url, pepper=PEPPER.encode()) as store:
            for _ in range(kills):
                await asyncio.to_thread(kill_while_asked, server, key, told, threads, chance)
                await check_books(store, told.pictures, emulator.made)
                server = await asyncio.to_thread(forked.start, values)
            server.end()

    with CountingClipdrop(api_key=PROVIDER_KEY) as emulator, ThreadPoolExecutor(AT_ONCE) as threads:
        asyncio.run(run(emulator, threads))
    cases.ran(kills)

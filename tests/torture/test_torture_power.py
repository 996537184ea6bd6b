"""Group F of the trust plan: power cuts, and disks that fail, under the real store."""

from __future__ import annotations

import asyncio
import random
import shutil
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import apsw
import pytest

import power_cuts
from bookkeeping import amounts, capture, hold
from power_cuts import Fault, Recorder, Step, after_a_cut, recording
from uncrop.errors import UncropError
from uncrop.model.ledger import USD, Amount
from uncrop.store import sqlite
from uncrop.store.database import open_store

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures_torture import Cases
    from uncrop.store.database import Store

CENT = Amount(unit=USD, value=10_000)
DROPPED = (0.0, 0.3, 0.7, 1.0)
PICTURES, AT_ONCE = 24, 4
BALANCED = """
SELECT count(*) FROM (
  SELECT unit, period, sum(held) AS held, sum(spent) AS spent FROM (
    SELECT unit, period, CASE WHEN target = 'held' THEN amount WHEN source = 'held' THEN -amount ELSE 0 END AS held,
           CASE WHEN target = 'spent' THEN amount WHEN source = 'spent' THEN -amount ELSE 0 END AS spent FROM entries
    UNION ALL SELECT unit, period, -held, -spent FROM balances)
  GROUP BY unit, period HAVING sum(held) <> 0 OR sum(spent) <> 0)
"""


@dataclass(frozen=True)
class Acknowledged:
    """What a caller was told, once so many steps were done."""

    steps: int
    hold_id: str
    states: tuple[str, ...]


@dataclass(frozen=True)
class Recorded:
    """What was written, from which step on the books are at work, and what was acknowledged when."""

    steps: tuple[Step, ...]
    begun: int
    told: tuple[Acknowledged, ...]


def on_apsw(monkeypatch: pytest.MonkeyPatch, mode: str, synchronous: str = "FULL") -> None:
    """Have the store use APSW's SQLite, in a journal mode of its own choice among those that it uses."""
    real = sqlite.BriskCursor.execute

    async def execute(self: Any, operation: str, parameters: Any = ()) -> Any:
        return await real(self, operation.replace("synchronous = FULL", f"synchronous = {synchronous}"), parameters)

    class Driver:
        Error = sqlite.sqlite3.Error
        sqlite_version_info = (3, 54, 1) if mode == "WAL" else (3, 40, 1)
        connect = power_cuts.Connection

    monkeypatch.setattr(sqlite, "sqlite3", Driver)
    monkeypatch.setattr(sqlite.BriskCursor, "execute", execute)


async def _work(store: Store, recorder: Recorder, told: list[Acknowledged]) -> None:
    """Make pictures, some at once, and note what is acknowledged; each is at least as far as it was told to be."""
    begun = recorder.steps

    async def one(number: int) -> None:
        assert await hold(store, number, per_call=[CENT]) is None
        told.append(Acknowledged(len(begun), f"use_{number}", ("held", "captured")))
        assert await store.books.mark_sent(f"use_{number}")
        told.append(Acknowledged(len(begun), f"use_{number}", ("sent",)))
        assert await capture(store, number, *amounts("clipdrop", millicredits=1000), CENT)
        told.append(Acknowledged(len(begun), f"use_{number}", ("captured",)))

    async def some(first: int) -> None:
        for number in range(first, PICTURES, AT_ONCE):
            await one(number)

    await asyncio.gather(*map(some, range(AT_ONCE)))


def record(folder: Path) -> Recorded:
    """Let the store make pictures on a disk that notes everything."""
    with recording() as recorder:
        told: list[Acknowledged] = []

        async def run() -> int:
            async with open_store(f"sqlite+aiosqlite:///{folder}/books.db", pepper=bytes(32)) as store:
                await store.organizations.ensure("org_a")
                begun = len(recorder.steps)
                await _work(store, recorder, told)
                ended.append(len(recorder.steps))
                return begun

        ended: list[int] = []
        begun = asyncio.run(run())
    # Not what is written when it is closed: a cut does not close.
    return Recorded(tuple(recorder.steps[: ended[0]]), begun, tuple(told))


def found_after(recorded: Recorded, cut: int, dropped: float, chance: random.Random, folder: Path) -> str:
    """Cut the power, open what is left, and return what is wrong with it: nothing, what was lost, or what is broken."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, data in after_a_cut(recorded.steps[:cut], dropped, chance).items():
        if not name.endswith("-shm"):
            (folder / name).write_bytes(data)
    connection = apsw.Connection(str(folder / "books.db"))
    try:
        ask = partial(_rows, connection)
        if ask("PRAGMA integrity_check") != [("ok",)]:
            return "damaged"
        found = {}
        if ask("SELECT 1 FROM sqlite_schema WHERE name = 'holds'"):
            if ask(BALANCED) != [(0,)]:
                return "unbalanced"
            found = {name: (state, sent) for name, state, sent in ask("SELECT id, state, calls_sent FROM holds")}
    except apsw.Error:
        return "damaged"
    finally:
        connection.close()
    for each in recorded.told:
        if each.steps > cut:
            continue
        state, sent = found.get(each.hold_id, ("lost", 0))
        if state not in each.states and not (each.states == ("sent",) and sent == 1):
            return "lost"
    return "whole"


def _rows(connection: apsw.Connection, query: str) -> list[Any]:
    return list(connection.execute(query))


def cuts(recorded: Recorded, number: int, folder: Path) -> Counter[str]:
    """Cut the power at so many places, and count what was found."""
    chance = random.Random(18)
    return Counter(
        found_after(recorded, chance.randint(recorded.begun, len(recorded.steps)), DROPPED[place % 4], chance, folder)
        for place in range(number)
    )


@pytest.mark.parametrize("mode", ["WAL", "TRUNCATE"])
def test_a_power_cut_loses_nothing_that_was_acknowledged(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: Cases
) -> None:
    on_apsw(monkeypatch, mode)
    recorded = record(tmp_path)
    assert len(recorded.told) == 3 * PICTURES
    number = cases.number(100, 2000)
    assert cuts(recorded, number, tmp_path / "after") == {"whole": number}
    cases.ran(number)


@pytest.mark.parametrize("mode", ["WAL", "TRUNCATE"])
def test_with_synchronous_normal_something_is_lost(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: Cases
) -> None:
    """The control: where less is synced, cuts lose what was acknowledged, or what is tried above proves nothing."""
    on_apsw(monkeypatch, mode, synchronous="NORMAL")
    recorded = record(tmp_path)
    number = cases.number(40, 400)
    found = cuts(recorded, number, tmp_path / "after")
    assert found["lost"] > number // 20, found
    cases.ran(number)


@pytest.mark.parametrize("mode", ["WAL", "TRUNCATE"])
def test_a_disk_that_fails_leaves_the_books_right(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cases: Cases
) -> None:
    """The n-th write, truncation or sync fails, once or from then on; whoever asked is told, and later all is well."""
    on_apsw(monkeypatch, mode)
    numbers = cases.some(range(1, 51), 8)
    kinds = [(code, lasting) for code in (apsw.SQLITE_IOERR, apsw.SQLITE_FULL) for lasting in (False, True)]
    ends: Counter[bool] = Counter()

    async def run(recorder: Recorder) -> None:
        async with open_store(f"sqlite+aiosqlite:///{tmp_path}/books.db", pepper=bytes(32)) as store:
            await store.organizations.ensure("org_a")
            for code, lasting in kinds:
                for number in numbers:
                    name = f"{code}_{lasting}_{number}"
                    recorder.fault = Fault(number, lasting, code)
                    ends[await _is_booked(store, name)] += 1
                    recorder.fault = None
                    assert await store.books.verify() == ()
                    assert await _is_booked(store, f"{name}_after")

    with recording() as recorder:
        asyncio.run(run(recorder))
    assert ends[False] > 0, "no fault hit anything"
    cases.ran(sum(ends.values()))


async def _is_booked(store: Store, name: str) -> bool:
    """Make a picture, and tell whether it was booked; what is not told as done is not booked as made."""
    try:
        assert await hold(store, name, per_call=[CENT]) is None
        assert await store.books.mark_sent(f"use_{name}")
        assert await capture(store, name, *amounts("clipdrop", millicredits=1000), CENT)
    except UncropError:
        return False
    return (await store.books.hold(f"use_{name}")).state == "captured"

"""Group F of the trust plan: races, kills and discrepancies, on both databases."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from bookkeeping import amounts, capture, doubt, hold, release
from uncrop.ledger import postings
from uncrop.model.ledger import USD, Amount
from uncrop.store.database import Store, open_store
from uncrop.store.transactions import begin
from uncrop.store.verification import discrepancies

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fixtures_torture import Cases

CENT = Amount(unit=USD, value=10_000)
CHILD = Path(__file__).with_name("torture_ledger.py")
PEPPER = bytes(32)


async def balance(store: Store, unit: str) -> tuple[int, int]:
    async with begin(store._transactions._engine, writes=False) as connection:
        query = sa.text("SELECT sum(held), sum(spent) FROM balances WHERE key_id = '' AND unit = :unit")
        held, spent = (await connection.execute(query, {"unit": unit})).one()
    return int(held or 0), int(spent or 0)


async def test_of_64_at_once_as_many_pass_as_are_paid_for(database_url: str, cases: Cases) -> None:
    """Two servers, a limit of money and one of pictures that change meanwhile; of each round exactly so many pass."""
    rounds = cases.number(2, 1000)
    async with open_store(database_url, pepper=PEPPER) as one, open_store(database_url, pepper=PEPPER) as two:
        for number in range(rounds):
            name, most = f"org_{number}", number % 63 + 1
            await one.organizations.ensure(name)
            await two.policies.change_organization(name, usd_micro_per_month=most * 10_000 + 9_999)
            refusals = await asyncio.gather(
                *(
                    hold(store, f"{number}_{place}", organization=name, per_call=[CENT])
                    for place, store in enumerate([one, two] * 32)
                )
            )
            assert refusals.count(None) == most
        assert await one.books.verify() == ()
    cases.ran(rounds)


# --- kills -----------------------------------------------------------------------------------------------------------


class Provider(BaseHTTPRequestHandler):
    """Makes something of every call, after a moment, and keeps count in a process that is not killed."""

    made: list[int]

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.made.append(1)  # type: ignore[attr-defined]
        time.sleep(random.random() * 0.01)
        with contextlib.suppress(OSError):
            self.send_response(200)
            self.send_header("Content-Length", "1")
            self.end_headers()
            self.wfile.write(b"1")

    def log_message(self, format: str, *_: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def provider() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.made = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def killed(database: str, provider: ThreadingHTTPServer, chance: random.Random) -> list[str]:
    """Let a process make pictures, kill it at some moment, and return the ids of what it has acknowledged."""
    tests = str(CHILD.parent.parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([tests, os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, str(CHILD), database, f"http://127.0.0.1:{provider.server_address[1]}"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        told = [child.stdout.readline().rstrip("\n") for _ in range(chance.randrange(1, 7))]
        time.sleep(chance.random() * 0.02)
        child.send_signal(signal.SIGKILL)
        told += child.stdout.read().split("\n")[:-1]  # of the last line, all may not be there
    return [line for line in told if line and not line.startswith("refused")]


async def test_whoever_is_killed_loses_nothing_and_charges_nothing_twice(
    database_url: str, provider: ThreadingHTTPServer, cases: Cases
) -> None:
    """What was acknowledged is booked; what the provider made is charged once or in doubt; nothing else is charged."""
    kills, chance, told = cases.number(2, 500), random.Random(18), 0
    async with open_store(database_url, pepper=PEPPER) as store:
        await store.organizations.ensure("org_a")
    for _ in range(kills):
        acknowledged = await asyncio.to_thread(killed, database_url, provider, chance)
        told += len(acknowledged)
        async with open_store(database_url, pepper=PEPPER) as store:
            await store.books.expire(timedelta(0), lambda _hold, so_far: postings.give_back(so_far, "expire"))
            found = {each.id: each for each in await store.books.holds(most=10_000)}
            assert {found[name].state for name in acknowledged} <= {"captured"}
            captured = [each for each in found.values() if each.state == "captured"]
            doubtful = [each for each in found.values() if each.state == "unknown"]
            assert {each.state for each in found.values()} <= {"captured", "unknown", "expired"}
            made = len(provider.made)  # type: ignore[attr-defined]
            # Each call of the provider is one that was marked, and what is booked was made.
            assert len(captured) <= made <= len(captured) + len(doubtful)
            assert await balance(store, "picture") == (len(doubtful), len(captured))
            assert await balance(store, "credit_milli:clipdrop") == (1000 * len(doubtful), 1000 * len(captured))
            assert await store.books.verify() == ()
    assert told > 0, "nothing was acknowledged before any kill"
    cases.ran(kills)


# --- discrepancies ---------------------------------------------------------------------------------------------------

INSERT = (
    "INSERT INTO entries (hold_id, organization_id, key_id, provider, kind, unit, period, source, target, amount, "
    "call, day, created_at) SELECT hold_id, organization_id, key_id, provider, kind, unit, period, source, target, "
    "amount, call, day, created_at FROM entries WHERE hold_id = '{}' AND kind = '{}'"
)
OF_NOBODY = (
    "INSERT INTO balances (organization_id, key_id, unit, period, held, spent) "
    "SELECT 'org_x', key_id, unit, period, 1, 0 FROM balances WHERE unit = 'picture' AND key_id = ''"
)
WRONG = {
    "a posting is missing": ("DELETE FROM entries WHERE hold_id = 'use_1' AND kind = 'capture'", "use_1"),
    "a hold's posting is missing": ("DELETE FROM entries WHERE hold_id = 'use_0' AND unit = 'picture'", "use_0"),
    "all postings are missing": ("DELETE FROM entries WHERE hold_id = 'use_0'", "has no entries"),
    "it is captured twice": (INSERT.format("use_1", "capture"), "use_1"),
    "it is held twice": (INSERT.format("use_0", "hold"), "was not held once"),
    "it is given back twice": (INSERT.format("use_2", "release"), "more picture left an account"),
    "an amount drifted": (
        "UPDATE entries SET amount = amount + 1 WHERE hold_id = 'use_1' AND unit = 'usd_micro'",
        "balance",
    ),
    "a balance drifted": ("UPDATE balances SET spent = spent + 1 WHERE unit = 'usd_micro'", "balance"),
    "a held balance drifted": ("UPDATE balances SET held = held - 1 WHERE unit = 'picture' AND key_id = ''", "balance"),
    "a balance is missing": ("DELETE FROM balances WHERE unit = 'picture'", "balance"),
    "a balance of nobody": (OF_NOBODY, "balance of org_x"),
    "a balance below zero": ("UPDATE balances SET held = -1 WHERE unit = 'picture'", "below zero"),
    "an open hold is called captured": (
        "UPDATE holds SET state = 'captured', settled_at = created_at WHERE id = 'use_0'",
        "is closed and holds something",
    ),
    "a captured one is called released": (
        "UPDATE holds SET state = 'released' WHERE id = 'use_1'",
        "given back and is spent",
    ),
    "a released one is called captured": ("UPDATE holds SET state = 'captured' WHERE id = 'use_2'", "not spent once"),
    "a captured one is called open": (
        "UPDATE holds SET state = 'held', settled_at = NULL WHERE id = 'use_1'",
        "is open and holds no picture",
    ),
    "a call is forgotten": ("UPDATE holds SET calls_sent = 2 WHERE id = 'use_1'", "cost of a call is not known"),
    "another organization's entry": (
        "UPDATE entries SET organization_id = 'org_b' WHERE hold_id = 'use_1'",
        "another organization",
    ),
    "another key's entry": ("UPDATE entries SET key_id = 'nobody' WHERE hold_id = 'use_1'", "another key"),
    "another provider's entry": ("UPDATE entries SET provider = 'bria' WHERE hold_id = 'use_1'", "another provider"),
    "another day's entry": ("UPDATE entries SET day = '2020-01-01' WHERE hold_id = 'use_1'", "another day"),
    "another month's entry": (
        "UPDATE entries SET period = '2020-01' WHERE hold_id = 'use_1' AND unit = 'usd_micro'",
        "own time",
    ),
    "an entry of no picture": ("UPDATE entries SET hold_id = 'gone' WHERE hold_id = 'use_2'", "belongs to no picture"),
}


async def test_every_discrepancy_is_found(database_url: str, cases: Cases) -> None:
    """With the triggers and foreign keys out of the way, somebody changes the books; each time somebody is told."""
    sqlite = database_url.startswith("sqlite")
    async with open_store(database_url, pepper=PEPPER) as store:
        key = await store.keys.create("org_a")
        await store.organizations.ensure("org_b")
        for number in range(3):
            await hold(store, number, key_id=key.id, per_call=[CENT])
        for number in (0, 1):
            await store.books.mark_sent(f"use_{number}")
        await capture(store, 1, *amounts("clipdrop", millicredits=1000), CENT)
        await release(store, 2)
        assert await store.books.verify() == ()
        engine = store._transactions._engine
        for name, (statement, told) in WRONG.items():
            async with engine.connect() as connection:
                if sqlite:
                    await connection.exec_driver_sql("PRAGMA foreign_keys = OFF")
                    await connection.exec_driver_sql("BEGIN")
                    for act in ("update", "delete"):
                        await connection.exec_driver_sql(f"DROP TRIGGER entries_refuse_{act}")
                else:
                    await connection.exec_driver_sql("SET session_replication_role = replica")
                await connection.exec_driver_sql(statement)
                found = await discrepancies(connection)
                await connection.rollback()
                if not sqlite:
                    await connection.exec_driver_sql("SET session_replication_role = DEFAULT")
                    await connection.commit()
            assert any(told in line for line in found), f"{name}: {found}"
        await doubt(store, 0)
        assert await store.books.verify() == ()
    cases.ran(len(WRONG))

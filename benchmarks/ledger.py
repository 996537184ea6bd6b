"""What the ledger adds to a picture: hold, mark and capture, on SQLite or PostgreSQL, with few and many past entries.

usage: scripts/bench ledger [--url DATABASE_URL] [--entries N ...] [--pictures N] [--at-once N]

Past entries are written in bulk, as pictures of one organization. The database must be empty; without an
address one is made in a temporary folder.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import sqlalchemy as sa

from uncrop.ledger.ledger import Ledger
from uncrop.model import Caller, PictureFacts
from uncrop.providers.registry import load_rows
from uncrop.store.database import Store, open_store
from uncrop.store.transactions import begin

CALLER = Caller(organization_id="org_a")
FACTS = replace(load_rows(())["clipdrop"], usd_per_credit=Decimal("0.01"))
SAID = PictureFacts(provider="clipdrop", request_id="r", credits_consumed=Decimal(1))
# Of a picture: held and captured, in pictures, credits and money.
PER_PICTURE = 6
_HOLDS = """
INSERT INTO holds (id, organization_id, key_id, provider, model, state, calls_planned, calls_sent, calls_settled, day,
                   created_at, sent_at, settled_at)
WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {last})
SELECT 'past_' || i, 'org_a', NULL, 'clipdrop', NULL, 'captured', 1, 1, 1, {day}, {moment}, {moment}, {moment} FROM n
"""
_ENTRIES = """
INSERT INTO entries (hold_id, organization_id, key_id, provider, kind, unit, period, source, target, amount, call, day,
                     created_at)
WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i + 1 < {last})
SELECT 'past_' || i, 'org_a', '', 'clipdrop', k.kind, u.unit, u.period, k.source, k.target, 1, NULL, {day}, {moment}
FROM n, (SELECT 'hold' AS kind, 'available' AS source, 'held' AS target
         UNION ALL SELECT 'capture', 'held', 'spent') AS k,
     (SELECT 'picture' AS unit, '2026-01-01' AS period UNION ALL SELECT 'usd_micro', '2026-01'
      UNION ALL SELECT 'credit_milli:clipdrop', '2026-01') AS u
"""
BATCH = 100_000


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="")
    parser.add_argument("--entries", type=int, nargs="+", default=[10_000, 5_000_000])
    parser.add_argument("--pictures", type=int, default=400)
    parser.add_argument("--at-once", type=int, default=16)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = options.url or f"sqlite+aiosqlite:///{Path(folder) / 'uncrop.db'}"
        async with open_store(url, pepper=bytes(32)) as store:
            await store.organizations.ensure("org_a")
            await store.policies.change_organization("org_a", pictures_per_day=10**8, usd_micro_per_month=10**12)
            print("entries     hold ms  mark ms  capture ms  together p50 (p95)  CPU ms  pictures a second")
            past = 0
            for wanted in sorted(options.entries):
                past = await _fill(store, past, wanted // PER_PICTURE)
                await _measure(store, past * PER_PICTURE, options.pictures, options.at_once)


async def _fill(store: Store, first: int, last: int) -> int:
    engine = store._transactions._engine  # noqa: SLF001 - past the ledger, which would take hours
    sqlite = engine.dialect.name == "sqlite"
    values = {"day": "'2026-01-01'" if sqlite else "DATE '2026-01-01'"}
    values["moment"] = "'2026-01-01 00:00:00.000000'" if sqlite else "TIMESTAMPTZ '2026-01-01 00:00:00Z'"
    for start in range(first, last, BATCH):
        async with begin(engine, writes=True) as connection:
            for statement in (_HOLDS, _ENTRIES):
                await connection.execute(
                    sa.text(statement.format(first=start, last=min(last, start + BATCH), **values))
                )
    return max(first, last)


async def _measure(store: Store, entries: int, pictures: int, at_once: int) -> None:
    ledger = Ledger(store.books)
    times: list[tuple[float, float, float]] = []

    async def one() -> None:
        begun = time.perf_counter()
        held = await ledger.hold(CALLER, FACTS)
        held_at = time.perf_counter()
        await held.mark_sent()
        marked_at = time.perf_counter()
        held.note_cost(SAID)
        await held.finish()
        times.append((held_at - begun, marked_at - held_at, time.perf_counter() - marked_at))

    worked = time.process_time()
    for _ in range(pictures):
        await one()
    cpu = 1000 * (time.process_time() - worked) / pictures
    alone = list(times)
    begun = time.perf_counter()

    async def many() -> None:
        for _ in range(pictures // at_once):
            await one()

    await asyncio.gather(*(many() for _ in range(at_once)))
    rate = pictures // at_once * at_once / (time.perf_counter() - begun)
    steps = [1000 * statistics.median(column) for column in zip(*alone, strict=True)]
    together = sorted(1000 * sum(row) for row in alone)
    middle, late = together[len(together) // 2], together[len(together) * 95 // 100]
    columns = "  ".join(f"{step:7.2f}" for step in steps)
    print(f"{entries:<10}  {columns}     {middle:12.2f} ({late:.2f})  {cpu:6.2f}  {rate:17.0f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())

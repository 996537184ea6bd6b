"""What a key adds to a request: a look, the claim beside the hold, the answer's object, its note beside the booking.

usage: python benchmarks/idempotency.py [--requests 300] [--bytes 100000] [--database URL] [--at-once 16]

Requests with and without a key take turns, so that both see the same machine. The provider is not called; what is
measured is all that a key changes between the form and the answer, on a database and a folder of their own.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
import uuid
from pathlib import Path

from uncrop.admission.idempotency import Claim, Idempotency
from uncrop.ledger.ledger import Ledger
from uncrop.model import Answer, Caller
from uncrop.objects.objects import Objects
from uncrop.objects.place import FolderPlace
from uncrop.providers.registry import load_rows
from uncrop.server.keyed import fingerprint_of
from uncrop.store.database import Store, open_store

CALLER = Caller(organization_id="org_bench")
FACTS = load_rows(())["clipdrop"]


async def without_key(ledger: Ledger) -> None:
    """Hold, mark and book a picture."""
    held = await ledger.hold(CALLER, FACTS)
    await held.mark_sent()
    await held.finish()


async def with_key(ledger: Ledger, idempotency: Idempotency, photo: bytes, key: str) -> None:
    """Do the same under a key."""
    fingerprint = fingerprint_of(("POST", "/"), [("image_file", photo), ("provider", "clipdrop")])
    claim = await idempotency.begin(CALLER, key, fingerprint, make_room=lambda _bytes: None)
    assert isinstance(claim, Claim)
    held = await ledger.hold(CALLER, FACTS, also=claim.also, hold_id=claim.next_hold_id())
    await held.mark_sent()
    answer = Answer(status=200, headers=(("content-type", "image/jpeg"),), body=photo)
    await held.finish(also=await idempotency.put(claim, answer))
    idempotency.forget(claim)


async def replay(idempotency: Idempotency, photo: bytes, key: str) -> None:
    """Ask for the answer again."""
    fingerprint = fingerprint_of(("POST", "/"), [("image_file", photo), ("provider", "clipdrop")])
    answer = await idempotency.begin(CALLER, key, fingerprint, make_room=lambda _bytes: None)
    assert isinstance(answer, Answer)


async def rate(store: Store, folder: Path, requests: int, size: int, at_once: int) -> float:
    """Return how many requests a second are held, marked, kept and booked under keys, so many at once."""
    ledger = Ledger(store.books)
    idempotency = Idempotency(store.keyed_requests, Objects(FolderPlace(folder=folder / "many")), ledger)
    photos = [os.urandom(size) for _ in range(requests)]

    async def some(mine: list[bytes]) -> None:
        for photo in mine:
            await with_key(ledger, idempotency, photo, uuid.uuid4().hex)

    begun = time.perf_counter()
    await asyncio.gather(*(some(photos[first::at_once]) for first in range(at_once)))
    taken = time.perf_counter() - begun
    await idempotency.drain()
    await ledger.drain()
    return requests / taken


async def measure(store: Store, folder: Path, requests: int, size: int) -> dict[str, list[float]]:
    """Return the milliseconds of each request."""
    await store.organizations.ensure("org_bench")
    ledger = Ledger(store.books)
    idempotency = Idempotency(store.keyed_requests, Objects(FolderPlace(folder=folder / "objects")), ledger)
    times: dict[str, list[float]] = {"without": [], "with": [], "replay": []}
    for number in range(requests + 10):
        photo, key = os.urandom(size), uuid.uuid4().hex
        works = {
            "without": without_key(ledger),
            "with": with_key(ledger, idempotency, photo, key),
            "replay": replay(idempotency, photo, key),
        }
        for name, work in works.items():
            started = time.perf_counter()
            await work
            if number >= 10:
                times[name].append((time.perf_counter() - started) * 1000)
    await idempotency.drain()
    await ledger.drain()
    return times


async def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--bytes", type=int, default=100_000)
    parser.add_argument("--database", default="")
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.database or f"sqlite+aiosqlite:///{folder}/bench.db"
        async with open_store(url, pepper=bytes(32)) as store:
            times = await measure(store, Path(folder), given.requests, given.bytes)
            many = await rate(store, Path(folder), given.requests, given.bytes, given.at_once)
    for name, values in times.items():
        p10, *_, p90 = statistics.quantiles(values, n=10)
        print(
            f"{name:8} p10 {p10:6.2f} ms  p50 {statistics.median(values):6.2f} ms  p90 {p90:6.2f} ms  of {len(values)}"
        )
    print(f"{many:.0f} requests a second with a key, {given.at_once} at once")
    # On a machine that others use, the fastest tenth says more than the middle.
    for name, place in (("p10", 0), ("p50", 4)):
        first, second = (statistics.quantiles(times[kind], n=10)[place] for kind in ("without", "with"))
        print(f"a key adds {second - first:.2f} ms ({name})")


if __name__ == "__main__":
    asyncio.run(main())

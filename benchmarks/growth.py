"""How far uncrop grows: from what one picture costs each part, measured here, to 10,000 pictures a second, computed.

usage: scripts/bench growth [--pictures N] [--cores N] [--database-cores N] [--database-connections N]

One server, then two, run on loopback with a PostgreSQL that keeps what it commits, a Redis, and an emulated provider.
What each has taken of the processor is divided by the pictures that were made. CPU seconds are hardly changed by what
else the machine does; pictures a second are, so the load is told with them. The first table is measured. The second
compares what one and two servers did with what the costs predict. The third is computed: nobody has run 10,000 pictures
a second.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from gateway import ORGANIZATION, Process, running, send_photo
from growth_model import RATES, Costs, Given, ceilings, need, pictures_a_replica, predicted_rate
from growth_services import cpu_seconds, postgresql, redis_server, tree
from redis import Redis

from uncrop.settings import load as load_settings
from uncrop.store.database import open_store
from uncrop.store.engine import POOL
from uncrop.testing import pictures

PEPPER = "a pepper that all servers are given"
AT_ONCE = 8
LOCK = 1  # connection of a server that holds its lock


@dataclass(frozen=True, kw_only=True)
class Site:
    """What runs beside the servers."""

    database: str
    database_pid: int
    redis: str
    redis_pid: int
    emulator: Process
    key: str

    def environment(self, folder: str) -> dict[str, str]:
        """Return a server's settings."""
        return {
            **os.environ,
            "UNCROP_DATA_DIR": folder,
            "UNCROP_DATABASE_URL": self.database,
            "UNCROP_REDIS_URL": self.redis,
            "UNCROP_KEY_PEPPER": PEPPER,
            "UNCROP_CLIPDROP_API_KEY": "key",
            "UNCROP_CLIPDROP_BASE_URL": self.emulator.url,
            "UNCROP_RATE_LIMIT_PER_MINUTE": "1000000",
            "UNCROP_CLIPDROP_RATE_LIMIT_PER_MINUTE": "1000000",
            "UNCROP_LOG_LEVEL": "error",
        }


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run: what it cost, and how fast it was."""

    costs: Costs
    rate: float
    beside_s: float


async def _new_key(database: str) -> str:
    async with open_store(database, pepper=PEPPER.encode()) as store:
        return (await store.keys.create(ORGANIZATION)).key


@contextmanager
def site() -> Iterator[Site]:
    """Start everything but the servers."""
    with ExitStack() as stack:
        database, database_pid = stack.enter_context(postgresql())
        redis, redis_pid = stack.enter_context(redis_server())
        emulator = stack.enter_context(running(["emulate", "clipdrop"], {**os.environ}, "/"))
        key = asyncio.run(_new_key(database))
        yield Site(
            database=database,
            database_pid=database_pid,
            redis=redis,
            redis_pid=redis_pid,
            emulator=emulator,
            key=key,
        )


def _commits(database: str) -> int:
    import psycopg

    with psycopg.connect(database.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        row = connection.execute("SELECT xact_commit FROM pg_stat_database WHERE datname = 'postgres'").fetchone()
    return int(row[0]) if row else 0


def measure(site: Site, kernels: Path, *, servers: int, pictures_wanted: int, fields: dict[str, str]) -> Run:
    """Make pictures with so many servers, and divide what each part took by them."""
    photo = pictures.photo_jpeg(1224, 816)
    with ExitStack() as stack:
        started = []
        for _ in range(servers):
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            (Path(folder) / "kernels").symlink_to(kernels)
            started.append(stack.enter_context(running(["serve"], site.environment(folder), "/readyz")))

        def send(server: Process) -> None:
            send_photo(site.key, server.url, fields, photo).raise_for_status()

        for server in started * 3:
            send(server)
        connected = Redis.from_url(site.redis)
        with connected as counter, ThreadPoolExecutor(AT_ONCE) as pool:
            before = _marks(site, started, counter)
            began = time.perf_counter()
            turns = cycle(started)
            list(pool.map(send, [next(turns) for _ in range(pictures_wanted)]))
            seconds = time.perf_counter() - began
            after = _marks(site, started, counter)
    took = {name: (after[name] - before[name]) / pictures_wanted for name in before}
    costs = Costs(
        server_s=took["server"],
        decoders_s=took["decoders"],
        engine_s=took["engine"],
        database_s=took["database"],
        commits=took["commits"],
        redis_s=took["redis"],
        redis_commands=took["commands"],
    )
    return Run(costs=costs, rate=pictures_wanted / seconds, beside_s=took["beside"])


def _marks(site: Site, servers: list[Process], counter: Redis) -> dict[str, float]:
    """Return how much each part has taken so far."""
    of_servers = decoders = everything = 0.0
    for server in servers:
        of_servers += server.cpu_seconds()
        everything += cpu_seconds(server.pid)
        for pid in tree(server.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            if b"fork_server" in command:
                decoders += cpu_seconds(pid)
    facts = counter.info("all")
    return {
        "server": of_servers,
        "decoders": decoders,
        "engine": everything - of_servers - decoders,
        "database": cpu_seconds(site.database_pid),
        "commits": _commits(site.database),
        "redis": cpu_seconds(site.redis_pid),
        "commands": float(facts["total_commands_processed"]),
        "beside": cpu_seconds(site.emulator.pid) + time.process_time(),
    }


async def _fastest(database: str, seconds: float = 5.0) -> tuple[float, float]:
    """Return commits a second of many organizations at once, and reservations a second of a single one."""
    async with open_store(database, pepper=PEPPER.encode()) as store:
        names = [f"org_growth{number}" for number in range(POOL)]
        for name in names:
            await store.organizations.ensure(name)

        async def change(name: str, until: float) -> int:
            done = 0
            while time.perf_counter() < until:
                await store.policies.change_organization(name, pictures_per_day=done)
                done += 1
            return done

        found = []
        for several in (names, [names[0]] * POOL):
            until = time.perf_counter() + seconds
            found.append(sum(await asyncio.gather(*(change(name, until) for name in several))) / seconds)
    return found[0], found[1]


def show_costs(name: str, run: Run) -> None:
    """Print a measured row; CPU milliseconds a picture."""
    costs = run.costs
    cpu = (costs.server_s, costs.decoders_s, costs.engine_s, costs.database_s, costs.redis_s)
    print(
        f"{name:<28}"
        + "".join(f"{1000 * seconds:>10.1f}" for seconds in cpu)
        + f"{costs.commits:>9.1f}{costs.redis_commands:>10.1f}"
    )


def show_check(name: str, run: Run, costs: Costs, servers: int) -> None:
    """Print what a run did beside what the costs of one server predict."""
    cores = len(os.sched_getaffinity(0))
    expected = predicted_rate(costs, servers=servers, cores=cores, beside_s=run.beside_s)
    print(f"{name:<28}{expected:>12.1f}{run.rate:>12.1f}{run.rate / expected:>10.2f}")


def show_growth(costs: Costs, given: Given) -> None:
    """Print the computed rows."""
    print(f"one server: {pictures_a_replica(costs, given):.1f} pictures a second")
    print(f"{'pictures/s':>10}{'servers':>9}{'cores':>9}{'commits/s':>11}{'Redis/s':>10}   at its end before")
    for rate in RATES:
        row = need(rate, costs, given)
        print(
            f"{rate:>10}{row.replicas:>9}{row.cores:>9.1f}{row.commits_s:>11.0f}{row.redis_commands_s:>10.0f}"
            f"   {', '.join(row.ended) or '-'}"
        )
    for name, most in ceilings(costs, given).items():
        print(f"  {name:<28}{most:>10.0f} pictures a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=200, help="pictures a run")
    parser.add_argument("--cores", type=int, default=4, help="of a server's machine")
    parser.add_argument("--database-cores", type=int, default=16)
    parser.add_argument("--database-connections", type=int, default=100)
    options = parser.parse_args()
    kernels = load_settings().kernel_cache
    remote = {"provider": "clipdrop", "extend_left": "256", "extend_right": "256"}
    local = {"provider": "local", "extend_left": "256", "extend_right": "256"}
    print(f"load before: {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores")
    with site() as built:
        few = max(8, options.pictures // 10)
        one = measure(built, kernels, servers=1, pictures_wanted=options.pictures, fields=remote)
        two = measure(built, kernels, servers=2, pictures_wanted=options.pictures, fields=remote)
        engine = measure(built, kernels, servers=1, pictures_wanted=few, fields=local)
        commits, single = asyncio.run(_fastest(built.database))
    print("\nMeasured: CPU milliseconds a picture of 1 MP, commits, commands of Redis")
    heads = ("server", "decoders", "engine", "database", "Redis")
    print(f"{'':<28}" + "".join(f"{head:>10}" for head in heads) + f"{'commits':>9}{'commands':>10}")
    for name, run in (("a provider, one server", one), ("a provider, two servers", two), ("local, one server", engine)):
        show_costs(name, run)
    print(f"PostgreSQL: {commits:.0f} commits a second of {POOL} organizations, {single:.0f} of one")
    print(f"\nChecked: pictures a second on this machine (load {os.getloadavg()[0]:.1f})")
    print(f"{'':<28}{'predicted':>12}{'measured':>12}{'ratio':>10}")
    show_check("a provider, one server", one, one.costs, 1)
    show_check("a provider, two servers", two, one.costs, 2)
    show_check("local, one server", engine, engine.costs, 1)
    given = Given(
        cores=options.cores,
        database_cores=options.database_cores,
        database_connections=options.database_connections,
        connections_each=POOL + LOCK,
        commits_each_s=commits,
        # A reservation and its settling: each waits for the organization's row once.
        one_organization_s=single / 2,
    )
    for name, run in (("a provider makes them", one), ("the local engine makes them", engine)):
        cores = f"{given.cores} cores each, PostgreSQL with {given.database_cores}"
        print(f"\nComputed, where {name}: servers of {cores} and {given.database_connections} connections")
        show_growth(run.costs, given)
    medians = statistics.median((one.rate, two.rate))
    print(f"\nmade {2 * options.pictures + few} pictures, {medians:.1f} a second; load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

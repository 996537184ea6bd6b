"""From what one picture costs each part to how many of each a rate of pictures needs, and which part ends first.

Pure arithmetic on figures that ``growth.py`` measures; nothing is run here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# No part is planned to be busy for more than this: at full use, the time that a request waits grows without end.
BUSY = 0.7
RATES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What one picture costs, measured.

    Attributes
    ----------
    server_s
        CPU seconds of the server's own process, most of them under Python's one lock.
    decoders_s, engine_s
        CPU seconds of the processes that decode, and of those of the local engine; 0 where another makes the picture.
    database_s, commits
        CPU seconds of all of PostgreSQL's processes, and committed transactions.
    redis_s, redis_commands
        CPU seconds of Redis, and commands.
    """

    server_s: float
    decoders_s: float
    engine_s: float
    database_s: float
    commits: float
    redis_s: float
    redis_commands: float

    @property
    def replica_core_s(self) -> float:
        """CPU seconds on the machines of the servers."""
        return self.server_s + self.decoders_s + self.engine_s


@dataclass(frozen=True, kw_only=True)
class Given:
    """What is there to grow on: one PostgreSQL, one Redis, and machines for servers, as many as are needed.

    Attributes
    ----------
    cores
        Of a server's machine.
    database_cores, database_connections
        Of PostgreSQL's machine, and its ``max_connections``.
    connections_each
        That a server opens.
    commits_each_s
        Commits a second that PostgreSQL's disk takes.
    one_organization_s
        Pictures a second of a single organization, whose row the reservations wait for.
    """

    cores: int
    database_cores: int
    database_connections: int
    connections_each: int
    commits_each_s: float
    one_organization_s: float


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a rate needs."""

    rate: float
    replicas: int
    cores: float
    commits_s: float
    redis_commands_s: float
    ended: tuple[str, ...]


def pictures_a_replica(costs: Costs, given: Given) -> float:
    """Return how many pictures a second one server makes: its own process is one core, its machine has so many."""
    return BUSY * min(1 / costs.server_s, given.cores / costs.replica_core_s)


def ceilings(costs: Costs, given: Given) -> dict[str, float]:
    """Return pictures a second at which each part that cannot be had twice is at its end, the first of them first."""
    replicas = given.database_connections // given.connections_each
    found = {
        "PostgreSQL's connections": replicas * pictures_a_replica(costs, given),
        "PostgreSQL's processor": BUSY * given.database_cores / costs.database_s,
        "PostgreSQL's commits": BUSY * given.commits_each_s / costs.commits,
        "Redis's one thread": BUSY / costs.redis_s,
        "one organization's row": BUSY * given.one_organization_s,
    }
    return dict(sorted(found.items(), key=lambda entry: entry[1]))


def need(rate: float, costs: Costs, given: Given) -> Need:
    """Return what so many pictures a second need, and which parts have ended before."""
    return Need(
        rate=rate,
        replicas=math.ceil(rate / pictures_a_replica(costs, given)),
        cores=rate * costs.replica_core_s / BUSY,
        commits_s=rate * costs.commits,
        redis_commands_s=rate * costs.redis_commands,
        ended=tuple(name for name, most in ceilings(costs, given).items() if rate > most),
    )


def predicted_rate(costs: Costs, *, servers: int, cores: int, beside_s: float) -> float:
    """Return pictures a second on one machine that everything shares, at full use, to compare with a run.

    Parameters
    ----------
    beside_s
        CPU seconds a picture of what runs beside and is not uncrop's: whoever asks, and the emulated provider.
    """
    everything = costs.replica_core_s + costs.database_s + costs.redis_s + beside_s
    return min(servers / costs.server_s, cores / everything)

"""The local engine on the nodes of a Ray cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import anyio

from uncrop import engine
from uncrop.errors import ProviderTimeout, ProviderUnavailable
from uncrop.workers.engine_runner import GRACE_S
from uncrop.workers.ray.connection import Connection, ConnectionLost, link_command
from uncrop.workers.ray.messages import Order

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.engine import Extension
    from uncrop.model import Pixels, Progress, Quality, Sides
    from uncrop.workers.ray.messages import Node, Work
    from uncrop.workers.ray.node import Description

# A port that nobody listens on refuses at once; an address that nobody has says nothing.
PROBE_S = 2.0
# Ray waits for ever for a cluster that does not answer. Loading it takes seconds on a busy machine.
CONNECT_S = 30.0
# Who comes right after a connection failed would only wait for as long.
AGAIN_AFTER_S = 5.0
AWAY = "The Ray cluster cannot be reached"
LOST = "The connection to the Ray cluster was lost"
NOT_BEGUN = "No node of the Ray cluster began the picture in time"
NOT_BACK = "The picture did not come back from its node in time"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Where the cluster is, and how it is used.

    Attributes
    ----------
    host, port
        Of its head: Ray's global control service.
    cpus
        Processors of a node for one picture, and threads that it is made by.
    command
        Returns the command that starts a link to an address.
    connect_s
        Seconds in which a link must be connected.
    """

    host: str
    port: int
    cpus: int = 1
    command: Callable[[str], Sequence[str]] = link_command
    connect_s: float = CONNECT_S

    @property
    def address(self) -> str:
        """As Ray takes it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class RayRunner:
    """Runs the engine as tasks of a Ray cluster; ``open_ray_runner`` makes one.

    The connection is made when it is needed, and anew after it was lost.

    Parameters
    ----------
    cluster
        Where it is.
    cache
        Folder of the compiled kernels, on every node; ``None``: the engine's own choice.
    deadline_s
        Seconds for one picture, the connection and the wait for a node included.
    grace_s
        Seconds after the deadline when a picture that a node has begun is given up.

    Attributes
    ----------
    warming, warm
        Whether ``warm_up`` is at work, and whether it has ended well.
    """

    def __init__(self, cluster: Cluster, *, cache: Path | None, deadline_s: float, grace_s: float = GRACE_S) -> None:
        self._cluster = cluster
        self._cache = None if cache is None else cache.absolute()  # nodes have other working folders
        self._deadline_s = deadline_s
        self._grace_s = grace_s
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._failed_at = -AGAIN_AFTER_S
        self.warming = self.warm = False

    async def warm_up(self) -> None:
        """Connect, and load the engine in a worker of one node.

        Raises
        ------
        UncropError
            As ``extend``.
        """
        self.warming = True
        try:
            await self._carry_out(self._order("prepare", {}, memory=engine.PROCESS_BYTES))
            self.warm = True
        finally:
            self.warming = False

    async def extend(
        self,
        photo: Pixels,
        sides: Sides,
        *,
        seed: int,
        quality: Quality,
        confidence_map: bool = False,
        is_variation: bool = False,
        progress: Progress | None = None,
        node: str | None = None,
    ) -> Extension:
        """Extend one photo on a node, by default on that which Ray chooses; cancelling the caller ends the work there.

        Raises
        ------
        UncropError
            The engine's own refusals, ``ProviderTimeout`` past the deadline, ``ProviderUnavailable`` while the
            cluster is away, ``InternalError`` when workers or nodes died of it again and again.
        """
        rows, cols, channels = photo.shape
        need = engine.peak_bytes(rows, cols, channels * photo.itemsize, sides)
        arguments = {
            "threads": self._cluster.cpus,
            "photo": photo,
            "sides": sides,
            "seed": seed,
            "quality": quality,
            "confidence_map": confidence_map,
            "is_variation": is_variation,
        }
        order = self._order("extend", arguments, memory=need, node=node)
        made: Extension = await self._carry_out(order, progress)
        return made

    async def nodes(self) -> tuple[Node, ...]:
        """Return the nodes that live.

        Raises
        ------
        ProviderUnavailable
            The cluster is away.
        """
        return (await self._connected()).nodes

    async def describe(self, node: str) -> Description:
        """Let a node tell what it has.

        Raises
        ------
        UncropError
            As ``extend``.
        """
        told: Description = await self._carry_out(self._order("describe", {}, memory=0, node=node))
        return told

    async def close(self) -> None:
        """End the connection, and what it has on the cluster."""
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait((self._connecting,))
        if self._connection is not None:
            await self._connection.close()

    def _order(self, work: Work, arguments: dict[str, Any], *, memory: int, node: str | None = None) -> Order:
        # What a node is asked to do by name is a trial, for which nothing is set aside: the node may be busy.
        cpus, memory = (self._cluster.cpus, memory) if node is None else (0, 0)
        return Order(work=work, arguments={"cache": self._cache, **arguments}, cpus=cpus, memory=memory, node=node)

    async def _carry_out(self, order: Order, progress: Progress | None = None) -> Any:
        outcome = NOT_BEGUN
        try:
            with anyio.fail_after(self._deadline_s) as limit:
                given_up = limit.deadline + self._grace_s

                def begun() -> None:
                    nonlocal outcome
                    limit.deadline, outcome = given_up, NOT_BACK

                return await self._twice(order, anyio.current_time() + self._deadline_s, begun, progress)
        except TimeoutError as error:
            raise ProviderTimeout(system_message=outcome) from error

    async def _twice(self, order: Order, deadline: float, begun: Callable[[], None], progress: Progress | None) -> Any:
        """Have an order carried out, and once more where the connection is lost: the cluster may be there again.

        Nothing was billed, so that nothing is done twice but computing.
        """
        for _ in range(2):
            connection = await self._connected()
            timed = replace(order, seconds_left=deadline - anyio.current_time())
            with suppress(ConnectionLost):
                return await connection.carry_out(timed, begun=begun, progress=progress)
        raise ProviderUnavailable(system_message=LOST, retry_after=AGAIN_AFTER_S)

    async def _connected(self) -> Connection:
        """Return a connection to a cluster whose head can be reached."""
        if self._connection is not None and not self._connection.lost:
            await self._probe()
            return self._connection
        if self._connecting is None:
            if time.monotonic() - self._failed_at < AGAIN_AFTER_S:
                raise _away()
            self._connecting = asyncio.create_task(self._connect())
            self._connecting.add_done_callback(self._keep)
        # All who wait for it share it, and none who leaves takes it from the others.
        return await asyncio.shield(self._connecting)

    async def _connect(self) -> Connection:
        if self._connection is not None:
            await self._connection.close()
        await self._probe()
        command = self._cluster.command(self._cluster.address)
        try:
            return await Connection.open(command, within_s=self._cluster.connect_s)
        except (ConnectionLost, OSError) as error:
            raise _away() from error

    def _keep(self, connecting: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if connecting.cancelled() or connecting.exception() is not None:
            self._failed_at = time.monotonic()
        else:
            self._connection = connecting.result()

    async def _probe(self) -> None:
        """Look whether the head can be reached at all, which Ray itself would try for a minute."""
        try:
            with anyio.fail_after(PROBE_S):
                stream = await anyio.connect_tcp(self._cluster.host, self._cluster.port)
        except OSError as error:  # a timeout is one too
            raise _away() from error
        await stream.aclose()


def _away() -> ProviderUnavailable:
    return ProviderUnavailable(system_message=AWAY, retry_after=AGAIN_AFTER_S)


@asynccontextmanager
async def open_ray_runner(cluster: Cluster, *, cache: Path | None, deadline_s: float) -> AsyncIterator[RayRunner]:
    """Open a runner, which connects at its first picture, and close its connection at the end."""
    runner = RayRunner(cluster, cache=cache, deadline_s=deadline_s)
    try:
        yield runner
    finally:
        await runner.close()

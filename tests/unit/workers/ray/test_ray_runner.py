"""The runner and its connection. Links are small processes that answer as a test wants; nobody needs Ray here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import numpy as np
import pytest
import structlog

from played_links import (
    AT_ONCE,
    ENDS,
    ENDS_THE_FIRST_TIME,
    HANGS,
    IGNORES,
    MADE,
    MAKES,
    NEVER,
    NODE,
    NOT_AT_ALL,
    REFUSES,
    STUMBLES,
    command,
)
from processes import free_port, is_running
from uncrop import engine
from uncrop.errors import InvalidExtendParameters, ProviderTimeout, ProviderUnavailable
from uncrop.model import Sides
from uncrop.workers.ray import runner as ray_runner
from uncrop.workers.ray.connection import Connection, ConnectionLost
from uncrop.workers.ray.messages import Order
from uncrop.workers.ray.runner import Cluster, RayRunner, open_ray_runner
from uncrop.workers.ray.trial import NodeTrial, try_nodes
from waiting import until

PHOTO = np.full((16, 20, 3), 7, np.uint8)
SIDES = Sides(left=4)
KERNELS = Path("kernels").absolute()


class Head:
    """Something that listens where a head would; connections are closed at once."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        self._server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", self.port)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


@asynccontextmanager
async def opened(
    folder: Path, how: str = AT_ONCE, *, deadline_s: float = 60, **options: Any
) -> AsyncIterator[tuple[RayRunner, Head]]:
    head = Head()
    await head.open()
    cluster = Cluster(host="127.0.0.1", port=head.port, command=lambda _address: command(folder, how), **options)
    try:
        async with open_ray_runner(cluster, cache=Path("kernels"), deadline_s=deadline_s) as runner:
            yield runner, head
    finally:
        await head.close()


async def extend(runner: RayRunner, seed: int = MAKES, **options: Any) -> Any:
    return await runner.extend(PHOTO, SIDES, seed=seed, quality="fast", **options)


def starts(folder: Path) -> list[int]:
    return [int(line) for line in (folder / "starts").read_text().splitlines()]


def cancelled(folder: Path) -> bool:
    return (folder / "cancelled").exists()


async def test_a_picture_comes_back_with_all_that_is_told_on_the_way(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    async with opened(tmp_path) as (runner, _head):
        made = await extend(runner, progress=lambda *step: told.append(step))
        assert (made.pixels, made.confidence, told) == (MADE.pixels, 0.5, [(0.5, "half")])
        # One link for all pictures.
        await asyncio.gather(*(extend(runner) for _ in range(3)))
        (link,) = starts(tmp_path)
        assert is_running(link)
    assert not is_running(link)


async def test_a_node_is_told_all_that_was_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    orders: list[Order] = []

    async def note(_self: object, order: Order, **_options: object) -> Any:
        orders.append(order)
        return MADE

    monkeypatch.setattr(Connection, "carry_out", note)
    async with opened(tmp_path, cpus=3) as (runner, _head):
        await extend(runner, seed=9, confidence_map=True, is_variation=True)
        await extend(runner, node="b" * 56)
        await runner.warm_up()
    picture, trial, preparation = orders
    assert picture.arguments["photo"] is PHOTO
    assert {name: value for name, value in picture.arguments.items() if name != "photo"} == {
        "cache": KERNELS,
        "threads": 3,
        "sides": SIDES,
        "seed": 9,
        "quality": "fast",
        "confidence_map": True,
        "is_variation": True,
    }
    assert (picture.cpus, picture.memory, picture.node) == (3, engine.peak_bytes(16, 20, 3, SIDES), None)
    # A trial needs no room: the node may be busy.
    assert (trial.cpus, trial.memory, trial.node) == (0, 0, "b" * 56)
    assert (preparation.work, preparation.memory) == ("prepare", engine.PROCESS_BYTES)
    assert all(0 < order.seconds_left <= 60 for order in orders)


async def test_it_is_warm_when_a_node_has_loaded_the_engine(tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, _head):
        assert not runner.warm
        await runner.warm_up()
        assert (runner.warming, runner.warm) == (False, True)


async def test_a_refusal_comes_back_whole(tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, _head):
        with pytest.raises(InvalidExtendParameters) as refused:
            await extend(runner, REFUSES)
        assert (refused.value.message, refused.value.details) == ("Too far", {"extend_left": 4})


async def test_what_ray_says_is_for_the_log_alone(tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, _head):
        with structlog.testing.capture_logs() as logs, pytest.raises(InvalidExtendParameters) as refused:
            await extend(runner, STUMBLES)
    assert [line["reason"] for line in logs] == ["at 10.0.0.1"]
    assert "10.0.0.1" not in refused.value.system_message


async def test_what_watches_the_progress_can_end_the_work(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def enough(_fraction: float, _step: str) -> None:
        raise Enough

    async with opened(tmp_path) as (runner, _head):
        with pytest.raises(Enough):
            await extend(runner, progress=enough)
        await until(lambda: cancelled(tmp_path))
        assert (await extend(runner)).confidence == 0.5


@pytest.mark.parametrize(
    ("seed", "deadline_s", "grace_s", "says"),
    [
        (IGNORES, 0.5, 3600, "No node of the Ray cluster began the picture in time"),
        # Over as soon as a node has begun, however long that takes here.
        (HANGS, 60, -60, "The picture did not come back from its node in time"),
    ],
)
async def test_the_deadline_is_always_in_force(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seed: int, deadline_s: float, grace_s: float, says: str
) -> None:
    async with opened(tmp_path) as (runner, _head):
        await runner.nodes()  # so that the link has started
        monkeypatch.setattr(runner, "_deadline_s", deadline_s)
        monkeypatch.setattr(runner, "_grace_s", grace_s)
        with pytest.raises(ProviderTimeout) as failed:
            await extend(runner, seed)
        assert failed.value.system_message == says
        await until(lambda: cancelled(tmp_path))


async def test_cancelling_ends_the_work_on_its_node(tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, _head):
        await runner.nodes()
        task = asyncio.create_task(extend(runner, IGNORES))
        await until(lambda: runner._connection is not None and runner._connection._pending)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: cancelled(tmp_path))


# --- a cluster that is away ------------------------------------------------------------------------------------------


async def test_without_a_cluster_it_is_said_at_once_and_nothing_is_started(tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, head):
        await head.close()
        for _ in range(2):
            with pytest.raises(ProviderUnavailable) as failed:
                await extend(runner)
            assert (failed.value.status, failed.value.retry_after) == (503, 5)
            assert failed.value.system_message == "The Ray cluster cannot be reached"
        assert not (tmp_path / "starts").exists()


async def test_a_head_that_cannot_be_reached_any_more_is_noticed_before_a_picture_is_sent(tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, head):
        await extend(runner)
        await head.close()
        with pytest.raises(ProviderUnavailable):
            await extend(runner)
        await head.open()
        await extend(runner)
        assert len(starts(tmp_path)) == 1


@pytest.mark.parametrize(("how", "connect_s"), [(NEVER, 1.0), (NOT_AT_ALL, 60.0)])
async def test_a_link_that_is_not_connected_is_ended_and_its_failure_kept_for_a_while(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, how: str, connect_s: float
) -> None:
    commands: list[str] = []

    def started(address: str) -> list[str]:
        commands.append(address)
        return command(tmp_path, how)

    async with opened(tmp_path, connect_s=connect_s) as (_, head):
        runner = RayRunner(
            Cluster(host="127.0.0.1", port=head.port, command=started, connect_s=connect_s), cache=None, deadline_s=60
        )
        # All who come meanwhile share the attempt, and who comes right after it is not made to wait again.
        failed = await asyncio.gather(extend(runner), extend(runner), return_exceptions=True)
        with pytest.raises(ProviderUnavailable):
            await extend(runner)
        assert [type(each) for each in failed] == [ProviderUnavailable] * 2
        assert commands == [f"127.0.0.1:{head.port}"]
        monkeypatch.setattr(runner, "_failed_at", time.monotonic() - ray_runner.AGAIN_AFTER_S)
        with pytest.raises(ProviderUnavailable):
            await extend(runner)
        assert len(commands) == 2
        await runner.close()


async def test_a_link_that_cannot_be_started_is_a_cluster_that_is_away(tmp_path: Path) -> None:
    async with opened(tmp_path) as (_, head):
        cluster = Cluster(host="127.0.0.1", port=head.port, command=lambda _address: [str(tmp_path / "nothing")])
        with pytest.raises(ProviderUnavailable):
            await extend(RayRunner(cluster, cache=None, deadline_s=60))


async def test_a_picture_whose_link_ends_is_made_by_another(tmp_path: Path) -> None:
    async with opened(tmp_path, ENDS_THE_FIRST_TIME) as (runner, _head):
        with structlog.testing.capture_logs() as logs:
            assert (await extend(runner)).confidence == 0.5
        assert len(starts(tmp_path)) == 2
    (line,) = logs
    assert (line["event"], line["reason"]) == ("the connection to the Ray cluster is lost", "the link has ended")
    assert line["printed"] == ["a line for the log"]


async def test_a_picture_of_which_every_link_ends_is_given_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, _head):
        with pytest.raises(ProviderUnavailable) as failed:
            await extend(runner, ENDS)
        assert failed.value.system_message == "The connection to the Ray cluster was lost"
        assert len(starts(tmp_path)) == 2
        assert (await extend(runner)).confidence == 0.5
        assert len(starts(tmp_path)) == 3


async def test_a_cluster_that_does_not_answer_any_more_is_given_up(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs:
        connection = await Connection.open(command(tmp_path), within_s=60, sign_within_s=0.2)
        order = Order(work="extend", arguments={"seed": IGNORES}, cpus=1, memory=1)
        with pytest.raises(ConnectionLost):
            await connection.carry_out(order)
        assert connection.lost
        with pytest.raises(ConnectionLost):
            await connection.carry_out(order)
        await connection.close()
    assert [line["reason"] for line in logs if "reason" in line] == ["the cluster does not answer"]


async def test_what_has_failed_by_itself_is_not_told_to_be_lost(tmp_path: Path) -> None:
    connection = await Connection.open(command(tmp_path), within_s=60)

    def fail_and_lose(_fraction: float, _step: str) -> None:
        asyncio.get_running_loop().call_soon(connection._lose)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await connection.carry_out(
            Order(work="extend", arguments={"seed": MAKES}, cpus=1, memory=1), progress=fail_and_lose
        )
    await connection.close()


async def test_who_stops_while_a_link_starts_waits_for_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, NEVER) as (runner, _head):
        task = asyncio.create_task(extend(runner))
        await until(lambda: runner._connecting is not None)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_link_that_does_not_leave_is_killed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("uncrop.workers.ray.connection.ENDED_WITHIN_S", 0.01)
    started = asyncio.create_task(Connection.open(command(tmp_path, NEVER), within_s=60))
    await anyio.wait_all_tasks_blocked()
    started.cancel()
    with pytest.raises(asyncio.CancelledError):
        await started


# --- the rest --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "address"), [("head", "head:6379"), ("fd00::1", "[fd00::1]:6379")])
def test_the_address_is_as_ray_takes_it(host: str, address: str) -> None:
    assert Cluster(host=host, port=6379).address == address


async def test_every_node_is_tried(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with opened(tmp_path) as (runner, _head):
        (trial,) = await try_nodes(runner, PHOTO, SIDES, seed=MAKES)
        assert (trial.node, trial.made, trial.failure) == (NODE, MADE.pixels, "")
        assert isinstance(trial.description, Order)  # the played link sends back what it was told
        assert (trial.description.work, trial.description.node, trial.seconds > 0) == ("describe", NODE.id, True)
        (trial,) = await try_nodes(runner, PHOTO, SIDES, seed=REFUSES)
        assert trial == NodeTrial(node=NODE, description=trial.description, failure="Too far")

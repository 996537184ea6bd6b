"""A cluster of two nodes and all that may befall it; ``test_ray.py`` runs this in a network of its own.

usage: ray_trial.py FOLDER   with a folder ``data/kernels`` in it; prints what was found, as JSON, at its end
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import structlog
from ray.cluster_utils import Cluster as RealCluster

from uncrop.model import Sides
from uncrop.workers.engine_runner import compute
from uncrop.workers.ray.runner import Cluster, RayRunner, open_ray_runner
from waiting import until

PORT = 6399
SIDES = Sides(left=32)
SEEDS = range(8)
STORE_BYTES = 80_000_000
NODE: dict[str, Any] = {"num_cpus": 1, "object_store_memory": STORE_BYTES}


def photo(rows: int, cols: int) -> Any:
    return np.random.default_rng(1).integers(0, 255, (rows, cols, 3)).astype(np.uint8)


SMALL, LARGE = photo(128, 160), photo(500, 700)


def say(what: str) -> None:
    sys.stderr.write(f"{time.monotonic():9.2f} {what}\n")
    sys.stderr.flush()


class Machines:
    """The cluster, which can be harmed."""

    def start(self) -> None:
        """Start a head, which is a node too, and a second node."""
        head = {**NODE, "gcs_server_port": PORT, "include_dashboard": False}
        self._cluster = RealCluster(initialize_head=True, head_node_args=head)
        self._second = self._cluster.add_node(**NODE)
        say("the cluster has started")

    def shut_down(self) -> None:
        self._cluster.shutdown()
        say("the cluster is shut down")

    def _processes(self) -> list[int]:
        raylet = self._second.all_processes["raylet"][0].process.pid
        children = subprocess.run(["pgrep", "-P", str(raylet)], capture_output=True, text=True, check=False).stdout
        return [raylet, *map(int, children.split())]

    def power_off(self) -> None:
        """End the second node as a power failure does."""
        for pid in self._processes():
            os.kill(pid, signal.SIGKILL)
        say("a node is powered off")

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let the second node answer nothing."""
        stopped = self._processes()
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)


class Trial:
    """Makes pictures, and notes what was found."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder / "data" / "kernels"
        self.machines = Machines()
        self.found: dict[str, Any] = {}
        self.nodes: list[str] = []

    async def picture(self, runner: RayRunner, image: Any, seed: int) -> str:
        """Make one, and return what it is: the same as without Ray, another, or the code of the refusal."""
        try:
            made = await runner.extend(image, SIDES, seed=seed, quality="fast")
        except Exception as error:  # noqa: BLE001 - it is what was found
            return getattr(error, "code", repr(error))
        return "same" if made.pixels.tobytes() == self.here(image, seed) else "other"

    def here(self, image: Any, seed: int) -> bytes:
        """Make the same without Ray, once."""
        file = self.folder / f"{image.shape[0]}-{seed}"
        if not file.exists():
            alone = compute(self.cache, time.monotonic() + 600, image, SIDES, seed, "fast", False)
            file.write_bytes(alone.pixels.tobytes())
        return file.read_bytes()

    async def measured(self, name: str, work: Callable[[], Awaitable[Any]]) -> Any:
        began = time.monotonic()
        found = await work()
        seconds = round(time.monotonic() - began, 2)
        self.found[name] = {"found": found, "seconds": seconds}
        say(f"{name}: {found} in {seconds} s")
        return found


async def try_all(folder: Path) -> dict[str, Any]:
    trial = Trial(folder)
    machines = trial.machines
    for image in (SMALL, LARGE):
        for seed in SEEDS:
            trial.here(image, seed)
    cluster = Cluster(host="127.0.0.1", port=PORT)
    async with open_ray_runner(cluster, cache=trial.cache, deadline_s=120) as runner:
        await trial.measured("before there is a cluster", lambda: trial.picture(runner, SMALL, 0))
        machines.start()
        await asyncio.sleep(5)  # for as long is a failure kept
        await trial.measured("first picture", lambda: trial.picture(runner, SMALL, 0))
        await trial.measured("on each node", lambda: on_each_node(runner))
        await trial.measured("pictures on two nodes", lambda: many(trial, runner, SMALL))
        await trial.measured("cancelled", lambda: cancelled(trial, runner))
        await trial.measured("a node hangs", lambda: hanging(trial))
        await trial.measured("after that", lambda: many(trial, runner, SMALL))
        await trial.measured("a node is powered off", lambda: powered_off(trial, runner))
        await trial.measured("the cluster is gone", lambda: gone(trial, runner))
        machines.start()
        await asyncio.sleep(5)
        await trial.measured("it is back", lambda: trial.picture(runner, SMALL, 1))
    await asyncio.to_thread(commands, trial)
    machines.shut_down()
    trial.found["links left"] = links_left()
    return trial.found


async def on_each_node(runner: RayRunner) -> list[bool]:
    made = [await runner.extend(SMALL, SIDES, seed=1, quality="fast", node=node.id) for node in await runner.nodes()]
    return [np.array_equal(each.pixels, made[0].pixels) for each in made]


async def many(trial: Trial, runner: RayRunner, image: Any) -> list[str]:
    return await asyncio.gather(*(trial.picture(runner, image, seed) for seed in SEEDS))


async def cancelled(trial: Trial, runner: RayRunner) -> dict[str, Any]:
    """Leave two large pictures that both nodes work on; return when both have room for others, and made them."""
    begun = [asyncio.Event(), asyncio.Event()]
    large = photo(1200, 1600)
    left = [
        asyncio.create_task(
            runner.extend(large, Sides(left=400), seed=1, quality="best", progress=lambda *_, event=event: event.set())
        )
        for event in begun
    ]
    for event in begun:
        await event.wait()
    workers = busy_workers()
    for task in left:
        task.cancel()
    await asyncio.wait(left)
    began = time.monotonic()
    await until(lambda: not set(workers) & set(busy_workers()))
    freed = round(time.monotonic() - began, 2)
    made = await asyncio.gather(*(trial.picture(runner, SMALL, seed) for seed in (0, 1)))
    return {"workers": len(workers), "freed_s": freed, "made": made}


def busy_workers() -> list[int]:
    """Return the processes that make a picture, which Ray names after their task."""
    listed = subprocess.run(["pgrep", "-f", "ray::uncrop extend"], capture_output=True, text=True, check=False).stdout
    return [int(line) for line in listed.split()]


async def hanging(trial: Trial) -> dict[str, Any]:
    """Ask for pictures while a node hangs, with a deadline of a few seconds."""
    cluster = Cluster(host="127.0.0.1", port=PORT)
    async with open_ray_runner(cluster, cache=trial.cache, deadline_s=120) as runner:
        await many(trial, runner, SMALL)
        runner._deadline_s, runner._grace_s = 8.0, 2.0  # the rest of the trial has time
        with trial.machines.frozen():
            began = time.monotonic()
            outcomes = await many(trial, runner, SMALL)
            return {"outcomes": outcomes, "seconds": round(time.monotonic() - began, 2)}


async def powered_off(trial: Trial, runner: RayRunner) -> dict[str, Any]:
    """Switch a node off in the middle of its pictures."""
    with structlog.testing.capture_logs():
        tasks = asyncio.gather(*(trial.picture(runner, LARGE, seed) for seed in SEEDS))
        await until(lambda: len(busy_workers()) == 2)
        trial.machines.power_off()
        return {"outcomes": await tasks}


async def gone(trial: Trial, runner: RayRunner) -> dict[str, Any]:
    """Shut the cluster down while a picture is made; return when that one ends, and how a new one does."""
    begun = asyncio.Event()
    large = photo(1200, 1600)
    running = asyncio.create_task(
        runner.extend(large, Sides(left=400), seed=1, quality="best", progress=lambda *_: begun.set())
    )
    await begun.wait()
    trial.machines.shut_down()
    began = time.monotonic()
    new = await trial.picture(runner, SMALL, 1)
    new_s = time.monotonic() - began
    (old,) = await asyncio.gather(running, return_exceptions=True)
    old_s = time.monotonic() - began
    return {
        "new": new,
        "new_s": round(new_s, 2),
        "running": getattr(old, "code", repr(old)),
        "running_s": round(old_s, 2),
    }


def commands(trial: Trial) -> None:
    """Make the same picture by the command line, with and without Ray, and let it look at the nodes."""
    files = []
    for engine in ("ray", "local"):
        file = trial.folder / f"{engine}.png"
        extend = ("extend", "photo.jpg", "--left", "24", "--seed", "7", "--output", str(file))
        trial.found[f"extend on {engine}"] = uncrop(trial.folder, engine, *extend)
        files.append(file.read_bytes() if file.exists() else engine)
    trial.found["same files"] = files[0] == files[1]
    trial.found["doctor"] = uncrop(trial.folder, "ray", "doctor")


def uncrop(folder: Path, engine: str, *arguments: str) -> dict[str, Any]:
    environment = {
        **os.environ,
        "UNCROP_DATA_DIR": str(folder / "data"),
        "UNCROP_ENGINE": engine,
        "UNCROP_RAY_ADDRESS": f"127.0.0.1:{PORT}",
    }
    command = [sys.executable, "-m", "uncrop", *arguments]
    began = time.monotonic()
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    seconds = round(time.monotonic() - began, 2)
    say(f"{arguments[0]} on {engine}: {done.returncode} in {seconds} s {done.stderr[-300:]}")
    return {"code": done.returncode, "out": done.stdout, "seconds": seconds}


def links_left() -> int:
    pgrep = ["pgrep", "-f", "uncrop.workers.ray.link_process"]
    listed = subprocess.run(pgrep, capture_output=True, text=True, check=False)
    return len(listed.stdout.split())


if __name__ == "__main__":
    print(json.dumps(asyncio.run(try_all(Path(sys.argv[1])))))  # noqa: T201 - it is the answer

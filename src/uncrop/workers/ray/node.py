"""What runs on a node of a Ray cluster."""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TypeAlias

from uncrop import engine
from uncrop._version import __version__
from uncrop.workers import engine_runner
from uncrop.workers.ray.messages import Work

if TYPE_CHECKING:
    from pathlib import Path

    from uncrop.engine import Extension
    from uncrop.model import Pixels, Progress, Quality, Sides


@dataclass(frozen=True, kw_only=True, slots=True)
class Description:
    """What a node has.

    Attributes
    ----------
    versions
        Of what must be the same everywhere, by name.
    compiled
        Whether all kernels lie in the folder that was asked about.
    """

    versions: dict[str, str]
    compiled: bool


@dataclass(frozen=True, slots=True)
class Start:
    """A node has begun, by its id."""

    node: str


@dataclass(frozen=True, slots=True)
class Step:
    """How far the work is."""

    fraction: float
    name: str


@dataclass(frozen=True, slots=True)
class End:
    """What the work has returned."""

    value: Any


Sign: TypeAlias = Start | Step | End


def carry_out(work: Work, seconds_left: float, arguments: dict[str, Any]) -> Iterator[Sign]:
    """Do some work, and yield how far it is, and what it returns at its end.

    Parameters
    ----------
    work, arguments
        What to do, and all that it takes.
    seconds_left
        In which it must be done, counted from now: clocks of machines differ.

    Raises
    ------
    UncropError
        The engine's own refusals, ``ProviderTimeout`` past the deadline.
    """
    deadline = time.monotonic() + seconds_left
    yield Start(node_id())
    # The engine tells how far it is by a call, while Ray sends what is yielded: the one in a thread, the other here.
    signs: SimpleQueue[Sign | BaseException] = SimpleQueue()

    def tell(fraction: float, step: str) -> None:
        signs.put(Step(fraction, step))

    def do() -> None:
        try:
            signs.put(End(WORKS[work](tell, deadline, **arguments)))
        except BaseException as error:  # noqa: BLE001 - raised below
            signs.put(error)

    threading.Thread(target=do, name="uncrop engine", daemon=True).start()
    while True:
        sign = signs.get()
        if isinstance(sign, BaseException):
            raise sign
        yield sign
        if isinstance(sign, End):
            return


def node_id() -> str:
    """Return Ray's id of the node that this runs on."""
    import ray

    found: str = ray.get_runtime_context().get_node_id()
    return found


def extend(
    tell: Progress,
    deadline: float,
    *,
    cache: Path | None,
    threads: int,
    photo: Pixels,
    sides: Sides,
    seed: int,
    quality: Quality,
    confidence_map: bool,
    is_variation: bool,
) -> Extension:
    """Extend one photo on this node, by so many threads.

    Raises
    ------
    UncropError
    """
    work = engine_runner.compute_variation if is_variation else engine_runner.compute
    return work(cache, deadline, photo, sides, seed, quality, confidence_map, tell, threads=threads)


def prepare(_tell: Progress, _deadline: float, *, cache: Path | None) -> None:
    """Load the engine and all its kernels on this node; those that are missing are compiled."""
    engine_runner.prepare(cache)


def describe(_tell: Progress, _deadline: float, *, cache: Path | None) -> Description:
    """Tell what this node has."""
    return Description(versions=versions(), compiled=cache is not None and engine.is_compiled(cache))


def versions() -> dict[str, str]:
    """Return the versions, here, of what decides whether pictures are the same everywhere."""
    packages = {name: version(name) for name in ("numba", "numpy", "ray")}
    return {"Python": platform.python_version(), "uncrop": __version__, **packages}


WORKS: Mapping[Work, Callable[..., Any]] = {"extend": extend, "prepare": prepare, "describe": describe}

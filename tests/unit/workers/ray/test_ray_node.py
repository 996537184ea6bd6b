"""What runs on a node, here in this process; the stand-in for Ray tells which node that is."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import uncrop
from uncrop import engine
from uncrop.engine import Extension
from uncrop.errors import InvalidExtendParameters, ProviderTimeout
from uncrop.model import Sides
from uncrop.workers import engine_runner
from uncrop.workers.ray import node
from uncrop.workers.ray.node import End, Start, Step, carry_out

PHOTO = np.full((16, 16, 3), 7, np.uint8)
MADE = Extension(pixels=PHOTO, confidence=1.0, confidence_map=None)
WISHES: dict[str, Any] = {
    "cache": Path("kernels"),
    "threads": 3,
    "photo": PHOTO,
    "sides": Sides(left=4),
    "seed": 5,
    "quality": "fast",
    "confidence_map": False,
    "is_variation": False,
}
pytestmark = pytest.mark.usefixtures("ray_stand_in")


def stand_in(monkeypatch: pytest.MonkeyPatch, function: Any, name: str = "compute") -> None:
    monkeypatch.setattr(engine_runner, name, function)


@pytest.mark.parametrize(("is_variation", "name"), [(False, "compute"), (True, "compute_variation")])
def test_a_node_tells_that_it_has_begun_how_far_it_is_and_what_it_has_made(
    monkeypatch: pytest.MonkeyPatch, is_variation: bool, name: str, ray_stand_in: Any
) -> None:
    seen: list[Any] = []

    def compute(*arguments: Any, threads: int) -> Extension:
        *wishes, tell = arguments
        seen.extend((*wishes, threads, threading.current_thread()))
        tell(0.5, "half")
        return MADE

    stand_in(monkeypatch, compute, name)
    before = time.monotonic()
    signs = list(carry_out("extend", 60, {**WISHES, "is_variation": is_variation}))
    assert signs == [Start(ray_stand_in.HERE), Step(0.5, "half"), End(MADE)]
    cache, deadline, photo, *wishes, thread = seen
    assert (cache, photo is PHOTO) == (Path("kernels"), True)
    # The seconds count from the moment when the node begins.
    assert before + 60 <= deadline <= time.monotonic() + 60
    assert wishes == [Sides(left=4), 5, "fast", False, 3]
    assert thread is not threading.current_thread()


def test_what_the_engine_refuses_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object, threads: int) -> Extension:
        raise InvalidExtendParameters("Too far", details={"extend_left": 4})

    stand_in(monkeypatch, refuse)
    signs = carry_out("extend", 60, WISHES)
    assert isinstance(next(signs), Start)
    with pytest.raises(InvalidExtendParameters, match="Too far"):
        next(signs)


def test_no_picture_is_begun_that_has_no_time_left() -> None:
    signs = carry_out("extend", -1, WISHES)
    next(signs)
    with pytest.raises(ProviderTimeout):
        next(signs)


def test_the_real_engine_makes_the_same_bytes_as_without_ray(kernels: Path) -> None:
    photo = np.random.default_rng(1).integers(0, 255, (24, 24, 3)).astype(np.uint8)
    photo.flags.writeable = False  # as what comes out of Ray's memory is
    wishes = {**WISHES, "cache": kernels, "photo": photo, "threads": 1}
    *_, end = carry_out("extend", 250, wishes)
    assert isinstance(end, End)
    here = engine.extend(photo, Sides(left=4), seed=5, quality="fast")
    assert np.array_equal(end.value.pixels, here.pixels)
    assert end.value.confidence == here.confidence


def test_a_node_is_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    folders: list[Any] = []
    monkeypatch.setattr(engine_runner, "prepare", folders.append)
    assert list(carry_out("prepare", 60, {"cache": Path("kernels")}))[-1] == End(None)
    assert folders == [Path("kernels")]


@pytest.mark.parametrize(("cache", "compiled"), [(Path("kernels"), True), (None, False)])
def test_a_node_describes_itself(monkeypatch: pytest.MonkeyPatch, cache: Path | None, compiled: bool) -> None:
    monkeypatch.setattr(engine, "is_compiled", lambda folder: folder == Path("kernels"))
    monkeypatch.setattr(node, "version", lambda name: f"{name} 1")
    *_, end = carry_out("describe", 60, {"cache": cache})
    assert isinstance(end, End)
    assert end.value.compiled == compiled
    versions = end.value.versions
    assert set(versions) == {"Python", "uncrop", "numba", "numpy", "ray"}
    assert (versions["uncrop"], versions["ray"]) == (uncrop.__version__, "ray 1")

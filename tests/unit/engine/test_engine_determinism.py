"""The same photo, sides, quality and seed give the same bytes, whatever the number of threads."""

from __future__ import annotations

import hashlib
import json
import threading
from pathlib import Path

import numba
import numpy as np
import pytest

from uncrop.engine import extend
from uncrop.model import Sides

GOLDEN = Path(__file__).parents[2] / "golden" / "engine.json"
SIDES = Sides(left=40, right=25, up=31, down=0)


@pytest.mark.parametrize(
    ("threads", "quality"), [(1, "standard"), (2, "standard"), (3, "standard"), (7, "standard"), (1, "best")]
)
def test_any_number_of_threads(draw, threads, quality):
    image = draw(200, 300)
    expected = extend(image, SIDES, seed=5, quality=quality, threads=2)
    result = extend(image, SIDES, seed=5, quality=quality, threads=threads)
    assert np.array_equal(result.pixels, expected.pixels)
    assert np.array_equal(result.confidence_map, expected.confidence_map)


def test_numbas_own_setting_is_the_default(draw, monkeypatch):
    image = draw(60, 80)
    started: list[int] = []

    class Pool:
        def __init__(self, threads: int, **_: object) -> None:
            started.append(threads)
            raise RuntimeError("no pool in this test")

    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 3)
    monkeypatch.setattr("uncrop.engine.runtime.thread_pool.ThreadPoolExecutor", Pool)
    with pytest.raises(RuntimeError, match="no pool"):
        extend(image, SIDES, seed=5)
    assert started == [3]


def test_another_seed_gives_another_picture(draw):
    image = draw(100, 120)
    assert not np.array_equal(extend(image, SIDES, seed=5).pixels, extend(image, SIDES, seed=6).pixels)


def test_two_calls_at_once_do_not_disturb_each_other(draw):
    image = draw(120, 160)
    expected = extend(image, SIDES, seed=5, threads=1).pixels
    results: list[np.ndarray] = []
    workers = [
        threading.Thread(target=lambda: results.append(extend(image, SIDES, seed=5, threads=2).pixels))
        for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [np.array_equal(result, expected) for result in results] == [True, True, True]


CASES = {
    "rgb standard": ((120, 160, 3, np.uint8), Sides(left=40, right=25, up=31), "standard"),
    "rgb fast": ((301, 217, 3, np.uint8), Sides(down=100), "fast"),
    "rgb best": ((90, 90, 3, np.uint8), Sides(right=30), "best"),
    "grey": ((64, 48, 1, np.uint8), Sides(left=20, right=20, up=20, down=20), "standard"),
    "rgba 16 bit": ((64, 48, 4, np.uint16), Sides(left=20, up=-10), "standard"),
}


@pytest.mark.parametrize("name", CASES)
def test_golden_hashes(draw, request, name):
    arguments, sides, quality = CASES[name]
    result = extend(draw(*arguments), sides, seed=11, quality=quality)
    found = hashlib.sha256(result.pixels.tobytes() + result.confidence_map.tobytes()).hexdigest()
    golden = json.loads(GOLDEN.read_text()) if GOLDEN.exists() else {}
    if request.config.getoption("--accept-golden", default=False):
        golden[name] = found
        GOLDEN.write_text(json.dumps(golden, indent=2, sort_keys=True) + "\n")
    assert golden.get(name) == found, "look at the pictures, then `pytest tests/unit/engine --accept-golden`"

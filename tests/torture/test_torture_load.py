"""Load: a spike and its end, and what a long run leaves behind."""

from __future__ import annotations

import random
import statistics
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx2
import pytest

from fixtures_http import ask, clipdrop_form
from fixtures_processes import watched
from fixtures_server import PROVIDER_KEY, real, wait_until
from uncrop.testing import outcomes
from uncrop.testing.clipdrop import ClipdropEmulator
from uncrop.testing.pictures import photo_jpeg

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fixtures_server import Real
    from fixtures_torture import Cases

FORM = clipdrop_form(photo_jpeg(64, 48))
CROWD, REFUSED = 12, 20
PATIENCE_S = 0.05
AFTER = 5  # pictures that one client asks for when the others have gone


def _again_at_once(house: Real) -> int:
    return ask(house.url, FORM, key=house.key).status_code


def _as_told(house: Real) -> int:
    response = ask(house.url, FORM, key=house.key)
    if response.status_code == 503:
        time.sleep(min(1.0, float(response.headers["retry-after"])))
    return response.status_code


def _leaves(house: Real) -> int:
    try:
        return ask(house.url, FORM, key=house.key, timeout_s=PATIENCE_S).status_code
    except httpx2.TimeoutException:
        return 0


@pytest.mark.parametrize("behave", [_again_at_once, _as_told, _leaves])
def test_a_spike_leaves_nothing_behind(
    tmp_path: Path, kernels: Path, cases: Cases, behave: Callable[[Real], int]
) -> None:
    """While it lasts, clients are refused; after it each picture is made, in a full run as quickly as before."""
    (tmp_path / "kernels").symlink_to(kernels)
    settings = {"max_running": 2, "max_waiting": 2, "rate_limit_per_minute": 10**6}
    with real(tmp_path, settings=settings) as house, ThreadPoolExecutor(CROWD) as pool:
        before = _one_after_another(house)
        statuses: Counter[int] = Counter()
        ends_at, over = time.monotonic() + cases.number(0, 60), threading.Event()

        def take_part() -> None:
            while not over.is_set():
                statuses[behave(house)] += 1

        crowd = [pool.submit(take_part) for _ in range(CROWD)]
        try:
            wait_until(lambda: statuses[503] + statuses[0] >= REFUSED)
            time.sleep(max(0.0, ends_at - time.monotonic()))
        finally:
            over.set()
        for each in crowd:
            each.result()
        assert set(statuses) <= {0, 200, 503}
        assert statuses[0 if behave is _leaves else 503] > 0
        # What was sent for clients who have left is seen through.
        wait_until(lambda: house.server.service.capacity.slots.running == 0)
        after = _one_after_another(house)
        assert not cases.full or after < 2 * before + 0.1
    cases.ran(1)


def _one_after_another(house: Real) -> float:
    """Ask for some pictures, and return the median of the seconds that one took."""
    took = []
    for _ in range(AFTER):
        begun = time.perf_counter()
        assert ask(house.url, FORM, key=house.key).status_code == 200
        took.append(time.perf_counter() - begun)
    return statistics.median(took)


class Forgetful(ClipdropEmulator):
    """Keeps no calls, and fails one in a hundred in one of several ways."""

    keeps_calls = False
    faults = (
        outcomes.refuse(500),
        outcomes.refuse(429),
        outcomes.hang_up_unanswered(),
        outcomes.hang_up(after=20, reset=True),
        outcomes.corrupt_picture(),
        outcomes.wrong_size(64, 512),
    )


CLIENTS, PAUSE_S, MEGABYTES_A_MINUTE = 2, 0.25, 1.0
LOOK_EVERY_S = 5


@pytest.mark.slow
def test_nothing_grows(
    tmp_path: Path, kernels: Path, cases: Cases, record_property: Callable[[str, object], None]
) -> None:
    seconds = cases.number(40, 600)
    with Forgetful(api_key=PROVIDER_KEY) as clipdrop:
        settings = {
            "UNCROP_CLIPDROP_API_KEY": PROVIDER_KEY,
            "UNCROP_CLIPDROP_BASE_URL": clipdrop.url,
            "UNCROP_RATE_LIMIT_PER_MINUTE": "1000000",
        }
        with watched(tmp_path, kernels, settings) as server, ThreadPoolExecutor(CLIENTS) as pool:
            statuses: Counter[int] = Counter()
            over = threading.Event()

            def take_part(number: int) -> None:
                chance = random.Random(number)
                while not over.wait(PAUSE_S):
                    if chance.random() < 0.01:
                        clipdrop.script(chance.choice(Forgetful.faults))
                    response = server.extend(photo_jpeg(640, 480), provider="clipdrop", extend_left="16")
                    statuses[response.status_code] += 1

            clients = [pool.submit(take_part, number) for number in range(CLIENTS)]
            begun = time.monotonic()
            seen: list[tuple[float, int]] = []
            try:
                # What is loaded and filled once is not growth.
                time.sleep(seconds / 4)
                handles = server.handles()
                while (now := time.monotonic()) < begun + seconds:
                    seen.append((now / 60, server.own()))
                    time.sleep(LOOK_EVERY_S)
            finally:
                over.set()
            for each in clients:
                each.result()
            wait_until(lambda: not grown(handles, server.handles()))
            slope, _ = statistics.linear_regression(*zip(*seen, strict=True))
            record_property("requests", sum(statuses.values()))
            record_property("megabytes a minute", round(slope, 3))
    assert set(statuses) <= {200, 429, 502, 503}
    assert statuses[200] > 0.9 * sum(statuses.values())
    # Between two looks some of a picture's memory is held and some is not: in a short run that is much a minute.
    assert slope <= MEGABYTES_A_MINUTE * (1 if cases.full else 20)
    cases.ran(1)


def grown(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    """Return what there is more of, beyond what comes and goes with a request."""
    return {name: after[name] - before[name] for name in before if after[name] > before[name] + 2}

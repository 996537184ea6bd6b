"""What pictures of one family of seeds share is made once, and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop import engine
from uncrop.engine import choose
from uncrop.engine.choose import tasks_of
from uncrop.engine.prepare.presets import PRESETS
from uncrop.model import Sides

SIDES = Sides(left=24, down=10)


def test_half_of_the_candidates_are_the_familys() -> None:
    for preset in PRESETS.values():
        made = {seed: tasks_of(preset, seed) for seed in (8, 9, 11, 12)}
        for tasks in made.values():
            assert [task.strictness for task in tasks] == [*preset.candidate_priors * preset.repetitions]
            assert len({(task.strictness, task.seed) for task in tasks}) == len(tasks)
            assert sum(task.shared for task in tasks) == len(tasks) // 2
            assert not tasks[0].shared
        for shared in (False, True):
            seeds = {seed: {task.seed for task in tasks if task.shared is shared} for seed, tasks in made.items()}
            assert (seeds[8] == seeds[9] == seeds[11]) is shared
            assert seeds[11].isdisjoint(seeds[12])


def test_what_is_shared_is_made_once_and_changes_no_pixel(draw, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    real = choose.make_candidate

    def count(level, strictness, preset, seed, *more):
        made.append(seed)
        return real(level, strictness, preset, seed, *more)

    monkeypatch.setattr(choose, "make_candidate", count)
    photo = draw(72, 96, 3, np.uint8)
    alone = [engine.extend(photo, SIDES, seed=seed, quality="fast") for seed in (4, 5, 7)]
    each = len(made) // 3
    made.clear()
    shared = engine.SharedCandidates()
    together = [engine.extend(photo, SIDES, seed=seed, quality="fast", shared=shared) for seed in (4, 5, 7)]
    assert len(made) == 3 * each - 2 * len(PRESETS["fast"].candidate_priors) // 2
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.pixels, other.pixels)
        assert one.confidence == other.confidence


def test_what_is_kept_is_of_one_photo_and_one_wish(draw) -> None:
    shared = engine.SharedCandidates()
    photo = draw(32, 32, 3, np.uint8)
    kept = shared.of(photo, SIDES, "fast")
    kept["x"] = 1
    assert shared.of(photo.copy(), SIDES, "fast") is kept
    assert shared.of(photo, SIDES, "standard") == {}
    assert shared.of(photo, SIDES, "fast") == {}
    shared.of(photo, SIDES, "fast")["x"] = 1
    shared.clear()
    assert shared.of(photo, SIDES, "fast") == {}

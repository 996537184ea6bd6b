"""Progress, deadline and cancelling between the steps."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.engine import extend
from uncrop.errors import ProviderTimeout
from uncrop.model import Sides

SIDES = Sides(left=30, down=30)


class Cancelled(Exception):
    """What a caller raises to stop."""


def test_progress_rises_from_0_to_1(draw):
    seen: list[tuple[float, str]] = []
    extend(draw(380, 380), SIDES, seed=0, quality="fast", progress=lambda *step: seen.append(step))
    fractions = [fraction for fraction, _ in seen]
    assert fractions[0] == 0.0
    assert fractions[-1] == 1.0
    assert fractions == sorted(fractions)
    names = [name for _, name in seen]
    assert names[:2] == ["prepare", "candidates"]
    assert names[-4:] == ["fine details", "seams", "write", "done"]


def test_what_progress_raises_cancels(draw):
    def stop(fraction: float, step: str) -> None:
        if step == "seams":
            raise Cancelled

    with pytest.raises(Cancelled):
        extend(draw(60, 60), SIDES, seed=0, quality="fast", progress=stop)


class Clock:
    """A clock that moves on by a second every time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 1.0
        return self.now


@pytest.mark.parametrize("deadline", [0.5, 2.5, 5.5, 8.5])
def test_no_step_begins_past_the_deadline(draw, deadline):
    clock = Clock()
    with pytest.raises(ProviderTimeout) as caught:
        extend(draw(60, 60), SIDES, seed=0, quality="fast", deadline=deadline, clock=clock, threads=1)
    assert caught.value.message == "The local engine did not finish in time"
    assert clock.now == np.ceil(deadline)


def test_a_deadline_in_the_future_changes_nothing(draw):
    image = draw(60, 60)
    expected = extend(image, SIDES, seed=0, quality="fast")
    result = extend(image, SIDES, seed=0, quality="fast", deadline=1e9, clock=Clock())
    assert np.array_equal(result.pixels, expected.pixels)

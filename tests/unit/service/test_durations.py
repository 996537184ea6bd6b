"""The running median of how long pictures take."""

from __future__ import annotations

from uncrop.model import StageTime
from uncrop.service.durations import Durations


def stages(*, provider: float, admission: float = 0) -> list[StageTime]:
    return [
        StageTime(name="intake", milliseconds=500),
        StageTime(name="admission", milliseconds=1000 * admission),
        StageTime(name="provider", milliseconds=1000 * provider),
    ]


def test_nothing_is_expected_before_the_first_picture() -> None:
    durations = Durations()
    durations.add("clipdrop", stages(provider=1))
    assert durations.expected("local") is None


def test_the_median_is_told_without_the_wait_for_a_turn() -> None:
    durations = Durations()
    for seconds in (1, 100, 3):
        durations.add("clipdrop", stages(provider=seconds, admission=60))
    assert durations.expected("clipdrop") == 3.5


def test_only_the_last_pictures_count() -> None:
    durations = Durations(kept=2)
    for seconds in (90, 2, 4):
        durations.add("clipdrop", stages(provider=seconds))
    assert durations.expected("clipdrop") == 3.5

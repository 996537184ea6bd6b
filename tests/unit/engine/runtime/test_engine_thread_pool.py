"""Work is cut into pieces that cover everything once, and done in order."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.engine.runtime.partition import bands, tiles
from uncrop.engine.runtime.thread_pool import ThreadPool


@pytest.mark.parametrize("shift", [0, 7, 24, 100])
def test_bands_cover_every_row_once(shift):
    cut = bands(3, 100, 24, shift)
    assert [row for first, last in cut for row in range(first, last)] == list(range(3, 100))
    assert max(last - first for first, last in cut) <= 24


def test_a_pool_keeps_the_order_and_checks_before_each_piece():
    looks: list[int] = []
    with ThreadPool(3, lambda: looks.append(1)) as pool:
        assert pool.each(lambda n: n * n, range(20)) == [n * n for n in range(20)]
    assert len(looks) == 20


@pytest.mark.parametrize(("height", "width"), [(100, 90), (64, 64), (33, 200), (1, 3)])
def test_tiles_cover_what_is_not_photo_once(height, width):
    seen = np.zeros((height, width), int)
    photo = np.zeros((height, width), bool)
    photo[10:70, 8:60] = True
    for top, bottom, left, right in tiles(height, width, np.array([10, 70, 8, 60]), 32, 24):
        assert (top % 2, left % 2) == (0, 0)
        assert bottom - top <= 32 and right - left <= 24  # noqa: PT018
        assert not photo[top:bottom, left:right].all()
        seen[top:bottom, left:right] += 1
    assert seen.max() == 1
    assert seen[~photo].all()

"""Beyond the search range what was made is reflected."""

from __future__ import annotations

import numpy as np
from engine_scenes import RNG

from uncrop.engine.compose.reflect import reflect_beyond
from uncrop.engine.prepare.search_range import within_search_range
from uncrop.model import Sides


def test_reach_and_what_is_beyond():
    asked = Sides(left=2000, up=-3, right=100)
    near = within_search_range(20, 30, asked)
    assert near == Sides(left=256, right=100)
    assert within_search_range(500, 700, asked) == Sides(left=1500, right=100)
    assert within_search_range(700, 500, asked) == Sides(left=1500, right=100)
    made = RNG.integers(0, 256, (2, 286, 1), dtype=np.uint8)
    assert np.array_equal(reflect_beyond(made, near, asked)[:, 2000 - 256 - 1 : 2000 - 256, 0], made[:, :1, 0])


def test_the_photo_is_never_crossed_by_what_is_reflected():
    rows, cols = np.mgrid[0:7, 0:9]
    made = np.stack([rows, cols], axis=2).astype(np.uint8)  # a photo of 2 x 2 in rows 3 and 4, columns 2 and 3
    found = reflect_beyond(made, Sides(up=3, down=2, left=2, right=5), Sides(up=10, down=7, left=2, right=6))
    assert found[:, 0, 0].tolist() == [0, 0, 1, 2, 2, 1, 0, *range(7), 6, 5, 5, 6, 6]
    assert found[0, :, 1].tolist() == [*range(9), 8]
    assert reflect_beyond(made, Sides(up=3, down=2, left=2, right=5), Sides(up=3, down=2, left=2, right=5)) is made

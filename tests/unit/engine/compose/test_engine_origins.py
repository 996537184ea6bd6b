"""Every made pixel copies the pixel of the patch of least rank."""

from __future__ import annotations

import numpy as np
from engine_scenes import ONE_THREAD, scene

from uncrop.engine.compose.origins import COST_FLOOR, choose_origins


def test_copies_come_from_the_patch_of_least_rank():
    _, exemplar, field, _ = scene()
    origin = choose_origins(field, exemplar, ONE_THREAD)
    assert (origin[4:20, 5:23] == -1).all()
    for y, x in np.argwhere(origin >= 0):
        ranks = {}
        for qy in range(max(3, y - 3), min(23, y + 4)):
            for qx in range(max(3, x - 3), min(27, x + 4)):
                sy, sx = field.sources[qy, qx] + (y - qy, x - qx)
                ranks[int(sy * 18 + sx)] = min(
                    ranks.get(int(sy * 18 + sx), 1 << 62),
                    (int(field.costs[qy, qx]) + COST_FLOOR) * (10 + (y - qy) ** 2 + (x - qx) ** 2),
                )
        assert ranks[int(origin[y, x])] == min(ranks.values())

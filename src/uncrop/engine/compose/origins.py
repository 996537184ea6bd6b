"""Which of the photo's pixels each made pixel becomes, unblended, so that grain and sharpness survive."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.pyramid import Atlas
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.coherence import coherent, nearest_centre
from uncrop.engine.search.patch_field import Field, is_made
from uncrop.kernels import kernel

BAND = 24
COST_FLOOR = 16 * PATCH  # below this, differences of cost are noise and the nearer centre wins


@kernel
def choose_rows(field: Any, atlas_width: int, agree: Any, origin: Any, first: int, last: int) -> None:
    """Write the flat index of the source pixel of every made pixel into ``origin`` (H, W), -1 on the photo.

    Of the patches that cover a pixel the one with the least (cost + floor) * (1 + d² / 10) is copied, d the distance
    from its centre. ``agree`` (last - first, W) marks where all of them copy it from one place.
    """
    height, width = field.costs.shape
    for y in range(first, last):
        for x in range(width):
            if not is_made(y, x, field.box):
                origin[y, x] = -1
                continue
            if agree[y - first, x]:
                qy, qx = nearest_centre(y, height), nearest_centre(x, width)
                origin[y, x] = (field.labels[qy, qx, 0] + y - qy) * atlas_width + field.labels[qy, qx, 1] + x - qx
                continue
            least, chosen = 1 << 62, 0
            for qy in range(max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)):
                for qx in range(max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)):
                    square = (y - qy) * (y - qy) + (x - qx) * (x - qx)
                    rank = (int(field.costs[qy, qx]) + COST_FLOOR) * (10 + square)
                    if rank < least:
                        sy, sx = field.labels[qy, qx, 0] + y - qy, field.labels[qy, qx, 1] + x - qx
                        least, chosen = rank, sy * atlas_width + sx
            origin[y, x] = chosen


def choose_origins(field: Field, atlas: Atlas, crew: Crew) -> NDArray[np.int32]:
    """Return (H, W) int32: the flat index into the atlas of the pixel that each made pixel copies, -1 on the photo."""
    origin = np.empty(field.costs.shape, np.int32)
    width = atlas.usable.shape[1]

    def work(band: tuple[int, int]) -> None:
        choose_rows(field, width, coherent(field, *band), origin, *band)

    crew.each(work, bands(0, origin.shape[0], BAND))
    return origin

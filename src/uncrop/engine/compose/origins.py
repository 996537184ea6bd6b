"""Which of the photo's pixels each made pixel copies. Nothing is blended, so that grain and sharpness survive."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.pyramid import Exemplar
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.coherence import coherent, nearest_centre
from uncrop.engine.search.patch_field import PatchField, is_made
from uncrop.kernels import kernel

BAND = 24
COST_FLOOR = 16 * PATCH  # below it, differences of cost are noise and the nearer centre wins


@kernel
def choose_rows(field: Any, exemplar_width: int, agree: Any, origin: Any, first: int, last: int) -> None:
    """Write the flat index of the source pixel of every made pixel into ``origin`` (H, W), -1 on the photo.

    Of the patches that cover a pixel, the one with the least (cost + floor) * (1 + d² / 10) is copied, where d is the
    distance from its centre. ``agree`` (last - first, W) marks the pixels that all of them copy from one place.
    """
    height, width = field.costs.shape
    for y in range(first, last):
        for x in range(width):
            if not is_made(y, x, field.box):
                origin[y, x] = -1
                continue
            if agree[y - first, x]:
                qy, qx = nearest_centre(y, height), nearest_centre(x, width)
                origin[y, x] = (field.sources[qy, qx, 0] + y - qy) * exemplar_width + field.sources[qy, qx, 1] + x - qx
                continue
            least, chosen = 1 << 62, 0
            for qy in range(max(RADIUS, y - RADIUS), min(height - RADIUS, y + RADIUS + 1)):
                for qx in range(max(RADIUS, x - RADIUS), min(width - RADIUS, x + RADIUS + 1)):
                    square = (y - qy) * (y - qy) + (x - qx) * (x - qx)
                    rank = (int(field.costs[qy, qx]) + COST_FLOOR) * (10 + square)
                    if rank < least:
                        sy, sx = field.sources[qy, qx, 0] + y - qy, field.sources[qy, qx, 1] + x - qx
                        least, chosen = rank, sy * exemplar_width + sx
            origin[y, x] = chosen


def choose_origins(field: PatchField, exemplar: Exemplar, pool: ThreadPool) -> NDArray[np.int32]:
    """Return (H, W) int32: the flat index of the photo's pixel that each made pixel copies, -1 on the photo."""
    origin = np.empty(field.costs.shape, np.int32)
    width = exemplar.usable.shape[1]

    def work(band: tuple[int, int]) -> None:
        choose_rows(field, width, coherent(field, *band), origin, *band)

    pool.each(work, bands(0, origin.shape[0], BAND))
    return origin

"""From one level to the next finer one: sources double exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from uncrop.engine.prepare.patch import RADIUS
from uncrop.engine.prepare.pyramid import Exemplar, can_copy, usable_place
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import PatchField, is_target
from uncrop.kernels import kernel

BAND = 64


@kernel
def double_rows(coarse: Any, fine: Any, exemplar: Any, fallback: Any, corner: Any, first: int, last: int) -> None:
    """Write sources, costs and shifts of the rows ``first`` to ``last`` of ``fine``.

    s_fine = 2 s_coarse + (t_fine - 2 t_coarse), moved into the photo where it falls outside; where the patch there may
    not be copied, ``fallback`` (row, column). ``fine`` may be a window of the finer canvas that begins at ``corner``
    (2) int64, an even row and an even column.
    """
    height, width = fine.costs.shape
    top, left = corner[0], corner[1]
    coarse_height, coarse_width = coarse.costs.shape
    last_row, last_col = exemplar.usable.shape[0] - RADIUS - 1, exemplar.usable.shape[1] - RADIUS - 1
    for y in range(first, last):
        for x in range(width):
            if not is_target(y, x, height, width, fine.box):
                continue
            cy, cx = (
                min(coarse_height - RADIUS - 1, max(RADIUS, (y + top) >> 1)),
                min(coarse_width - RADIUS - 1, max(RADIUS, (x + left) >> 1)),
            )
            if coarse.sources[cy, cx, 0] < 0:
                # The photo's last odd row or column is dropped on coarse levels, so that a fine target may lie beside
                # the coarse ones: the next patch outward takes its place.
                cy, cx = nearest_target(coarse, cy, cx)
            sy = max(RADIUS, min(last_row, 2 * coarse.sources[cy, cx, 0] + y + top - 2 * cy))
            sx = max(RADIUS, min(last_col, 2 * coarse.sources[cy, cx, 1] + x + left - 2 * cx))
            if not can_copy(exemplar, sy, sx):
                sy, sx = fallback[0], fallback[1]
            fine.sources[y, x, 0], fine.sources[y, x, 1] = sy, sx
            fine.costs[y, x] = coarse.costs[cy, cx]
            for k in range(3):
                fine.shifts[y, x, k] = coarse.shifts[cy, cx, k]


@kernel
def nearest_target(field: Any, y: int, x: int) -> Any:
    """Return the target patch nearest to (y, x) along the row and the column."""
    height, width = field.costs.shape
    for step in range(1, max(height, width)):
        for n in range(4):
            at_y, at_x = y + step * (0, 0, 1, -1)[n], x + step * (1, -1, 0, 0)[n]
            if is_target(at_y, at_x, height, width, field.box):
                return at_y, at_x
    return y, x


def double(coarse: PatchField, fine: PatchField, exemplar: Exemplar, corner: tuple[int, int], pool: ThreadPool) -> None:
    """Fill sources, costs and shifts of ``fine``, a window that begins at ``corner``, from the next coarser level."""
    fallback, at = usable_place(exemplar), np.array(corner, np.int64)
    cuts = bands(0, fine.costs.shape[0], BAND)
    pool.each(lambda band: double_rows(coarse, fine, exemplar, fallback, at, *band), cuts)

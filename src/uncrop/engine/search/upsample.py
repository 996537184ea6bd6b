"""From one level to the next finer one: sources double exactly, and vote for the first finer picture."""

from __future__ import annotations

from typing import Any

from uncrop.engine.prepare.patch import RADIUS
from uncrop.engine.prepare.pyramid import Atlas, can_copy, usable_place
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_field import Field, is_target
from uncrop.kernels import kernel

BAND = 64


@kernel
def double_rows(coarse: Any, fine: Any, atlas: Any, fallback: Any, top: int, start: int, first: int, last: int) -> None:
    """Write labels, costs and shifts of the rows ``first`` to ``last`` of ``fine``.

    s_fine = 2 s_coarse + (t_fine - 2 t_coarse), moved into the photo where it falls outside. ``fine`` may be a part of
    the finer canvas that begins at its row ``top`` and column ``start``, even numbers.
    """
    height, width = fine.costs.shape
    coarse_height, coarse_width = coarse.costs.shape
    bottom, right = atlas.usable.shape[0] - RADIUS - 1, atlas.usable.shape[1] - RADIUS - 1
    for y in range(first, last):
        for x in range(width):
            if not is_target(y, x, height, width, fine.box):
                continue
            cy, cx = (
                min(coarse_height - RADIUS - 1, max(RADIUS, (y + top) >> 1)),
                min(coarse_width - RADIUS - 1, max(RADIUS, (x + start) >> 1)),
            )
            if coarse.labels[cy, cx, 0] < 0:
                # The photo's last odd row or column is dropped on coarse levels, so that a fine target may lie beside
                # the coarse ones: the next patch outward stands in.
                cy, cx = nearest_target(coarse, cy, cx)
            sy = max(RADIUS, min(bottom, 2 * coarse.labels[cy, cx, 0] + y + top - 2 * cy))
            sx = max(RADIUS, min(right, 2 * coarse.labels[cy, cx, 1] + x + start - 2 * cx))
            if not can_copy(atlas, sy, sx):
                sy, sx = fallback[0], fallback[1]
            fine.labels[y, x, 0], fine.labels[y, x, 1] = sy, sx
            fine.costs[y, x] = coarse.costs[cy, cx]
            for k in range(3):
                fine.shifts[y, x, k] = coarse.shifts[cy, cx, k]


@kernel
def nearest_target(field: Any, y: int, x: int) -> Any:
    """Return the target patch nearest to (y, x), looking along the row and the column."""
    height, width = field.costs.shape
    for step in range(1, max(height, width)):
        for n in range(4):
            at_y, at_x = y + step * (0, 0, 1, -1)[n], x + step * (1, -1, 0, 0)[n]
            if is_target(at_y, at_x, height, width, field.box):
                return at_y, at_x
    return y, x


def double(coarse: Field, fine: Field, atlas: Atlas, corner: tuple[int, int], crew: Crew) -> None:
    """Fill labels, costs and shifts of ``fine``, the part of its canvas from ``corner`` on, from the level below."""
    fallback = usable_place(atlas)
    cuts = bands(0, fine.costs.shape[0], BAND)
    crew.each(lambda band: double_rows(coarse, fine, atlas, fallback, *corner, *band), cuts)

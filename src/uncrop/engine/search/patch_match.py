"""Better sources for the patches of the canvas, by propagation and random search.

PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330) in bands of rows. Inside a band a patch sees what its
neighbours have just found; across bands it sees their state before the sweep. The bands move from one iteration to
the next but never depend on the number of threads, so that the result does not either.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.prior import Prior, penalty
from uncrop.engine.prepare.pyramid import Atlas, can_copy, patch_start, row_bytes
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.random_bits import below, chance
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_distance import difference_sums, shifted_difference
from uncrop.engine.search.patch_field import COLOUR_SLACK, SHIFT_STEPS, Field, is_target
from uncrop.kernels import inlined, kernel

BAND = 24
BAND_STEP = 7  # rows by which the bands move from iteration to iteration
FAR = 1 << 30


@inlined
def patch_cost(
    flat: Any, width: int, y: int, x: int, atlas: Any, prior: Any, slack: Any, sy: int, sx: int, limit: int
) -> Any:
    """Return the cost of the source (sy, sx) for the patch at (y, x), or any value >= limit.

    The cost is the squared difference over four channels after the best allowed colour shift, plus the prior's penalty.
    """
    total = penalty(sy - prior.anchor_row[y], prior.slack_row[y], prior.row_weight)
    total += penalty(sx - prior.anchor_col[x], prior.slack_col[x], prior.col_weight)
    if total >= limit:
        return total
    target = ((y - RADIUS) * width + x - RADIUS) * 4
    source = patch_start(atlas, sy, sx)
    return total + shifted_difference(flat, target, 4 * width, atlas.flat, source, row_bytes(atlas), slack)


@kernel
def propagate(
    field: Any, above: Any, under: Any, first: int, last: int, y: int, x: int, atlas: Any, prior: Any,
    slack: Any, best: Any,
) -> bool:  # fmt: skip
    """Try the continuations of the four neighbours' sources; ``best`` is (cost, row, column) and is updated.

    Returns whether all neighbours have the offset of this patch already.
    """
    width = field.costs.shape[1]
    agree = True
    for n in range(4):
        dy, dx = (0, -1, 1, 0)[n], (-1, 0, 0, 1)[n]
        if y + dy < first:
            sy, sx = above[x, 0], above[x, 1]
        elif y + dy >= last:
            sy, sx = under[x, 0], under[x, 1]
        else:
            sy, sx = field.labels[y + dy, x + dx, 0], field.labels[y + dy, x + dx, 1]
        if sy < 0:
            continue
        sy, sx = sy - dy, sx - dx
        if sy == best[1] and sx == best[2]:
            continue
        agree = False
        if can_copy(atlas, sy, sx):
            cost = patch_cost(field.flat, width, y, x, atlas, prior, slack, sy, sx, best[0])
            if cost < best[0]:
                best[0], best[1], best[2] = cost, sy, sx
    return agree


@kernel
def search_around(
    field: Any, y: int, x: int, atlas: Any, prior: Any, slack: Any, tries: int, radius: int, bits: int,
    best: Any,
) -> None:  # fmt: skip
    """Try ``tries`` random sources around the best, within a radius that halves each time; updates ``best``."""
    height, width = atlas.usable.shape
    for n in range(tries):
        bits = chance(bits, y * field.costs.shape[1] + x, n)
        top, bottom = max(0, best[1] - radius), min(height, best[1] + radius + 1)
        left, right = max(0, best[2] - radius), min(width, best[2] + radius + 1)
        sy, sx = top + below(bits, 0, bottom - top), left + below(bits, 16, right - left)
        if atlas.usable[sy, sx] != 0:
            cost = patch_cost(field.flat, field.costs.shape[1], y, x, atlas, prior, slack, sy, sx, best[0])
            if cost < best[0]:
                best[0], best[1], best[2] = cost, sy, sx
        radius = max(1, radius // 2)


@kernel
def sweep_band(
    field: Any, above: Any, under: Any, first: int, last: int, atlas: Any, prior: Any, slack: Any, forward: bool,
    tries: int, radius: int, seed: int, turn: int, best: Any, sums: Any,
) -> None:  # fmt: skip
    """Visit every target patch of the rows ``first`` to ``last`` once, in or against the order of reading.

    ``above`` and ``under`` are the labels (W, 2) of the rows next to the band before the sweep.
    """
    height, width = field.costs.shape
    for row in range(max(first, RADIUS), min(last, height - RADIUS)):
        y = row if forward else max(first, RADIUS) + min(last, height - RADIUS) - 1 - row
        for col in range(RADIUS, width - RADIUS):
            x = col if forward else width - 1 - col
            if not is_target(y, x, height, width, field.box):
                continue
            sy, sx = field.labels[y, x, 0], field.labels[y, x, 1]
            best[0] = patch_cost(field.flat, width, y, x, atlas, prior, slack, sy, sx, FAR)
            best[1], best[2] = sy, sx
            agree = propagate(field, above, under, first, last, y, x, atlas, prior, slack, best)
            if not agree:
                bits = chance(seed, y * width + x, turn)
                search_around(field, y, x, atlas, prior, slack, tries, radius, bits, best)
            field.costs[y, x] = best[0]
            field.labels[y, x, 0], field.labels[y, x, 1] = best[1], best[2]
            target = ((y - RADIUS) * width + x - RADIUS) * 4
            source = patch_start(atlas, best[1], best[2])
            difference_sums(field.flat, target, 4 * width, atlas.flat, source, row_bytes(atlas), sums)
            for k in range(3):
                limit = SHIFT_STEPS * slack[k]
                shift = int(sums[k]) * SHIFT_STEPS // PATCH
                field.shifts[y, x, k] = max(-limit, min(limit, shift))


def sweep(
    field: Field, atlas: Atlas, prior: Prior, crew: Crew, *, tries: int, radius: int, seed: int, turn: int
) -> None:
    """Improve every patch's source once; ``turn`` numbers the sweeps of a level."""
    height = field.costs.shape[0]
    cuts = bands(0, height, BAND, turn * BAND_STEP)
    edges = {first: (field.labels[first - 1].copy(), field.labels[first].copy()) for first, _ in cuts[1:]}
    nothing = np.full_like(field.labels[0], -1)

    def work(band: tuple[int, int]) -> None:
        first, last = band
        above = edges[first][0] if first in edges else nothing
        under = edges[last][1] if last in edges else nothing
        sweep_band(
            field,
            above,
            under,
            first,
            last,
            atlas,
            prior,
            COLOUR_SLACK,
            turn % 2 == 0,
            tries,
            radius,
            seed,
            turn,
            np.empty(3, np.int64),
            np.empty(4, np.int32),
        )

    crew.each(work, cuts)

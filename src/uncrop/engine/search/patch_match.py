"""Better sources for the patches of the canvas, by propagation and random search.

This is PatchMatch (Barnes et al. 2009, doi:10.1145/1531326.1531330) in bands of rows. Inside a band a patch sees what
its neighbours have just found; across bands it sees their state before the sweep. The bands move from one iteration to
the next but never depend on the number of threads, and so neither does the result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.presets import Effort
from uncrop.engine.prepare.prior import Prior, penalty
from uncrop.engine.prepare.pyramid import Exemplar, can_copy, patch_start, row_bytes
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.random_bits import random_below, random_bits
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_distance import difference_sums, shifted_difference
from uncrop.engine.search.patch_field import MAX_SHIFT, SHIFT_STEPS, PatchField, is_target
from uncrop.kernels import inlined, kernel

BAND = 24
BAND_STEP = 7  # rows by which the bands move from iteration to iteration
FAR = 1 << 30


class Level(NamedTuple):
    """What the sources of a level's patches are judged by.

    Attributes
    ----------
    field, exemplar, prior
        The patch field, the photo and the prior at this level.
    max_shift
        (4) int32: how far each channel of a copy may be shifted, in levels.
    """

    field: Any
    exemplar: Any
    prior: Any
    max_shift: Any


class Sweep(NamedTuple):
    """How one sweep searches.

    Attributes
    ----------
    tries, radius
        Random sources for each patch, and their largest distance in pixels from its source.
    seed, iteration
        What the random numbers depend on; every second sweep runs against the order of reading.
    """

    tries: int
    radius: int
    seed: int
    iteration: int


class Band(NamedTuple):
    """One band of rows in a sweep.

    Attributes
    ----------
    first, last
        Its first row, and the first row after it.
    above, under
        (W, 2) int32: the sources of the rows next to it before the sweep; -1 where there is no such row.
    best
        (3) int64, scratch space: cost, row and column of the best source so far.
    sums
        (4) int32, scratch space: the sums of each channel's differences.
    """

    first: int
    last: int
    above: Any
    under: Any
    best: Any
    sums: Any


@inlined
def patch_cost(level: Any, y: int, x: int, sy: int, sx: int, limit: int) -> Any:
    """Return the cost of the source (sy, sx) for the patch at (y, x), or any value >= limit.

    The cost is the squared difference over four channels after the best allowed colour shift, plus the prior's penalty.
    """
    prior, exemplar, width = level.prior, level.exemplar, level.field.costs.shape[1]
    total = penalty(sy - prior.anchor_row[y], prior.dead_row[y], prior.row_weight)
    total += penalty(sx - prior.anchor_col[x], prior.dead_col[x], prior.col_weight)
    if total >= limit:
        return total
    target = ((y - RADIUS) * width + x - RADIUS) * 4
    source = patch_start(exemplar, sy, sx)
    return total + shifted_difference(
        level.field.flat, target, 4 * width, exemplar.flat, source, row_bytes(exemplar), level.max_shift
    )


@kernel
def propagate(level: Any, band: Any, y: int, x: int) -> bool:
    """Try the continuations of the four neighbours' sources and update ``band.best``.

    Returns whether all neighbours already have the offset of this patch.
    """
    sources, best, agree = level.field.sources, band.best, True
    for n in range(4):
        dy, dx = (0, -1, 1, 0)[n], (-1, 0, 0, 1)[n]
        if y + dy < band.first:
            sy, sx = band.above[x, 0], band.above[x, 1]
        elif y + dy >= band.last:
            sy, sx = band.under[x, 0], band.under[x, 1]
        else:
            sy, sx = sources[y + dy, x + dx, 0], sources[y + dy, x + dx, 1]
        if sy < 0:
            continue
        sy, sx = sy - dy, sx - dx
        if sy == best[1] and sx == best[2]:
            continue
        agree = False
        if can_copy(level.exemplar, sy, sx):
            cost = patch_cost(level, y, x, sy, sx, best[0])
            if cost < best[0]:
                best[0], best[1], best[2] = cost, sy, sx
    return agree


@kernel
def search_around(level: Any, sweep: Any, y: int, x: int, best: Any) -> None:
    """Try random sources around the best one, within a radius that halves each time, and update ``best``."""
    height, width = level.exemplar.usable.shape
    place, radius = y * level.field.costs.shape[1] + x, sweep.radius
    bits = random_bits(sweep.seed, place, sweep.iteration)
    for n in range(sweep.tries):
        bits = random_bits(bits, place, n)
        top, bottom = max(0, best[1] - radius), min(height, best[1] + radius + 1)
        left, right = max(0, best[2] - radius), min(width, best[2] + radius + 1)
        sy, sx = top + random_below(bits, 0, bottom - top), left + random_below(bits, 16, right - left)
        if level.exemplar.usable[sy, sx] != 0:
            cost = patch_cost(level, y, x, sy, sx, best[0])
            if cost < best[0]:
                best[0], best[1], best[2] = cost, sy, sx
        radius = max(1, radius // 2)


@kernel
def sweep_band(level: Any, sweep: Any, band: Any) -> None:
    """Visit every target patch of a band once, in the order of reading or against it."""
    field, exemplar, best, sums = level.field, level.exemplar, band.best, band.sums
    height, width = field.costs.shape
    first, last = max(band.first, RADIUS), min(band.last, height - RADIUS)
    forward = sweep.iteration % 2 == 0
    for row in range(first, last):
        y = row if forward else first + last - 1 - row
        for col in range(RADIUS, width - RADIUS):
            x = col if forward else width - 1 - col
            if not is_target(y, x, height, width, field.box):
                continue
            sy, sx = field.sources[y, x, 0], field.sources[y, x, 1]
            best[0] = patch_cost(level, y, x, sy, sx, FAR)
            best[1], best[2] = sy, sx
            if not propagate(level, band, y, x):
                search_around(level, sweep, y, x, best)
            field.costs[y, x] = best[0]
            field.sources[y, x, 0], field.sources[y, x, 1] = best[1], best[2]
            target = ((y - RADIUS) * width + x - RADIUS) * 4
            source = patch_start(exemplar, best[1], best[2])
            difference_sums(field.flat, target, 4 * width, exemplar.flat, source, row_bytes(exemplar), sums)
            for k in range(3):
                limit = SHIFT_STEPS * level.max_shift[k]
                shift = int(sums[k]) * SHIFT_STEPS // PATCH
                field.shifts[y, x, k] = max(-limit, min(limit, shift))


def improve_sources(
    field: PatchField, exemplar: Exemplar, prior: Prior, effort: Effort, pool: ThreadPool, *, seed: int, iteration: int
) -> None:
    """Sweep once over all patches and improve their sources; ``iteration`` numbers the sweeps of a level."""
    level = Level(field=field, exemplar=exemplar, prior=prior, max_shift=MAX_SHIFT)
    sweep = Sweep(tries=effort.tries, radius=effort.radius, seed=seed, iteration=iteration)
    cuts = bands(0, field.costs.shape[0], BAND, iteration * BAND_STEP)
    edges = {first: (field.sources[first - 1].copy(), field.sources[first].copy()) for first, _ in cuts[1:]}
    nothing = np.full_like(field.sources[0], -1)

    def work(cut: tuple[int, int]) -> None:
        first, last = cut
        above = edges[first][0] if first in edges else nothing
        under = edges[last][1] if last in edges else nothing
        best, sums = np.empty(3, np.int64), np.empty(4, np.int32)
        sweep_band(level, sweep, Band(first=first, last=last, above=above, under=under, best=best, sums=sums))

    pool.each(work, cuts)

"""The growth of a candidate: the first picture, at the coarsest level, made outward from the photo pixel by pixel.

Every pixel copies the source whose surroundings agree best with what is already around it. Compared are the
continuations of its neighbours' sources, and a regular grid of sources over the whole photo that is offset differently
for every pixel: together almost an exhaustive search. Where the photo repeats itself, places some periods away are
compared first.

Pixels are visited in phases, by distance from the photo and by parity. A pixel reads only pixels of earlier phases, so
that the order within a phase does not matter. The growth in layers is that of Newson et al. 2014
(doi:10.1137/140954933); near pixels weigh more, as in texture synthesis pixel by pixel (Efros and Leung 1999,
doi:10.1109/ICCV.1999.790383).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import CanvasGeometry, distances_outside
from uncrop.engine.prepare.patch import PATCH, RADIUS, SIZE
from uncrop.engine.prepare.prior import penalty
from uncrop.engine.prepare.pyramid import can_copy, patch_start, pixel_start, row_bytes
from uncrop.engine.runtime.random_bits import random_below, random_bits
from uncrop.engine.search.patch_distance import RUN, weighted_difference
from uncrop.kernels import kernel

PLACES = 8  # how many places some periods away a pixel is compared with
MULTIPLES = 8  # periods away at most


class VisitingOrder(NamedTuple):
    """When the pixels of a candidate are made; the same for all candidates of a canvas.

    Attributes
    ----------
    phase
        (H, W) int32, -1 on the photo.
    order
        int32: the flat indices of the other pixels, one phase after the other.
    """

    phase: NDArray[np.int32]
    order: NDArray[np.int32]


def visiting_order(canvas: CanvasGeometry) -> VisitingOrder:
    """Return the order that leads outward from the photo."""
    dy = distances_outside(canvas.top, canvas.bottom, canvas.height)
    dx = distances_outside(canvas.left, canvas.right, canvas.width)
    distance = np.sqrt(dy[:, None] ** 2 + dx[None, :] ** 2).astype(np.int32)
    parity = (np.arange(canvas.height)[:, None] % 2) * 2 + np.arange(canvas.width)[None, :] % 2
    phase = np.where(distance == 0, -1, distance * 4 + parity).astype(np.int32)
    order = np.argsort(phase, axis=None, kind="stable").astype(np.int32)
    return VisitingOrder(phase=phase, order=order[canvas.rows * canvas.cols :])


def context_weights() -> NDArray[np.int32]:
    """Return the weights (7, 7) of a pixel's surroundings, 64 at the centre."""
    steps = np.arange(-RADIUS, RADIUS + 1)
    square = steps[:, None] ** 2 + steps[None, :] ** 2
    return np.floor(64 / (1 + 0.15 * square) + 0.5).astype(np.int32)


class Growth(NamedTuple):
    """A candidate that grows, on a canvas of H x W pixels.

    Attributes
    ----------
    phase, order
        See ``VisitingOrder``.
    picture
        (H, W, 4) uint8: the feature channels that are made so far.
    sources
        (H, W, 2) int32: row and column of the source that each pixel copies.
    exemplar, prior
        The photo and the prior at this level.
    weights
        (7, 7) int32; see ``context_weights``.
    max_shift
        (4) int32: how far each channel of a copy may be shifted, in levels.
    strides
        Rows and columns from one compared source to the next.
    periods
        The periods that the candidate may follow; see ``periods.Periods``.
    seed
        Of the random offsets of the sources that are compared.
    """

    phase: Any
    order: Any
    picture: Any
    sources: Any
    exemplar: Any
    prior: Any
    weights: Any
    max_shift: Any
    strides: tuple[int, int]
    periods: Any
    seed: int


class Scratch(NamedTuple):
    """The arrays that one thread works in while it grows a candidate.

    Attributes
    ----------
    context, mask
        (7 * 32) uint8 and int16: a pixel's surroundings and their weights, 7 rows of 8 pixels of 4 channels.
    tried
        (49) int64: the sources that a pixel has been compared with.
    best
        (3) int64: cost, row and column of the best source so far.
    """

    context: Any
    mask: Any
    tried: Any
    best: Any


def make_scratch() -> Scratch:
    """Return the arrays for one thread, all 0."""
    return Scratch(
        context=np.zeros(SIZE * RUN, np.uint8),
        mask=np.zeros(SIZE * RUN, np.int16),
        tried=np.zeros(PATCH, np.int64),
        best=np.zeros(3, np.int64),
    )


@kernel
def read_context(growth: Any, scratch: Any, y: int, x: int) -> int:
    """Copy what is already made around (y, x) into ``scratch.context`` and its weights into ``scratch.mask``.

    Returns the sum of the weights of these pixels.
    """
    phase, context, mask = growth.phase, scratch.context, scratch.mask
    height, width = phase.shape
    own, total = phase[y, x], 0
    mask[:] = 0
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            at_y, at_x = y + dy, x + dx
            if 0 <= at_y < height and 0 <= at_x < width and phase[at_y, at_x] < own:
                weight = growth.weights[dy + RADIUS, dx + RADIUS]
                start = (dy + RADIUS) * RUN + (dx + RADIUS) * 4
                total += weight
                for k in range(4):
                    context[start + k] = growth.picture[at_y, at_x, k]
                    mask[start + k] = weight
    return total


@kernel
def search_whole_photo(growth: Any, scratch: Any, weight: int, y: int, x: int) -> None:
    """Compare with sources ``growth.strides`` rows and columns apart and update ``scratch.best``.

    ``weight`` is the sum of the context's weights.
    """
    exemplar, prior, best = growth.exemplar, growth.prior, scratch.best
    height, width = exemplar.usable.shape
    down, along = growth.strides
    bits = random_bits(growth.seed, y * growth.phase.shape[1] + x, 0)
    for sy in range(random_below(bits, 0, down), height, down):
        excess = penalty(sy - prior.anchor_row[y], prior.dead_row[y], prior.row_weight)
        rows_cost = excess * weight // PATCH
        if rows_cost >= best[0]:
            continue
        for sx in range(random_below(bits, 16, along), width, along):
            if exemplar.usable[sy, sx] == 0:
                continue
            excess = penalty(sx - prior.anchor_col[x], prior.dead_col[x], prior.col_weight)
            cost = rows_cost + excess * weight // PATCH
            if cost < best[0]:
                start = patch_start(exemplar, sy, sx)
                cost += weighted_difference(scratch.mask, scratch.context, exemplar.flat, start, row_bytes(exemplar))
                if cost < best[0]:
                    best[0], best[1], best[2] = cost, sy, sx


@kernel
def search_continuations(growth: Any, scratch: Any, weight: int, y: int, x: int) -> None:
    """Compare with what follows the sources of all neighbours within the patch and update ``scratch.best``."""
    phase, sources, exemplar, prior = growth.phase, growth.sources, growth.exemplar, growth.prior
    tried, best = scratch.tried, scratch.best
    width = exemplar.usable.shape[1]
    seen = 0
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            at_y, at_x = y + dy, x + dx
            if not (0 <= at_y < phase.shape[0] and 0 <= at_x < phase.shape[1]):
                continue
            if phase[at_y, at_x] < 0 or phase[at_y, at_x] >= phase[y, x]:
                continue
            sy, sx = sources[at_y, at_x, 0] - dy, sources[at_y, at_x, 1] - dx
            if not can_copy(exemplar, sy, sx):
                continue
            index, known = sy * width + sx, False
            for n in range(seen):
                known = known or tried[n] == index
            if known:
                continue
            tried[seen] = index
            seen += 1
            excess = penalty(sy - prior.anchor_row[y], prior.dead_row[y], prior.row_weight)
            excess += penalty(sx - prior.anchor_col[x], prior.dead_col[x], prior.col_weight)
            cost = excess * weight // PATCH
            if cost < best[0]:
                start = patch_start(exemplar, sy, sx)
                cost += weighted_difference(scratch.mask, scratch.context, exemplar.flat, start, row_bytes(exemplar))
                if cost < best[0]:
                    best[0], best[1], best[2] = cost, sy, sx


@kernel
def search_periods(growth: Any, scratch: Any, y: int, x: int) -> None:
    """Compare with the nearest places in the photo that lie some periods away, without the prior's penalty.

    Updates ``scratch.best``. The costs are halved as often as ``growth.periods`` says.
    """
    exemplar, periods, best = growth.exemplar, growth.periods, scratch.best
    found = 0
    for times in range(1, MULTIPLES + 1):
        for n in range(periods.shifts.shape[0]):
            sy = y - periods.top + times * periods.shifts[n, 0]
            sx = x - periods.left + times * periods.shifts[n, 1]
            if not can_copy(exemplar, sy, sx):
                continue
            start = patch_start(exemplar, sy, sx)
            cost = weighted_difference(scratch.mask, scratch.context, exemplar.flat, start, row_bytes(exemplar))
            cost >>= periods.halvings
            if cost < best[0]:
                best[0], best[1], best[2] = cost, sy, sx
            found += 1
            if found == PLACES:
                return


@kernel
def grow(growth: Any, scratch: Any, first: int, last: int) -> None:
    """Make the pixels ``growth.order[first:last]``: write their values and their sources."""
    order, exemplar, max_shift = growth.order, growth.exemplar, growth.max_shift
    context, mask, best = scratch.context, scratch.mask, scratch.best
    width = growth.phase.shape[1]
    for n in range(first, last):
        y, x = order[n] // width, order[n] % width
        weight = read_context(growth, scratch, y, x)
        best[0], best[1], best[2] = 1 << 62, growth.sources[y, x, 0], growth.sources[y, x, 1]
        search_periods(growth, scratch, y, x)
        search_continuations(growth, scratch, weight, y, x)
        search_whole_photo(growth, scratch, weight, y, x)
        sy, sx = best[1], best[2]
        growth.sources[y, x, 0], growth.sources[y, x, 1] = sy, sx
        for k in range(4):
            total = 0
            for row in range(SIZE):
                start = patch_start(exemplar, sy + row, sx)
                for col in range(SIZE):
                    at = row * RUN + col * 4 + k
                    total += mask[at] * (int(context[at]) - int(exemplar.flat[start + col * 4 + k]))
            shift = 0 if weight == 0 else int(np.floor(total / weight + 0.5))
            shift = max(-max_shift[k], min(max_shift[k], shift))
            growth.picture[y, x, k] = max(0, min(255, int(exemplar.flat[pixel_start(exemplar, sy, sx) + k]) + shift))

"""The first picture, at the coarsest level, grown outward from the photo pixel by pixel.

Every pixel copies the source whose surroundings agree best with what is already there around it. Candidates are the
continuations of its neighbours' sources and a grid over the whole photo, whose phase differs from pixel to pixel:
together nearly an exhaustive search. Where the photo repeats itself, places some periods away may come before them.

Pixels are visited in phases, by distance from the photo and by parity; a pixel reads only pixels of earlier phases, so
that the order within a phase does not matter. The growth in layers is that of Newson et al. 2014
(doi:10.1137/140954933); near pixels weigh more, as in texture synthesis pixel by pixel (Efros and Leung 1999,
doi:10.1109/ICCV.1999.790383).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import Frame, away
from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.prior import penalty
from uncrop.engine.prepare.pyramid import can_copy, patch_start, pixel_start, row_bytes
from uncrop.engine.runtime.random_bits import below, chance
from uncrop.engine.search.patch_distance import RUN, weighted_difference
from uncrop.kernels import kernel

PLACES = 8  # whole periods away that a pixel is compared with
TIMES = 8  # at most that a period is taken to reach one


class Visits(NamedTuple):
    """When a layout's pixels are grown, which is the same for all layouts of a canvas.

    Attributes
    ----------
    phase
        (H, W) int32, -1 on the photo.
    order
        int32, the flat indices of the other pixels, one phase after the other.
    """

    phase: NDArray[np.int32]
    order: NDArray[np.int32]


def visiting_order(frame: Frame) -> Visits:
    """Return the order that leads outward from the photo."""
    dy, dx = away(frame.top, frame.bottom, frame.height), away(frame.left, frame.right, frame.width)
    distance = np.sqrt(dy[:, None] ** 2 + dx[None, :] ** 2).astype(np.int32)
    parity = (np.arange(frame.height)[:, None] % 2) * 2 + np.arange(frame.width)[None, :] % 2
    phase = np.where(distance == 0, -1, distance * 4 + parity).astype(np.int32)
    order = np.argsort(phase, axis=None, kind="stable").astype(np.int32)
    return Visits(phase=phase, order=order[frame.rows * frame.cols :])


def context_weights() -> NDArray[np.int32]:
    """Return the weights (7, 7) of a pixel's surroundings, 64 at the centre."""
    steps = np.arange(-RADIUS, RADIUS + 1)
    square = steps[:, None] ** 2 + steps[None, :] ** 2
    return np.floor(64 / (1 + 0.15 * square) + 0.5).astype(np.int32)


class Room(NamedTuple):
    """What one thread works in while it grows a layout.

    Attributes
    ----------
    context, mask
        (7 * 32) uint8 and int16: a pixel's surroundings and their weights, 7 rows of 8 pixels of 4 channels.
    tried
        (49) int64, the sources that a pixel was compared with.
    best
        (3) int64: cost, row and column of the best source.
    """

    context: Any
    mask: Any
    tried: Any
    best: Any


def make_room() -> Room:
    """Return room for one thread, all 0."""
    return Room(
        context=np.zeros(7 * RUN, np.uint8),
        mask=np.zeros(7 * RUN, np.int16),
        tried=np.zeros(PATCH, np.int64),
        best=np.zeros(3, np.int64),
    )


@kernel
def read_context(y: int, x: int, phase: Any, canvas: Any, weights: Any, context: Any, mask: Any) -> int:
    """Copy what is there around (y, x) into ``context`` and its weights into ``mask`` (both flat, 7 * 32).

    Returns the sum of the weights of the pixels.
    """
    height, width = phase.shape
    own, total = phase[y, x], 0
    mask[:] = 0
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            at_y, at_x = y + dy, x + dx
            if 0 <= at_y < height and 0 <= at_x < width and phase[at_y, at_x] < own:
                weight = weights[dy + RADIUS, dx + RADIUS]
                start = (dy + RADIUS) * RUN + (dx + RADIUS) * 4
                total += weight
                for k in range(4):
                    context[start + k] = canvas[at_y, at_x, k]
                    mask[start + k] = weight
    return total


@kernel
def search_grid(
    y: int, x: int, context: Any, mask: Any, weight: int, atlas: Any, prior: Any, strides: Any, bits: int,
    best: Any,
) -> None:  # fmt: skip
    """Compare with sources ``strides`` rows and columns apart; ``best`` is (cost, row, column) and is updated."""
    height, width = atlas.usable.shape
    down, along = strides
    for sy in range(below(bits, 0, down), height, down):
        off = penalty(sy - prior.anchor_row[y], prior.slack_row[y], prior.row_weight)
        rows_cost = off * weight // PATCH
        if rows_cost >= best[0]:
            continue
        for sx in range(below(bits, 16, along), width, along):
            if atlas.usable[sy, sx] == 0:
                continue
            off = penalty(sx - prior.anchor_col[x], prior.slack_col[x], prior.col_weight)
            cost = rows_cost + off * weight // PATCH
            if cost < best[0]:
                cost += weighted_difference(mask, context, atlas.flat, patch_start(atlas, sy, sx), row_bytes(atlas))
                if cost < best[0]:
                    best[0], best[1], best[2] = cost, sy, sx


@kernel
def search_continuations(
    y: int, x: int, phase: Any, labels: Any, context: Any, mask: Any, weight: int, atlas: Any, prior: Any, tried: Any,
    best: Any,
) -> None:  # fmt: skip
    """Compare with what follows the sources of all neighbours within the patch; updates ``best``."""
    width = atlas.usable.shape[1]
    seen = 0
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            at_y, at_x = y + dy, x + dx
            if not (0 <= at_y < phase.shape[0] and 0 <= at_x < phase.shape[1]):
                continue
            if phase[at_y, at_x] < 0 or phase[at_y, at_x] >= phase[y, x]:
                continue
            sy, sx = labels[at_y, at_x, 0] - dy, labels[at_y, at_x, 1] - dx
            if not can_copy(atlas, sy, sx):
                continue
            index, known = sy * width + sx, False
            for n in range(seen):
                known = known or tried[n] == index
            if known:
                continue
            tried[seen] = index
            seen += 1
            off = penalty(sy - prior.anchor_row[y], prior.slack_row[y], prior.row_weight)
            off += penalty(sx - prior.anchor_col[x], prior.slack_col[x], prior.col_weight)
            cost = off * weight // PATCH
            if cost < best[0]:
                cost += weighted_difference(mask, context, atlas.flat, patch_start(atlas, sy, sx), row_bytes(atlas))
                if cost < best[0]:
                    best[0], best[1], best[2] = cost, sy, sx


@kernel
def search_periods(y: int, x: int, context: Any, mask: Any, atlas: Any, repeats: Any, best: Any) -> None:
    """Compare with the nearest places that lie some periods away inside the photo, free of the prior.

    Updates ``best``, with a cost that is halved as often as ``repeats`` says.
    """
    found = 0
    for times in range(1, TIMES + 1):
        for n in range(repeats.shifts.shape[0]):
            sy = y - repeats.top + times * repeats.shifts[n, 0]
            sx = x - repeats.left + times * repeats.shifts[n, 1]
            if not can_copy(atlas, sy, sx):
                continue
            cost = weighted_difference(mask, context, atlas.flat, patch_start(atlas, sy, sx), row_bytes(atlas))
            cost >>= repeats.halvings
            if cost < best[0]:
                best[0], best[1], best[2] = cost, sy, sx
            found += 1
            if found == PLACES:
                return


@kernel
def grow(
    order: Any, first: int, last: int, phase: Any, canvas: Any, labels: Any, atlas: Any, prior: Any, weights: Any,
    slack: Any, strides: Any, seed: int, repeats: Any, room: Any,
) -> None:  # fmt: skip
    """Fill the pixels ``order[first:last]`` of ``canvas`` (H, W, 4) and note their sources in ``labels`` (H, W, 2)."""
    width = phase.shape[1]
    context, mask, tried, best = room
    for n in range(first, last):
        y, x = order[n] // width, order[n] % width
        weight = read_context(y, x, phase, canvas, weights, context, mask)
        best[0], best[1], best[2] = 1 << 62, labels[y, x, 0], labels[y, x, 1]
        search_periods(y, x, context, mask, atlas, repeats, best)
        search_continuations(y, x, phase, labels, context, mask, weight, atlas, prior, tried, best)
        search_grid(y, x, context, mask, weight, atlas, prior, strides, chance(seed, order[n], 0), best)
        sy, sx = best[1], best[2]
        labels[y, x, 0], labels[y, x, 1] = sy, sx
        for k in range(4):
            total = 0
            for row in range(7):
                start = patch_start(atlas, sy + row, sx)
                for col in range(7):
                    at = row * RUN + col * 4 + k
                    total += mask[at] * (int(context[at]) - int(atlas.flat[start + col * 4 + k]))
            shift = 0 if weight == 0 else int(np.floor(total / weight + 0.5))
            shift = max(-slack[k], min(slack[k], shift))
            canvas[y, x, k] = max(0, min(255, int(atlas.flat[pixel_start(atlas, sy, sx) + k]) + shift))

"""The loops that look for like places in the photo, compiled: PatchMatch (Barnes et al., SIGGRAPH 2009)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from uncrop.engine.runtime.random_bits import random_below, random_bits
from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    Labels = NDArray[np.int32]

REACH = 2  # cells; patches are 5 x 5
AGREE = np.float32(1.5)  # levels squared that a label is better for each neighbour with the same offset
TRIES = 4  # random places a sweep
NEARNESS, BASE, MOST = np.float32(0.1), np.float32(4), np.float32(4)
FIRST_TRIES = 6


class Scene(NamedTuple):
    """What is compared.

    Attributes
    ----------
    wanted, offered
        (rows, columns, 4) float32: the features of what was made, and of the photo.
    usable
        (rows, columns) uint8: 1 where a patch of the photo may be copied, with all that surrounds its centre.
    made
        (rows, columns) uint8: 1 for cells that are to be redrawn.
    spread
        (rows, columns) float32, the local variance of what was made, in levels squared.
    photo
        First row, row behind the last, first column and column behind the last of the photo's cells, int64.
    places
        Flat indices of all usable cells, int32.
    near
        Cells; what is farther than this from the nearest part of the photo costs as much as the variance.
    """

    wanted: Plane
    offered: Plane
    usable: NDArray[np.uint8]
    made: NDArray[np.uint8]
    spread: Plane
    photo: NDArray[np.int64]
    places: Labels
    near: float


@inlined
def _cost(scene: Scene, y: int, x: int, source: int, most: np.float32) -> Any:
    """Return how unlike a place of the photo is, and how far away; any number over ``most`` where it is over it."""
    height, width = scene.made.shape
    v, u = source // width, source % width
    nearest_y = min(max(y, scene.photo[0]), scene.photo[1] - 1)
    nearest_x = min(max(x, scene.photo[2]), scene.photo[3] - 1)
    down, across = np.float32(v - nearest_y), np.float32(u - nearest_x)
    away = (down * down + across * across) / np.float32(scene.near * scene.near)
    cost = NEARNESS * (scene.spread[y, x] + BASE) * min(away, MOST)
    if cost > most:
        return cost
    for dy in range(-REACH, REACH + 1):
        at = min(max(y + dy, 0), height - 1)
        line = np.float32(0)
        for dx in range(-REACH, REACH + 1):
            to = min(max(x + dx, 0), width - 1)
            gap = scene.wanted[at, to, 0] - scene.offered[v + dy, u + dx, 0]
            line += gap * gap
        cost += line * np.float32(0.04)
        if cost > most:
            return cost
    for i in range(5):
        dy, dx = (0, 0) if i == 4 else (4 * (i // 2) - REACH, 4 * (i % 2) - REACH)
        at, to = min(max(y + dy, 0), height - 1), min(max(x + dx, 0), width - 1)
        for feature in range(1, 4):
            gap = scene.wanted[at, to, feature] - scene.offered[v + dy, u + dx, feature]
            cost += gap * gap * np.float32(0.2)
    return cost


@kernel
def begin(scene: Scene, seed: int, rows: tuple[int, int], labels: Labels, costs: Plane) -> None:
    """Give each cell that was made the best of a few random places of the photo, most of them near.

    Parameters
    ----------
    rows
        First, and behind the last.
    labels, costs
        (rows, columns): flat indices and levels squared; written to, -1 where nothing was made.
    """
    width = scene.made.shape[1]
    for y in range(rows[0], rows[1]):
        for x in range(width):
            labels[y, x] = -1
            costs[y, x] = 0
            if scene.made[y, x] == 0:
                continue
            best, least = np.int32(-1), np.float32(1e12)
            for i in range(FIRST_TRIES):
                bits = random_bits(seed, y * width + x, 1000 + i)
                source = int(scene.places[random_below(bits, 0, len(scene.places))])
                if i > 0:  # the first is from anywhere, so that there always is one
                    span = max(int(scene.near) >> (i - 1), 4)
                    v = min(max(y, scene.photo[0]), scene.photo[1] - 1) + random_below(bits, 16, 2 * span + 1) - span
                    u = min(max(x, scene.photo[2]), scene.photo[3] - 1) + random_below(bits, 32, 2 * span + 1) - span
                    v = min(max(v, scene.photo[0] + REACH), scene.photo[1] - 1 - REACH)
                    u = min(max(u, scene.photo[2] + REACH), scene.photo[3] - 1 - REACH)
                    if v < 0 or u < 0 or scene.usable[v, u] == 0:
                        continue
                    source = v * width + u
                cost = _cost(scene, y, x, source, least)
                if cost < least:
                    best, least = np.int32(source), cost
            labels[y, x] = best
            costs[y, x] = least


@inlined
def _agreeing(before: Labels, labels: Labels, rows: tuple[int, int], place: tuple[int, int], shift: int) -> np.float32:
    """Return how many of the four neighbours have the same offset; rows of other bands are as they were before."""
    y, x = place
    height, width = labels.shape
    count = 0
    for i in range(4):
        v, u = y + (i == 0) - (i == 1), x + (i == 2) - (i == 3)
        if v < 0 or v >= height or u < 0 or u >= width:
            continue
        label = labels[v, u] if rows[0] <= v < rows[1] else before[v, u]
        count += int(label >= 0 and label - (v * width + u) == shift)
    return np.float32(count)


@inlined
def _continued(before: Labels, labels: Labels, rows: tuple[int, int], neighbour: tuple[int, int], place: int) -> int:
    """Return where a neighbour's label goes on at a place, or -1."""
    v, u = neighbour
    height, width = labels.shape
    if v < 0 or v >= height or u < 0 or u >= width:
        return -1
    label = labels[v, u] if rows[0] <= v < rows[1] else before[v, u]
    source = int(label) + place - (v * width + u)
    return source if label >= 0 and source < height * width else -1


@inlined
def _random_place(bits: Any, around: int, reach: int, shape: tuple[int, int]) -> int:
    """Return a random place at most ``reach`` from another in both directions, or -1 outside."""
    height, width = shape
    v = around // width + random_below(bits, 0, 2 * reach + 1) - reach
    u = around % width + random_below(bits, 16, 2 * reach + 1) - reach
    return v * width + u if 0 <= v < height and 0 <= u < width else -1


@kernel
def sweep(
    scene: Scene, seed: int, round_: int, rows: tuple[int, int], before: Labels, labels: Labels, costs: Plane
) -> None:
    """Improve each label of a band of rows by its neighbours' and by random places, forward or back.

    Parameters
    ----------
    round_
        Counts from 0; odd ones go back. From 3 on, agreeing neighbours count.
    rows
        First, and behind the last. Rows outside are read from ``before``, so that no order of bands changes anything.
    before
        The labels as they were before this round.
    labels, costs
        Written to, in these rows.
    """
    width = labels.shape[1]
    forward = round_ % 2 == 0
    step = 1 if forward else -1
    bonus = AGREE if round_ >= 3 else np.float32(0)
    for i in range(rows[1] - rows[0]):
        y = rows[0] + i if forward else rows[1] - 1 - i
        for j in range(width):
            x = j if forward else width - 1 - j
            if scene.made[y, x] == 0:
                continue
            place = y * width + x
            best, cost = labels[y, x], costs[y, x]
            least = cost
            if bonus > 0:
                least -= bonus * _agreeing(before, labels, rows, (y, x), int(best) - place)
            for k in range(2 + TRIES):
                if k == 0:
                    source = _continued(before, labels, rows, (y - step, x), place)
                elif k == 1:
                    source = _continued(before, labels, rows, (y, x - step), place)
                else:
                    reach = max((int(scene.near) * 2 >> (round_ % 2)) >> (2 * (k - 2)), 1)
                    source = _random_place(random_bits(seed, place, round_ * 8 + k), int(best), reach, labels.shape)
                if source < 0:
                    continue
                if source == best or scene.usable[source // width, source % width] == 0:
                    continue
                agree = np.float32(0)
                if bonus > 0:
                    agree = bonus * _agreeing(before, labels, rows, (y, x), source - place)
                found = _cost(scene, y, x, source, least + agree)
                if found - agree < least:
                    best, cost, least = np.int32(source), found, found - agree
            labels[y, x] = best
            costs[y, x] = cost

"""The periods of a photo: the shifts by which facades, fences, tiles or keyboards repeat themselves.

A picture with a period agrees with itself when it is shifted by it. Fourier transforms give the mean squared difference
between the photo and its shifted self for all shifts at once. A shift is a period where this difference is far less
than at somewhat shorter and longer shifts. He and Sun 2014 (doi:10.1109/TPAMI.2014.2330611) let every patch vote for
the shift to the patch most like it, which finds some shifts in every photo. A mean over the whole photo is stricter: a
photo without a period has none.

All sums are whole numbers under 2**53, and the transforms' errors are far below one half, so that rounding makes them
exact.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.presets import EVEN
from uncrop.engine.prepare.prior import Strictness

SHORTEST = 6  # pixels; over shorter shifts any smooth photo agrees with itself
PARTS = 15  # a period is at least 1 / PARTS of the photo's shorter side
DEPTH = 0.5  # largest difference at a period, over that at shorter and longer shifts; most photographs have over 0.7
NEIGHBOURS = 2  # pixels around a period in which no other shift agrees better
STEPS = 30  # samples from half a period to one and a half
MOST = 128  # periods that are kept, the shortest
CELL = 8  # the shortest periods, in both directions, that span about one cell of the lattice
HALVINGS = (4, 1)  # of a period's cost, in each periodic candidate: one follows periods strictly, one prefers them
SCALE = 16  # squared differences are kept in sixteenths


class Periods(NamedTuple):
    """The periods that a candidate may follow.

    Attributes
    ----------
    shifts
        (n, 2) int32, rows and columns, shortest first.
    top, left
        Where the photo lies on the canvas.
    halvings
        How often the cost of a source a period away is halved before others are compared with it.
    """

    shifts: Any
    top: int
    left: int
    halvings: int


NO_PERIODS = Periods(shifts=np.zeros((0, 2), np.int32), top=0, left=0, halvings=0)


def periodic_candidates(canvas: CanvasGeometry, photo: NDArray[np.uint8]) -> list[tuple[Strictness, Periods]]:
    """Return the priors and the periods of the candidates that repeat the photo (rows, cols, 4), if it has periods.

    Sources one period away lie up to a period off their anchors, which the prior must allow.
    """
    shifts = find_periods(photo)
    if not len(shifts):
        return []
    rows, cols = np.abs(shifts[:CELL]).max(axis=0)
    strictness = replace(
        EVEN,
        dead_rows=EVEN.dead_rows + float(rows) / canvas.rows,
        dead_cols=EVEN.dead_cols + float(cols) / canvas.cols,
    )
    return [
        (strictness, Periods(shifts=shifts, top=canvas.top, left=canvas.left, halvings=halvings))
        for halvings in HALVINGS
    ]


def find_periods(photo: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return the shifts (n, 2) by which a photo (rows, cols, channels) repeats itself, shortest first.

    They are at most half of its sides, so that every period occurs twice. A difference may also be small because the
    photo hardly changes in that direction, as along a shore; that of a period is less than those at shorter and longer
    shifts.
    """
    sides = np.array(photo.shape[:2])
    if sides.min() < 2 * SHORTEST:
        return np.zeros((0, 2), np.int32)
    half = sides // 2
    reach = half + half // 2 + NEIGHBOURS
    differences = self_differences(photo, int(reach[0]), int(reach[1]))
    first = reach - half

    def moved(by_row: int, by_col: int) -> NDArray[np.int64]:
        top, left = int(first[0]) + by_row, int(first[1]) + by_col
        return differences[top : top + 2 * int(half[0]) + 1, left : left + 2 * int(half[1]) + 1]

    inner = moved(0, 0)
    least = np.ones(inner.shape, bool)
    for by_row in range(-NEIGHBOURS, NEIGHBOURS + 1):
        for by_col in range(-NEIGHBOURS, NEIGHBOURS + 1):
            least &= inner <= moved(by_row, by_col)
    shifts = np.argwhere(least) - half
    length = np.square(shifts).sum(axis=1)
    shifts = shifts[length >= max(SHORTEST, int(sides.min()) // PARTS) ** 2]
    at = tuple((shifts + half).T)
    shifts = shifts[inner[at] < DEPTH * means_along(differences, shifts)]
    order = np.argsort(np.square(shifts).sum(axis=1), kind="stable")
    return np.asarray(shifts[order[:MOST]], np.int32)


def self_differences(photo: NDArray[np.uint8], rows: int, cols: int) -> NDArray[np.int64]:
    """Return the mean squared differences between a photo and itself, shifted by up to ``rows`` and ``cols``.

    They are (2 rows + 1, 2 cols + 1), summed over L, a and b, in sixteenths of a squared level.
    """
    height, width = photo.shape[:2]
    size = height + rows, width + cols  # what is shifted off one end does not come back at the other
    colours = photo[..., :3].astype(np.float64)
    ones = np.fft.rfft2(np.ones((height, width)), size)
    product = 2 * (np.fft.rfft2(np.square(colours).sum(axis=2), size) * ones.conj()).real
    for channel in range(3):
        product -= 2 * np.square(np.abs(np.fft.rfft2(colours[..., channel], size)))
    total = np.rint(np.fft.irfft2(product, size)).astype(np.int64)
    down, along = np.arange(-rows, rows + 1), np.arange(-cols, cols + 1)
    overlap = (height - np.abs(down))[:, None] * (width - np.abs(along))
    return np.asarray(SCALE * total[np.ix_(down % size[0], along % size[1])] // overlap)


def means_along(differences: NDArray[np.int64], shifts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return the mean difference along each of the shifts (n, 2), from half to one and a half times its length."""
    total = np.zeros(len(shifts), np.int64)
    for step in range(STEPS + 1):
        at = (shifts * (STEPS + 2 * step) + STEPS) // (2 * STEPS)  # rounded
        total += differences[at[:, 0] + differences.shape[0] // 2, at[:, 1] + differences.shape[1] // 2]
    return np.asarray(total / (STEPS + 1))

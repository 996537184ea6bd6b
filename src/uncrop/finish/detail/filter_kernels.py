"""The loops of the learned filters, compiled. None allocates."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

SIDE = 7  # cells
REACH = SIDE // 2
TAPS = SIDE * SIDE
PARTS = 16  # of a grey level, in planes of residuals


class Sums(NamedTuple):
    """What a least-squares fit is made of, a row for each bucket.

    Attributes
    ----------
    products
        (buckets, taps, taps) float64.
    wanted
        (buckets, taps, cell * cell) float64.
    counts
        (buckets,) int64.
    """

    products: NDArray[np.float64]
    wanted: NDArray[np.float64]
    counts: NDArray[np.int64]


@inlined
def _window(light: Plane, y: int, x: int, window: Plane) -> None:
    """Write the lightness around a cell less its mean; the plane has ``REACH`` more cells on each side."""
    total = np.float32(0)
    at = 0
    for down in range(SIDE):
        for across in range(SIDE):
            value = light[y + down, x + across]
            window[at] = value
            total += value
            at += 1
    mean = total / np.float32(TAPS)
    for i in range(TAPS):
        window[i] -= mean


@kernel
def add_up(
    light: Plane, residual: NDArray[np.int16], buckets: NDArray[np.uint8], places: NDArray[np.int64], sums: Sums,
    window: Plane, block: Plane,
) -> None:  # fmt: skip
    """Add samples to the sums of their buckets.

    Parameters
    ----------
    light
        (rows + 6, columns + 6), in grey levels.
    residual
        (rows * cell, columns * cell), in parts of a grey level.
    buckets
        (rows, columns).
    places
        Flat indices of cells.
    sums
        Written to.
    window, block
        (taps,) and (cell * cell,), scratch space.
    """
    columns = buckets.shape[1]
    cell = residual.shape[1] // columns
    for place in places:
        y, x = place // columns, place % columns
        bucket = buckets[y, x]
        _window(light, y, x, window)
        at = 0
        for down in range(cell):
            for across in range(cell):
                block[at] = np.float32(residual[y * cell + down, x * cell + across]) / np.float32(PARTS)
                at += 1
        sums.counts[bucket] += 1
        for i in range(TAPS):
            for j in range(i + 1):
                sums.products[bucket, i, j] += window[i] * window[j]
            for j in range(len(block)):
                sums.wanted[bucket, i, j] += window[i] * block[j]


@kernel
def solve(products: NDArray[np.float64], wanted: NDArray[np.float64]) -> None:
    """Solve ``products @ x = wanted`` in place, by Cholesky's factors; no library whose threads could change a bit.

    Parameters
    ----------
    products
        (taps, taps), positive definite; its lower half is read, and written to.
    wanted
        (taps, n), becomes the solution.
    """
    size = products.shape[0]
    for j in range(size):
        for k in range(j):
            factor = products[j, k]
            for i in range(j, size):
                products[i, j] -= products[i, k] * factor
        root = np.sqrt(products[j, j])
        for i in range(j, size):
            products[i, j] /= root
    for i in range(size):
        for n in range(wanted.shape[1]):
            for k in range(i):
                wanted[i, n] -= products[i, k] * wanted[k, n]
            wanted[i, n] /= products[i, i]
    for i in range(size - 1, -1, -1):
        for n in range(wanted.shape[1]):
            for k in range(i + 1, size):
                wanted[i, n] -= products[k, i] * wanted[k, n]
            wanted[i, n] /= products[i, i]


@kernel
def respond(
    light: Plane, buckets: NDArray[np.uint8], chosen: NDArray[np.uint8], filters: Plane, rows: tuple[int, int],
    scratch: tuple[Plane, Plane], residual: NDArray[np.int16],
) -> None:  # fmt: skip
    """Apply each cell's filter: take its response away where the photo is known, and write it where it is not.

    Parameters
    ----------
    light
        (rows + 6, columns + 6), in grey levels.
    buckets
        (rows, columns).
    chosen
        (rows, columns): 0 to pass over a cell, 1 to take the response away from ``residual``, 2 to write it there.
    filters
        (buckets, taps, cell * cell).
    rows
        First, and behind the last.
    scratch
        (taps,) and (cell * cell,).
    residual
        (rows * cell, columns * cell), in parts of a grey level; written to.
    """
    window, block = scratch
    columns = buckets.shape[1]
    cell = residual.shape[1] // columns
    for y in range(rows[0], rows[1]):
        for x in range(columns):
            if chosen[y, x] == 0:
                continue
            _window(light, y, x, window)
            bucket = buckets[y, x]
            for j in range(len(block)):
                block[j] = 0
            for i in range(TAPS):
                value = window[i]
                for j in range(len(block)):
                    block[j] += value * filters[bucket, i, j]
            at = 0
            for down in range(cell):
                for across in range(cell):
                    parts = np.int16(np.rint(min(max(block[at], np.float32(-200)), np.float32(200)) * PARTS))
                    if chosen[y, x] == 1:
                        residual[y * cell + down, x * cell + across] -= parts
                    else:
                        residual[y * cell + down, x * cell + across] = parts
                    at += 1

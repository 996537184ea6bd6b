"""Filters that are learned from the photo: from what enlarging leaves of it to what enlarging lost.

One filter for each bucket of directions, strengths and coherences, each a ridge regression from 7 x 7 cells to the
pixels of the middle one, towards the filter that is the best for all (RAISR, Romano, Isidoro and Milanfar 2017).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.detail.planes import Cells

    Plane = NDArray[np.float32]

SAMPLES = 60_000  # of all buckets together
FEWEST = 200  # samples, below which a bucket takes the filter of all
RIDGE = 0.02  # of a sample, in levels squared
LEAN = (
    300.0  # levels squared, beside that of the samples: how strongly a bucket of few of them keeps to the filter of all
)


def learn(
    cells: Cells,
    light: Plane,
    residual: NDArray[np.int16],
    buckets: NDArray[np.uint8],
    usable: NDArray[np.bool_],
) -> Plane:
    """Learn a filter for each bucket.

    Parameters
    ----------
    light
        (rows, columns), lightness of the photo's soft version.
    residual
        (rows * side, columns * side), what the photo has beyond it.
    usable
        (rows, columns): the cells that are learned from.

    Returns
    -------
    ndarray
        (buckets, taps, side * side) float32.
    """
    from uncrop.finish.detail.filter_kernels import REACH, TAPS, Sums, add_up, solve
    from uncrop.finish.detail.plane_kernels import ANGLES, COHERENCES, STRENGTHS

    count = ANGLES * (len(STRENGTHS) + 1) * (len(COHERENCES) + 1)
    block = cells.side * cells.side
    places = np.flatnonzero(usable)
    sums = Sums(np.zeros((count, TAPS, TAPS)), np.zeros((count, TAPS, block)), np.zeros(count, np.int64))
    scratch = np.empty(TAPS, np.float32), np.empty(block, np.float32)
    add_up(cells.padded(light, REACH), residual, buckets, places[:: -(-len(places) // SAMPLES)], sums, *scratch)
    diagonal = np.arange(TAPS)
    found = np.empty((count, TAPS, block), np.float32)
    products, wanted = sums.products.sum(axis=0), sums.wanted.sum(axis=0)
    products[diagonal, diagonal] += 1e-3 + RIDGE * int(sums.counts.sum())
    solve(products, wanted)
    found[:] = wanted
    for bucket in np.flatnonzero(sums.counts >= FEWEST):
        ridge = LEAN + RIDGE * int(sums.counts[bucket])
        products, own = sums.products[bucket], sums.wanted[bucket] + ridge * wanted
        products[diagonal, diagonal] += ridge
        solve(products, own)
        found[bucket] = own
    return found


def apply(
    cells: Cells, light: Plane, buckets: NDArray[np.uint8], chosen: NDArray[np.uint8], filters: Plane,
    residual: NDArray[np.int16],
) -> None:  # fmt: skip
    """Apply the filters to the cells that are ``chosen``, as ``filter_kernels.respond`` says."""
    from uncrop.finish.detail.filter_kernels import REACH, TAPS, respond

    padded = cells.padded(light, REACH)

    def work(rows: tuple[int, int]) -> None:
        scratch = np.empty(TAPS, np.float32), np.empty(filters.shape[2], np.float32)
        respond(padded, buckets, chosen, filters, rows, scratch, residual)

    cells.pool.each(work, cells.bands)

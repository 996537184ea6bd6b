"""How a canvas is cut into pieces of work: bands of rows, and tiles. No cut depends on the number of threads."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray


def tiles(height: int, width: int, box: NDArray[np.int64], rows: int, cols: int) -> list[tuple[int, int, int, int]]:
    """Cut a canvas into equal tiles of about ``rows`` x ``cols`` at most, without those wholly on the photo's ``box``.

    Returns (top, bottom, left, right) of each tile. All cuts are at even coordinates.
    """
    top, bottom, left, right = (int(side) for side in box)
    high, wide = (2 * -(-size // (2 * -(-size // most))) for size, most in ((height, rows), (width, cols)))
    return [
        (*down, *across)
        for down in bands(0, height, high)
        for across in bands(0, width, wide)
        if down[0] < top or down[1] > bottom or across[0] < left or across[1] > right
    ]


def bands(start: int, stop: int, rows: int, shift: int = 0) -> list[tuple[int, int]]:
    """Cut the rows ``start`` to ``stop`` at every multiple of ``rows``, moved by ``shift``; no band is empty."""
    cuts = [start, *(cut for cut in range(start - start % rows + shift % rows, stop, rows) if cut > start), stop]
    return [(first, last) for first, last in pairwise(cuts) if last > first]

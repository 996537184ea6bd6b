"""The loops of comparing two pictures, compiled; loaded on their first use, because Numba takes a while to load.

None allocates: whoever calls them brings the arrays that they write to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.kernels import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Shares of red, green and blue in brightness, in 256ths (ITU-R BT.601).
RED, GREEN, BLUE = 77, 150, 29


@kernel
def cell_means(
    pixels: NDArray[np.uint8], rows: NDArray[np.int32], columns: NDArray[np.int32], means: NDArray[np.float32]
) -> None:
    """Take the mean brightness of each cell.

    Parameters
    ----------
    pixels
        (height, width, 3).
    rows, columns
        (cells + 1,), where the cells begin, and where the last one ends; none is empty.
    means
        (rows of cells, columns of cells), in grey levels; written to.
    """
    for row in range(means.shape[0]):
        for column in range(means.shape[1]):
            means[row, column] = 0
        for y in range(rows[row], rows[row + 1]):
            for column in range(means.shape[1]):
                red = green = blue = np.uint32(0)
                for x in range(np.uint64(columns[column]), np.uint64(columns[column + 1])):
                    red += np.uint32(pixels[y, x, 0])
                    green += np.uint32(pixels[y, x, 1])
                    blue += np.uint32(pixels[y, x, 2])
                means[row, column] += np.float32(RED * red + GREEN * green + BLUE * blue)
        for column in range(means.shape[1]):
            area = (rows[row + 1] - rows[row]) * (columns[column + 1] - columns[column])
            means[row, column] /= np.float32(256 * area)


@kernel
def cells_kept(
    opacity: NDArray[np.uint8], rows: NDArray[np.int32], columns: NDArray[np.int32], kept: NDArray[np.float32]
) -> None:
    """Tell which cells stay whole: 1 where every pixel has full opacity, else 0.

    Parameters
    ----------
    opacity
        (height, width).
    rows, columns
        As for ``cell_means``.
    kept
        (rows of cells, columns of cells), written to.
    """
    for row in range(kept.shape[0]):
        for column in range(kept.shape[1]):
            kept[row, column] = 1
            for y in range(rows[row], rows[row + 1]):
                least = np.uint8(255)
                for x in range(np.uint64(columns[column]), np.uint64(columns[column + 1])):
                    least = min(least, opacity[y, x])
                if least < 255:
                    kept[row, column] = 0
                    break

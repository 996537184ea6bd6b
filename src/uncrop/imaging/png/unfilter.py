"""Undoing PNG's row filters, compiled: a byte depends on the one before it, so that numpy cannot do many at once.

Imported by ``read`` on its first use, because Numba takes a while to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

NONE, SUB, UP, AVERAGE, PAETH = range(5)


@inlined
def _sub(source: NDArray[np.uint8], step: int, row: NDArray[np.uint8]) -> None:
    for x in range(min(step, row.size)):
        row[x] = source[x]
    for x in range(step, row.size):
        row[x] = source[x] + row[x - step]


@inlined
def _sub_of_three(source: NDArray[np.uint8], row: NDArray[np.uint8]) -> None:
    """Do the same for RGB of 8 bits, the commonest kind, without reading back what was written just before."""
    red, green, blue = np.uint8(0), np.uint8(0), np.uint8(0)
    for x in range(0, row.size, 3):
        red, green, blue = np.uint8(red + source[x]), np.uint8(green + source[x + 1]), np.uint8(blue + source[x + 2])
        row[x], row[x + 1], row[x + 2] = red, green, blue


@inlined
def _average(source: NDArray[np.uint8], step: int, above: NDArray[np.uint8], row: NDArray[np.uint8]) -> None:
    for x in range(min(step, row.size)):
        row[x] = source[x] + (above[x] >> 1)
    for x in range(step, row.size):
        row[x] = source[x] + ((np.int32(row[x - step]) + np.int32(above[x])) >> 1)


@inlined
def _paeth(source: NDArray[np.uint8], step: int, above: NDArray[np.uint8], row: NDArray[np.uint8]) -> None:
    for x in range(min(step, row.size)):
        row[x] = source[x] + above[x]
    # Signed and wider than a byte: the differences go below zero.
    for x in range(step, row.size):
        left, up, corner = np.int32(row[x - step]), np.int32(above[x]), np.int32(above[x - step])
        from_left, from_up, from_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
        nearest = corner
        if from_left <= from_up and from_left <= from_corner:
            nearest = left
        elif from_up <= from_corner:
            nearest = up
        row[x] = source[x] + nearest


@kernel
def unfilter(filtered: NDArray[np.uint8], step: int, before: NDArray[np.uint8], rows: NDArray[np.uint8]) -> bool:
    """Fill ``rows`` with the bytes before filtering (PNG specification, section 9.2).

    Parameters
    ----------
    filtered
        (height, 1 + row bytes): each row's filter, then the row.
    step
        Whole bytes a pixel, at least 1.
    before
        (row bytes,): the row above the first one; zeros at the picture's top.
    rows
        (height, row bytes), written to.

    Returns
    -------
    bool
        False when a row names a filter that does not exist.
    """
    height, length = rows.shape
    for y in range(height):
        kind, source, row = filtered[y, 0], filtered[y, 1:], rows[y]
        above = rows[y - 1] if y else before
        if kind == NONE:
            for x in range(length):  # assigning the whole row would allocate
                row[x] = source[x]
        elif kind == SUB and step == 3:
            _sub_of_three(source, row)
        elif kind == SUB:
            _sub(source, step, row)
        elif kind == UP:
            for x in range(length):
                row[x] = source[x] + above[x]
        elif kind == AVERAGE:
            _average(source, step, above, row)
        elif kind == PAETH:
            _paeth(source, step, above, row)
        else:
            return False
    return True

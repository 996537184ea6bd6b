"""The loops of the finishing steps, compiled; loaded on their first use, because Numba takes a while to load.

None allocates: whoever calls them brings the room they work in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.finish.colour import BLOCK, SAMPLE
from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def sample_means(pixels: NDArray[np.uint8], top: int, left: int, means: NDArray[np.float32]) -> None:
    """Take the mean of some pixels of each whole block: those on a grid, ``SAMPLE`` apart, in the block's middle.

    Parameters
    ----------
    pixels
        (height, width, channels).
    top, left
        Where the blocks begin.
    means
        (rows of blocks, columns of blocks, channels), written to.
    """
    rows, columns, channels = means.shape
    for row in range(rows):
        for column in range(columns):
            y, x = top + row * BLOCK + SAMPLE // 2, left + column * BLOCK + SAMPLE // 2
            for channel in range(channels):
                total = 0
                for down in range(0, BLOCK, SAMPLE):
                    for across in range(0, BLOCK, SAMPLE):
                        total += int(pixels[y + down, x + across, channel])
                means[row, column, channel] = np.float32(total) / np.float32((BLOCK // SAMPLE) ** 2)


@kernel
def kept_differences(
    pixels: NDArray[np.uint8],
    corner: tuple[int, int],
    original: NDArray[np.uint8],
    opacity: NDArray[np.uint8],
    difference: NDArray[np.float32],
    share: NDArray[np.float32],
) -> None:
    """Take the mean of original - made over those pixels of each whole block that stay, from samples.

    Parameters
    ----------
    pixels
        (height, width, channels), the whole picture's.
    corner
        The original's first row and column there.
    original, opacity
        (height, width, channels) and (height, width), the original's.
    difference
        (rows of blocks, columns of blocks, channels), written to; 0 where nothing stays.
    share
        (rows of blocks, columns of blocks, 1), written to: how much of the samples stays.
    """
    rows, columns, channels = difference.shape
    for row in range(rows):
        for column in range(columns):
            stay = 0
            for channel in range(channels):
                difference[row, column, channel] = 0
            for y in range(row * BLOCK + SAMPLE // 2, (row + 1) * BLOCK, SAMPLE):
                for x in range(column * BLOCK + SAMPLE // 2, (column + 1) * BLOCK, SAMPLE):
                    if opacity[y, x] == 255:
                        stay += 1
                        for channel in range(channels):
                            made = np.float32(pixels[corner[0] + y, corner[1] + x, channel])
                            difference[row, column, channel] += np.float32(original[y, x, channel]) - made
            for channel in range(channels):
                difference[row, column, channel] /= np.float32(max(stay, 1))
            share[row, column, 0] = np.float32(stay) / np.float32((BLOCK // SAMPLE) ** 2)


@inlined
def _widen(
    field: NDArray[np.int16],
    row: int,
    columns: NDArray[np.int32],
    left: int,
    right: int,
    bits: int,
    wide: NDArray[np.int16],
    to: int,
) -> None:
    """Enlarge one row of the field along the columns ``left`` to ``right``."""
    at = np.uint64(0)
    for x in range(left, right):
        before, behind, across = columns[0, x], columns[1, x], columns[2, x]
        for channel in range(field.shape[2]):
            total = np.int32(field[row, before, channel]) * ((1 << bits) - across)
            total += np.int32(field[row, behind, channel]) * across
            wide[to, at] = (total + (1 << (bits - 1))) >> bits
            at += np.uint64(1)


@kernel
def add_field(
    pixels: NDArray[np.uint8],
    extent: tuple[int, int, int, int],
    field: NDArray[np.int16],
    rows: NDArray[np.int32],
    columns: NDArray[np.int32],
    bits: tuple[int, int],
    wide: NDArray[np.int16],
) -> None:
    """Add the bilinearly enlarged field to a rectangle.

    Parameters
    ----------
    pixels
        (height, bytes of a row), the whole picture's; written to.
    extent
        The rectangle: first row, row behind the last, first column, column behind the last.
    field
        (cells, cells, channels), in parts of a grey level.
    rows, columns
        (3, height) and (3, width): between which two cells each pixel's centre lies, and how many steps from the one to
        the other.
    bits
        So many bits number the steps between two cells, and the parts of a grey level.
    wide
        (2, bytes of a row), room to work in.
    """
    top, bottom, left, right = extent
    above = below = np.int32(-1)
    start, length = np.uint64(left * field.shape[2]), np.uint64((right - left) * field.shape[2])
    shift, steps = np.int32(bits[0] + bits[1]), np.int32(1 << bits[0])
    half = np.int32(1 << (bits[0] + bits[1] - 1))
    for y in range(top, bottom):
        if rows[0, y] != above or rows[1, y] != below:
            above, below = rows[0, y], rows[1, y]
            _widen(field, above, columns, left, right, bits[0], wide, 0)
            _widen(field, below, columns, left, right, bits[0], wide, 1)
        down = rows[2, y]
        up = steps - down
        for j in range(length):
            change = (np.int32(wide[0, j]) * up + np.int32(wide[1, j]) * down + half) >> shift
            pixels[y, start + j] = min(max(np.int32(pixels[y, start + j]) + change, 0), 255)


@inlined
def _mix(made: np.uint8, kept: np.uint8, share: np.float32) -> np.uint8:
    return np.uint8(np.rint(kept * share + made * (np.float32(1) - share)))


@kernel
def lay_over(
    pixels: NDArray[np.uint8], top: int, left: int, original: NDArray[np.uint8], opacity: NDArray[np.uint8]
) -> None:
    """Lay the original over what was made: pixels of full opacity exactly, others by their share.

    Parameters
    ----------
    pixels
        (height, bytes of a row), the whole picture's; written to.
    top, left
        The original's first row there, and its first byte.
    original, opacity
        (height, bytes of a row) and (height, width), the original's.
    """
    height, width = opacity.shape
    channels = original.shape[1] // width
    for y in range(height):
        x = 0
        while x < width:
            share = opacity[y, x]
            end = x + 1
            while end < width and opacity[y, end] == share:
                end += 1
            to = np.uint64(left)
            if share == 255:
                for j in range(np.uint64(x * channels), np.uint64(end * channels)):
                    pixels[top + y, to + j] = original[y, j]
            elif share:
                weight = np.float32(share) / np.float32(255)
                for j in range(np.uint64(x * channels), np.uint64(end * channels)):
                    pixels[top + y, to + j] = _mix(pixels[top + y, to + j], original[y, j], weight)
            x = end

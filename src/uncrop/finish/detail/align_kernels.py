"""The loops that bring the provider's own version of the photo onto the photo, compiled. None allocates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from uncrop.finish.detail.plane_kernels import between
from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

RED, GREEN, BLUE = 77, 150, 29
PARTS = 16  # of a grey level, in planes of residuals
BLOCK = 4  # cells a side, for which a shift is told


@inlined
def _cubic(plane: Any, y: np.float32, x: np.float32) -> np.float32:
    """Return a plane's value between 4 x 4 cells or pixels (Catmull and Rom); their centres are at whole numbers."""
    height, width = plane.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    t, u = y - np.float32(top), x - np.float32(left)
    half, two = np.float32(0.5), np.float32(2)
    total = np.float32(0)
    for i in range(4):
        at = min(max(top + i - 1, 0), height - 1)
        line = np.float32(0)
        for j in range(4):
            if j == 0:
                weight = half * u * (u * (two - u) - np.float32(1))
            elif j == 1:
                weight = half * (u * u * (np.float32(3) * u - np.float32(5)) + two)
            elif j == 2:
                weight = half * u * (u * (np.float32(4) - np.float32(3) * u) + np.float32(1))
            else:
                weight = half * u * u * (u - np.float32(1))
            line += weight * np.float32(plane[at, min(max(left + j - 1, 0), width - 1)])
        if i == 0:
            weight = half * t * (t * (two - t) - np.float32(1))
        elif i == 1:
            weight = half * (t * t * (np.float32(3) * t - np.float32(5)) + two)
        elif i == 2:
            weight = half * t * (t * (np.float32(4) - np.float32(3) * t) + np.float32(1))
        else:
            weight = half * t * t * (t - np.float32(1))
        total += weight * line
    return total


@kernel
def shifted(made: Plane, shifts: Plane, rows: tuple[int, int], out: Plane) -> None:
    """Take each cell of what was made from where it has been shifted to.

    Parameters
    ----------
    made
        (rows, columns), in grey levels.
    shifts
        (2, block rows, block columns): how far down and across, in cells.
    rows
        First, and behind the last.
    out
        (rows, columns), another array; written to.
    """
    for y in range(rows[0], rows[1]):
        v = (np.float32(y) + np.float32(0.5)) / np.float32(BLOCK) - np.float32(0.5)
        for x in range(made.shape[1]):
            u = (np.float32(x) + np.float32(0.5)) / np.float32(BLOCK) - np.float32(0.5)
            down, across = between(shifts[0], v, u), between(shifts[1], v, u)
            out[y, x] = _cubic(made, np.float32(y) + down, np.float32(x) + across)


@kernel
def rest(
    pixels: NDArray[np.uint8], soft: NDArray[np.uint8], corner: tuple[int, int], fields: tuple[Plane, Plane, int],
    rows: tuple[int, int], residual: NDArray[np.int16],
) -> None:  # fmt: skip
    """Write what the photo has beyond the provider's own version of it, in parts of a grey level.

    Parameters
    ----------
    pixels
        (height, width, 3), the photo's.
    soft
        The lightness of what was made, enlarged, the photo's place included.
    corner
        The photo's first row and column in ``soft`` and ``residual``.
    fields
        Shifts as ``shifted`` has them; (block rows, block columns), by how many levels the photo is lighter on the
        whole, which is no detail; and the side of a cell.
    rows
        Of the photo: first, and behind the last.
    residual
        (at least the height of ``soft``, at least its width), written to.
    """
    shifts, lighter, side = fields
    scale = np.float32(1) / np.float32(side * BLOCK)
    for row in range(rows[0], rows[1]):
        y = corner[0] + row
        v = (np.float32(y) + np.float32(0.5)) * scale - np.float32(0.5)
        for column in range(pixels.shape[1]):
            x = corner[1] + column
            u = (np.float32(x) + np.float32(0.5)) * scale - np.float32(0.5)
            down, across = between(shifts[0], v, u) * np.float32(side), between(shifts[1], v, u) * np.float32(side)
            base = _cubic(soft, np.float32(y) + down, np.float32(x) + across) + between(lighter, v, u)
            total = RED * int(pixels[row, column, 0]) + GREEN * int(pixels[row, column, 1])
            light = np.float32(total + BLUE * int(pixels[row, column, 2])) / np.float32(256)
            residual[y, x] = np.int16(np.rint((light - base) * np.float32(PARTS)))

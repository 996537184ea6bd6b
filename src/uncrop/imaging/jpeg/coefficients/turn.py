"""Coefficients turned and mirrored, without loss, as EXIF's orientation says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging.jpeg.coefficients.blocks import SIDE, ZIGZAG, Coefficients, make_grid
from uncrop.imaging.metadata.kept import SIDEWAYS

if TYPE_CHECKING:
    from uncrop.imaging.jpeg.coefficients.blocks import BlockGrid

# Orientations whose upright picture has, once rows and columns are exchanged where need be, left for right, top for
# bottom (EXIF 2.32, tag 274).
MIRRORED, FLIPPED = (2, 3, 6, 7), (3, 4, 7, 8)
# Where in the zigzag what stands there goes when rows and columns are exchanged.
_TRANSPOSED = np.argsort(ZIGZAG)[ZIGZAG % SIDE * SIDE + ZIGZAG // SIDE]
_ODD_ACROSS, _ODD_DOWN = ZIGZAG % SIDE % 2 == 1, ZIGZAG // SIDE % 2 == 1


def turned(coefficients: Coefficients, orientation: int) -> Coefficients:
    """Return the coefficients of the upright picture, whose first MCUs may be filled; see ``lead``."""
    if orientation == 1:
        return coefficients
    upright = turned_grid(coefficients.grid, orientation)
    result = Coefficients(grid=upright, levels=np.empty_like(coefficients.levels))
    signs = np.ones(64, np.int16)
    signs[_ODD_ACROSS] *= -1 if orientation in MIRRORED else 1
    signs[_ODD_DOWN] *= -1 if orientation in FLIPPED else 1
    down, across = -1 if orientation in FLIPPED else 1, -1 if orientation in MIRRORED else 1
    for plane, upright_plane in zip(coefficients.grid.planes, upright.planes, strict=True):
        blocks = coefficients.of(plane)
        if orientation in SIDEWAYS:
            blocks = blocks.transpose(1, 0, 2)[:, :, _TRANSPOSED]
        np.multiply(blocks[::down, ::across], signs, out=result.of(upright_plane))
    return result


def turned_grid(grid: BlockGrid, orientation: int) -> BlockGrid:
    """Return how the upright picture is cut into blocks."""
    if orientation not in SIDEWAYS:
        return grid
    planes = (
        (plane.down, plane.across, tuple(plane.table[place] for place in _TRANSPOSED.tolist())) for plane in grid.planes
    )
    return make_grid(grid.height, grid.width, planes)


def lead(upright: BlockGrid, orientation: int) -> tuple[int, int]:
    """Return how many pixels that are none of the picture's come first, left and above.

    What fills a file's last MCUs comes first when the picture is mirrored or flipped.
    """
    across, down = upright.units
    left, above = across * SIDE * upright.across - upright.width, down * SIDE * upright.down - upright.height
    return left if orientation in MIRRORED else 0, above if orientation in FLIPPED else 0

"""A bound on the chroma shift of corrections, so that leaves far from the photo do not turn violet.

Where copies with different colours meet, the Poisson equation may shift whole areas, and the farther out the more,
because only the photo fixes it. At the photo's border such a shift is right: a bluish sky continues in copies of a grey
one. So the mean correction of a block may shift its chroma (red less luma, blue less luma) to anything between no shift
and the shift of the nearest block at the border, or a few levels beside that. The luma is left free, because skies and
walls do become lighter outward.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.compose.seams import BLUE, GREEN, RED

MAX_CHROMA_SHIFT = 8.0  # levels beside what is allowed


def bound_chroma_shift(means: NDArray[np.float32], inside: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return what must be added to the blocks' mean corrections to bound their chroma shift.

    Parameters
    ----------
    means
        (rows, columns, 3) in 8-bit levels.
    inside
        Top, bottom, left and right of the blocks that have a pixel of the photo. These are not bounded.

    Returns
    -------
    ndarray
        (rows, columns, 3); it leaves the luma of a correction as it is.
    """
    rows, cols = means.shape[:2]
    top, bottom, left, right = inside
    light = RED * means[:, :, 0] + GREEN * means[:, :, 1] + BLUE * means[:, :, 2]
    colour = means - light[:, :, None]  # of which chroma is red and blue
    beside_rows = np.clip(np.arange(rows), max(top - 1, 0), min(bottom, rows - 1))
    beside_cols = np.clip(np.arange(cols), max(left - 1, 0), min(right, cols - 1))
    border = colour[beside_rows[:, None], beside_cols[None, :]]
    square = np.maximum(in_chroma(border, border), np.float32(1e-6))
    along = np.clip(in_chroma(colour, border) / square, 0, 1)  # the nearest point between no shift and the border's
    beyond = colour - along[:, :, None] * border
    far = np.maximum(np.sqrt(in_chroma(beyond, beyond)), np.float32(MAX_CHROMA_SHIFT))
    far[top:bottom, left:right] = MAX_CHROMA_SHIFT
    shifts: NDArray[np.float32] = (MAX_CHROMA_SHIFT / far - 1)[:, :, None] * beyond
    return shifts


def in_chroma(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scalar products (rows, columns) of the chromas of two arrays of colours (rows, columns, 3)."""
    products: NDArray[np.float32] = (a[:, :, ::2] * b[:, :, ::2]).sum(2)
    return products

"""Corrections do not grow away from the photo in chroma: leaves far out do not turn violet.

Where copies meet whose colours disagree, the Poisson equation may shift whole areas, and the more the farther out, as
only the photo holds it. At the photo's border such a shift is wanted: a bluish sky goes on in copies of a grey one. So
what a block's mean correction may do to the chroma (red less lightness, blue less lightness) lies between nothing and
what the nearest block at the border asks for, or a few levels from there. How light it becomes is left free: skies and
walls do go on getting lighter.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.compose.seams import BLUE, GREEN, RED

CHROMA = 8.0  # levels


def drift(means: NDArray[np.float32], inside: tuple[int, int, int, int]) -> NDArray[np.float32]:
    """Return what must be added to the blocks' mean corrections, so that they do not drift in chroma.

    Parameters
    ----------
    means
        (rows, columns, 3) in 8-bit levels.
    inside
        Top, bottom, left and right of the blocks that have a pixel of the photo; those are left alone.

    Returns
    -------
    ndarray
        (rows, columns, 3); the lightness of a correction stays.
    """
    rows, cols = means.shape[:2]
    top, bottom, left, right = inside
    light = RED * means[:, :, 0] + GREEN * means[:, :, 1] + BLUE * means[:, :, 2]
    colour = means - light[:, :, None]  # of which chroma is red and blue
    beside_rows = np.clip(np.arange(rows), max(top - 1, 0), min(bottom, rows - 1))
    beside_cols = np.clip(np.arange(cols), max(left - 1, 0), min(right, cols - 1))
    asked = colour[beside_rows[:, None], beside_cols[None, :]]
    square = np.maximum(in_chroma(asked, asked), np.float32(1e-6))
    along = np.clip(in_chroma(colour, asked) / square, 0, 1)  # the nearest point between nothing and what is asked
    beyond = colour - along[:, :, None] * asked
    far = np.maximum(np.sqrt(in_chroma(beyond, beyond)), np.float32(CHROMA))
    far[top:bottom, left:right] = CHROMA
    shifts: NDArray[np.float32] = (CHROMA / far - 1)[:, :, None] * beyond
    return shifts


def in_chroma(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the scalar products (rows, columns) of red and blue of two sets of colours (rows, columns, 3)."""
    products: NDArray[np.float32] = (a[:, :, ::2] * b[:, :, ::2]).sum(2)
    return products

"""Colour under what is to be made.

Image models see through transparency: what lies under it is black or white to them, and it colours what they make. So
the photo's own colours are drawn out under every such pixel, blurred the more, the further they go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging.resample import fill_unknown, halve_known, resample

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.model import Mask

GREY = 128


def underpaint(pixels: NDArray[np.uint8], known: Mask) -> NDArray[np.uint8]:
    """Fill the pixels that are not known from those that are; push-pull (Gortler et al. 1996, 10.1145/237170.237200).

    Parameters
    ----------
    pixels
        (height, width, 3) uint8.
    known
        (height, width); pixels where it is ``True`` are returned as they are.

    Returns
    -------
    NDArray
        A picture of the same shape.
    """
    return pixels if known.all() else fill_in_place(pixels.copy(), known)


def fill_in_place(pixels: NDArray[np.uint8], known: Mask) -> NDArray[np.uint8]:
    """Do as ``underpaint`` does, and write to ``pixels`` themselves, which are returned."""
    height, width = known.shape
    if known.all():
        return pixels
    if max(height, width) == 1:
        pixels[:] = GREY
        return pixels
    coarse = fill_in_place(*halve_known(pixels, known))
    # Only those rows and columns are enlarged where something is missing: in the sides of a frame, a few.
    for rows, columns in _parts(~known):
        patch = resample(coarse, width, height, rows=rows, columns=columns)
        fill_unknown(pixels, known, rows, columns, patch)
    return pixels


def _parts(empty: Mask) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield rows and columns whose crossings hold all that is empty: first whole columns, as in a frame's sides."""
    whole = empty.all(axis=0)
    if whole.any():
        yield np.arange(len(empty)), np.flatnonzero(whole)
    rest = empty & ~whole
    if rest.any():
        yield np.flatnonzero(rest.any(axis=1)), np.flatnonzero(rest.any(axis=0))

"""Colour under what is to be made.

Image models see through transparency: what lies under it is black or white to them, and it colours what they make. So
the photo's own colours are drawn out under every such pixel, blurred the more, the further they go.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec

if TYPE_CHECKING:
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
    height, width = known.shape
    if known.all():
        return pixels
    if max(height, width) == 1:
        return np.full_like(pixels, GREY)
    coarse = arrays.to_8bit(codec.resize(underpaint(*_halve(pixels, known)), width, height))
    return np.where(known[..., None], pixels, coarse)


def _halve(pixels: NDArray[np.uint8], known: Mask) -> tuple[NDArray[np.uint8], Mask]:
    """Average the known ones of every 2 x 2 pixels."""
    height, width = known.shape
    if height % 2 or width % 2:
        known = np.pad(known, ((0, height % 2), (0, width % 2)))
        pixels = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)))
    count = _sum_of_fours(known.view(np.uint8))[..., None]
    mean = _sum_of_fours(pixels * known[..., None]) // np.maximum(count, 1)
    return mean.astype(np.uint8), count[..., 0] > 0


def _sum_of_fours(values: NDArray[np.uint8]) -> NDArray[np.uint16]:
    rows = np.add(values[0::2], values[1::2], dtype=np.uint16)
    total: NDArray[np.uint16] = rows[:, 0::2] + rows[:, 1::2]
    return total

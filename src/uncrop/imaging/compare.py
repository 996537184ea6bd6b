"""How far two pictures differ."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from uncrop.model import Mask, Pixels


def mean_difference(first: Pixels, second: Pixels, mask: Mask | None = None) -> float | None:
    """Return the mean absolute difference of two pictures of one shape and depth, in their own levels.

    Parameters
    ----------
    first, second
        (height, width, channels).
    mask
        Pixels that are ``True`` here are not compared. ``None`` when nothing is left to compare.
    """
    difference = np.abs(first.astype(np.int32) - second.astype(np.int32))
    if mask is not None:
        difference = difference[~mask]
    return float(difference.mean()) if difference.size else None


def psnr(first: Pixels, second: Pixels) -> float:
    """Return the peak signal-to-noise ratio of two pictures of one shape and depth, in dB; infinite when equal."""
    error = float(np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2))
    peak = 255 if first.dtype == np.uint8 else 65535
    return math.inf if error == 0 else 10 * math.log10(peak * peak / error)

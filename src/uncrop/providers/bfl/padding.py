"""Flat padding in place of a picture, which Black Forest Labs sends without a word when it cannot make one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from uncrop.model import Frame, Pixels

SPREAD = 3  # grey levels between the darkest and the lightest of one colour
# Grey levels by which, in the mean, a flat colour differs from the photo's border. A clear sky or a white background
# goes on in its own colour; padding does not.
DIFFERENCE = 24
SAMPLE = 16  # of so many rows and columns one tells of nearly every picture that it is not flat


def is_padded(pixels: Pixels, frame: Frame) -> bool:
    """Tell whether, on any side of the photo, all that was made is one colour that the border there does not have.

    Parameters
    ----------
    pixels
        The picture that came, of the frame's shape and any size.
    frame
        What was asked for.
    """
    return any(
        band.size
        and _is_flat(band[::SAMPLE, ::SAMPLE])
        and _is_flat(band)
        and float(np.abs(border - band[0, 0].astype(np.int16)).mean()) > DIFFERENCE
        for band, border in _bands(pixels, frame)
    )


def _is_flat(band: Pixels) -> bool:
    return all(int(level.max()) - int(level.min()) <= SPREAD for level in np.moveaxis(band, 2, 0))


def _bands(pixels: Pixels, frame: Frame) -> Iterator[tuple[Pixels, Pixels]]:
    """Yield what lies on each side of the photo, and the photo's outermost line there."""
    height, width = pixels.shape[:2]
    photo = frame.photo
    left, right = _inside(photo.x, photo.width, frame.width, width)
    top, bottom = _inside(photo.y, photo.height, frame.height, height)
    yield pixels[top:bottom, :left], pixels[top:bottom, left]
    yield pixels[top:bottom, right:], pixels[top:bottom, right - 1]
    yield pixels[:top, left:right], pixels[top, left:right]
    yield pixels[bottom:, left:right], pixels[bottom - 1, left:right]


def _inside(start: int, extent: int, whole: int, actual: int) -> tuple[int, int]:
    """Return where ``start..start + extent`` of ``whole`` lies on ``actual`` pixels; at least one pixel is inside."""
    first = min(round(start * actual / whole), actual - 1)
    return first, max(first + 1, round((start + extent) * actual / whole))

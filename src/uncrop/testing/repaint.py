"""What emulators paint: the photo mirrored over the canvas, and all of it repainted a little, as real models do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.placement.underpaint import GREY, underpaint
from uncrop.testing.pictures import photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import ImageFormat, Mask
    from uncrop.testing.outcomes import Outcome

ANOTHER = 4711  # the seed of the picture that belongs to somebody else


def paint_canvas(given: NDArray[np.uint8], width: int, height: int, *, x: int, y: int, level: int) -> NDArray[np.uint8]:
    """Mirror a photo over a canvas and make all of it a little lighter.

    Parameters
    ----------
    given
        (height, width, 3).
    width, height
        Of the canvas.
    x, y
        Where the photo's top left pixel lies; what lies outside the canvas is cut off.
    level
        Grey levels by which everything is lighter, so that it can be seen when the original is put back.

    Returns
    -------
    NDArray
        (height, width, 3).
    """
    rows, columns = _mirrored(height, y, given.shape[0]), _mirrored(width, x, given.shape[1])
    canvas = given[np.ix_(rows, columns)]
    return np.minimum(canvas, 255 - level) + np.uint8(level)


def paint_unknown(given: NDArray[np.uint8], known: Mask) -> NDArray[np.uint8]:
    """Paint what is not known by mirroring what is, which has the photo's own grain.

    What is not known inside the rectangle around all that is, is filled with its colours before.

    Parameters
    ----------
    given
        (height, width, 3).
    known
        (height, width).
    """
    if known.all():
        return given
    if not known.any():
        return np.full_like(given, GREY)
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    box = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    photo = underpaint(given[box], known[box])
    height, width = known.shape
    mirrored = paint_canvas(photo, width, height, x=int(columns[0]), y=int(rows[0]), level=0)
    return np.where(known[..., None], given, mirrored)


def picture_file(pixels: NDArray[np.uint8], picture_format: ImageFormat, outcome: Outcome) -> bytes:
    """Return a picture's file; another one, at another size or cut off where ``outcome`` wants that."""
    pixels = another_of(pixels) if outcome.another else pixels
    if outcome.size is not None:
        pixels = arrays.to_8bit(codec.resize(pixels, *outcome.size))
    return outcome.spoil(codec.encode(pixels, picture_format))


def another_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return a picture of the same extent, (height, width, 3), that nobody sent.

    It stands upside down, for all sample pictures have their horizon at the same height.
    """
    return arrays.to_8bit(photo(pixels.shape[1], pixels.shape[0], seed=ANOTHER))[::-1]


def _mirrored(extent: int, start: int, length: int) -> NDArray[np.int64]:
    """Return, for each place of an axis, which line of a photo that begins at ``start`` is shown there."""
    phase = (np.arange(extent) - start) % (2 * length)
    return np.minimum(phase, 2 * length - 1 - phase)

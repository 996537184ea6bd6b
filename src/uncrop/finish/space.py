"""In which colour space the provider painted, where its file does not tell.

Who drops a profile may have kept the photo's numbers, or have converted them to sRGB; both are common, and nothing in
the answer says which. But the provider repainted the photo too, and only in one of the two spaces does it resemble the
original.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from uncrop.finish.fit import STRIDE, repaint_difference
from uncrop.imaging.colour.convert import between

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.work import Work

# By how much nearer the photo must be, read as sRGB, before anything is converted: repainting alone changes it too.
CLEARLY = 0.8


def read_as_srgb(work: Work) -> Work:
    """Convert what was made from sRGB into the photo's space if, read so, it is clearly nearer to the photo.

    A picture whose file told its space has been converted already, so that it is nearer as it is.
    """
    if work.icc is None:
        return work  # the photo is in sRGB itself
    sample = (slice(None, None, STRIDE), slice(None, None, STRIDE))
    made, original = work.pixels[work.inside][sample], work.original[sample]
    converted = between(np.ascontiguousarray(made), None, work.icc)
    if converted is None:
        return work
    kept = np.ones(made.shape[:2], np.bool_) if work.opacity is None else work.opacity[sample] == 255
    if not _difference(converted, original, kept) < CLEARLY * _difference(made, original, kept):
        return work
    pixels = between(work.pixels, None, work.icc)
    work = replace(work, pixels=work.pixels if pixels is None else pixels)
    return replace(work, repaint_difference=repaint_difference(work))


def _difference(made: NDArray[np.uint8], original: NDArray[np.uint8], kept: NDArray[np.bool_]) -> float:
    """Return the mean absolute difference where the original is kept; 0 where none of it is."""
    difference = np.abs(made[kept].astype(np.int16) - original[kept])
    return float(difference.mean()) if difference.size else 0.0

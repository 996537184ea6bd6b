"""No step along the outline of what was made.

On both sides of the outline lies one scene: the photo's pixels that stay, and what was made. The provider's version of
the photo's last pixels should equal them; what is left of their difference after the colour step is added to the made
pixels next to it and fades out within a few pixels, as the membrane of Poisson image editing does (Pérez, Gangnet and
Blake, SIGGRAPH 2003). It is carried outward layer by layer, each pixel taking the mean of those before it, so that it
follows an outline of any shape and becomes the smoother, the farther it goes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.work import Work
    from uncrop.model import Mask

REACH = 24  # pixels; beyond it nothing is changed
FADE = 6.0  # pixels; the correction falls to 1/e
SMOOTH = 2  # pixels to both sides, so that noise of one pixel does not become a streak
LIMIT = 48.0  # grey levels
BAND = 256  # rows that are worked on at a time
MARGIN = REACH + 2 * SMOOTH + 2  # rows around them that have a say


def blend_seam(work: Work) -> Work:
    """Bend the made pixels next to the outline of those that stay."""
    height = work.canvas.height
    for top in range(0, height, BAND):
        _blend_rows(work, top, min(top + BAND, height))
    return work


def _blend_rows(work: Work, top: int, bottom: int) -> None:
    from uncrop.finish.seam_kernels import bend, smooth

    start, end = max(top - MARGIN, 0), min(bottom + MARGIN, work.canvas.height)
    stays = _staying(work, start, end)
    border = np.flatnonzero(_border(stays)).astype(np.int32)
    if not len(border):
        return
    gaps = _gaps(work, start, border)
    count = len(border) + int(stays.size - np.count_nonzero(stays))
    numbers = np.full(stays.shape, -1, np.int32)
    values = np.empty((count, gaps.shape[1]), np.float32)
    smooth(border, gaps, numbers, values, SMOOTH)
    places = np.empty(count, np.int32)
    places[: len(border)] = border
    fade = np.exp(-np.arange(REACH, dtype=np.float32) / np.float32(FADE))
    bend(work.pixels, (start, top, bottom), stays, places, numbers, values, (len(border), fade))


def _staying(work: Work, start: int, end: int) -> Mask:
    """Return which pixels of these rows of the canvas are the photo's own."""
    kept = work.canvas.kept
    stays = np.zeros((end - start, work.canvas.width), np.bool_)
    first, last = max(start, kept.y), min(end, kept.y + kept.height)
    if first < last:
        part = stays[first - start : last - start, kept.x : kept.x + kept.width]
        part[:] = True if work.opacity is None else work.opacity[first - kept.y : last - kept.y] == 255
    return stays


def _border(stays: Mask) -> Mask:
    """Return which pixels stay and have a neighbour that does not."""
    made = ~stays
    beside = np.zeros_like(made)
    beside[1:] |= made[:-1]
    beside[:-1] |= made[1:]
    beside[:, 1:] |= made[:, :-1]
    beside[:, :-1] |= made[:, 1:]
    return beside & stays


def _gaps(work: Work, start: int, border: NDArray[np.int32]) -> NDArray[np.float32]:
    """Return by how much the original is lighter at each place of the border, (places, channels)."""
    kept = work.canvas.kept
    rows, columns = np.divmod(border, work.canvas.width)
    rows += start
    original = work.original[rows - kept.y, columns - kept.x].astype(np.float32)
    gaps: NDArray[np.float32] = np.clip(original - work.pixels[rows, columns], -LIMIT, LIMIT)
    return gaps

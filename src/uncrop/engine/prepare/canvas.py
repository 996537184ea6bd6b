"""The geometry of the canvas: its size and the photo's rectangle on it, at every level of the pyramid.

The canvas is enlarged until its size and the photo's origin are multiples of 2**(levels - 1), so that every coordinate
doubles exactly from one level to the next. The pipeline crops the surplus at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2

import numpy as np
from numpy.typing import NDArray

from uncrop.model import Sides

COARSEST = 256  # pixels, about, of the canvas's long side at the coarsest level, where candidates are made
# Pixels of the coarsest canvas above which the photo is called thin: it cannot be halved as often as its length would
# need. Around photos of ordinary shapes a coarsest canvas has 362 x 362 pixels at most.
THIN = 200_000
COARSEST_PHOTO = 12  # pixels of the photo's short side at the coarsest level at least, enough for some patches


@dataclass(frozen=True, kw_only=True, slots=True)
class CanvasGeometry:
    """A canvas and the photo's rectangle on it, in pixels of one level.

    Attributes
    ----------
    height, width
        The canvas's size.
    top, left
        Where the photo's first row and column lie on the canvas.
    rows, cols
        The photo's size.
    corner
        The row and the column of the level's whole canvas at which this one begins; see ``window``.
    """

    height: int
    width: int
    top: int
    left: int
    rows: int
    cols: int
    corner: tuple[int, int] = (0, 0)

    def at_level(self, level: int) -> CanvasGeometry:
        """Return this canvas after ``level`` halvings; a last odd row or column of the photo is dropped."""
        return CanvasGeometry(
            height=self.height >> level,
            width=self.width >> level,
            top=self.top >> level,
            left=self.left >> level,
            rows=self.rows >> level,
            cols=self.cols >> level,
        )

    def window(self, top: int, bottom: int, left: int, right: int) -> CanvasGeometry:
        """Return a part of this canvas as a canvas of its own; the photo may reach beyond it."""
        return replace(
            self,
            height=bottom - top,
            width=right - left,
            top=self.top - top,
            left=self.left - left,
            corner=(self.corner[0] + top, self.corner[1] + left),
        )

    @property
    def box(self) -> NDArray[np.int64]:
        """Top, bottom, left and right of the photo (4)."""
        return np.array([self.top, self.bottom, self.left, self.right], np.int64)

    @property
    def bottom(self) -> int:
        """The first row below the photo."""
        return self.top + self.rows

    @property
    def right(self) -> int:
        """The first column right of the photo."""
        return self.left + self.cols


def distances_outside(first: int, last: int, count: int) -> NDArray[np.int64]:
    """Return the distance of each of ``count`` lines from the photo's lines ``first`` to ``last``, 0 on these."""
    lines = np.arange(count)
    return np.maximum(0, np.maximum(first - lines, lines - last + 1))


def count_levels(height: int, width: int, rows: int, cols: int) -> int:
    """Return the number of levels for a canvas of ``height`` x ``width`` around a photo of ``rows`` x ``cols``.

    At the coarsest level the canvas's long side has about ``COARSEST`` pixels, more around a thin photo.
    """
    wanted = 1 + max(0, round(log2(max(height, width) / COARSEST)))
    while wanted > 1 and min(rows, cols) >> (wanted - 1) < COARSEST_PHOTO:
        wanted -= 1
    return wanted


def align_canvas(rows: int, cols: int, sides: Sides) -> tuple[CanvasGeometry, int]:
    """Return the enlarged canvas at full size, and the number of levels, for a photo to which ``sides`` are added."""
    up, down, left, right = sides.up, sides.down, sides.left, sides.right
    levels = count_levels(rows + up + down, cols + left + right, rows, cols)
    unit = 1 << (levels - 1)
    top, start = -(-up // unit) * unit, -(-left // unit) * unit
    canvas = CanvasGeometry(
        height=-(-(top + rows + down) // unit) * unit,
        width=-(-(start + cols + right) // unit) * unit,
        top=top,
        left=start,
        rows=rows,
        cols=cols,
    )
    return canvas, levels

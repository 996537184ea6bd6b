"""A canvas on which every coordinate doubles exactly from one level of the pyramid to the next.

The canvas is grown outward until the photo's origin and the canvas's size are multiples of 2**(levels - 1); what was
added is cropped at the end.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2

import numpy as np
from numpy.typing import NDArray

from uncrop.model import Sides

COARSEST = 256  # pixels of the canvas's long side, about, at the coarsest level, where layouts are made
COARSEST_PHOTO = 12  # pixels that the photo's short side keeps at the coarsest level, enough for some patches


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """A canvas and the photo's rectangle on it, in pixels of one level."""

    height: int
    width: int
    top: int
    left: int
    rows: int
    cols: int

    def at_level(self, level: int) -> Frame:
        """Return this frame ``level`` halvings coarser; a last odd row or column of the photo is dropped."""
        return Frame(
            height=self.height >> level,
            width=self.width >> level,
            top=self.top >> level,
            left=self.left >> level,
            rows=self.rows >> level,
            cols=self.cols >> level,
        )

    def window(self, top: int, bottom: int, left: int, right: int) -> Frame:
        """Return a part of this canvas as a canvas; the photo may reach beyond it."""
        return replace(self, height=bottom - top, width=right - left, top=self.top - top, left=self.left - left)

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


def away(first: int, last: int, count: int) -> NDArray[np.int64]:
    """Return how far each of ``count`` lines lies from the photo's, ``first`` to ``last``: 0 on those themselves."""
    lines = np.arange(count)
    return np.maximum(0, np.maximum(first - lines, lines - last + 1))


def count_levels(height: int, width: int, rows: int, cols: int) -> int:
    """Choose the number of levels for a canvas of ``height`` x ``width`` around a photo of ``rows`` x ``cols``.

    At the last level the canvas's long side is to have about ``COARSEST`` pixels.
    """
    wanted = 1 + max(0, round(log2(max(height, width) / COARSEST)))
    while wanted > 1 and min(rows, cols) >> (wanted - 1) < COARSEST_PHOTO:
        wanted -= 1
    return wanted


def align(rows: int, cols: int, sides: Sides) -> tuple[Frame, int]:
    """Return the grown frame at full size and the number of levels for a photo and what is to be added to it."""
    up, down, left, right = sides.up, sides.down, sides.left, sides.right
    levels = count_levels(rows + up + down, cols + left + right, rows, cols)
    unit = 1 << (levels - 1)
    top, start = -(-up // unit) * unit, -(-left // unit) * unit
    frame = Frame(
        height=-(-(top + rows + down) // unit) * unit,
        width=-(-(start + cols + right) // unit) * unit,
        top=top,
        left=start,
        rows=rows,
        cols=cols,
    )
    return frame, levels

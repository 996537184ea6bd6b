"""How far outward patches are searched for."""

from __future__ import annotations

from uncrop.engine.prepare.canvas import align_canvas
from uncrop.model import Sides

LEAST_RANGE = 256  # pixels
RANGE_IN_PHOTOS = 3  # times the photo's shorter side; the confidence is 0 from 2.35 times on
# Of the coarsest canvas: where it has more, patches are searched only near a thin photo, and of a very long one only
# for the nearest lines, so that it takes no more than an ordinary picture of as many pixels, on a busy server too.
MOST_PIXELS, MOST_TARGETS = 1_000_000, 600_000


def within_search_range(rows: int, cols: int, sides: Sides) -> Sides:
    """Return the part of ``sides`` for which patches are searched; cropped sides become 0.

    Farther out, many times the photo's size away, nothing can be known, and reflecting what was made costs nothing. For
    a small photo some more is searched, unless it is so long that this would be much; of one that is longer still, as
    much as can be.
    """
    near = RANGE_IN_PHOTOS * min(rows, cols)
    found = _at_most(max(LEAST_RANGE, near), sides)
    if _coarsest(rows, cols, found)[0] <= MOST_PIXELS:
        return found
    found = _at_most(near, sides)
    while near > 1 and _coarsest(rows, cols, found)[1] > MOST_TARGETS:
        near = near * 3 // 4
        found = _at_most(near, sides)
    return found


def _coarsest(rows: int, cols: int, sides: Sides) -> tuple[int, int]:
    """Return how many pixels the coarsest canvas has, and how many of these are made."""
    canvas, levels = align_canvas(rows, cols, sides)
    coarsest = canvas.at_level(levels - 1)
    pixels = coarsest.height * coarsest.width
    return pixels, pixels - coarsest.rows * coarsest.cols


def _at_most(most: int, sides: Sides) -> Sides:
    up, down, left, right = (min(most, max(0, side)) for side in (sides.up, sides.down, sides.left, sides.right))
    return Sides(up=up, down=down, left=left, right=right)

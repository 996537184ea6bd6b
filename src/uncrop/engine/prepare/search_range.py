"""How far outward patches are searched for."""

from __future__ import annotations

from uncrop.model import Sides

LEAST_RANGE = 256  # pixels
RANGE_IN_PHOTOS = 3  # times the photo's shorter side; the confidence is 0 from 2.35 times on


def within_search_range(rows: int, cols: int, sides: Sides) -> Sides:
    """Return the part of ``sides`` for which patches are searched; cropped sides become 0.

    Farther out, many times the photo's size away, nothing can be known, and reflecting what was made costs nothing.
    """
    most = max(LEAST_RANGE, RANGE_IN_PHOTOS * min(rows, cols))
    up, down, left, right = (min(most, max(0, side)) for side in (sides.up, sides.down, sides.left, sides.right))
    return Sides(up=up, down=down, left=left, right=right)

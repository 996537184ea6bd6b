"""How far outward patches are searched for."""

from __future__ import annotations

from uncrop.model import Sides

SMALLEST_REACH = 256
PHOTOS = 3  # of the photo's shorter side; the confidence is 0 from 2.35 on


def within_reach(rows: int, cols: int, sides: Sides) -> Sides:
    """Return the sides up to which an extension is searched for patch by patch; cropped sides become 0.

    Many times the photo's own size away nothing can be known, and repeating what was made costs nothing.
    """
    most = max(SMALLEST_REACH, PHOTOS * min(rows, cols))
    up, down, left, right = (min(most, max(0, side)) for side in (sides.up, sides.down, sides.left, sides.right))
    return Sides(up=up, down=down, left=left, right=right)

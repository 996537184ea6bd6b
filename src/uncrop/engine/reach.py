"""How far outward patches are searched for, and what is done beyond."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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


def mirror_on(made: NDArray[Any], done: Sides, sides: Sides) -> NDArray[Any]:
    """Continue the picture ``made`` from the sides that are done to those asked for.

    What was made on a side is reflected outward and back again. The photo is never crossed: sky stays above, and what
    was made on the left does not come back on the right.
    """
    rows = _folded(made.shape[0], done.up, done.down, max(0, sides.up), max(0, sides.down))
    cols = _folded(made.shape[1], done.left, done.right, max(0, sides.left), max(0, sides.right))
    return np.ascontiguousarray(made[np.ix_(rows, cols)]) if made.shape[:2] != (rows.size, cols.size) else made


def _folded(length: int, done_before: int, done_after: int, before: int, after: int) -> NDArray[np.intp]:
    """Return which of ``length`` lines stands where, with ``before`` and ``after`` lines wanted on its two ends."""
    lines = np.arange(length)
    parts = [lines]
    if before > done_before:
        more = before - done_before
        parts.insert(0, np.pad(lines[:done_before], (more, 0), mode="symmetric")[:more])
    if after > done_after:
        parts.append(np.pad(lines[length - done_after :], (0, after - done_after), mode="symmetric")[done_after:])
    return np.concatenate(parts)

"""Beyond the search range, what was made is reflected."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.model import Sides


def reflect_beyond(made: NDArray[Any], done: Sides, sides: Sides) -> NDArray[Any]:
    """Continue the picture ``made`` (H, W, channels) from the sides that are ``done`` out to ``sides``.

    What was made on a side is reflected outward and back again. The photo is never crossed: sky stays above, and what
    was made on the left never appears on the right.
    """
    rows = _folded(made.shape[0], done.up, done.down, max(0, sides.up), max(0, sides.down))
    cols = _folded(made.shape[1], done.left, done.right, max(0, sides.left), max(0, sides.right))
    return np.ascontiguousarray(made[np.ix_(rows, cols)]) if made.shape[:2] != (rows.size, cols.size) else made


def _folded(length: int, done_before: int, done_after: int, before: int, after: int) -> NDArray[np.intp]:
    """Return the index of the line that stands at each place, with ``before`` and ``after`` lines at the two ends."""
    lines = np.arange(length)
    parts = [lines]
    if before > done_before:
        more = before - done_before
        parts.insert(0, np.pad(lines[:done_before], (more, 0), mode="symmetric")[:more])
    if after > done_after:
        parts.append(np.pad(lines[length - done_after :], (0, after - done_after), mode="symmetric")[done_after:])
    return np.concatenate(parts)

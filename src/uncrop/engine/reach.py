"""How far outward patches are searched for, and what is done beyond and where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.model import Sides

SMALLEST_REACH = 256
PHOTOS = 6  # of the photo's longer side


def within_reach(rows: int, cols: int, sides: Sides) -> Sides:
    """Return the sides up to which an extension is searched for patch by patch; cropped sides become 0.

    Many times the photo's own size away nothing can be known, and repeating what was made costs nothing.
    """
    most = max(SMALLEST_REACH, PHOTOS * max(rows, cols))
    up, down, left, right = (min(most, max(0, side)) for side in (sides.up, sides.down, sides.left, sides.right))
    return Sides(up=up, down=down, left=left, right=right)


def mirror_on(made: NDArray[Any], done: Sides, sides: Sides) -> NDArray[Any]:
    """Reflect the picture ``made`` outward from the sides that are done to those asked for."""
    up, down, left, right = (
        max(0, asked) - reached
        for asked, reached in (
            (sides.up, done.up), (sides.down, done.down), (sides.left, done.left), (sides.right, done.right)
        )
    )  # fmt: skip
    rest = ((0, 0),) * (made.ndim - 2)
    return np.pad(made, ((up, down), (left, right), *rest), mode="symmetric")

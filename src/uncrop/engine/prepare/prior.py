"""The prior: a patch should come from near the part of the photo that it continues.

Sky continues sky, ground continues ground. The *anchor* of a target patch is the nearest point of the photo. Inside a
dead zone around the anchor a source costs nothing extra; beyond it the penalty is the square of the distance. The
vertical penalty is much stricter than the horizontal one, because photos change more from top to bottom than from side
to side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.patch import PATCH
from uncrop.kernels import inlined

FRACTION_BITS = 12  # fraction bits of the fixed-point weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Strictness:
    """How strictly sources keep to their anchors, independent of the level.

    Attributes
    ----------
    vertical, horizontal
        Weights of the squared distances.
    dead_rows, dead_cols
        Half the dead zone, as a part of the photo's height and of its width.
    outward_rows
        Pixels by which half the dead zone grows for every pixel away from the photo.
    """

    vertical: float
    horizontal: float = 20.0
    dead_rows: float = 0.10
    dead_cols: float = 0.30
    outward_rows: float = 0.6


class Prior(NamedTuple):
    """The prior at one level, H x W pixels, in integers.

    Attributes
    ----------
    anchor_row, anchor_col
        (H) and (W) int32: the row and the column of the photo that each row and column of the canvas continues.
    dead_row, dead_col
        (H) and (W) int32: half the dead zone, in pixels.
    row_weight, col_weight
        Weights of the squared distances, with ``FRACTION_BITS`` fraction bits.
    """

    anchor_row: Any
    dead_row: Any
    anchor_col: Any
    dead_col: Any
    row_weight: int
    col_weight: int


@inlined
def penalty(distance: int, dead_zone: int, weight: int) -> int:
    """Return the cost of a source ``distance`` pixels off its anchor, in units of a patch's squared difference."""
    over = abs(distance) - dead_zone
    return 0 if over <= 0 else (over * over * weight) >> FRACTION_BITS


def make_prior(canvas: CanvasGeometry, strictness: Strictness) -> Prior:
    """Return the prior of one level in integers."""
    rows = np.arange(canvas.height) - canvas.top
    cols = np.arange(canvas.width) - canvas.left
    anchor_row, anchor_col = np.clip(rows, 0, canvas.rows - 1), np.clip(cols, 0, canvas.cols - 1)
    distance = np.abs(rows - anchor_row)
    dead_row = strictness.dead_rows * canvas.rows + strictness.outward_rows * distance
    dead_col = np.full(canvas.width, strictness.dead_cols * canvas.cols)
    unit = 16 * PATCH * (1 << FRACTION_BITS) / max(canvas.rows, canvas.cols) ** 2
    return Prior(
        anchor_row=anchor_row.astype(np.int32),
        dead_row=dead_row.astype(np.int32),
        anchor_col=anchor_col.astype(np.int32),
        dead_col=dead_col.astype(np.int32),
        row_weight=round(strictness.vertical * unit),
        col_weight=round(strictness.horizontal * unit),
    )

"""A patch is expected to come from near the place of the photo that its target continues.

Sky continues sky, ground continues ground. A target t is anchored at the nearest point p of the photo; a source s is
free within a dead zone around p and then costs the square of its distance. The vertical part is much stricter than the
horizontal one, because photos change from top to bottom more than from side to side.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.patch import PATCH
from uncrop.kernels import inlined

FRACTION_BITS = 12  # of the fixed-point weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Strictness:
    """How strictly sources keep to their anchors. Dead zones are parts of the photo's height and width."""

    vertical: float
    horizontal: float = 20.0
    dead_rows: float = 0.10
    dead_cols: float = 0.30
    outward_rows: float = 0.6  # the dead zone widens by this much per pixel away from the photo


class Prior(NamedTuple):
    """The prior at one level: anchors and dead zones of every row and column of the canvas, and integer weights."""

    anchor_row: Any  # (H) int32, in rows of the photo
    slack_row: Any  # (H) int32
    anchor_col: Any  # (W) int32
    slack_col: Any  # (W) int32
    row_weight: int
    col_weight: int


@inlined
def penalty(distance: int, slack: int, weight: int) -> int:
    """Return the cost, in units of a patch's squared difference, of a source ``distance`` pixels off its anchor."""
    over = abs(distance) - slack
    return 0 if over <= 0 else (over * over * weight) >> FRACTION_BITS


def make_prior(frame: Frame, strictness: Strictness) -> Prior:
    """Write the prior of one level down in integers."""
    rows = np.arange(frame.height) - frame.top
    cols = np.arange(frame.width) - frame.left
    anchor_row, anchor_col = np.clip(rows, 0, frame.rows - 1), np.clip(cols, 0, frame.cols - 1)
    away = np.abs(rows - anchor_row)
    slack_row = strictness.dead_rows * frame.rows + strictness.outward_rows * away
    slack_col = np.full(frame.width, strictness.dead_cols * frame.cols)
    unit = 16 * PATCH * (1 << FRACTION_BITS) / max(frame.rows, frame.cols) ** 2
    return Prior(
        anchor_row=anchor_row.astype(np.int32),
        slack_row=slack_row.astype(np.int32),
        anchor_col=anchor_col.astype(np.int32),
        slack_col=slack_col.astype(np.int32),
        row_weight=round(strictness.vertical * unit),
        col_weight=round(strictness.horizontal * unit),
    )

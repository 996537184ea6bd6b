"""How far every made pixel can be trusted: how well its patch fits, how unlike the layouts are, how far the photo is.

All are taken from the coarsest level, where it was decided what goes where. The weights are a least-squares fit of the
perceptual distance to the truth, pixel by pixel, over three tasks on each of 35 photographs (``docs/engine.md``): 0
stands for what an unrelated picture would score.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import Frame, away
from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.search.patch_field import Field
from uncrop.model import Rect, Sides

AT_BEST = 0.836
PER_MISFIT = 0.038  # for every doubling of the squared difference a pixel
PER_DISAGREEMENT = 0.0275  # for every doubling of the layouts' variance
PER_SIDE = 0.209  # per distance from the photo of its shorter side
TRUSTED = 0.4  # mean confidence of a line that still passes


def coarse_confidence(field: Field, disagreement: NDArray[np.float64] | None) -> NDArray[np.uint8]:
    """Return (H, W) uint8, 0 to 255, for the pixels of the coarsest ``field``.

    ``disagreement`` (H, W) is that of the layouts, in squared levels. Where there was but one, its misfit stands in: on
    photographs both are about as large.
    """
    height, width = field.costs.shape
    top, bottom, left, right = (int(side) for side in field.box)
    dy, dx = away(top, bottom, height), away(left, right, width)
    distance = np.maximum(dy[:, None], dx[None, :]) / min(bottom - top, right - left)
    # No patch is centred on the canvas's rim: the nearest one speaks for it.
    inner_rows = np.clip(np.arange(height), RADIUS, height - RADIUS - 1)
    inner_cols = np.clip(np.arange(width), RADIUS, width - RADIUS - 1)
    inner = np.ix_(inner_rows, inner_cols)
    misfit = np.log2(1 + np.maximum(0, field.costs[inner]) / PATCH)
    apart = misfit if disagreement is None else np.log2(1 + disagreement[inner])
    trust = np.clip(AT_BEST - PER_MISFIT * misfit - PER_DISAGREEMENT * apart - PER_SIDE * distance, 0, 1)
    coarse: NDArray[np.uint8] = np.floor(255 * trust + 0.5).astype(np.uint8)
    return coarse


def confidence_map(coarse: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Return the confidence of the coarsest pixels at the size of the canvas ``frame``."""
    step = frame.height // coarse.shape[0]
    full: NDArray[np.uint8] = coarse.repeat(step, axis=0).repeat(step, axis=1)
    return full


def continue_map(trust: NDArray[np.uint8], done: Sides, sides: Sides) -> NDArray[np.uint8]:
    """Return ``trust`` out to the sides asked for, 0 where nothing was searched for."""
    up, down = max(0, sides.up) - done.up, max(0, sides.down) - done.down
    left, right = max(0, sides.left) - done.left, max(0, sides.right) - done.right
    return np.pad(trust, ((up, down), (left, right)))


def advise(trust: NDArray[np.uint8], kept: Rect) -> Sides:
    """Return how far each side of the photo, at ``kept`` on the canvas, can be trusted line by line."""
    rows, cols = slice(kept.y, kept.y + kept.height), slice(kept.x, kept.x + kept.width)
    return Sides(
        up=trusted_lines(trust[: kept.y, cols][::-1]),
        down=trusted_lines(trust[rows.stop :, cols]),
        left=trusted_lines(trust[rows, : kept.x].T[::-1]),
        right=trusted_lines(trust[rows, cols.stop :].T),
    )


def trusted_lines(lines: NDArray[np.uint8]) -> int:
    """Count the lines (n, length) before the first one whose mean confidence is too low."""
    low = np.flatnonzero(lines.sum(axis=1, dtype=np.int64) < TRUSTED * 255 * lines.shape[1])
    return int(low[0]) if low.size else lines.shape[0]

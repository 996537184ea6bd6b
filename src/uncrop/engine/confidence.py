"""How far every made pixel can be trusted.

Three measures decide: how badly its patch fits, how much the candidates disagree, and how far away the photo is. They
are taken at the coarsest level, which decides what goes where. The weights are a least-squares fit of the perceptual
distance to the truth, pixel by pixel, over three tasks on each of 35 photographs (``docs/engine.md``). A confidence of
0 stands for the distance of an unrelated picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import CanvasGeometry, distances_outside
from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.search.patch_field import PatchField
from uncrop.model import Rect, Sides

AT_BEST = 0.836
PER_MISFIT = 0.038  # for every doubling of a patch's squared difference per pixel
PER_DISAGREEMENT = 0.0275  # for every doubling of the candidates' variance
PER_SIDE = 0.209  # for every distance of the photo's shorter side
TRUSTED = 0.4  # least mean confidence of a line that can be trusted


def coarse_confidence(field: PatchField, disagreement: NDArray[np.float64] | None) -> NDArray[np.uint8]:
    """Return (H, W) uint8, 0 to 255, for the pixels of the coarsest ``field``.

    ``disagreement`` (H, W) is that of the candidates, in squared levels. If there was only one, its misfit takes the
    place of the disagreement: on photographs both are about as large.
    """
    height, width = field.costs.shape
    top, bottom, left, right = (int(side) for side in field.box)
    dy, dx = distances_outside(top, bottom, height), distances_outside(left, right, width)
    distance = np.maximum(dy[:, None], dx[None, :]) / min(bottom - top, right - left)
    # No patch is centred next to the canvas's edges: the nearest one stands for these pixels.
    inner_rows = np.clip(np.arange(height), RADIUS, height - RADIUS - 1)
    inner_cols = np.clip(np.arange(width), RADIUS, width - RADIUS - 1)
    inner = np.ix_(inner_rows, inner_cols)
    misfit = np.log2(1 + np.maximum(0, field.costs[inner]) / PATCH)
    apart = misfit if disagreement is None else np.log2(1 + disagreement[inner])
    confidence = np.clip(AT_BEST - PER_MISFIT * misfit - PER_DISAGREEMENT * apart - PER_SIDE * distance, 0, 1)
    coarse: NDArray[np.uint8] = np.floor(255 * confidence + 0.5).astype(np.uint8)
    return coarse


def confidence_map(coarse: NDArray[np.uint8], canvas: CanvasGeometry) -> NDArray[np.uint8]:
    """Return the confidence of the coarsest pixels at the size of the canvas ``canvas``."""
    step = canvas.height // coarse.shape[0]
    full: NDArray[np.uint8] = coarse.repeat(step, axis=0).repeat(step, axis=1)
    return full


def continue_map(confidence: NDArray[np.uint8], done: Sides, sides: Sides) -> NDArray[np.uint8]:
    """Return ``confidence`` continued out to ``sides``, 0 where nothing was searched for."""
    up, down = max(0, sides.up) - done.up, max(0, sides.down) - done.down
    left, right = max(0, sides.left) - done.left, max(0, sides.right) - done.right
    return np.pad(confidence, ((up, down), (left, right)))


def advise(confidence: NDArray[np.uint8], kept: Rect) -> Sides:
    """Return how many lines beside each side of the photo, at ``kept`` on the canvas, can be trusted."""
    rows, cols = slice(kept.y, kept.y + kept.height), slice(kept.x, kept.x + kept.width)
    return Sides(
        up=trusted_lines(confidence[: kept.y, cols][::-1]),
        down=trusted_lines(confidence[rows.stop :, cols]),
        left=trusted_lines(confidence[rows, : kept.x].T[::-1]),
        right=trusted_lines(confidence[rows, cols.stop :].T),
    )


def trusted_lines(lines: NDArray[np.uint8]) -> int:
    """Return how many lines (n, length) come before the first one whose mean confidence is too low."""
    low = np.flatnonzero(lines.sum(axis=1, dtype=np.int64) < TRUSTED * 255 * lines.shape[1])
    return int(low[0]) if low.size else lines.shape[0]

"""How far every made pixel can be trusted, from how well its patch fits and how far it lies from the photo."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.field import Field
from uncrop.engine.pyramid import PATCH
from uncrop.model import Sides

HALF_COST = 256.0  # squared difference a pixel at which half the trust is gone
HALF_DISTANCE = 0.5  # of the photo's shorter side, from its border


def confidence_map(field: Field) -> NDArray[np.uint8]:
    """Return (H, W) uint8, 0 to 255."""
    height, width = field.costs.shape
    top, bottom, left, right = (int(side) for side in field.box)
    rows, cols = np.arange(height), np.arange(width)
    dy = np.maximum(0, np.maximum(top - rows, rows - bottom + 1))
    dx = np.maximum(0, np.maximum(left - cols, cols - right + 1))
    near = np.float32(HALF_DISTANCE * min(bottom - top, right - left))
    trust = HALF_COST / (HALF_COST + np.maximum(0, field.costs).astype(np.float32) / np.float32(PATCH))
    trust *= near / (near + np.maximum(dy[:, None], dx[None, :]).astype(np.float32))
    rounded: NDArray[np.uint8] = np.floor(255 * trust + 0.5).astype(np.uint8)
    return rounded


def continue_map(trust: NDArray[np.uint8], done: Sides, sides: Sides) -> NDArray[np.uint8]:
    """Return ``trust`` out to the sides asked for, 0 where nothing was searched for."""
    up, down = max(0, sides.up) - done.up, max(0, sides.down) - done.down
    left, right = max(0, sides.left) - done.left, max(0, sides.right) - done.right
    return np.pad(trust, ((up, down), (left, right)))

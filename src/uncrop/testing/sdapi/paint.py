"""How the emulated model paints: what it keeps comes back a little lighter, the rest as the mirrored photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.testing.repaint import paint_unknown
from uncrop.testing.sdapi.rules import CELL

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import Mask
    from uncrop.testing.sdapi.rules import Order

REPAINT = 4  # grey levels by which everything comes back from the latent space


def paint(order: Order, seed: int) -> NDArray[np.uint8]:
    """Paint what the mask says, a cell at a time, and repaint all of it a little, by the seed."""
    level = REPAINT + seed % 3
    made = order.init
    if order.painted is not None and order.fields["denoising_strength"]:
        known = ~rounded(order.painted)
        made = paint_unknown(made, known) if known.any() else made
    return np.minimum(made, 255 - level) + np.uint8(level)


def half_painted(order: Order, seed: int) -> NDArray[np.uint8]:
    """Return what comes of work that was interrupted: the picture that was sent, with noise where it is painted."""
    noise = np.random.default_rng(seed).integers(0, 256, order.init.shape, np.uint8)
    painted = np.ones(order.init.shape[:2], np.bool_) if order.painted is None else order.painted
    return np.where(painted[:, :, None], noise, order.init)


def rounded(painted: Mask) -> Mask:
    """Round a mask to whole cells, as the latent space does: one of which less than half is painted is kept."""
    height, width = painted.shape
    rows, columns = height // CELL, width // CELL
    share = painted[: rows * CELL, : columns * CELL].reshape(rows, CELL, columns, CELL).mean(axis=(1, 3))
    cells = share >= 0.5
    whole: Mask = cells.repeat(CELL, axis=0).repeat(CELL, axis=1)
    pad = ((0, height - rows * CELL), (0, width - columns * CELL))
    return np.pad(whole, pad, mode="edge")

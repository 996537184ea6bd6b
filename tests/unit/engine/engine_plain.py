"""What the kernels' tests in plain Python share: random numbers, the prior's penalty, patches."""

from __future__ import annotations

import numpy as np
from engine_scenes import ONE_THREAD

from uncrop.engine.prepare.prior import FRACTION_BITS, Prior, Strictness
from uncrop.engine.prepare.pyramid import Exemplar, make_exemplar, with_border_patches

STRICT = Strictness(vertical=4000, horizontal=1000, dead_rows=0.05, dead_cols=0.1)


def plain_random_bits(seed: int, place: int, iteration: int) -> int:
    mask = 2**64 - 1
    x = (seed * 0x9E3779B97F4A7C15 + place * 0xBF58476D1CE4E5B9 + iteration * 0x94D049BB133111EB) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def plain_random_below(bits: int, shift: int, span: int) -> int:
    return ((bits >> shift) & 0xFFFF) * span >> 16


def off_anchor(place: int, anchor: int, max_shift: int, weight: int) -> int:
    over = max(0, abs(int(place) - int(anchor)) - int(max_shift))
    return over * over * weight >> FRACTION_BITS


def off_row(prior: Prior, y: int, sy: int) -> int:
    return off_anchor(sy, prior.anchor_row[y], prior.dead_row[y], prior.row_weight)


def off_col(prior: Prior, x: int, sx: int) -> int:
    return off_anchor(sx, prior.anchor_col[x], prior.dead_col[x], prior.col_weight)


def around(pixels: np.ndarray, y: int, x: int) -> np.ndarray:
    return pixels[y - 3 : y + 4, x - 3 : x + 4].astype(int)


def copyable(exemplar: Exemplar, sy: int, sx: int) -> bool:
    rows, cols = exemplar.usable.shape
    return 0 <= sy < rows and 0 <= sx < cols and exemplar.usable[sy, sx] == 1


def exemplar_with_holes(pixels: np.ndarray) -> Exemplar:
    opaque = np.ones(pixels.shape[:2], bool)
    opaque[0, 1] = opaque[-1, -4] = False
    return with_border_patches(make_exemplar(pixels, opaque, ONE_THREAD))


def patch(exemplar: Exemplar, sy: int, sx: int) -> np.ndarray:
    """Return the patch (7, 7, 4) centred at (sy, sx), in which the photo's outermost pixels are repeated."""
    return around(np.pad(exemplar.pixels, ((3, 3), (3, 3), (0, 0)), "edge"), sy + 3, sx + 3)

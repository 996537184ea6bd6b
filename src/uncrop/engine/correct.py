"""Step 7c: the corrections of lightness and colour, limited with the distance from the photo.

The limits are wide: they only stop the coloured stains that could grow where sources disagree wildly. A narrow limit
cuts steps into smooth gradients, because the correction has to jump where two copies meet.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.crew import Crew
from uncrop.engine.kernel import kernel
from uncrop.engine.poisson import lack, solve
from uncrop.engine.watch import Watch

STEPS = 64  # corrections are kept in 64ths of an 8-bit level
LUMA_LIMIT, CHROMA_LIMIT = 100.0, 60.0  # far from the photo, in 8-bit levels
NEAR_LIMIT, NEAR_REACH = 255.0, 8.0  # added next to the photo, falling by 1/e in so many pixels
RED, GREEN, BLUE = 0.299, 0.587, 0.114


@dataclass(frozen=True, kw_only=True, slots=True)
class Seams:
    """Everything that the corrections are made of.

    Attributes
    ----------
    planes
        (h, w) float32 each, of the photo: lightness and, with colour, red and blue less lightness, in 8-bit levels.
    usable
        (h, w) uint8, 1 where the photo may be copied.
    origin
        (H, W) int32, the flat index of every made pixel's source, -1 on the photo.
    box
        (4) int64: top, bottom, left and right of the photo on the canvas.
    """

    planes: list[NDArray[np.float32]]
    usable: NDArray[np.uint8]
    origin: NDArray[np.int32]
    box: NDArray[np.int64]


def opponent_planes(colour: NDArray[Any], scale: float) -> list[NDArray[np.float32]]:
    """Split a photo (h, w, 1 or 3) into lightness and, with colour, red and blue less lightness, in 8-bit levels."""
    if colour.shape[2] == 1:
        return [colour[:, :, 0].astype(np.float32) / np.float32(scale)]
    red, green, blue = (colour[:, :, k].astype(np.float32) / np.float32(scale) for k in range(3))
    luma = np.float32(RED) * red + np.float32(GREEN) * green + np.float32(BLUE) * blue
    return [luma, red - luma, blue - luma]


def correct(seams: Seams, crew: Crew, watch: Watch) -> list[NDArray[np.int16]]:
    """Return the limited correction (H, W) of every plane, in 64ths of an 8-bit level."""

    def work(n: int) -> NDArray[np.int16]:
        wanted, out = np.zeros(seams.origin.shape, np.float32), np.empty(seams.origin.shape, np.int16)
        lack(seams.planes[n], seams.usable, seams.origin, seams.box, wanted)
        correction = solve(wanted, seams.box, check=watch.check)
        limit(correction, seams.box, limits(CHROMA_LIMIT if n else LUMA_LIMIT), out)
        return out

    return crew.each(work, range(len(seams.planes)))


def limits(far: float) -> NDArray[np.float32]:
    """Return the limit of a correction by distance from the photo in pixels; the last entry holds beyond."""
    return np.array([far + NEAR_LIMIT * exp(-n / NEAR_REACH) for n in range(64)], np.float32)


@kernel
def limit(correction: Any, box: Any, table: Any, out: Any) -> None:
    """Clamp the corrections (H, W) by their distance from the photo's ``box``, and write them in steps into ``out``."""
    top = table.shape[0] - 1
    for y in range(correction.shape[0]):
        rows_away = max(box[0] - y, y - box[1] + 1)
        for x in range(correction.shape[1]):
            away = max(0, rows_away, box[2] - x, x - box[3] + 1)
            most = table[min(top, away)]
            clamped = max(-most, min(most, correction[y, x]))
            out[y, x] = int(np.floor(clamped * np.float32(STEPS) + np.float32(0.5)))

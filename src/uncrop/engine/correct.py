"""Step 7c: the corrections of lightness and colour, limited with the distance from the photo.

Without the limit, coloured stains grow where sources disagree; near the photo it is wide, so that no seam shows there.
"""

from __future__ import annotations

from math import exp
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from uncrop.engine.crew import Crew
from uncrop.engine.poisson import lack_rows, solve
from uncrop.engine.watch import Watch

LUMA_LIMIT, CHROMA_LIMIT = 50.0, 12.0  # far from the photo, in 8-bit levels
NEAR_LIMIT, NEAR_REACH = 255.0, 8.0  # added next to the photo, falling by 1/e in so many pixels
RED, GREEN, BLUE = 0.299, 0.587, 0.114


def limits(far: float) -> NDArray[np.float32]:
    """Return the limit of a correction by distance from the photo in pixels; the last entry holds beyond."""
    return np.array([far + NEAR_LIMIT * exp(-n / NEAR_REACH) for n in range(64)], np.float32)


@njit(nogil=True, cache=True)
def limit_rows(correction: Any, box: Any, table: Any, first: int, last: int) -> None:
    """Clamp the corrections of the rows ``first`` to ``last``."""
    top = table.shape[0] - 1
    for y in range(first, last):
        rows_away = max(box[0] - y, y - box[1] + 1)
        for x in range(correction.shape[1]):
            away = max(0, rows_away, box[2] - x, x - box[3] + 1)
            limit = table[min(top, away)]
            correction[y, x] = max(-limit, min(limit, correction[y, x]))


def opponent_planes(colour: NDArray[Any], scale: float) -> list[NDArray[np.float32]]:
    """Split a photo (h, w, 1 or 3) into lightness and, with colour, red and blue less lightness, in 8-bit levels."""
    if colour.shape[2] == 1:
        return [colour[:, :, 0].astype(np.float32) / np.float32(scale)]
    red, green, blue = (colour[:, :, k].astype(np.float32) / np.float32(scale) for k in range(3))
    luma = np.float32(RED) * red + np.float32(GREEN) * green + np.float32(BLUE) * blue
    return [luma, red - luma, blue - luma]


def correct(
    colour: NDArray[Any], scale: float, solid: NDArray[np.uint8], origin: NDArray[np.int32], box: NDArray[np.int64],
    crew: Crew, watch: Watch,
) -> list[NDArray[np.float32]]:  # fmt: skip
    """Return the limited corrections (H, W) of every plane of ``opponent_planes``."""
    planes = opponent_planes(colour, scale)

    def work(n: int) -> NDArray[np.float32]:
        wanted = np.empty(origin.shape, np.float32)
        lack_rows(planes[n], solid, origin, box, wanted, 0, origin.shape[0])
        watch.check()
        correction = solve(wanted, box)
        limit_rows(correction, box, limits(CHROMA_LIMIT if n else LUMA_LIMIT), 0, origin.shape[0])
        return correction

    return crew.each(work, range(len(planes)))


@njit(nogil=True, cache=True)
def write_rows(
    channel: Any, origin: Any, luma: Any, red: Any, blue: Any, mix: Any, scale: float, top: int, out: Any, first: int,
    last: int,
) -> None:  # fmt: skip
    """Write one channel of the made pixels of the rows ``first`` to ``last`` into ``out`` (H, W) uint16.

    ``mix`` (3) float32 says how the three corrections add up in this channel.
    """
    cols = channel.shape[1]
    for y in range(first, last):
        for x in range(origin.shape[1]):
            if origin[y, x] >= 0:
                shift = mix[0] * luma[y, x] + mix[1] * red[y, x] + mix[2] * blue[y, x]
                value = float(channel[origin[y, x] // cols, origin[y, x] % cols]) + float(shift) * scale
                out[y, x] = max(0, min(top, int(np.floor(value + 0.5))))


def write_colour(
    colour: NDArray[Any], scale: float, origin: NDArray[np.int32], corrections: list[NDArray[np.float32]], crew: Crew
) -> NDArray[Any]:
    """Return the made picture (H, W, 1 or 3) in the photo's dtype; the photo itself is not yet in it."""
    mixes = [[1, 0, 0]] if len(corrections) == 1 else [[1, 1, 0], [1, -RED / GREEN, -BLUE / GREEN], [1, 0, 1]]
    luma, red, blue = (corrections * 3)[:3]
    out = np.zeros((*origin.shape, colour.shape[2]), colour.dtype)

    def work(n: int) -> None:
        made = np.zeros(origin.shape, np.uint16)
        channel = colour[:, :, n].astype(np.uint16)
        mix = np.array(mixes[n], np.float32)
        write_rows(channel, origin, luma, red, blue, mix, scale, np.iinfo(colour.dtype).max, made, 0, origin.shape[0])
        out[:, :, n] = made

    crew.each(work, range(colour.shape[2]))
    return out

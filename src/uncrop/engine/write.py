"""Step 7d: the made pixels in the photo's own depth: what each copies, plus its corrections."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.correct import BLUE, GREEN, RED, STEPS, Seams
from uncrop.engine.crew import Crew, bands
from uncrop.engine.kernel import kernel

BAND = 128


@kernel
def write_rows(
    luma: Any, red: Any, blue: Any, add_luma: Any, add_red: Any, add_blue: Any, origin: Any, scale: float, top: int,
    out: Any,
) -> None:  # fmt: skip
    """Write the made pixels of a strip into ``out`` (rows, W, 1 or 3) uint16.

    ``luma``, ``red`` and ``blue`` are the photo's planes, ``add_...`` (rows, W) int16 their corrections; grey has only
    the first.
    """
    cols = luma.shape[1]
    half, step = np.float32(0.5), np.float32(1 / STEPS)
    for y in range(origin.shape[0]):
        for x in range(origin.shape[1]):
            if origin[y, x] < 0:
                continue
            sy, sx = origin[y, x] // cols, origin[y, x] % cols
            light = luma[sy, sx] + step * np.float32(add_luma[y, x])
            if out.shape[2] == 1:
                out[y, x, 0] = max(0, min(top, int(np.floor(light * scale + half))))
                continue
            more_red = red[sy, sx] + step * np.float32(add_red[y, x])
            more_blue = blue[sy, sx] + step * np.float32(add_blue[y, x])
            less_green = (np.float32(RED) * more_red + np.float32(BLUE) * more_blue) / np.float32(GREEN)
            out[y, x, 0] = max(0, min(top, int(np.floor((light + more_red) * scale + half))))
            out[y, x, 1] = max(0, min(top, int(np.floor((light - less_green) * scale + half))))
            out[y, x, 2] = max(0, min(top, int(np.floor((light + more_blue) * scale + half))))


def write_colour(seams: Seams, corrections: list[NDArray[np.int16]], dtype: np.dtype[Any], crew: Crew) -> NDArray[Any]:
    """Return the made picture (H, W, 1 or 3) of ``dtype``; the photo itself is not yet in it."""
    count, top = len(seams.planes), np.iinfo(dtype).max
    luma, red, blue = (seams.planes * 3)[:3]
    out = np.zeros((*seams.origin.shape, count), dtype)

    def work(band: tuple[int, int]) -> None:
        first, last = band
        made = np.zeros((last - first, seams.origin.shape[1], count), np.uint16)
        add_luma, add_red, add_blue = ([correction[first:last] for correction in corrections] * 3)[:3]
        write_rows(luma, red, blue, add_luma, add_red, add_blue, seams.origin[first:last], top / 255, top, made)
        out[first:last] = made

    crew.each(work, bands(0, seams.origin.shape[0], BAND))
    return out

"""No step at the border.

The outermost line of the original and the provider's version of the same line should be equal; what is left of their
difference after the colour step is added to the made pixels next to it and fades out within a few pixels, as the
membrane of Poisson image editing does (Pérez, Gangnet and Blake, SIGGRAPH 2003), in closed form for a straight border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.work import Work

REACH = 24  # pixels; beyond it nothing is changed
FADE = 6.0  # pixels; the correction falls to 1/e
SMOOTH = 5  # pixels along the border, so that noise of one line does not become streaks
LIMIT = 48.0  # grey levels


def blend_seam(work: Work) -> Work:
    """Bend the made pixels next to each straight border of the original."""
    kept, canvas, pixels, original = work.canvas.kept, work.canvas, work.pixels, work.original
    opacity = np.full(original.shape[:2], 255, np.uint8) if work.opacity is None else work.opacity
    down, across = work.inside
    last_row, last_column = kept.y + kept.height - 1, kept.x + kept.width - 1
    # Each border: how far the canvas goes on, the original's outermost line, its opacity, and the canvas's lines from
    # the same place outwards.
    above = pixels[: kept.y + 1, across][::-1]
    below = pixels[last_row:, across]
    before = pixels[down, : kept.x + 1].swapaxes(0, 1)[::-1]
    behind = pixels[down, last_column:].swapaxes(0, 1)
    _bend(kept.y, original[0], opacity[0], above)
    _bend(canvas.height - last_row - 1, original[-1], opacity[-1], below)
    _bend(kept.x, original[:, 0], opacity[:, 0], before)
    _bend(canvas.width - last_column - 1, original[:, -1], opacity[:, -1], behind)
    return work


def _bend(extent: int, line: NDArray[np.uint8], opacity: NDArray[np.uint8], away: NDArray[np.uint8]) -> None:
    """Change the lines ``away[1:]`` in place; ``away[0]`` is the provider's version of ``line``."""
    if extent < 1:
        return
    gap = (line.astype(np.float32) - away[0]) * (opacity == 255)[:, None]
    gap = np.clip(_smooth(gap), -LIMIT, LIMIT)
    reach = min(REACH, extent)
    fade = np.exp(-np.arange(reach, dtype=np.float32) / FADE)[:, None, None]
    changed = away[1 : reach + 1] + gap * fade
    away[1 : reach + 1] = np.clip(np.rint(changed), 0, 255)


def _smooth(line: NDArray[np.float32]) -> NDArray[np.float32]:
    padded = np.pad(line, ((SMOOTH // 2, SMOOTH // 2), (0, 0)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, SMOOTH, axis=0)
    smooth: NDArray[np.float32] = windows.mean(axis=-1, dtype=np.float32)
    return smooth

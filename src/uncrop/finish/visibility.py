"""How visible the outline of what was made is: the one measure of warnings, tests and benchmarks.

Across the outline lie two of the photo's pixels and two that were made. By how much the step in the middle exceeds the
slopes beside it is compared with the same on parallel lines inside the photo, 8 to 62 pixels from the outline. The
result is in standard deviations of those lines: under 1 is invisible, over 3 a visible step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import Mask

    Lightness: TypeAlias = NDArray[np.float64]

LINES = range(8, 64, 2)  # pixels from the outline into the photo
FEWEST = 16  # places; of fewer no mean is taken
ROOM = 1e-3  # grey levels, added to the deviation, so that flat pictures have one


def seam_visibility(pixels: NDArray[np.uint8], made: Mask) -> float | None:
    """Return the visibility of the outline, the mean over its four directions.

    Parameters
    ----------
    pixels
        (height, width, 3).
    made
        (height, width): True where the photo's own pixels are not.

    Returns
    -------
    float
        In standard deviations; None where there is no outline or too little of the photo beside it.
    """
    light = _lightness(pixels)
    found = [
        visible
        for lines, mask in (
            (light, made),
            (light[::-1], made[::-1]),
            (light.T, made.T),
            (light.T[::-1], made.T[::-1]),
        )
        if (visible := _downward(lines, mask)) is not None
    ]
    return float(np.mean(found)) if found else None


def _downward(light: Lightness, made: Mask) -> float | None:
    """Measure those parts of the outline below which the photo lies."""
    # Row y of these is a place with two made pixels in y - 2 and y - 1, and the photo's from y on.
    rows, columns = np.nonzero(made[:-3] & made[1:-2] & ~made[2:-1] & ~made[3:])
    rows += 2
    if len(rows) < FEWEST:
        return None
    usual = []
    for inward in LINES:
        there = rows + inward
        inside = there + 1 < len(made)
        row, column = there[inside], columns[inside]
        stays = ~(made[row - 2, column] | made[row - 1, column] | made[row, column] | made[row + 1, column])
        if np.count_nonzero(stays) >= FEWEST:
            usual.append(_excess(light, row[stays], column[stays]))
    if len(usual) < len(LINES) // 2:
        return None
    return float((_excess(light, rows, columns) - np.mean(usual)) / (np.std(usual) + ROOM))


def _excess(light: Lightness, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> float:
    """Return by how much the steps from the rows above exceed the slopes on both sides, in the mean."""
    before, above, below, behind = (light[rows + step, columns] for step in (-2, -1, 0, 1))
    slopes = (np.abs(above - before) + np.abs(behind - below)) / 2
    return float(np.maximum(0, np.abs(below - above) - slopes).mean())


def _lightness(pixels: NDArray[np.uint8]) -> Lightness:
    """Return CIE L* of sRGB pixels, in whole steps of 255ths of its range."""
    linear = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4)
    luminance = 0.2126 * linear[pixels[..., 0]] + 0.7152 * linear[pixels[..., 1]] + 0.0722 * linear[pixels[..., 2]]
    lightness = np.where(luminance > 216 / 24389, 116 * np.cbrt(luminance) - 16, luminance * 24389 / 27)
    return np.asarray(np.rint(lightness * 2.55))


_LEVELS = np.arange(256) / 255

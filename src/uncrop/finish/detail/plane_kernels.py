"""The loops over planes, compiled: means of cells, Gaussians, the direction of edges. None allocates."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]

# Shares of red, green and blue in lightness, in 256ths (ITU-R BT.601), and the scale of the colour differences.
RED, GREEN, BLUE = 77, 150, 29
OF_BLUE, OF_RED = np.float32(0.564), np.float32(0.713)
PARTS = 16  # of a grey level, in planes of residuals
ANGLES = 16
STRENGTHS = (np.float32(1.5), np.float32(4), np.float32(10))  # levels a cell
COHERENCES = (np.float32(0.3), np.float32(0.6))


@inlined
def between(plane: Plane, y: np.float32, x: np.float32) -> np.float32:
    """Return a plane's value between four cells; their centres are at whole numbers."""
    height, width = plane.shape
    top, left = int(np.floor(y)), int(np.floor(x))
    down, across = y - np.float32(top), x - np.float32(left)
    above, below = min(max(top, 0), height - 1), min(max(top + 1, 0), height - 1)
    before, behind = min(max(left, 0), width - 1), min(max(left + 1, 0), width - 1)
    first = plane[above, before] + (plane[above, behind] - plane[above, before]) * across
    second = plane[below, before] + (plane[below, behind] - plane[below, before]) * across
    return np.float32(first + (second - first) * down)


@kernel
def cell_colours(pixels: NDArray[np.uint8], cell: int, first: int, last: int, means: Plane) -> None:
    """Take the mean lightness and colour differences of each cell, in rows ``first`` to ``last`` of cells.

    Parameters
    ----------
    pixels
        (height, width, 3).
    cell
        Side of a cell, in pixels; those at the bottom and on the right may be cut.
    means
        (3, rows, columns), in grey levels: lightness, blue and red less lightness; written to.
    """
    height, width = pixels.shape[:2]
    for row in range(first, last):
        for column in range(means.shape[2]):
            red = green = blue = count = 0
            for y in range(row * cell, min(row * cell + cell, height)):
                for x in range(column * cell, min(column * cell + cell, width)):
                    red += int(pixels[y, x, 0])
                    green += int(pixels[y, x, 1])
                    blue += int(pixels[y, x, 2])
                    count += 1
            share = np.float32(1) / np.float32(count)
            light = np.float32(RED * red + GREEN * green + BLUE * blue) * share / np.float32(256)
            means[0, row, column] = light
            means[1, row, column] = OF_BLUE * (np.float32(blue) * share - light)
            means[2, row, column] = OF_RED * (np.float32(red) * share - light)


@kernel
def lightness(pixels: NDArray[np.uint8], first: int, last: int, light: NDArray[np.uint8]) -> None:
    """Write the lightness of (height, width, 3) pixels to ``light``, (height, width), in rows ``first`` to ``last``."""
    for y in range(first, last):
        for x in range(light.shape[1]):
            total = RED * int(pixels[y, x, 0]) + GREEN * int(pixels[y, x, 1]) + BLUE * int(pixels[y, x, 2])
            light[y, x] = (total + 128) >> 8


@kernel
def learn_from(
    pixels: NDArray[np.uint8], soft: NDArray[np.uint8], corner: tuple[int, int], rows: tuple[int, int],
    residual: NDArray[np.int16],
) -> None:  # fmt: skip
    """Write what the photo has beyond its enlarged copy, in parts of a grey level.

    Parameters
    ----------
    pixels, soft
        (height, width, 3) the photo's, and (height, width) the lightness of its copy that was made small and enlarged.
    corner
        The photo's first row and column in ``residual``.
    rows
        Of the photo: first, and behind the last.
    residual
        (at least height, at least width), written to.
    """
    for y in range(rows[0], rows[1]):
        for x in range(soft.shape[1]):
            total = RED * int(pixels[y, x, 0]) + GREEN * int(pixels[y, x, 1]) + BLUE * int(pixels[y, x, 2])
            residual[corner[0] + y, corner[1] + x] = (total * PARTS >> 8) - PARTS * int(soft[y, x])


@kernel
def inside_means(
    soft: NDArray[np.uint8], corner: tuple[int, int], cell: int, rows: tuple[int, int], means: Plane
) -> None:
    """Take the mean of each cell that lies whole in ``soft``, whose first pixel has the place ``corner``; no others."""
    height, width = soft.shape
    for row in range(rows[0], rows[1]):
        top = row * cell - corner[0]
        if top < 0 or top + cell > height:
            continue
        for column in range(means.shape[1]):
            left = column * cell - corner[1]
            if left < 0 or left + cell > width:
                continue
            total = 0
            for y in range(top, top + cell):
                for x in range(left, left + cell):
                    total += int(soft[y, x])
            means[row, column] = np.float32(total) / np.float32(cell * cell)


@kernel
def blur(plane: Plane, taps: Plane, rows: tuple[int, int], line: Plane, out: Plane) -> None:
    """Weigh rows of a plane in both directions; beyond its ends the outermost cells go on.

    Parameters
    ----------
    plane
        (rows, columns).
    taps
        Odd in number, with the sum 1.
    rows
        First, and behind the last.
    line
        (columns + taps - 1,), scratch space.
    out
        (rows, columns), another array; written to.
    """
    height, width = plane.shape
    reach = len(taps) // 2
    for y in range(rows[0], rows[1]):
        for x in range(width):
            line[reach + x] = 0
        for t in range(len(taps)):
            weight = taps[t]
            at = min(max(y + t - reach, 0), height - 1)
            for x in range(width):
                line[reach + x] += weight * plane[at, x]
        for x in range(reach):
            line[x] = line[reach]
            line[reach + width + x] = line[reach + width - 1]
        for x in range(width):
            out[y, x] = 0
        for t in range(len(taps)):
            weight = taps[t]
            for x in range(width):
                out[y, x] += weight * line[x + t]


@kernel
def directions(tensor: Plane, rows: tuple[int, int], buckets: NDArray[np.uint8]) -> None:
    """Sort cells by the direction, the strength and the coherence of what is around them.

    Parameters
    ----------
    tensor
        (3, rows, columns): the smoothed products of the slopes: across squared, down squared, both.
    rows
        First, and behind the last.
    buckets
        (rows, columns), written to.
    """
    for y in range(rows[0], rows[1]):
        for x in range(buckets.shape[1]):
            across, down, both = tensor[0, y, x], tensor[1, y, x], tensor[2, y, x]
            apart = np.sqrt((across - down) * (across - down) + np.float32(4) * both * both)
            most = np.sqrt(max((across + down + apart) * np.float32(0.5), np.float32(0)))
            least = np.sqrt(max((across + down - apart) * np.float32(0.5), np.float32(0)))
            coherence = (most - least) / (most + least + np.float32(1e-6))
            turn = np.arctan2(np.float32(2) * both, across - down) / np.float32(2 * np.pi) + np.float32(0.5)
            bucket = min(int(turn * ANGLES), ANGLES - 1)
            strong = coherent = 0
            for limit in STRENGTHS:
                strong += int(most > limit)
            for limit in COHERENCES:
                coherent += int(coherence > limit)
            buckets[y, x] = (bucket * (len(STRENGTHS) + 1) + strong) * (len(COHERENCES) + 1) + coherent


@kernel
def surroundings(slope: Plane, means: Plane, rows: tuple[int, int], share: Plane) -> None:
    """Tell how far the steepest slope around each cell is like its surroundings: 1, or less where it stands alone.

    Parameters
    ----------
    slope, means
        (rows, columns): levels a cell, and its mean over 3 x 3 cells.
    rows
        First, and behind the last.
    share
        (rows, columns), written to.
    """
    height, width = slope.shape
    for y in range(rows[0], rows[1]):
        for x in range(width):
            peak = np.float32(0)
            for down in range(-1, 2):
                for across in range(-1, 2):
                    at, to = min(max(y + down, 0), height - 1), min(max(x + across, 0), width - 1)
                    peak = max(peak, slope[at, to])
            first = second = third = np.float32(1e9)  # the three calmest of nine
            for down in range(-3, 4, 3):
                for across in range(-3, 4, 3):
                    calm = means[min(max(y + down, 0), height - 1), min(max(x + across, 0), width - 1)]
                    if calm < first:
                        first, second, third = calm, first, second
                    elif calm < second:
                        second, third = calm, second
                    elif calm < third:
                        third = calm
            share[y, x] = (np.float32(2) + np.float32(3) * third) / max(peak, np.float32(2) + np.float32(3) * third)

"""Planes at the scale of cells: what was made and the photo's softened copy, and what is told from them.

A *cell* is a square of 2 to ``MOST`` pixels a side, as many as what was made was enlarged. All planes are (rows,
columns) of cells, ``float32``, in grey levels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from uncrop.engine.runtime.partition import bands

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from uncrop.engine.runtime.thread_pool import ThreadPool

    Plane = NDArray[np.float32]
    Flags = NDArray[np.bool_]

PARTS = 16  # of a grey level, in planes of residuals
BAND = 64  # rows of cells that one thread works on at a time
LEAST, MOST = 2, 6  # pixels, the side of a cell
# Local deviation, in levels, by which cells are sorted to compare how sharp two pictures are.
ACTIVITIES = np.array((0.3, 0.5, 0.8, 1.2, 1.8, 2.7, 4, 6, 9, 14, 21, 32), np.float32)
FEWEST = 60.0  # cells of one activity, below which their sharpness is that of all
LEAST_SHARP, MOST_SHARP = 0.4, 1.6


def taps(sigma: float) -> Plane:
    """Return a Gaussian's weights, of so many cells' deviation, cut at three of them; their sum is 1."""
    reach = math.ceil(3 * sigma)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cells:
    """How an area is cut into cells, and the threads that work on them.

    Attributes
    ----------
    side
        Of a cell, in pixels.
    rows, columns
        Of cells.
    pool
        The threads.
    """

    side: int
    rows: int
    columns: int
    pool: ThreadPool

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.rows, self.columns

    @property
    def bands(self) -> list[tuple[int, int]]:
        """Rows of cells, as one thread works on them at a time."""
        return bands(0, self.rows, BAND)

    def whole_rows(self, height: int) -> list[tuple[int, int]]:
        """Cut so many rows of pixels into bands."""
        return bands(0, height, BAND * self.side)

    def blur(self, plane: Plane, sigma: float) -> Plane:
        """Return a plane weighed by a Gaussian."""
        from uncrop.finish.detail.plane_kernels import blur

        weights, out = taps(sigma), np.empty_like(plane)

        def work(rows: tuple[int, int]) -> None:
            blur(plane, weights, rows, np.empty(plane.shape[1] + len(weights) - 1, np.float32), out)

        self.pool.each(work, self.bands)
        return out

    def deviation(self, plane: Plane, sigma: float, mean: Plane | None = None) -> Plane:
        """Return a plane's local deviation, within a Gaussian."""
        around = self.blur(plane, sigma) if mean is None else mean
        variance = self.blur(plane * plane, sigma) - around * around
        return np.sqrt(np.maximum(variance, 0, out=variance), out=variance)

    def colours(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Return (3, rows, columns): each cell's lightness and two colour differences."""
        from uncrop.finish.detail.plane_kernels import cell_colours

        means = np.empty((3, *self.shape), np.float32)
        self.pool.each(lambda rows: cell_colours(pixels, self.side, *rows, means), self.bands)
        return means

    def padded(self, plane: Plane, reach: int) -> Plane:
        """Return a plane with more cells on each side, which go on as the outermost do."""
        return np.pad(plane, reach, mode="edge")


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """What was made and the photo's softened copy, told at the scale of cells.

    Attributes
    ----------
    colours
        (3, rows, columns): of what was made, as it came.
    light
        (rows, columns): its lightness, as sharp as the copy's.
    offered
        (3, rows, columns): the copy's colours; what was made where there is no photo.
    residual
        (rows * side, columns * side) int16: what the photo has beyond its copy, in parts of a grey level.
    whole
        Which cells are the photo's own.
    usable
        Which of them have such cells all around.
    """

    colours: NDArray[np.float32] = field(repr=False)
    light: Plane = field(repr=False)
    offered: NDArray[np.float32] = field(repr=False)
    residual: NDArray[np.int16] = field(repr=False)
    whole: Flags = field(repr=False)
    usable: Flags = field(repr=False)


def fine_deviation(cells: Cells, light: Plane, smooth: Plane) -> Plane:
    """Return by how much the finest differences of lightness deviate around each cell."""
    finest = light - smooth
    return np.asarray(np.sqrt(cells.blur(finest * finest, 2.0)))


def slopes(light: Plane) -> tuple[Plane, Plane]:
    """Return by how much lightness rises a cell, across and down."""
    if min(light.shape) < 2:  # of a single line nothing is told
        return np.zeros_like(light), np.zeros_like(light)
    down, across = np.gradient(light)
    return np.asarray(across, np.float32), np.asarray(down, np.float32)


def sort_by_direction(cells: Cells, light: Plane) -> NDArray[np.uint8]:
    """Return the bucket of each cell, by direction, strength and coherence of what is around it."""
    from uncrop.finish.detail.plane_kernels import directions

    across, down = slopes(light)
    tensor = np.empty((3, *light.shape), np.float32)
    products: Sequence[Plane] = (across * across, down * down, across * down)
    for i, product in enumerate(products):
        tensor[i] = cells.blur(product, 1.2)
    buckets = np.empty(light.shape, np.uint8)
    cells.pool.each(lambda rows: directions(tensor, rows, buckets), cells.bands)
    return buckets


def as_sharp(cells: Cells, made: Plane, offered: Plane, inside: NDArray[np.bool_]) -> Plane:
    """Return by how many levels each cell must change for what was made to be as sharp as the photo's softened copy.

    Within the photo, the finest differences of both are compared, for cells that are alike active. Providers sharpen,
    and compress; what is told from the photo's own copy would come out too strong, or too weak.
    """
    finest = made - cells.blur(made, 1.0)
    of_photo = offered - cells.blur(offered, 1.0)
    activity = np.digitize(cells.deviation(made, 3.0), ACTIVITIES)
    bins = len(ACTIVITIES) + 1
    got = np.bincount(activity[inside], finest[inside].astype(np.float64) ** 2, bins)
    counts = np.bincount(activity[inside], minlength=bins)
    wanted = np.bincount(activity[inside], of_photo[inside].astype(np.float64) ** 2, bins)
    if counts.sum() < FEWEST:
        return np.zeros_like(made)
    # Bins of few cells lean to what holds for all.
    whole = wanted.sum() / max(got.sum(), 1e-6)
    lean = FEWEST * np.maximum(got.sum() / counts.sum(), 1e-6)
    ratio = (wanted + lean * whole) / (got + lean)
    gain = np.clip(np.sqrt(ratio), LEAST_SHARP, MOST_SHARP).astype(np.float32)
    return np.asarray((gain[activity] - 1) * finest, np.float32)

"""For each cell of what was made, a place of the photo that looks like it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.detail.match_kernels import Scene
    from uncrop.finish.detail.planes import Cells

    Plane = NDArray[np.float32]
    Colours = NDArray[np.float32]

ROUNDS = 6
COARSE = np.float32(0.15)  # how much colours and smooth lightness count beside fine differences


def features(cells: Cells, light: Plane, smooth: Plane, colours: Colours) -> Plane:
    """Return (rows, columns, 4): the fine differences of lightness, smooth lightness, and two colour differences."""
    found = np.empty((*cells.shape, 4), np.float32)
    np.subtract(light, smooth, out=found[..., 0])
    for i, plane in enumerate((smooth, colours[1], colours[2])):
        np.multiply(plane, COARSE, out=found[..., i + 1])
    return found


def match(cells: Cells, scene: Scene, seed: int) -> NDArray[np.int32]:
    """Return each cell's place of the photo as a flat index; -1 where nothing was made."""
    from uncrop.finish.detail.match_kernels import begin, sweep

    labels, costs = np.empty(cells.shape, np.int32), np.empty(cells.shape, np.float32)
    cells.pool.each(lambda rows: begin(scene, seed, rows, labels, costs), cells.bands)
    for round_ in range(ROUNDS):
        before = labels.copy()
        cells.pool.each(lambda rows: sweep(scene, seed, round_, rows, before, labels, costs), cells.bands)  # noqa: B023
    return labels

"""The photo's residual painted where something was made, with the contrast that it has in the photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.detail.paint_kernels import Drawing, Painting
    from uncrop.finish.detail.planes import Cells
    from uncrop.model import Mask

    Plane = NDArray[np.float32]

FADE = np.array((0, 0.45, 0.7, 0.85, 0.95, 1), np.float32)  # of the photo's detail, by pixels from the photo
AROUND = 3.0  # cells, over which energies are compared
# How much of the deviation that is expected is painted: what is not where it was disturbs more than what lacks; but a
# step beside the photo disturbs more than either.
FAR, NEAR = 0.65, 1.0
NEARBY = 12.0  # cells, over which the one becomes the other
FAINT = 1.0  # levels squared: grain that nobody sees is left out
MOST_GAIN = 3.0


def shares(side: int) -> Plane:
    """Return (9, side * side): how much each of 3 x 3 cells counts at each pixel of the middle one, bilinearly."""
    centres = (np.arange(side) + 0.5) / side - 0.5
    line = np.stack([np.maximum(0, 1 - np.abs(centres - shift)) for shift in (-1, 0, 1)])
    return np.asarray(np.einsum("ai,bj->abij", line, line).reshape(9, side * side), np.float32)


def paint(cells: Cells, painting: Painting, expected: Plane) -> tuple[NDArray[np.int16], Plane]:
    """Paint, and tell by how much to multiply it for the energy that is to be expected, in levels squared.

    Returns
    -------
    tuple
        (rows * side, columns * side) in parts of a grey level, and (rows, columns).
    """
    from uncrop.finish.detail.paint_kernels import Room
    from uncrop.finish.detail.paint_kernels import paint as paint_rows

    mixed = np.zeros(painting.residual.shape, np.int16)
    energy = np.empty(cells.shape, np.float32)

    def work(rows: tuple[int, int]) -> None:
        room = Room(*(np.empty(cells.side * cells.side, np.float32) for _ in range(4)))
        paint_rows(painting, rows, room, energy, mixed)

    cells.pool.each(work, cells.bands)
    made = (painting.labels >= 0).astype(np.float32)
    painted = cells.blur(energy, AROUND) / np.maximum(cells.blur(made, AROUND), np.float32(1e-3))
    wanted = cells.blur(expected, AROUND / 2)
    wanted *= np.square(wanted / (wanted + np.float32(FAINT)))
    gain = np.minimum(np.sqrt(wanted / np.maximum(painted, np.float32(1e-3))), np.float32(MOST_GAIN))
    near = np.minimum(2 - 2 * cells.blur(made, NEARBY), 1)  # 1 at the border, 0 farther away
    return mixed, np.asarray(gain * (FAR + (NEAR - FAR) * near), np.float32)


def calm_shares(cells: Cells, light: Plane) -> Plane:
    """Return how much of the detail fits each cell: less where an edge stands alone among calm surroundings."""
    from uncrop.finish.detail.plane_kernels import surroundings
    from uncrop.finish.detail.planes import slopes

    across, down = slopes(light)
    slope = np.hypot(across, down)
    means, found = box(slope, 3, np.add) / np.float32(9), np.empty_like(slope)
    cells.pool.each(lambda rows: surroundings(slope, means, rows, found), cells.bands)
    return found


def box(plane: Plane, side: int, combine: np.ufunc) -> Plane:
    """Combine each value with those of the ``side`` x ``side`` cells around it; the outermost go on beyond the ends."""
    for axis in (0, 1):
        reach = side // 2
        padded = np.pad(plane, [(reach, reach) if i == axis else (0, 0) for i in (0, 1)], mode="edge")
        extent = plane.shape[axis]
        found = padded.take(range(extent), axis)
        for shift in range(1, side):
            combine(found, padded.take(range(shift, shift + extent), axis), out=found)
        plane = found
    return plane


def draw(cells: Cells, drawing: Drawing, pixels: NDArray[np.uint8], made: Mask) -> None:
    """Add all that was painted to the pixels that were made; next to the photo less, since they continue it already."""
    from uncrop.finish.detail.paint_kernels import draw as draw_rows

    depth = depths(made, len(FADE) - 1)
    cells.pool.each(lambda rows: draw_rows(drawing, pixels, depth, FADE, rows), cells.bands)


def depths(made: Mask, most: int) -> NDArray[np.uint8]:
    """Return how far each pixel that was made is from those that stay, across or down, at most ``most``."""
    depth = made.astype(np.uint8) * most
    near = ~made
    for far in range(1, most):
        grown = near.copy()
        grown[1:] |= near[:-1]
        grown[:-1] |= near[1:]
        grown[:, 1:] |= near[:, :-1]
        grown[:, :-1] |= near[:, 1:]
        depth[grown & ~near] = far
        near = grown
    return depth

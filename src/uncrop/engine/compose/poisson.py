"""The corrections that close the gaps, from a screened Poisson equation.

The correction e minimises the squared differences between e_p - e_q and the gaps of all neighbours p and q. It is 0 on
the photo, free at the canvas's edges, and weakly pulled to 0 by a screening term. Multigrid solves it for cells of
2 x 2 pixels, on cell-centred grids whose coarse operator is the same 5-point stencil with four times the screening.
Then it is interpolated to the pixels and relaxed tile by tile, which needs no array of the canvas's full size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.kernels import kernel

SCREEN = 1e-4
CYCLES = 3
SMOOTHINGS = 2  # before and after each coarser correction
COARSEST_SMOOTHINGS = 24
SMALLEST = 4  # pixels of the shorter side below which no coarser grid is made


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """One grid of the multigrid: solution, right-hand side, the photo's box on it, and the screening."""

    solution: NDArray[np.float32]
    rhs: NDArray[np.float32]
    box: NDArray[np.int64]
    screen: float


@kernel
def smooth(solution: Any, rhs: Any, box: Any, screen: float, times: int) -> None:
    """Relax ``times`` times by red-black Gauss-Seidel, red and then black."""
    height, width = solution.shape
    screen32 = np.float32(screen)
    for half in range(2 * times):
        for y in range(height):
            within = box[0] <= y < box[1]
            x = (y + half) % 2
            while x < width:
                if within and box[2] <= x < box[3]:
                    x += (box[3] - x + 1) // 2 * 2
                    continue
                total, count = rhs[y, x], screen32
                if y > 0:
                    total += solution[y - 1, x]
                    count += np.float32(1)
                if y < height - 1:
                    total += solution[y + 1, x]
                    count += np.float32(1)
                if x > 0:
                    total += solution[y, x - 1]
                    count += np.float32(1)
                if x < width - 1:
                    total += solution[y, x + 1]
                    count += np.float32(1)
                solution[y, x] = total / count
                x += 2


@kernel
def restrict(solution: Any, rhs: Any, box: Any, screen: float, coarse: Any) -> None:
    """Write the sums of the residuals of 2 x 2 cells into ``coarse``."""
    height, width = solution.shape
    screen32 = np.float32(screen)
    coarse[:] = 0
    for y in range(height):
        for x in range(width):
            if box[0] <= y < box[1] and box[2] <= x < box[3]:
                continue
            here = solution[y, x]
            residual = rhs[y, x] - screen32 * here
            if y > 0:
                residual += solution[y - 1, x] - here
            if y < height - 1:
                residual += solution[y + 1, x] - here
            if x > 0:
                residual += solution[y, x - 1] - here
            if x < width - 1:
                residual += solution[y, x + 1] - here
            coarse[y >> 1, x >> 1] += residual


@kernel
def prolong(coarse: Any, solution: Any, box: Any) -> None:
    """Add the bilinear interpolation of ``coarse`` to ``solution``, except on the photo."""
    height, width = solution.shape
    last_row, last_col = coarse.shape[0] - 1, coarse.shape[1] - 1
    for y in range(height):
        near_y = y >> 1
        far_y = min(last_row, max(0, near_y + (1 if y & 1 else -1)))
        for x in range(width):
            if box[0] <= y < box[1] and box[2] <= x < box[3]:
                continue
            near_x = x >> 1
            far_x = min(last_col, max(0, near_x + (1 if x & 1 else -1)))
            total = np.float32(9) * coarse[near_y, near_x] + coarse[far_y, far_x]
            total += np.float32(3) * (coarse[near_y, far_x] + coarse[far_y, near_x])
            solution[y, x] += total * np.float32(0.0625)


@kernel
def interpolate(cells: Any, box: Any, top: int, left: int, out: Any) -> None:
    """Write the bilinear interpolation of ``cells`` into ``out``, a window of the pixels that begins at (top, left).

    ``box`` is that of the photo, in pixels; inside it ``out`` becomes 0. Cells wholly on the photo do not take part, so
    that a step at the photo's border begins there and does not rise from within the photo.
    """
    last_row, last_col = cells.shape[0] - 1, cells.shape[1] - 1
    known_top, known_bottom, known_left, known_right = (box[0] + 1) // 2, box[1] // 2, (box[2] + 1) // 2, box[3] // 2
    for y in range(out.shape[0]):
        at_y = top + y
        near_y = at_y >> 1
        far_y = min(last_row, max(0, near_y + (1 if at_y & 1 else -1)))
        for x in range(out.shape[1]):
            at_x = left + x
            if box[0] <= at_y < box[1] and box[2] <= at_x < box[3]:
                out[y, x] = 0
                continue
            near_x = at_x >> 1
            far_x = min(last_col, max(0, near_x + (1 if at_x & 1 else -1)))
            here = cells[near_y, near_x]
            beside, over, across = cells[near_y, far_x], cells[far_y, near_x], cells[far_y, far_x]
            if known_top <= near_y < known_bottom and known_left <= far_x < known_right:
                beside = here
            if known_top <= far_y < known_bottom and known_left <= near_x < known_right:
                over = here
            if known_top <= far_y < known_bottom and known_left <= far_x < known_right:
                across = here
            out[y, x] = (np.float32(9) * here + np.float32(3) * (beside + over) + across) * np.float32(0.0625)


def make_grids(rhs: NDArray[np.float32], box: NDArray[np.int64], screen: float) -> list[Grid]:
    """Return the grids, from the finest to one a few cells wide. A coarse cell is known where any of its cells is.

    If it were unknown, coarse corrections would overshoot next to the photo, and the cycles would diverge.
    """
    grids = [Grid(solution=np.zeros_like(rhs), rhs=rhs, box=box, screen=screen)]
    while min(grids[-1].rhs.shape) >= 2 * SMALLEST:
        fine = grids[-1]
        shape = tuple((side + 1) // 2 for side in fine.rhs.shape)
        top, bottom, left, right = fine.box
        coarse_box = np.array([top // 2, (bottom + 1) // 2, left // 2, (right + 1) // 2], np.int64)
        grids.append(
            Grid(
                solution=np.zeros(shape, np.float32),
                rhs=np.zeros(shape, np.float32),
                box=coarse_box,
                screen=4 * fine.screen,
            )
        )
    return grids


def cycle(grids: list[Grid]) -> None:
    """Run one V-cycle over ``grids``, which improves the ``solution`` of the finest."""
    for fine, coarse in pairwise(grids):
        smooth(fine.solution, fine.rhs, fine.box, fine.screen, SMOOTHINGS)
        restrict(fine.solution, fine.rhs, fine.box, fine.screen, coarse.rhs)
        coarse.solution[:] = 0
    last = grids[-1]
    smooth(last.solution, last.rhs, last.box, last.screen, COARSEST_SMOOTHINGS)
    for fine, coarse in zip(grids[-2::-1], grids[:0:-1], strict=True):
        prolong(coarse.solution, fine.solution, fine.box)
        smooth(fine.solution, fine.rhs, fine.box, fine.screen, SMOOTHINGS)


def solve(
    rhs: NDArray[np.float32],
    box: NDArray[np.int64],
    *,
    screen: float = SCREEN,
    cycles: int = CYCLES,
    check: Callable[[], None] = lambda: None,
) -> NDArray[np.float32]:
    """Return the correction (H, W) for ``rhs``, the sums of gaps, around the photo's ``box``.

    ``check`` is called between the cycles.
    """
    grids = make_grids(rhs, box, screen)
    for _ in range(cycles):
        check()
        cycle(grids)
    return grids[0].solution

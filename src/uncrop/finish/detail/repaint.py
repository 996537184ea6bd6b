"""The provider's own version of the photo, brought onto the photo: it shows what this provider does to this photo.

Filters that are learned from it undo this provider's sharpening and compression where nothing is known. Providers
repaint a little beside the place, differently everywhere: shifts are told for each block (Lucas and Kanade 1981).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from uncrop.finish.detail.planes import slopes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.detail.area import Area
    from uncrop.finish.detail.planes import Cells, Pair

    Plane = NDArray[np.float32]

ROUNDS = 3
FARTHEST = 3.0  # cells that a shift may have, and one a round
AROUND = 1.5  # blocks, over which shifts are told
FLAT, SHARE = 2.0, 0.02  # levels squared a cell, and a share of all slopes: how strongly shifts lean to none
ALIKE = 0.6  # correlation of fine differences, below which the provider did not repaint this photo


def by_repaint(area: Area, cells: Cells, pair: Pair) -> Pair | None:
    """Return the pair of what was made and the provider's version of the photo, in place of the photo's small copy.

    Returns
    -------
    Pair or None
        The same one, written to: its residual is what the photo has beyond that version, which is offered in place of
        the copy. None where the provider's version is not like the photo; then nothing was written.
    """
    from uncrop.finish.detail.align_kernels import rest, shifted
    from uncrop.finish.detail.plane_kernels import lightness

    shifts = find_shifts(cells, pair)
    aligned = np.empty(cells.shape, np.float32)
    cells.pool.each(lambda rows: shifted(pair.colours[0], shifts, rows, aligned), cells.bands)
    if alike(cells, pair, aligned) < ALIKE:
        return None
    lighter = _means(cells, pair.offered[0] - aligned, pair)
    light = np.empty(area.made.shape, np.uint8)
    cells.pool.each(lambda rows: lightness(area.pixels, *rows, light), cells.whole_rows(len(light)))
    fields, corner = (shifts, lighter, cells.side), (area.rect.y, area.rect.x)
    cells.pool.each(
        lambda rows: rest(area.original, light, corner, fields, rows, pair.residual), cells.whole_rows(area.rect.height)
    )
    np.copyto(pair.offered[0], aligned, where=pair.whole)
    return pair


def find_shifts(cells: Cells, pair: Pair) -> Plane:
    """Return (2, block rows, block columns): where what was made shows what the photo has here, in cells."""
    from uncrop.finish.detail.align_kernels import BLOCK, shifted

    blocks = _blocks(cells)
    shifts = np.zeros((2, blocks.rows, blocks.columns), np.float32)
    wanted, moved = _middle(cells, pair.offered[0]), np.empty(cells.shape, np.float32)
    for _ in range(ROUNDS):
        cells.pool.each(lambda rows: shifted(pair.colours[0], shifts, rows, moved), cells.bands)
        got = _middle(cells, moved)
        across, down = slopes(got)
        gap = wanted - got

        def told(product: Plane) -> Plane:
            return blocks.blur(_sums(product * pair.usable, BLOCK), AROUND)

        squares, both = (told(across * across), told(down * down)), told(across * down)
        lean = FLAT * BLOCK**2 + SHARE * (squares[0] + squares[1])
        first, second = squares[0] + lean, squares[1] + lean
        to_right, to_below = told(across * gap), told(down * gap)
        scale = first * second - both * both
        shifts[0] += np.clip((first * to_below - both * to_right) / scale, -1, 1)
        shifts[1] += np.clip((second * to_right - both * to_below) / scale, -1, 1)
        np.clip(shifts, -FARTHEST, FARTHEST, out=shifts)
    return shifts


def alike(cells: Cells, pair: Pair, aligned: Plane) -> float:
    """Return how far the fine differences of the provider's version and of the photo's copy correlate, at most 1."""
    got, wanted = ((plane - cells.blur(plane, 1.5))[pair.usable] for plane in (aligned, pair.offered[0]))
    both, of_got, of_wanted = (
        float(np.sum(a * b, dtype=np.float64)) for a, b in ((got, wanted), (got, got), (wanted, wanted))
    )
    return both / math.sqrt(max(of_got * of_wanted, 1e-9))


def _middle(cells: Cells, light: Plane) -> Plane:
    """Return what is neither finest nor coarse: noise has no place, and a cast is no shift."""
    return cells.blur(light, 1.0) - cells.blur(light, 4.0)


def _blocks(cells: Cells) -> Cells:
    from uncrop.finish.detail.align_kernels import BLOCK

    return replace(cells, rows=-(-cells.rows // BLOCK), columns=-(-cells.columns // BLOCK))


def _means(cells: Cells, plane: Plane, pair: Pair) -> Plane:
    """Return the means of blocks and those around them, of usable cells; 0 where there are none near."""
    from uncrop.finish.detail.align_kernels import BLOCK

    blocks, usable = _blocks(cells), pair.usable.astype(np.float32)
    total = blocks.blur(_sums(plane * usable, BLOCK), 1.0)
    return np.asarray(total / np.maximum(blocks.blur(_sums(usable, BLOCK), 1.0), np.float32(BLOCK)))


def _sums(plane: Plane, side: int) -> Plane:
    """Add up blocks of ``side`` x ``side`` cells; those at the ends may be cut."""
    rows, columns = (-(-extent // side) for extent in plane.shape)
    whole = np.pad(plane, ((0, rows * side - plane.shape[0]), (0, columns * side - plane.shape[1])))
    return np.asarray(whole.reshape(rows, side, columns, side).sum(axis=(1, 3), dtype=np.float32))

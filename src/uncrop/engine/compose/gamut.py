"""The photo's gamut: corrections must not make colours that the photo does not have.

Where copies with different colours meet, the Poisson equation may shift whole areas far from the photo to colours that
are nowhere in it. Therefore what is made is compared in blocks of 8 x 8 pixels: a block whose mean colour is far from
that of every block of the photo is shifted towards the nearest of them. Only this coarse part of a correction changes,
smoothly from block to block, so that no seam opens again and texture stays as it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.compose.chroma_shift import bound_chroma_shift
from uncrop.engine.compose.poisson import prolong
from uncrop.engine.compose.seams import BLUE, GREEN, RED, Copies, light_of, value_at
from uncrop.engine.prepare.canvas import distances_outside
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.kernels import inlined, kernel

BLOCK, CELLS = 8, 4  # pixels and cells of a block's side
BAND = 16  # rows of blocks
BIN = 6.0  # levels; blocks whose colours fall into the same bin count as one colour
TOLERANCE = 16.0  # levels by which a colour may differ from the photo's; its luma may by twice as much
BLURS = 8  # times a blur by (1, 2, 1) / 4 in both directions: a standard deviation of two blocks
RAMP = 4  # blocks from the photo over which the shift rises to its full size
NONE = -1.0  # in place of half the luma: no colour is known here


@inlined
def opponent(red: Any, green: Any, blue: Any) -> Any:
    """Return half the luma, red less luma and blue less luma."""
    light = light_of(red, green, blue)
    return np.float32(0.5) * light, red - light, blue - light


@kernel
def photo_colours(copies: Any, first: int, last: int, out: Any) -> None:
    """Write the mean colours of the photo's whole blocks, rows ``first`` to ``last``, into ``out`` (rows, columns, 3).

    They are as ``opponent`` returns them. A block with a transparent pixel gets ``NONE``.
    """
    cols, count = copies.usable.shape[1], copies.data.size // (copies.usable.size * copies.depth)
    share = np.float32(1 / (BLOCK * BLOCK))
    for row in range(first, last):
        for col in range(out.shape[1]):
            red, green, blue, whole = np.float32(0), np.float32(0), np.float32(0), True
            for y in range(row * BLOCK, (row + 1) * BLOCK):
                for x in range(col * BLOCK, (col + 1) * BLOCK):
                    start = (y * cols + x) * count
                    whole = whole and copies.usable[y, x] != 0
                    red += value_at(copies, start)
                    green += value_at(copies, start + count // 2)
                    blue += value_at(copies, start + count - 1)
            out[row, col, 0], out[row, col, 1], out[row, col, 2] = opponent(red * share, green * share, blue * share)
            if not whole:
                out[row, col, 0] = np.float32(NONE)


@kernel
def add_cells(cells: Any, first: int, last: int, channel: int, out: Any) -> None:
    """Add the means of the corrections ``cells`` (H / 2, W / 2) over each block to the ``channel`` of ``out``."""
    for row in range(first, last):
        bottom = min(cells.shape[0], (row + 1) * CELLS)
        for col in range(out.shape[1]):
            right, total = min(cells.shape[1], (col + 1) * CELLS), np.float32(0)
            for y in range(row * CELLS, bottom):
                for x in range(col * CELLS, right):
                    total += cells[y, x]
            out[row, col, channel] += total / np.float32((bottom - row * CELLS) * (right - col * CELLS))


@kernel
def add_copies(copies: Any, first: int, last: int, out: Any) -> None:
    """Add the mean of what each block copies to ``out`` (rows, columns, channels), except in blocks on the photo."""
    height, width = copies.origin.shape
    count = out.shape[2]
    for row in range(first, last):
        bottom = min(height, (row + 1) * BLOCK)
        for col in range(out.shape[1]):
            right = min(width, (col + 1) * BLOCK)
            if touches_photo(row, col, copies.box):
                continue
            share = np.float32(1) / np.float32((bottom - row * BLOCK) * (right - col * BLOCK))
            for y in range(row * BLOCK, bottom):
                for x in range(col * BLOCK, right):
                    for k in range(count):
                        out[row, col, k] += share * value_at(copies, copies.origin[y, x] * count + k)


@inlined
def touches_photo(row: int, col: int, box: Any) -> Any:
    """Tell whether a block has a pixel of the photo."""
    return (row + 1) * BLOCK > box[0] and row * BLOCK < box[1] and (col + 1) * BLOCK > box[2] and col * BLOCK < box[3]


@kernel
def shift_to_palette_rows(colours: Any, box: Any, first: int, last: int, made: Any) -> None:
    """Replace the blocks' mean values ``made`` (rows, columns, channels) by their shifts towards ``colours`` (n, 3).

    The shift is 0 within ``TOLERANCE`` of any of the colours; elsewhere it leads that near to the nearest one.
    """
    count, hint = made.shape[2], 0
    tolerance = np.float32(TOLERANCE)
    for row in range(first, last):
        for col in range(made.shape[1]):
            red, green, blue = made[row, col, 0], made[row, col, count // 2], made[row, col, count - 1]
            made[row, col, :] = 0
            if touches_photo(row, col, box):
                continue
            light, red, blue = opponent(red, green, blue)
            least, nearest = np.float32(np.inf), 0
            for n in range(-1, colours.shape[0]):
                m = hint if n < 0 else n  # neighbours are alike: what was nearest there is compared first
                dl, dr, db = colours[m, 0] - light, colours[m, 1] - red, colours[m, 2] - blue
                square = dl * dl + dr * dr + db * db
                if square < least or (square == least and m < nearest):
                    least, nearest = square, m
                if least <= tolerance * tolerance:
                    break
            hint = nearest
            if least <= tolerance * tolerance:
                continue
            share = np.float32(1) - tolerance / np.float32(np.sqrt(least))
            dl = np.float32(2) * share * (colours[nearest, 0] - light)
            dr, db = share * (colours[nearest, 1] - red), share * (colours[nearest, 2] - blue)
            if count == 1:
                made[row, col, 0] = dl
            else:
                made[row, col, 0], made[row, col, 2] = dl + dr, dl + db
                made[row, col, 1] = dl - (np.float32(RED) * dr + np.float32(BLUE) * db) / np.float32(GREEN)


def palette(copies: Copies, pool: ThreadPool) -> NDArray[np.float32]:
    """Return the colours (n, 3) of the photo's blocks, as ``opponent`` returns them, one for each bin."""
    rows, cols = copies.usable.shape
    means = np.empty((rows // BLOCK, cols // BLOCK, 3), np.float32)
    pool.each(lambda band: photo_colours(copies, *band, means), bands(0, means.shape[0], BAND))
    known = means[means[:, :, 0] >= 0]
    bins = np.unique(np.floor(known / np.float32(BIN) + np.float32(0.5)).astype(np.int32), axis=0)
    middles: NDArray[np.float32] = (bins * BIN).astype(np.float32)  # greys lie in the middle of a bin
    return middles


def blurred(shifts: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return ``shifts`` (rows, columns, channels) blurred; beyond the edges the outermost ones are repeated."""
    for _ in range(BLURS):
        for axis in (0, 1):
            width = [(1, 1) if at == axis else (0, 0) for at in range(3)]
            wide = np.moveaxis(np.pad(shifts, width, mode="edge"), axis, 0)
            mean = (wide[:-2] + 2 * wide[1:-1] + wide[2:]) / np.float32(4)
            shifts = np.moveaxis(mean, 0, axis)
    return shifts


def bound_colours(copies: Copies, cells: list[NDArray[np.float32]], pool: ThreadPool) -> None:
    """Bound the chroma shift of the corrections ``cells``, (H / 2, W / 2) each, and keep to the photo's colours."""
    colours = palette(copies, pool)
    if colours.size == 0:
        return
    rows, cols = (-(-side // CELLS) for side in cells[0].shape)
    made = np.zeros((rows, cols, copies.channels), np.float32)
    top, bottom, left, right = (int(side) for side in copies.box)
    inside = top // BLOCK, -(-bottom // BLOCK), left // BLOCK, -(-right // BLOCK)

    def average(band: tuple[int, int]) -> None:
        for k, plane in enumerate(cells):
            add_cells(plane, *band, k, made)

    def compare(band: tuple[int, int]) -> None:
        add_copies(copies, *band, made)
        shift_to_palette_rows(colours, copies.box, *band, made)

    pool.each(average, bands(0, rows, BAND))
    back = bound_chroma_shift(made, inside) if copies.channels == 3 else np.zeros_like(made)
    made += back
    pool.each(compare, bands(0, rows, BAND))
    made += back
    if not made.any():
        return
    row_distance, col_distance = distances_outside(*inside[:2], rows), distances_outside(*inside[2:], cols)
    ramp = np.minimum(1, np.maximum(row_distance[:, None], col_distance[None, :]) / RAMP).astype(np.float32)
    shifts = blurred(made) * ramp[:, :, None]
    nowhere, box = np.zeros(4, np.int64), copies.cell_box

    def spread(k: int) -> None:
        middle = np.zeros(tuple((side + 1) // 2 for side in cells[k].shape), np.float32)
        prolong(np.ascontiguousarray(shifts[:, :, k]), middle, nowhere)
        prolong(middle, cells[k], box)

    pool.each(spread, range(copies.channels))

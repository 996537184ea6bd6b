"""The made pixels take on the colour of the original.

What the provider painted over the original is compared with it in blocks; the smooth part of the difference is
extended to the whole canvas by pull-push (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): near the border
the local difference counts, far away the mean of ever larger areas. It is then added to what was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from uncrop.finish.work import bands, runs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.finish.work import Work

    Field: TypeAlias = NDArray[np.float32]
    Eighths: TypeAlias = NDArray[np.int16]

BLOCK = 16  # pixels; side of the blocks that are compared
SAMPLES = (2, 6, 10, 14)  # rows and columns of a block whose crossings stand for all of it
TRUST = 24.0  # grey levels; a block that differs by more is probably other content, not another colour
LIMIT = 32.0  # grey levels; no correction is larger
STEPS = 2 * BLOCK  # from one block's centre to the next, in half pixels
PARTS = 8  # of a grey level; LIMIT * STEPS * PARTS is below 2**15
NOTICEABLE = 0.5  # grey levels; below it nothing is touched


def match_colour(work: Work) -> Work:
    """Add the smooth colour difference to every made pixel, and to the first ring inside the original."""
    field = _field(work)
    if field is None or float(np.abs(field).max()) < NOTICEABLE:
        return work
    kept = work.canvas.kept
    # Cell (0, 0) of the field lies so far left and above that a cell begins exactly at the original's corner.
    origin = (kept.y - BLOCK * _cells(kept.y), kept.x - BLOCK * _cells(kept.x))
    eighths = np.rint(field * PARTS).astype(np.int16)
    for rows, columns in _made(work):
        _add(work.pixels, eighths, rows, columns, origin)
    return work


def _cells(pixels: int) -> int:
    return -(-pixels // BLOCK)


def _field(work: Work) -> Field | None:
    """Return the difference original - made for every cell of the canvas, or None for originals below a block."""
    canvas, kept = work.canvas, work.canvas.kept
    if min(kept.width, kept.height) < BLOCK:
        return None
    difference = _means(work.original) - _means(work.pixels[work.inside])
    weight = 1 / (1 + (np.abs(difference).max(axis=-1, keepdims=True) / TRUST) ** 2)
    if work.opacity is not None:
        # A block counts by the share of it that stays.
        weight = weight * _means((work.opacity == 255)[..., None].view(np.uint8))
    before = (_cells(kept.y), _cells(kept.x))
    after = (_cells(canvas.height - kept.y) - difference.shape[0], _cells(canvas.width - kept.x) - difference.shape[1])
    around = ((before[0], after[0]), (before[1], after[1]), (0, 0))
    filled = _pull_push(np.pad(difference * weight, around), np.pad(weight, around))
    return np.clip(filled, -LIMIT, LIMIT, out=filled)


def _means(pixels: NDArray[np.uint8]) -> Field:
    """Return the means of whole blocks, (height // BLOCK, width // BLOCK, channels), from a grid of samples in each."""
    rows, columns = pixels.shape[0] // BLOCK, pixels.shape[1] // BLOCK
    used = pixels[: rows * BLOCK, : columns * BLOCK]
    sums = np.zeros((rows, columns, pixels.shape[2]), np.uint16)
    for row in SAMPLES:
        for column in SAMPLES:
            sums += used[row::BLOCK, column::BLOCK]
    means: Field = sums.astype(np.float32) / np.float32(len(SAMPLES) ** 2)
    return means


def _pull_push(weighted: Field, weight: Field) -> Field:
    """Fill the cells without weight from ever coarser means; ``weighted`` is value times weight."""
    rows, columns = weight.shape[:2]
    known = np.minimum(weight, 1)
    mean = weighted / np.maximum(weight, 1e-6)
    if rows == 1 and columns == 1:
        return mean.astype(np.float32)
    even = ((0, rows % 2), (0, columns % 2), (0, 0))
    coarse = _pull_push(_halve(np.pad(weighted, even)), _halve(np.pad(weight, even)))
    return (known * mean + (1 - known) * _double(coarse)[:rows, :columns]).astype(np.float32)


def _halve(field: Field) -> Field:
    return field[::2, ::2] + field[1::2, ::2] + field[::2, 1::2] + field[1::2, 1::2]


def _double(field: Field) -> Field:
    for axis in (0, 1):
        forth, back = np.roll(field, -1, axis), np.roll(field, 1, axis)
        # The ends have no neighbour to lean to.
        forth[(slice(None),) * axis + (-1,)] = field[(slice(None),) * axis + (-1,)]
        back[(slice(None),) * axis + (0,)] = field[(slice(None),) * axis + (0,)]
        pair = np.stack((0.75 * field + 0.25 * back, 0.75 * field + 0.25 * forth), axis=axis + 1)
        field = pair.reshape(*(2 * n if i == axis else n for i, n in enumerate(field.shape)))
    return field


def _made(work: Work) -> Iterator[tuple[slice, slice]]:
    """Yield rectangles that hold all made pixels, each grown by one pixel into the original for the seam."""
    made = np.ones((work.canvas.height, work.canvas.width), np.bool_)
    made[work.inside] = False if work.opacity is None else work.opacity < 255
    for rows in bands(made.shape[0]):
        columns = np.asarray(made[max(rows.start - 1, 0) : rows.stop + 1].any(axis=0))
        for run in runs(columns):
            yield rows, slice(max(run.start - 1, 0), min(run.stop + 1, made.shape[1]))


def _add(pixels: NDArray[np.uint8], field: Eighths, rows: slice, columns: slice, origin: tuple[int, int]) -> None:
    """Add the bilinearly enlarged field to a rectangle; in 16-bit integers, a third of the time of floats."""
    above, below, down = _positions(rows, origin[0], field.shape[0])
    left, right, across = _positions(columns, origin[1], field.shape[1])
    near = field[above[0] : below[-1] + 1]
    # np.take, for indexing would leave the columns far apart in memory.
    wide = near.take(left, axis=1) * (STEPS - across)[:, None] + near.take(right, axis=1) * across[:, None]
    wide = (wide + STEPS // 2) // STEPS
    change = wide[above - above[0]]
    change *= (STEPS - down)[:, None, None]
    change += wide[below - above[0]] * down[:, None, None]
    change += STEPS * PARTS // 2
    change >>= (STEPS * PARTS).bit_length() - 1
    change += pixels[rows, columns]
    pixels[rows, columns] = np.clip(change, 0, 255, out=change)


def _positions(pixels: slice, origin: int, cells: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Eighths]:
    """Say between which cells each pixel's centre lies, and how many of the steps from the one to the other."""
    steps = 2 * (np.arange(pixels.start, pixels.stop) - origin) + 1 - BLOCK
    steps = np.clip(steps, 0, STEPS * (cells - 1))
    low = steps // STEPS
    return low, np.minimum(low + 1, cells - 1), (steps % STEPS).astype(np.int16)

"""The made pixels take on the colour of the original.

What the provider painted over the original is compared with it in blocks; the smooth part of the difference is
extended to the whole canvas by pull-push (Gortler et al., "The Lumigraph", SIGGRAPH 1996, section 3.4): near the border
the local difference counts, far away the mean of ever larger areas. It is then added to what was made.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from uncrop.finish.work import bands, runs, writeable
from uncrop.model import Rect

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.finish.work import Work

    Field: TypeAlias = NDArray[np.float32]
    Eighths: TypeAlias = NDArray[np.int16]

BLOCK = 16  # pixels; side of the blocks that are compared
SAMPLE = 4  # every 4th row and column of a block; where they cross stands for all of it
TRUST = 24.0  # grey levels; a block that differs by more is probably other content, not another colour
LIMIT = 32.0  # grey levels; no correction is larger
STEP_BITS = 5  # of the steps from one block's centre to the next, in half pixels
STEPS = 1 << STEP_BITS
PART_BITS = 3  # of the parts of a grey level; LIMIT * PARTS is far below 2**15
PARTS = 1 << PART_BITS
NOTICEABLE = 0.5  # grey levels; below it nothing is touched


def match_colour(work: Work) -> Work:
    """Add the smooth colour difference to every made pixel, and to the first ring inside the original."""
    field = _field(work)
    if field is None or float(np.abs(field).max()) < NOTICEABLE:
        return work
    _add(work, np.rint(field * PARTS).astype(np.int16))
    return work


def _cells(pixels: int) -> int:
    return -(-pixels // BLOCK)


def _field(work: Work) -> Field | None:
    """Return the difference original - made for every cell of the canvas, or None for originals below a block."""
    canvas, kept = work.canvas, work.canvas.kept
    if min(kept.width, kept.height) < BLOCK:
        return None
    difference, share = _differences(work)
    # A block counts by the share of it that stays.
    weight = share / (1 + (np.abs(difference).max(axis=-1, keepdims=True) / TRUST) ** 2)
    before = (_cells(kept.y), _cells(kept.x))
    after = (_cells(canvas.height - kept.y) - difference.shape[0], _cells(canvas.width - kept.x) - difference.shape[1])
    around = ((before[0], after[0]), (before[1], after[1]), (0, 0))
    filled = pull_push(np.pad(difference * weight, around), np.pad(weight, around))
    return np.clip(filled, -LIMIT, LIMIT, out=filled)


def _differences(work: Work) -> tuple[Field, Field]:
    """Return original - made, the mean over what stays of each whole block, and how much of the block that is.

    Returns
    -------
    tuple
        (rows of blocks, columns of blocks, channels) and (rows of blocks, columns of blocks, 1).
    """
    from uncrop.finish.kernels import kept_differences

    kept = work.canvas.kept
    if work.opacity is None:
        whole = Rect(x=0, y=0, width=kept.width, height=kept.height)
        difference = _means(work.original, whole) - _means(work.pixels, kept)
        return difference, np.ones((*difference.shape[:2], 1), np.float32)
    blocks = (kept.height // BLOCK, kept.width // BLOCK)
    difference, share = np.empty((*blocks, work.pixels.shape[2]), np.float32), np.empty((*blocks, 1), np.float32)
    kept_differences(
        work.pixels, (kept.y, kept.x), writeable(work.original), writeable(work.opacity), difference, share
    )
    return difference, share


def _means(pixels: NDArray[np.uint8], part: Rect) -> Field:
    """Return the means of the part's whole blocks, (rows of blocks, columns of blocks, channels), from samples."""
    from uncrop.finish.kernels import sample_means

    means = np.empty((part.height // BLOCK, part.width // BLOCK, pixels.shape[2]), np.float32)
    sample_means(writeable(pixels), part.y, part.x, means)
    return means


def pull_push(weighted: Field, weight: Field) -> Field:
    """Fill the cells without weight from ever coarser means; ``weighted`` is value times weight."""
    rows, columns = weight.shape[:2]
    known = np.minimum(weight, 1)
    mean = weighted / np.maximum(weight, 1e-6)
    if rows == 1 and columns == 1:
        return mean.astype(np.float32)
    even = ((0, rows % 2), (0, columns % 2), (0, 0))
    coarse = pull_push(_halve(np.pad(weighted, even)), _halve(np.pad(weight, even)))
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
    """Yield rectangles that hold all made pixels once, each grown by one pixel into the original for the seam."""
    canvas, kept = work.canvas, work.canvas.kept
    if work.opacity is None:
        top, bottom = _grown(kept.y, kept.y + kept.height, canvas.height)
        left, right = _grown(kept.x, kept.x + kept.width, canvas.width)
        yield slice(0, top), slice(0, canvas.width)
        yield slice(bottom, canvas.height), slice(0, canvas.width)
        yield slice(top, bottom), slice(0, left)
        yield slice(top, bottom), slice(right, canvas.width)
        return
    made = np.ones((canvas.height, canvas.width), np.bool_)
    np.less(work.opacity, 255, out=made[work.inside])
    for rows in bands(made.shape[0]):
        columns = np.asarray(made[max(rows.start - 1, 0) : rows.stop + 1].any(axis=0))
        grown = columns.copy()
        grown[1:] |= columns[:-1]
        grown[:-1] |= columns[1:]
        for run in runs(grown):
            yield rows, run


def _grown(start: int, end: int, size: int) -> tuple[int, int]:
    """Move both ends of the original into it by a pixel, but not where nothing is made beyond them."""
    start = min(start + 1, end) if start else 0
    return start, max(start, end - 1) if end < size else size


def _add(work: Work, field: Eighths) -> None:
    """Add the bilinearly enlarged field to what was made."""
    from uncrop.finish.kernels import add_field

    height, width, channels = work.pixels.shape
    whole, wide = work.pixels.reshape(height, -1), np.empty((2, width * channels), np.int16)
    rows = _positions(height, work.canvas.kept.y, field.shape[0])
    columns = _positions(width, work.canvas.kept.x, field.shape[1])
    for down, across in _made(work):
        extent = (down.start, down.stop, across.start, across.stop)
        add_field(whole, extent, field, rows, columns, (STEP_BITS, PART_BITS), wide)


def _positions(size: int, kept: int, cells: int) -> NDArray[np.int32]:
    """Say between which cells each pixel's centre lies, and how many of the steps from the one to the other.

    The first cell begins so far before the canvas that one begins exactly where the original does, at ``kept``.
    """
    first = kept - BLOCK * _cells(kept)
    steps = 2 * (np.arange(size, dtype=np.int32) - first) + 1 - BLOCK
    steps = np.clip(steps, 0, STEPS * (cells - 1))
    low = steps // STEPS
    return np.stack((low, np.minimum(low + 1, cells - 1), steps % STEPS)).astype(np.int32)

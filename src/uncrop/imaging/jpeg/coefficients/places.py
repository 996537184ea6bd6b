"""Which blocks of a canvas hold nothing but the photo, so that the photo's own can stand there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging.jpeg.coefficients.blocks import SIDE, make_grid
from uncrop.imaging.jpeg.coefficients.turn import lead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.coefficients.blocks import BlockGrid, Coefficients, Plane
    from uncrop.model import Mask, Placement

ROWS = 8 * SIDE  # that are compared at a time


def offset(upright: BlockGrid, orientation: int, placement: Placement) -> tuple[int, int] | None:
    """Return where on the canvas the photo's first block begins, in pixels; ``None`` where blocks do not meet blocks.

    Parameters
    ----------
    upright
        How the upright photo is cut into blocks.
    orientation
        EXIF's, of its file.
    placement
        Where the photo lies.
    """
    left, above = lead(upright, orientation)
    x = placement.kept.x - placement.source.x - left
    y = placement.kept.y - placement.source.y - above
    boxes = [upright.box(plane) for plane in upright.planes]
    meet = all(x % (SIDE * wide) == 0 and y % (SIDE * high) == 0 for wide, high in boxes)
    return (x, y) if meet else None


def canvas_grid(upright: BlockGrid, placement: Placement, channels: int) -> BlockGrid:
    """Cut the canvas into blocks as the photo is; a grey photo in colours gets the planes for them."""
    planes = [(plane.across, plane.down, plane.table) for plane in upright.planes]
    planes += planes[:1] * (channels - len(planes))
    return make_grid(placement.width, placement.height, planes)


def made_blocks(canvas: BlockGrid, placement: Placement, photo: tuple[int, int], changed: Mask) -> tuple[Mask, ...]:
    """Return which blocks of each component, (rows, columns), are not the photo's alone.

    Parameters
    ----------
    canvas, placement
        The canvas, and where the photo lies on it.
    photo
        Width and height of the upright photo. Where its own edge is the canvas's, the blocks there are its own, with
        what fills them up; where it was cropped, they are not, since they hold what was cut off.
    changed
        Which squares of 8 x 8 pixels of the canvas, (rows, columns), hold pixels that differ from the photo's.
    """
    return tuple(_made(canvas, plane, placement, photo, changed) for plane in canvas.planes)


def near_made(canvas: BlockGrid, made: tuple[Mask, ...], placement: Placement, photo: tuple[int, int]) -> Mask:
    """Return which squares of 8 x 8 pixels, (rows, columns), lie in or beside a made block, or what was cut off."""
    source = placement.source
    found = np.zeros((canvas.units[1] * canvas.down + 2, canvas.units[0] * canvas.across + 2), np.bool_)
    found[0], found[:, 0] = source.y > 0, source.x > 0
    found[-1] |= source.y + source.height < photo[1]
    found[:, -1] |= source.x + source.width < photo[0]
    for plane, some in zip(canvas.planes, made, strict=True):
        across, down = canvas.box(plane)
        found[1:-1, 1:-1] |= some.repeat(down, axis=0).repeat(across, axis=1)
    rows: Mask = found[:-2] | found[1:-1] | found[2:]
    beside: Mask = rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:]
    return beside


def _made(canvas: BlockGrid, plane: Plane, placement: Placement, photo: tuple[int, int], changed: Mask) -> Mask:
    wide, high = canvas.box(plane)
    source, kept = placement.source, placement.kept
    ends_right = source.x + source.width == photo[0] and kept.x + kept.width == placement.width
    ends_below = source.y + source.height == photo[1] and kept.y + kept.height == placement.height
    across = _inside(plane.columns, SIDE * wide, (kept.x, kept.width), ends=ends_right)
    down = _inside(plane.rows, SIDE * high, (kept.y, kept.height), ends=ends_below)
    made: Mask = ~(down[:, None] & across)
    if changed.any():
        squares = np.zeros((plane.rows * high, plane.columns * wide), np.bool_)
        squares[: changed.shape[0], : changed.shape[1]] = changed
        made |= squares.reshape(plane.rows, high, plane.columns, wide).any(axis=(1, 3))
    return made


def _inside(count: int, size: int, part: tuple[int, int], *, ends: bool) -> Mask:
    """Return which of so many blocks of that size lie within a part, whose end they may pass where all ends there."""
    first = np.arange(count) * size
    start, length = part
    return (first >= start) & ((first + size <= start + length) | ends)


def place_blocks(own: Coefficients, at: tuple[int, int], result: Coefficients) -> None:
    """Copy the photo's blocks, the first of which begins at this pixel of the canvas, as far as they lie on it."""
    for plane, target in zip(own.grid.planes, result.grid.planes, strict=False):
        left, top = _block(own.grid, plane, at)
        columns, rows = _overlap(left, plane.columns, target.columns), _overlap(top, plane.rows, target.rows)
        result.of(target)[rows[1], columns[1]] = own.of(plane)[rows[0], columns[0]]


def _block(own: BlockGrid, plane: Plane, at: tuple[int, int]) -> tuple[int, int]:
    """Return at which block of the canvas, from the left and from above, a component's first one lies."""
    wide, high = own.box(plane)
    return at[0] // (SIDE * wide), at[1] // (SIDE * high)


def _overlap(start: int, count: int, room: int) -> tuple[slice, slice]:
    """Return which of ``count`` things that begin at ``start`` lie within ``room``, and where they lie there."""
    first, last = max(start, 0), min(start + count, room)
    return slice(first - start, last - start), slice(first, last)


def differing(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Yield rows and columns of the pixels, (height, width, channels), that are not equal, some rows at a time."""
    width, channels = one.shape[1:]
    for top in range(0, len(one), ROWS):
        places = np.flatnonzero(one[top : top + ROWS] != other[top : top + ROWS]) // channels
        if len(places):
            rows, columns = np.divmod(np.unique(places), width)
            yield rows + top, columns

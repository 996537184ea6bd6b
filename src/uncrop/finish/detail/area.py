"""The part of the canvas that drawing detail looks at."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from uncrop.finish.work import writeable
from uncrop.model import Rect

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.work import Work
    from uncrop.model import Mask

    Place: TypeAlias = tuple[slice, slice]

FAR = 0.3  # of the canvas's diagonal: the photo is looked at up to so far from what was made


@dataclass(frozen=True, kw_only=True, slots=True)
class Area:
    """What was made, and the photo near it.

    Attributes
    ----------
    place
        Rows and columns of the canvas.
    pixels
        (height, width, 3) uint8: what was made, and the provider's version of the photo. A copy, unless the area is the
        whole canvas.
    made
        (height, width): which pixels may be changed.
    original
        (rect.height, rect.width, 3) uint8, the photo's part that lies here.
    rect
        Where it lies.
    """

    place: Place
    pixels: NDArray[np.uint8] = field(repr=False)
    made: Mask = field(repr=False)
    original: NDArray[np.uint8] = field(repr=False)
    rect: Rect

    def whole_cells(self, side: int) -> Mask:
        """Return which cells lie whole in pixels that are the photo's own."""
        height, width = self.made.shape
        rows, columns = -(-height // side), -(-width // side)
        changed = np.pad(self.made, ((0, rows * side - height), (0, columns * side - width)), constant_values=True)
        kept: Mask = np.logical_not(changed.reshape(rows, side, columns, side).any(axis=(1, 3)))
        return kept


def find_area(work: Work) -> Area | None:
    """Return the area around all that was made, as far as the photo tells anything of it; None where nothing was."""
    canvas, kept = work.canvas, work.canvas.kept
    made = np.ones((canvas.height, canvas.width), np.bool_)
    made[work.inside] = False if work.opacity is None else work.opacity < 255
    far = math.ceil(FAR * math.hypot(canvas.width, canvas.height))
    rows, columns = (_around(np.asarray(made.any(axis=axis)), far) for axis in (1, 0))
    if rows is None or columns is None:
        return None
    top, bottom = max(rows.start, kept.y), min(rows.stop, kept.y + kept.height)
    left, right = max(columns.start, kept.x), min(columns.stop, kept.x + kept.width)
    return Area(
        place=(rows, columns),
        pixels=writeable(work.pixels[rows, columns]),
        made=np.ascontiguousarray(made[rows, columns]),
        original=writeable(work.original[top - kept.y : bottom - kept.y, left - kept.x : right - kept.x]),
        rect=Rect(x=left - columns.start, y=top - rows.start, width=right - left, height=bottom - top),
    )


def _around(made: NDArray[np.bool_], far: int) -> slice | None:
    """Return the stretch of a line with all that was made and ``far`` pixels more on both sides."""
    places = np.flatnonzero(made)
    if not len(places):
        return None
    return slice(max(int(places[0]) - far, 0), min(int(places[-1]) + 1 + far, len(made)))

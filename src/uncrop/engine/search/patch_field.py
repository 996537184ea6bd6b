"""What the search knows about every patch of the canvas at one level, and which patches take part."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.patch import PADDING, RADIUS
from uncrop.kernels import inlined

COLOUR_SLACK = np.array([8, 3, 3, 0], np.int32)  # how far the colour of a copy may be shifted, in levels
SHIFT_STEPS = 8  # colour shifts are kept in eighths of a level


class Field(NamedTuple):
    """The state of one level: the picture so far and every patch's source, cost and colour shift.

    Attributes
    ----------
    flat
        (H * W * 4 + padding) uint8, the picture's channels, row by row.
    labels
        (H, W, 2) int32, row and column of the source of the patch centred here; -1 where there is none.
    costs
        (H, W) int32, its squared difference with the prior's penalty.
    shifts
        (H, W, 3) int8, what is added to its L, a and b when it is copied, in eighths of a level.
    box
        (4) int64: top, bottom, left and right of the photo on the canvas.
    """

    flat: Any
    labels: Any
    costs: Any
    shifts: Any
    box: Any

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The view (H, W, 4) of the picture."""
        view: NDArray[np.uint8] = self.flat[:-PADDING].reshape(*self.costs.shape, 4)
        return view


def make_field(frame: Frame, photo: Any) -> Field:
    """Return the state before any search.

    The photo (rows, cols, 4) is in place as far as the frame shows it, the rest is black, and nothing has a source.
    """
    field = Field(
        flat=np.zeros(frame.height * frame.width * 4 + PADDING, np.uint8),
        labels=np.full((frame.height, frame.width, 2), -1, np.int32),
        costs=np.zeros((frame.height, frame.width), np.int32),
        shifts=np.zeros((frame.height, frame.width, 3), np.int8),
        box=frame.box,
    )
    first, last = (min(frame.height, max(0, row)) for row in (frame.top, frame.bottom))
    begin, end = (min(frame.width, max(0, col)) for col in (frame.left, frame.right))
    shown = photo[first - frame.top : last - frame.top, begin - frame.left : end - frame.left]
    field.picture[first:last, begin:end] = shown
    return field


def without_picture(field: Field) -> Field:
    """Return the field without its picture, which the next finer level does not read."""
    return field._replace(flat=np.empty(0, np.uint8))


def target_mask(frame: Frame) -> NDArray[np.bool_]:
    """Return (H, W): the centres of patches that lie on the canvas and reach beyond the photo."""
    mask = np.zeros((frame.height, frame.width), np.bool_)
    mask[RADIUS : frame.height - RADIUS, RADIUS : frame.width - RADIUS] = True
    inner_rows = slice(max(0, frame.top + RADIUS), max(0, frame.bottom - RADIUS))
    inner_cols = slice(max(0, frame.left + RADIUS), max(0, frame.right - RADIUS))
    mask[inner_rows, inner_cols] = False
    return mask


@inlined
def is_target(y: int, x: int, height: int, width: int, box: Any) -> bool:
    """Tell whether the patch centred at (y, x) lies on the canvas and reaches beyond the photo."""
    if y < RADIUS or y >= height - RADIUS or x < RADIUS or x >= width - RADIUS:
        return False
    inside = box[0] + RADIUS <= y < box[1] - RADIUS and box[2] + RADIUS <= x < box[3] - RADIUS
    return bool(not inside)


@inlined
def is_made(y: int, x: int, box: Any) -> Any:
    """Tell whether the pixel (y, x) lies outside the photo."""
    return y < box[0] or y >= box[1] or x < box[2] or x >= box[3]

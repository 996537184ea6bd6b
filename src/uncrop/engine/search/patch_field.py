"""The patch field: what the search knows about every patch of the canvas at one level.

It is PatchMatch's nearest-neighbour field, with the picture that it makes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.patch import PADDING, RADIUS
from uncrop.kernels import inlined

MAX_SHIFT = np.array([8, 3, 3, 0], np.int32)  # levels by which a copy's L, a, b and texture may be shifted
SHIFT_STEPS = 8  # colour shifts are kept in eighths of a level


class PatchField(NamedTuple):
    """The state of one level, H x W pixels: the picture, and every patch's source, cost and colour shift.

    Attributes
    ----------
    flat
        (H * W * 4 + padding) uint8: the picture's feature channels, row by row.
    sources
        (H, W, 2) int32: row and column of the source of the patch centred here; -1 where there is none.
    costs
        (H, W) int32: its squared difference plus the prior's penalty.
    shifts
        (H, W, 3) int8: what is added to its L, a and b when it is copied, in eighths of a level.
    box
        (4) int64: top, bottom, left and right of the photo on the canvas.
    """

    flat: Any
    sources: Any
    costs: Any
    shifts: Any
    box: Any

    @property
    def picture(self) -> NDArray[np.uint8]:
        """The view (H, W, 4) of the picture."""
        view: NDArray[np.uint8] = self.flat[:-PADDING].reshape(*self.costs.shape, 4)
        return view


def make_field(canvas: CanvasGeometry, photo: Any) -> PatchField:
    """Return the state before any search: no patch has a source.

    Where the canvas shows the photo (rows, cols, 4), the picture does too; the rest of it is black.
    """
    field = PatchField(
        flat=np.zeros(canvas.height * canvas.width * 4 + PADDING, np.uint8),
        sources=np.full((canvas.height, canvas.width, 2), -1, np.int32),
        costs=np.zeros((canvas.height, canvas.width), np.int32),
        shifts=np.zeros((canvas.height, canvas.width, 3), np.int8),
        box=canvas.box,
    )
    first, last = (min(canvas.height, max(0, row)) for row in (canvas.top, canvas.bottom))
    begin, end = (min(canvas.width, max(0, col)) for col in (canvas.left, canvas.right))
    shown = photo[first - canvas.top : last - canvas.top, begin - canvas.left : end - canvas.left]
    field.picture[first:last, begin:end] = shown
    return field


def without_picture(field: PatchField) -> PatchField:
    """Return the field without its picture, which the next finer level does not read."""
    return field._replace(flat=np.empty(0, np.uint8))


def target_mask(canvas: CanvasGeometry) -> NDArray[np.bool_]:
    """Return (H, W): True at the centres of target patches, which lie on the canvas and reach beyond the photo."""
    mask = np.zeros((canvas.height, canvas.width), np.bool_)
    mask[RADIUS : canvas.height - RADIUS, RADIUS : canvas.width - RADIUS] = True
    inner_rows = slice(max(0, canvas.top + RADIUS), max(0, canvas.bottom - RADIUS))
    inner_cols = slice(max(0, canvas.left + RADIUS), max(0, canvas.right - RADIUS))
    mask[inner_rows, inner_cols] = False
    return mask


@inlined
def is_target(y: int, x: int, height: int, width: int, box: Any) -> bool:
    """Tell whether the patch centred at (y, x) is a target: it lies on the canvas and reaches beyond the photo."""
    if y < RADIUS or y >= height - RADIUS or x < RADIUS or x >= width - RADIUS:
        return False
    inside = box[0] + RADIUS <= y < box[1] - RADIUS and box[2] + RADIUS <= x < box[3] - RADIUS
    return bool(not inside)


@inlined
def is_made(y: int, x: int, box: Any) -> Any:
    """Tell whether the pixel (y, x) lies outside the photo."""
    return y < box[0] or y >= box[1] or x < box[2] or x >= box[3]

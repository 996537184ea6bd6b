"""Photo and mask at a frame's own size, for models that work on cells of pixels and scale nothing that they are sent.

A latent diffusion model knows one value for each cell of 8 x 8 pixels, so that a cell is made, or it is not: where the
edge of a mask runs through one, the mask is rounded, and what lies under its other half stays as it was sent. So the
mask is enlarged to whole cells here. What is made of the photo beyond the mask is replaced by the photo afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.placement.frames import draw_photo, visible_part

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import Frame, Mask, Task


def draw_scaled(task: Task, frame: Frame) -> NDArray[np.uint8]:
    """Draw the photo in the frame, with its own colours drawn out under all that is empty.

    Returns
    -------
    NDArray
        (frame.height, frame.width, 3) ``uint8``, also where the photo fills the frame.
    """
    return arrays.to_8bit(codec.resize(draw_photo(task, frame, visible_part(task)), frame.width, frame.height))


def draw_cells(task: Task, frame: Frame, cell: int) -> Mask:
    """Return the mask in the frame, (frame.height, frame.width): each cell that holds a pixel to be made is whole.

    Parameters
    ----------
    task, frame
        Of which the mask is.
    cell
        Edge of a cell in pixels; the frame's edges are multiples of it.
    """
    photo, source = frame.photo, task.job.placement.source
    rows = _Spans.of(frame.height // cell, cell, (photo.y, photo.height), (source.y, source.height))
    columns = _Spans.of(frame.width // cell, cell, (photo.x, photo.width), (source.x, source.width))
    cells = rows.beyond[:, None] | columns.beyond
    if task.mask is not None:
        cells |= columns.any_of(rows.any_of(task.mask, axis=0), axis=1)
    return cells.repeat(cell, axis=0).repeat(cell, axis=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Spans:
    """Cells along one axis, and what lies under each of them.

    Attributes
    ----------
    beyond
        Whether a cell lies beyond the photo, or partly so.
    first, end
        The photo's own rows or columns under a cell; what they are where there are none does not matter.
    """

    beyond: NDArray[np.bool_]
    first: NDArray[np.intp]
    end: NDArray[np.intp]

    @classmethod
    def of(cls, count: int, cell: int, drawn: tuple[int, int], source: tuple[int, int]) -> _Spans:
        """Return the spans of ``count`` cells; ``drawn`` and ``source`` are start and extent, in frame and photo."""
        start, extent = drawn
        low = np.arange(count) * cell - start
        high = low + cell
        inside_low, inside_high = low.clip(0, extent - 1), high.clip(1, extent)
        return cls(
            beyond=(low < 0) | (high > extent),
            first=source[0] + inside_low * source[1] // extent,
            end=source[0] - (-inside_high * source[1] // extent),
        )

    def any_of(self, mask: Mask, *, axis: int) -> Mask:
        """Tell of each span whether anything in it is ``True``."""
        # Of pairs of a start and an end; what comes of an end and the next start is left out.
        bounds = np.stack([self.first, self.end], axis=1).ravel()
        padded = np.concatenate([mask, np.zeros_like(mask.take([0], axis=axis))], axis=axis)
        found: Mask = np.logical_or.reduceat(padded, bounds, axis=axis)
        return found[::2] if axis == 0 else found[:, ::2]

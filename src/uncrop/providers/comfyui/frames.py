"""The one file that shows it what is there and what is to be made."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.placement.frames import draw_mask, draw_photo, visible_part

if TYPE_CHECKING:
    from uncrop.model import Frame, Mask, Task


def draw_frame(task: Task, frame: Frame) -> bytes:
    """Draw photo and mask as one PNG, transparent where pixels are to be made, as ``LoadImage`` reads it.

    Under what is to be made lie the photo's own colours, drawn out. The local engine's picture would be wasted there:
    the nodes that prepare inpainting lay grey over it, and the noise starts at its full strength. The colours are for
    the soft edges that some graphs give their masks.
    """
    pixels = draw_photo(task, frame, visible_part(task))
    if pixels.shape[:2] != (frame.height, frame.width):
        pixels = arrays.to_8bit(codec.resize(pixels, frame.width, frame.height))
    mask = _fitted(draw_mask(task, frame), frame)
    alpha = np.where(mask, np.uint8(0), np.uint8(255))
    return codec.encode(np.dstack((pixels, alpha)), "PNG")


def _fitted(mask: Mask, frame: Frame) -> Mask:
    """Bring a mask of the photo's own extent to the frame's; between the lines the nearest one counts."""
    height, width = mask.shape
    rows = np.arange(frame.height) * height // frame.height
    columns = np.arange(frame.width) * width // frame.width
    fitted: Mask = mask[np.ix_(rows, columns)]
    return fitted

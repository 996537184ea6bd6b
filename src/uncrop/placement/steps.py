"""The picture between the calls of a plan: the canvas as it grows, and what each call is shown of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.placement.frames import box_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import CallPlan, Pixels, Placement, Rect, Task


def begin_canvas(task: Task) -> NDArray[np.uint8]:
    """Draw the used part of the photo at its place on an empty canvas.

    Returns
    -------
    NDArray
        (canvas.height, canvas.width, 3) ``uint8``; what is to be made is black.
    """
    placement = task.job.placement
    canvas = np.zeros((placement.height, placement.width, 3), np.uint8)
    canvas[_index(placement.kept)] = arrays.to_rgb8(task.photo[_index(placement.source)])
    return canvas


def part_of_photo(task: Task, part: Rect) -> Pixels:
    """Return a part of the canvas that lies in the photo, with all channels that the photo has."""
    source, kept = task.job.placement.source, task.job.placement.kept
    top, left = source.y + part.y - kept.y, source.x + part.x - kept.x
    return task.photo[top : top + part.height, left : left + part.width]


def part_of_canvas(canvas: NDArray[np.uint8], part: Rect) -> NDArray[np.uint8]:
    """Return a part of the canvas as it is by now."""
    return canvas[_index(part)]


def scale_part(part: Pixels, call: CallPlan) -> Pixels:
    """Bring a part to the scale of its call; where that is the canvas's, it is returned as it is."""
    photo, shown = call.frame.photo, call.shown
    if not call.is_scaled:
        return part
    return codec.resize(part, photo.width, photo.height, box=box_of(shown, call.frame))


def put_window(canvas: NDArray[np.uint8], window: Rect, pixels: Pixels) -> None:
    """Write what a call made of its window, (window.height, window.width, 3) ``uint8``, to the canvas."""
    canvas[_index(window)] = pixels


def is_whole(window: Rect, placement: Placement) -> bool:
    """Tell whether a window is the whole canvas."""
    return (window.width, window.height) == (placement.width, placement.height)


def _index(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)

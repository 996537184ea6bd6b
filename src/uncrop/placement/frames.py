"""Photo and mask in the shape of the picture that a model makes, never distorted; and its answer cut to the canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.placement.underpaint import fill_in_place, underpaint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import Frame, Mask, Pixels, Placement, Rect, Task


def fills(frame: Frame) -> bool:
    """Tell whether the photo fills the frame, so that nothing is padded."""
    return (frame.photo.width, frame.photo.height) == (frame.width, frame.height)


def visible_part(task: Task) -> Mask | None:
    """Return which pixels of the photo are not fully transparent, (height, width); ``None`` where all are."""
    _, alpha = arrays.split_alpha(task.photo)
    if alpha is None or alpha.all():
        return None
    visible: Mask = alpha > 0
    return visible


def kept_opacity(task: Task) -> NDArray[np.uint8] | None:
    """Return how much stays of each pixel of the part of the photo that is used, 0 to 255; ``None`` where all does.

    0 where the mask asks for new pixels and where the photo is transparent.
    """
    part = _index(task.job.placement.source)
    alpha = arrays.alpha8(task.photo[part])
    if task.mask is None:
        return None if alpha is None or bool((alpha == 255).all()) else alpha
    # 1 less than a byte of 0 is 255: True, which is to be made, becomes 0, and False 255.
    keep = np.subtract(task.mask[part].view(np.uint8), np.uint8(1))
    return keep if alpha is None else np.minimum(keep, alpha)


def draw_photo(task: Task, frame: Frame, visible: Mask | None) -> NDArray[np.uint8]:
    """Draw the photo at its place in the frame and continue its colours under all that is empty.

    Parameters
    ----------
    task
        Whose photo.
    frame
        Where it goes; where it fills the frame it keeps its own size.
    visible
        As ``visible_part`` returns it.

    Returns
    -------
    NDArray
        (frame.height, frame.width, 3) ``uint8``, or the photo's own extent where it fills the frame.
    """
    placement = task.job.placement
    if visible is None and task.scaled is not None and frame.photo == placement.kept:
        # The finish needs the same pixels, so that the photo is scaled once.
        return _drawn(task.scaled, frame)
    pixels = arrays.to_rgb8(task.photo)
    if visible is not None:
        pixels = underpaint(pixels, visible)
    if fills(frame):
        return pixels
    used = pixels[_index(placement.source)]
    return _drawn(codec.resize(used, frame.photo.width, frame.photo.height, box=box_of(placement, frame)), frame)


def _drawn(photo: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Draw a photo of the frame's scale at its place and continue its colours around it."""
    drawn = np.zeros((frame.height, frame.width, 3), np.uint8)
    known = np.zeros((frame.height, frame.width), np.bool_)
    place = _index(frame.photo)
    drawn[place] = photo
    known[place] = True
    return fill_in_place(drawn, known)


def draw_mask(task: Task, frame: Frame) -> Mask:
    """Return the mask in the frame's shape: what the task asks for, and all around the photo.

    Returns
    -------
    Mask
        Of the photo's extent where it fills the frame, else (frame.height, frame.width).
    """
    height, width = task.photo.shape[:2]
    mask = np.zeros((height, width), np.bool_) if task.mask is None else task.mask
    if fills(frame):
        return mask
    photo, source = frame.photo, task.job.placement.source
    rows = source.y + np.arange(photo.height) * source.height // photo.height
    columns = source.x + np.arange(photo.width) * source.width // photo.width
    framed = np.ones((frame.height, frame.width), np.bool_)
    framed[_index(photo)] = mask[np.ix_(rows, columns)]
    return framed


def box_of(placement: Placement, frame: Frame) -> tuple[float, float, float, float] | None:
    """Return which part of the used photo, (left, top, right, bottom) in its pixels, lies under ``frame.photo``.

    ``frame.photo`` is whole pixels inside the photo's exact place. Taking the part that lies under them keeps the photo
    exactly where it belongs, so that what is made meets it when both are back at the canvas's scale. ``None``: all of
    it.
    """
    kept, source, canvas, photo = placement.kept, placement.source, frame.canvas, frame.photo
    left, right = _span(photo.x - canvas.x, photo.width, placement.width, canvas.width, kept.x)
    top, bottom = _span(photo.y - canvas.y, photo.height, placement.height, canvas.height, kept.y)
    across, down = source.width / kept.width, source.height / kept.height
    box = (
        max(left * across, 0.0),
        max(top * down, 0.0),
        min(right * across, float(source.width)),
        min(bottom * down, float(source.height)),
    )
    return None if box == (0.0, 0.0, float(source.width), float(source.height)) else box


def _span(start: int, extent: int, whole: int, scaled: int, origin: int) -> tuple[float, float]:
    """Take ``start..start + extent`` of a scaled canvas back to pixels from ``origin`` on the whole one."""
    return (start * whole - origin * scaled) / scaled, ((start + extent) * whole - origin * scaled) / scaled


def cut_canvas(pixels: Pixels, frame: Frame) -> Pixels:
    """Cut a frame that came back, at whatever size, to the canvas."""
    height, width = pixels.shape[:2]
    canvas = frame.canvas
    if (canvas.width, canvas.height) == (frame.width, frame.height):
        return pixels
    top, bottom = _part(canvas.y, canvas.height, frame.height, height)
    left, right = _part(canvas.x, canvas.width, frame.width, width)
    return pixels[top:bottom, left:right]


def _part(start: int, extent: int, whole: int, actual: int) -> tuple[int, int]:
    first = min(round(start * actual / whole), actual - 1)
    return first, max(first + 1, round((start + extent) * actual / whole))


def _index(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)

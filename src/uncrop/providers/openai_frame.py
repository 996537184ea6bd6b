"""What OpenAI is sent: photo and mask in the shape of the picture that the model makes, never distorted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.model import Metadata
from uncrop.providers.picture import photo_part, picture_part
from uncrop.providers.underpaint import underpaint

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import Canvas, ImageFormat, Mask, Task
    from uncrop.providers.base import Part

FORMATS: frozenset[ImageFormat] = frozenset({"JPEG", "PNG", "WEBP"})


def framed_photo(task: Task, frame: Canvas, max_bytes: int) -> Part:
    """Make the form field ``image``.

    The stripped file goes as it is where it has the frame's shape and no transparent pixel. Otherwise the photo is
    drawn into the frame, with its own colours drawn out under all that is empty.
    """
    visible = _visible(task)
    whole = is_whole(frame)
    if whole and visible is None:
        return photo_part("image", task, FORMATS, max_bytes)
    if visible is None and frame == task.job.canvas and task.scaled is not None:
        pixels = _draw(task.scaled, frame)
    else:
        pixels = arrays.to_rgb8(task.photo)
        if visible is not None:
            pixels = underpaint(pixels, visible)
        if not whole:
            pixels = _draw(codec.resize(pixels, frame.kept.width, frame.kept.height), frame)
    data = codec.encode(pixels, "PNG", metadata=Metadata(icc=task.job.header.metadata.icc))
    if len(data) <= max_bytes:
        return picture_part("image", data, "PNG")
    return picture_part("image", codec.encode(pixels, "JPEG", jpeg=task.job.header.jpeg), "JPEG")


def framed_mask(task: Task, frame: Canvas) -> Mask:
    """Return the mask in the frame's shape: what the task asks for, and all of the padding.

    Returns
    -------
    Mask
        Of the photo's extent where nothing is padded, else (frame.height, frame.width).
    """
    height, width = task.photo.shape[:2]
    mask = np.zeros((height, width), np.bool_) if task.mask is None else task.mask
    if is_whole(frame):
        return mask
    rows = np.arange(frame.kept.height) * height // frame.kept.height
    columns = np.arange(frame.kept.width) * width // frame.kept.width
    framed = np.ones((frame.height, frame.width), np.bool_)
    framed[_inside(frame)] = mask[np.ix_(rows, columns)]
    return framed


def is_whole(frame: Canvas) -> bool:
    """Tell whether the photo fills the frame, so that nothing is padded."""
    return (frame.kept.width, frame.kept.height) == (frame.width, frame.height)


def _visible(task: Task) -> Mask | None:
    """Return which pixels of the photo are not fully transparent; ``None`` where all are."""
    _, alpha = arrays.split_alpha(task.photo)
    if alpha is None or alpha.all():
        return None
    visible: Mask = alpha > 0
    return visible


def _draw(pixels: NDArray[np.uint8], frame: Canvas) -> NDArray[np.uint8]:
    """Draw the scaled photo at its place in the frame and continue its colours around it."""
    drawn = np.zeros((frame.height, frame.width, 3), np.uint8)
    known = np.zeros((frame.height, frame.width), np.bool_)
    drawn[_inside(frame)] = pixels
    known[_inside(frame)] = True
    return underpaint(drawn, known)


def _inside(frame: Canvas) -> tuple[slice, slice]:
    kept = frame.kept
    return slice(kept.y, kept.y + kept.height), slice(kept.x, kept.x + kept.width)

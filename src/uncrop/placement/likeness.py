"""Whether an answer shows the photo that was sent, or another picture.

A connection that is out of step, or a server that mixes up its callers, answers with a picture that belongs to somebody
else. Providers repaint the photo along with what they make, so that an answer that belongs shows it: blurred, toned,
noisy, enlarged or shifted a little, but the same light and dark. ``docs/decisions/0011-answers-that-belong.md`` has
what was measured.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import ProviderInvalidResponse
from uncrop.imaging import arrays
from uncrop.placement.alignment import Alignment, alike, search
from uncrop.placement.frames import kept_opacity
from uncrop.placement.thumbnails import Thumbnails, has_pattern, means, whole_cells

if TYPE_CHECKING:
    from uncrop.model import Fill, Task
    from uncrop.placement.thumbnails import Edges

CELLS = 64  # along the photo's longer side
COARSE = 24  # cells; with fewer along the longer side, any two pictures may be alike
FEWEST = 48  # known cells that prove something
STRAYED = 0.1  # of the photo's longer side, by which a repaint may lie off
PATTERN = 3.0  # grey levels; a photo whose light and dark deviate by less is as good as flat
ALIKE = 0.45  # correlation, from which on an answer shows the photo


def check_belongs(task: Task, fill: Fill) -> None:
    """Refuse a provider's pixels that show another picture than the one that was sent.

    Photos of which too little stays, or which have no pattern, prove nothing, and their answers are let through.

    Raises
    ------
    ProviderInvalidResponse
    """
    if fill.keeps_original:
        return
    pictures = compare(task, fill)
    if pictures is not None and proves(pictures) and not shows_photo(pictures):
        raise ProviderInvalidResponse(system_message="The provider's picture does not show the photo that was sent")


def compare(task: Task, fill: Fill) -> Thumbnails | None:
    """Take the photo, and the same part of what was made, in as many cells; None where there are not two each way."""
    placement = task.job.placement
    source, kept = placement.source, placement.kept
    height, width = fill.pixels.shape[:2]
    top, bottom = (edge * height / placement.height for edge in (kept.y, kept.y + kept.height))
    left, right = (edge * width / placement.width for edge in (kept.x, kept.x + kept.width))
    side = -(-max(source.width, source.height) // CELLS)
    rows, columns = min(source.height // side, int(bottom - top)), min(source.width // side, int(right - left))
    if min(rows, columns) < 2:
        return None
    photo = task.photo[source.y : source.y + source.height, source.x : source.x + source.width]
    theirs = (_edges(0, source.height, rows), _edges(0, source.width, columns))
    opacity = kept_opacity(task)
    return Thumbnails(
        original=means(arrays.to_rgb8(photo), *theirs),
        known=np.ones((rows, columns), np.float32) if opacity is None else whole_cells(opacity, *theirs),
        made=means(arrays.to_rgb8(fill.pixels), _edges(top, bottom, rows), _edges(left, right, columns)),
        top=0,
        left=0,
    )


def proves(pictures: Thumbnails) -> bool:
    """Tell whether the photo has enough of a pattern that a picture without it must be another one."""
    return has_pattern(pictures, fewest=FEWEST, deviation=PATTERN)


def shows_photo(pictures: Thumbnails) -> bool:
    """Tell whether the photo's pattern is found in what was made: in place, or else a little off."""
    level = pictures
    while True:
        if alike(level, Alignment()) >= ALIKE:
            return True
        is_coarse = max(level.original.shape) < 2 * COARSE or float(level.known.sum()) < 4 * FEWEST
        if is_coarse or not level.can_be_halved:
            break
        level = level.halved()
    found = search(level)
    rows, columns = level.original.shape
    near = found.farthest(columns, rows) <= STRAYED * max(rows, columns) + 1
    return near and alike(level, found) >= ALIKE


def _edges(start: float, end: float, cells: int) -> Edges:
    """Return where so many cells begin and end between two places, in whole pixels."""
    return np.rint(np.linspace(start, end, cells + 1)).astype(np.int32)

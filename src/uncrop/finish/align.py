"""What a provider repainted shifted or at another scale, brought back to where the photo is."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging.resample import resample_at
from uncrop.placement.alignment import find_alignment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.work import Work
    from uncrop.placement.alignment import Axis

# So many times as wide as what is missing at the canvas's edge is the zone that is stretched to fill it.
ZONE = 3.0


def align(work: Work) -> Work:
    """Resample what was made, where its repaint of the photo does not lie on the photo.

    A picture that came back larger, or shifted, lacks some pixels at the canvas's edges; what lies next to them is
    stretched to there.
    """
    canvas, kept = work.canvas, work.canvas.kept
    found = find_alignment(work.original, work.opacity, work.pixels, kept)
    if found is None:
        return work
    columns = _places(found.across, canvas.width, kept.x, kept.x + kept.width)
    rows = _places(found.down, canvas.height, kept.y, kept.y + kept.height)
    return replace(work, pixels=resample_at(work.pixels, columns, rows))


def _places(axis: Axis, size: int, start: int, end: int) -> NDArray[np.float64]:
    """Return where, along an axis of ``size`` pixels, that is taken from which belongs at each pixel's centre.

    The photo lies from ``start`` to ``end``, and what is stretched lies outside it, where there is room.
    """
    centres = np.arange(size) + 0.5
    places = axis.all_at(centres - start) + start
    missing = axis.at(size - start) + start - size
    if missing > 0:
        zone = max(size - end, ZONE * missing)
        places -= missing * np.clip((centres - (size - zone)) / zone, 0, None) ** 2
    missing = -(axis.at(-start) + start)
    if missing > 0:
        zone = max(start, ZONE * missing)
        places += missing * np.clip((zone - centres) / zone, 0, None) ** 2
    return places

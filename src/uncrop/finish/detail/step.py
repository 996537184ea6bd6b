"""The step of the finishing line that draws detail into what was enlarged, where it can."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.finish.detail.area import find_area
from uncrop.model import ENLARGED, Detail

if TYPE_CHECKING:
    from uncrop.finish.work import Work


def redraw(work: Work) -> Work:
    """Draw the photo's detail into what was made, where that was enlarged; ``work.detail`` tells what was done."""
    from uncrop.finish.detail.redraw import redraw_area

    if work.factor < ENLARGED:
        return work
    if not work.wants_detail:
        return replace(work, detail=Detail(state="off", factor=work.factor))
    area = find_area(work)
    reason = "nothing to learn from" if area is None else redraw_area(area, work.factor, work.seed, work.pace)
    if area is None or reason:
        return replace(work, detail=Detail(state="skipped", factor=work.factor, reason=reason))
    work.pixels[area.place] = area.pixels
    return replace(work, detail=Detail(state="redrawn", factor=work.factor))

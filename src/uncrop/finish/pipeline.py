"""The finishing line: the provider's pixels in, the finished picture out.

Providers repaint the whole frame (``docs/explanation.md``), so whatever they send, the original is put back pixel by
pixel; the steps before that bend what was *made* towards it, so that the border cannot be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from uncrop.finish.align import align
from uncrop.finish.colour import BLOCK, match_colour
from uncrop.finish.detail.step import redraw
from uncrop.finish.fit import fit
from uncrop.finish.paste import paste_original
from uncrop.finish.seam import blend_seam
from uncrop.finish.space import read_as_srgb
from uncrop.finish.work import Work, begin
from uncrop.model import Picture, Placement, Rect

if TYPE_CHECKING:
    from uncrop.finish.detail.progress import Pace
    from uncrop.model import Fill, Task

Step: TypeAlias = Callable[[Work], Work]
STEPS: tuple[Step, ...] = (fit, read_as_srgb, align, match_colour, blend_seam, redraw, paste_original)


def finish(task: Task, fill: Fill, pace: Pace | None = None) -> Picture:
    """Run every step over a provider's fill; one that kept the original is left as it is.

    Parameters
    ----------
    pace
        By when detail must be drawn, and with how many threads; at leisure, with one, when absent.
    """
    if fill.keeps_original:
        return Picture(pixels=fill.pixels, repaint_difference=fill.repaint_difference, detail=fill.detail)
    work = begin(task, fill, pace)
    for step in STEPS:
        work = step(work)
    return Picture(
        pixels=work.pixels,
        warnings=work.warnings,
        repaint_difference=work.repaint_difference,
        detail=work.detail,
    )


def warm_up() -> None:
    """Compile the steps' kernels ahead of the first picture, which otherwise waits some seconds for them."""
    pixels = np.zeros((2 * BLOCK, BLOCK, 3), np.uint8)
    part = Rect(x=0, y=0, width=BLOCK, height=BLOCK)
    canvas = Placement(width=BLOCK, height=2 * BLOCK, source=part, kept=part)
    opacity = np.full((BLOCK, BLOCK), 255, np.uint8)
    opacity[-1] = 254
    for stays in (opacity, None):  # with a mask, and without
        work = Work(canvas=canvas, original=pixels[:BLOCK] + 9, opacity=stays, pixels=pixels.copy(), exact_size=True)
        for step in STEPS:
            work = step(work)
    noise = (np.arange(96 * 60 * 3, dtype=np.uint32).reshape(96, 60, 3) * 2654435761 >> 24).astype(np.uint8)
    part = Rect(x=0, y=0, width=60, height=80)
    canvas = Placement(width=60, height=96, source=part, kept=part)
    redraw(Work(canvas=canvas, original=noise[:80], opacity=None, pixels=noise // 2, exact_size=True, factor=2.0))

"""The finishing line: the provider's pixels in, the finished picture out.

Providers repaint the whole frame (``docs/explanation.md``), so whatever they send, the original is put back pixel by
pixel; the steps before that bend what was *made* towards it, so that the border cannot be seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

from uncrop.finish.colour import match_colour
from uncrop.finish.fit import fit
from uncrop.finish.paste import paste_original
from uncrop.finish.seam import blend_seam
from uncrop.finish.work import Work, begin
from uncrop.model import Picture

if TYPE_CHECKING:
    from uncrop.model import Fill, Task

Step: TypeAlias = Callable[[Work], Work]
STEPS: tuple[Step, ...] = (fit, match_colour, blend_seam, paste_original)


def finish(task: Task, fill: Fill) -> Picture:
    """Run every step over a provider's fill; one that kept the original is left as it is."""
    if fill.keeps_original:
        return Picture(pixels=fill.pixels)
    work = begin(task, fill)
    for step in STEPS:
        work = step(work)
    return Picture(pixels=work.pixels, warnings=work.warnings, drift=work.drift)

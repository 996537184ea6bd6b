"""The provider's picture at the canvas's size, and how far it strayed from the original."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from uncrop.finish.work import writeable
from uncrop.imaging import codec

if TYPE_CHECKING:
    from uncrop.finish.work import Work

# Every 8th pixel of every 8th row tells the mean of millions to a fraction of a grey level.
STRIDE = 8
# Enlarged by more than this, what was made looks soft beside the photo.
NOTICEABLE = 1.5


def fit(work: Work) -> Work:
    """Resize what the provider sent to the canvas, and measure by how much it had repainted what should have stayed."""
    canvas, pixels, warnings, factor = work.canvas, work.pixels, work.warnings, 1.0
    height, width = pixels.shape[:2]
    if (height, width) != (canvas.height, canvas.width):
        if work.exact_size:
            warnings += (f"the provider sent {width}x{height}; resized to {canvas.width}x{canvas.height}",)
        factor = max(canvas.width / width, canvas.height / height)
        if factor > NOTICEABLE:
            warnings += (f"what was made was enlarged {factor:.1f} times to the canvas",)
        pixels = codec.resize(pixels, canvas.width, canvas.height)
    work = replace(work, pixels=writeable(pixels), warnings=warnings, factor=factor)
    return replace(work, repaint_difference=repaint_difference(work))


def repaint_difference(work: Work) -> float | None:
    """Return by how much what was made differs from the original inside it, in grey levels; ``None`` for none of it."""
    sample = (slice(None, None, STRIDE), slice(None, None, STRIDE))
    made = work.pixels[work.inside][sample].astype(np.int16)
    difference = np.abs(made - work.original[sample]).mean(axis=-1)
    if work.opacity is not None:
        difference = difference[work.opacity[sample] == 255]
    return float(difference.mean()) if difference.size else None

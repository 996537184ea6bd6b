"""A double of the local engine: exact in size, honest about the original, and done at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.engine import Extension
from uncrop.model import Sides

if TYPE_CHECKING:
    from uncrop.model import Pixels, Progress, Quality

CONFIDENCE = 0.5


class EdgeEngine:
    """An ``EngineRunner`` that continues the photo's border outward and shifts it a little, by the seed.

    Attributes
    ----------
    calls
        The (seed, quality) of every call.
    variations
        How many of the calls were for one picture of several.
    """

    def __init__(self) -> None:
        self.calls: list[tuple[int, Quality]] = []
        self.variations = 0

    async def extend(
        self,
        photo: Pixels,
        sides: Sides,
        *,
        seed: int,
        quality: Quality,
        confidence_map: bool = False,
        is_variation: bool = False,
        progress: Progress | None = None,
    ) -> Extension:
        """Extend one photo; the advice is half of what was asked."""
        self.calls.append((seed, quality))
        self.variations += is_variation
        if progress is not None:
            progress(0.0, "edge")
        height, width = photo.shape[:2]
        top, left = max(0, -sides.up), max(0, -sides.left)
        source = photo[top : height - max(0, -sides.down), left : width - max(0, -sides.right)]
        margins = ((max(0, sides.up), max(0, sides.down)), (max(0, sides.left), max(0, sides.right)), (0, 0))
        pixels = np.pad(source, margins, mode="edge") ^ np.array(seed % 4, photo.dtype)
        inside = (
            slice(margins[0][0], margins[0][0] + source.shape[0]),
            slice(margins[1][0], margins[1][0] + source.shape[1]),
        )
        pixels[inside] = source
        trust = np.full(pixels.shape[:2], round(255 * CONFIDENCE), np.uint8)
        trust[inside] = 255
        advice = Sides(
            left=margins[1][0] // 2, right=margins[1][1] // 2, up=margins[0][0] // 2, down=margins[0][1] // 2
        )
        if progress is not None:
            progress(1.0, "done")
        return Extension(
            pixels=pixels, confidence=CONFIDENCE, confidence_map=trust if confidence_map else None, advice=advice
        )

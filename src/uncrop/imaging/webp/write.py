"""Pixels to WebP, by libwebp through Pillow."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.model import Metadata

# What is written when nothing is known about the original, and the least that is written at all.
MIN_QUALITY = 90


@dataclass(frozen=True, kw_only=True, slots=True)
class _Attempt:
    quality: int
    method: int
    lossless: bool = False


def encode(pixels: NDArray[np.uint8], metadata: Metadata, *, lossless: bool, least: int) -> bytes | None:
    """Encode (height, width, 3 or 4); ``None`` when libwebp fails by every method.

    The quickest method comes first: methods 1 and 2 take a fifth and a third longer for files that are hardly smaller.
    But a lossy file holds all that is not coefficients in a first partition of at most 512 KiB, and with the quickest
    method that is too little for about 20 megapixels of fine detail. Better methods need less, and a lossless file has
    no such limit.

    Parameters
    ----------
    pixels
        8 bits.
    metadata
        Written as it is.
    lossless
        Whether every pixel is kept exactly.
    least
        The floor for the quality of a lossy file.
    """
    exact = _Attempt(quality=0, method=0, lossless=True)
    lossy = [_Attempt(quality=max(MIN_QUALITY, least), method=method) for method in (0, 2, 4)]
    for attempt in [exact] if lossless else [*lossy, exact]:
        written = _write(pixels, metadata, attempt)
        if written is not None:
            return written
    return None


def _write(pixels: NDArray[np.uint8], metadata: Metadata, attempt: _Attempt) -> bytes | None:
    file = io.BytesIO()
    try:
        Image.fromarray(pixels).save(
            file,
            "WEBP",
            quality=attempt.quality,
            method=attempt.method,
            lossless=attempt.lossless,
            exact=True,  # colours under transparent pixels stay what they are
            icc_profile=metadata.icc or b"",
            exif=metadata.exif or b"",
            xmp=metadata.xmp or b"",
        )
    except (OSError, ValueError, MemoryError):
        return None
    return file.getvalue()

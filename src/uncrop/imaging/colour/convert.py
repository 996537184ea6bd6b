"""Pixels from one colour space into another, by LittleCMS through Pillow; no profile means sRGB.

Perceptual intent, as viewers take it; between spaces of matrix and curves it is the same as relative colorimetric.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from uncrop.imaging import arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import Pixels

LEVELS = 256
# Rows that are converted at a time, in pixels: small enough for the caches, large enough for the calls not to matter.
BAND_PIXELS = 1 << 18


def to_srgb(pixels: NDArray[np.uint8], icc: bytes) -> NDArray[np.uint8] | None:
    """Convert grey, RGB or CMYK, (height, width, 1, 3 or 4), to RGB in sRGB; ``None`` where the profile does not work.

    CMYK counts ink: 255 is full. Pillow's own profile of sRGB is the target.
    """
    return between(pixels, icc, None)


def between(pixels: NDArray[np.uint8], source: bytes | None, target: bytes | None) -> NDArray[np.uint8] | None:
    """Convert grey, RGB or CMYK to RGB of another profile; ``None`` where one of the profiles does not work.

    Parameters
    ----------
    pixels
        (height, width, 1, 3 or 4), 8 bits; without alpha.
    source, target
        Profiles; ``None`` is sRGB. The target's is for RGB.

    Returns
    -------
    ndarray
        (height, width, 3).
    """
    mode = {1: "L", 3: "RGB", 4: "CMYK"}[pixels.shape[2]]
    transform = _transform(source, target, mode)
    if transform is None:
        return None
    if mode == "L":
        # A level becomes the same colour wherever it stands.
        ramp = Image.fromarray(np.arange(LEVELS, dtype=np.uint8)[None])
        colours: NDArray[np.uint8] = np.asarray(transform.apply(ramp))[0][pixels[:, :, 0]]
        return colours
    converted = np.empty((*pixels.shape[:2], 3), np.uint8)
    band = max(1, BAND_PIXELS // max(1, pixels.shape[1]))
    for top in range(0, len(pixels), band):
        part = np.ascontiguousarray(pixels[top : top + band])
        image = Image.fromarray(part, mode) if mode == "CMYK" else Image.fromarray(part)
        converted[top : top + band] = np.asarray(transform.apply(image))
    return converted


def _transform(source: bytes | None, target: bytes | None, mode: str) -> Any:
    from PIL import ImageCms

    try:
        return ImageCms.buildTransform(_profile(source), _profile(target), mode, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None


def _profile(icc: bytes | None) -> Any:
    from PIL import ImageCms

    return ImageCms.createProfile("sRGB") if icc is None else ImageCms.ImageCmsProfile(io.BytesIO(icc))


def grey_to_rgb(pixels: Pixels, icc: bytes) -> Pixels:
    """Turn grey, (height, width, 1 or 2), into RGB in sRGB, alpha kept; without a profile that works, as it is.

    Returns
    -------
    Pixels
        (height, width, 3 or 4), 8 bits.
    """
    colours, alpha = arrays.split_alpha(arrays.to_8bit(pixels))
    converted = to_srgb(np.ascontiguousarray(colours), icc)
    if converted is None:
        converted = arrays.to_rgb8(colours)
    return converted if alpha is None else np.dstack((converted, alpha))

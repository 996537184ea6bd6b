"""Masks: PNGs whose transparent pixels say where new ones are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from uncrop.errors import ImageTooLarge, InvalidImage, InvalidMask, UnsupportedImageFormat
from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file, sniff
from uncrop.imaging.limits import MAX_MASK_BYTES
from uncrop.imaging.png import read as png_read
from uncrop.imaging.png import write as png_write
from uncrop.imaging.png.layout import PngLayout

if TYPE_CHECKING:
    from uncrop.model import Mask, OpenedFile

# The one form that all compatible servers read, whether they look at alpha or at brightness: new pixels where it is
# white and transparent, the old ones where it is black and opaque.
EDIT, KEEP = (255, 255, 255, 0), (0, 0, 0, 255)


def open_mask(data: bytes, width: int, height: int) -> OpenedFile:
    """Open a mask's file and check all rules that its header can tell.

    Parameters
    ----------
    data
        The mask's file.
    width, height
        The upright photo's.

    Raises
    ------
    InvalidMask
        Says in ``details`` which ``rule`` was broken (``bytes``, ``format``, ``alpha``, ``dimensions``), what was
        ``expected`` and what is ``actual``.
    """
    if len(data) >= MAX_MASK_BYTES:
        raise _broken("bytes", "The mask must be smaller than 4 MB", f"< {MAX_MASK_BYTES}", len(data))
    file = _open(data)
    header = file.header
    if header.channels not in (2, 4):
        raise _broken("alpha", "The mask must have an alpha channel", "an alpha channel", header.mode)
    if (header.width, header.height) != (width, height):
        raise _broken(
            "dimensions",
            "The mask must have the same width and height as the image",
            f"{width}x{height}",
            f"{header.width}x{header.height}",
        )
    return file


def decode_mask(file: OpenedFile) -> Mask:
    """Decode a mask: (height, width), ``True`` where its alpha is 0.

    Raises
    ------
    InvalidMask
        When the file is corrupt, has no alpha, or has no transparent pixel at all.
    """
    try:
        mask = _transparent(file)
    except InvalidImage as error:
        raise corrupt_mask() from error
    if mask is None:
        raise _broken("alpha", "The mask must have an alpha channel", "an alpha channel", file.header.mode)
    if not mask.any():
        raise _broken("transparent", "The mask must have at least one transparent pixel", "at least 1 pixel", 0)
    return mask


def _transparent(file: OpenedFile) -> Mask | None:
    """Tell where alpha is 0; ``None`` when there is no alpha."""
    if isinstance(file.layout, PngLayout) and file.header.orientation == 1:
        opaque = png_read.read_opacity(file.data, file.layout)
        if opaque is not None:
            return np.logical_not(opaque, out=opaque)
    alpha = arrays.split_alpha(codec.decode(file))[1]
    return None if alpha is None else alpha == 0


def encode_mask(mask: Mask) -> bytes:
    """Encode a mask in the normal form, as an RGBA PNG under 4 MB.

    Raises
    ------
    InvalidMask
        When the mask is so ragged that no PNG under 4 MB holds it.
    """
    # One lookup a pixel, of its four bytes at once.
    colours = np.array([KEEP, EDIT], np.uint8).view(np.uint32)[:, 0]
    pixels = colours[mask.view(np.uint8)].view(np.uint8).reshape(*mask.shape, 4)
    data = png_write.write(pixels)
    if len(data) >= MAX_MASK_BYTES:
        data = png_write.write(pixels, level=3)
    if len(data) >= MAX_MASK_BYTES:
        raise _broken("bytes", "The mask is too ragged to be sent", f"< {MAX_MASK_BYTES}", len(data))
    return data


def _open(data: bytes) -> OpenedFile:
    if sniff(data) != "PNG":
        raise _broken("format", "The mask must be a PNG", "PNG", sniff(data) or "unknown")
    try:
        return open_file(data)
    except InvalidImage as error:
        raise corrupt_mask() from error
    except UnsupportedImageFormat as error:
        raise _broken("format", "The mask must not be animated", "a still PNG", "animated") from error
    except ImageTooLarge as error:
        raise _broken("dimensions", "The mask has too many pixels", "the image's extent", "too large") from error


def corrupt_mask(system_message: str | None = None) -> InvalidMask:
    """Return the refusal of a mask that is not whole."""
    return _broken("format", "The mask is corrupt or incomplete", "a whole PNG", "corrupt", system_message)


def _broken(rule: str, message: str, expected: Any, actual: Any, system_message: str | None = None) -> InvalidMask:
    details = {"rule": rule, "expected": expected, "actual": actual}
    return InvalidMask(message, details=details, system_message=system_message)

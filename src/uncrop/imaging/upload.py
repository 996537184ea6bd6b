"""The bytes that go to a provider: never the caller's file, but a proven and stripped copy, or the pixels anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.imaging.jpeg import pixels as jpeg_pixels
from uncrop.imaging.jpeg.metadata import with_metadata
from uncrop.imaging.metadata.strip import can_strip, strip
from uncrop.model import Metadata

if TYPE_CHECKING:
    from uncrop.model import ImageFormat, ImageHeader, OpenedFile, Pixels

# At this quality and without subsampling, compressing once more costs next to nothing that a model could see.
MIN_QUALITY = 95
# Kinds of pixels that every provider's decoder takes. A grey JPEG is common, a grey or palette PNG is a trap: some
# image editors refuse all PNG modes but these two.
PLAIN_MODES: dict[ImageFormat, tuple[str, ...]] = {
    "JPEG": ("L", "RGB"),
    "PNG": ("RGB", "RGBA"),
    "WEBP": ("RGB", "RGBA"),
}


def upload_bytes(file: OpenedFile, pixels: Pixels, *, formats: frozenset[ImageFormat]) -> tuple[bytes, ImageFormat]:
    """Make the file that a provider gets.

    Parameters
    ----------
    file, pixels
        The caller's file and its upright pixels; that they could be decoded proves that the file is whole.
    formats
        What the provider takes; PNG must be among them.

    Returns
    -------
    tuple
        The file and its format. Lossless where the caller's file can be sent stripped; else the upright pixels, a
        JPEG as a fine JPEG and anything else as a PNG of 8 bits.
    """
    header = file.header
    if header.format in formats and header.orientation == 1 and _is_plain(header) and can_strip(file):
        return strip(file), header.format
    return encode_anew(header, pixels, formats=formats)


def encode_anew(header: ImageHeader, pixels: Pixels, *, formats: frozenset[ImageFormat]) -> tuple[bytes, ImageFormat]:
    """Encode upright pixels of a photo, with its profile: those of a JPEG as a fine JPEG, others as an 8-bit PNG."""
    metadata = Metadata(icc=header.metadata.icc)
    if header.format == "JPEG" and "JPEG" in formats and header.bits == 8:
        quality = max(MIN_QUALITY, header.jpeg.quality if header.jpeg else 0)
        written = jpeg_pixels.write(np.ascontiguousarray(pixels), quality=quality, subsampling="444")
        return with_metadata(written, metadata), "JPEG"
    plain = arrays.to_rgba8(pixels) if arrays.has_alpha(pixels) else arrays.to_rgb8(pixels)
    return codec.encode(plain, "PNG", metadata=metadata), "PNG"


def _is_plain(header: ImageHeader) -> bool:
    channels = {"L": 1, "RGB": 3, "RGBA": 4}.get(header.mode)
    return header.bits == 8 and header.mode in PLAIN_MODES[header.format] and header.channels == channels

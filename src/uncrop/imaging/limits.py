"""Where the pictures end that this package opens or writes."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from uncrop.model import ImageFormat

# What is above never reaches a decoder, whatever a provider may take. libwebp needs four times the memory a pixel.
MAX_PIXELS: Mapping[ImageFormat, int] = MappingProxyType({"JPEG": 100_000_000, "PNG": 100_000_000, "WEBP": 50_000_000})
# What can be written, in pixels a side: all that WebP and PNG can name, and nearly all that JPEG can, because libjpeg
# stops a little short of it.
MAX_SIDES: Mapping[ImageFormat, int] = MappingProxyType({"JPEG": 65_500, "PNG": 2**31 - 1, "WEBP": 16_383})
# A progressive JPEG costs a full pass over its coefficients for every scan.
MAX_SCANS = 100
# Real files have at most a few thousand; more of them only cost time.
MAX_SEGMENTS = 20_000
# What some encoders leave behind the compressed data, in bytes. More means that a decoder lost its place, or that
# something is hidden.
MAX_PADDING = 1024
MAX_ICC_BYTES = 4 << 20
MAX_EXIF_BYTES = 1 << 20
MAX_XMP_BYTES = 1 << 20
# Tags and attributes of XMP, counted before it is parsed: each costs up to 2 µs, and real packets have some thousands.
MAX_XMP_MARKUP = 20_000
# One field of text in the metadata that is kept.
MAX_TEXT_BYTES = 4096
# A mask in the form that the providers document: "less than 4 MB".
MAX_MASK_BYTES = 4 << 20

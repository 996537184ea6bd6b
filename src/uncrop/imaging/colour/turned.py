"""Photos that leave grey: their numbers change, so that they take their meaning along."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.imaging.colour.profiles import SRGB_CURVE, grey_profile
from uncrop.imaging.metadata.icc import icc_channels
from uncrop.imaging.metadata.kept import without_colour

if TYPE_CHECKING:
    from uncrop.model import ImageHeader, OpenedFile


def in_rgb(file: OpenedFile) -> OpenedFile:
    """Return a grey photo's file as one of RGB in sRGB, into which it will be decoded.

    Files that are not grey, or whose grey levels nothing explains, are returned as they are: those levels are taken for
    sRGB's by every reader, as three equal channels would be.
    """
    header = file.header
    icc = header.metadata.icc
    if header.channels > 2 or icc is None or icc_channels(icc) != 1:
        return file
    return replace(file, header=_converted(header, icc))


def _converted(header: ImageHeader, icc: bytes) -> ImageHeader:
    # Grey of sRGB's own curve is sRGB with three equal channels already.
    source = None if icc == grey_profile(SRGB_CURVE) else icc
    metadata = without_colour(header.metadata)
    if source is None:
        return replace(header, metadata=metadata)
    return replace(header, channels=3 if header.channels == 1 else 4, bits=8, metadata=metadata, source_icc=source)

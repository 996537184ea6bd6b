"""What of a photo's metadata goes into the picture, and in which form each format holds it.

What the numbers mean, creator, rights, capture date and camera are kept. GPS, thumbnails, maker notes, edit histories
and the orientation never are, because nothing is copied: what may stay is read and written anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.imaging.metadata.exif import ExifFacts, build_exif, read_exif
from uncrop.imaging.metadata.icc import icc_channels
from uncrop.imaging.metadata.iptc import read_iptc
from uncrop.imaging.metadata.xmp import with_iptc
from uncrop.model import Metadata

if TYPE_CHECKING:
    from uncrop.model import Density, ImageFormat

NO_METADATA = Metadata()
SIDEWAYS = (5, 6, 7, 8)


def kept_exif(exif: ExifFacts) -> bytes | None:
    """Write the facts that are kept: not the orientation, and not the density, which has a place of its own."""
    return build_exif(replace(exif, orientation=1, density=None))


def upright_density(density: Density | None, exif: ExifFacts) -> Density | None:
    """Return the density of the upright picture: the file's own, or EXIF's where it has none."""
    density = density or exif.density
    if density is not None and exif.orientation in SIDEWAYS:
        density = replace(density, x=density.y, y=density.x)
    return density


def without_colour(metadata: Metadata) -> Metadata:
    """Return the metadata of pixels that were converted to sRGB: nothing that tells another colour space."""
    exif = build_exif(replace(read_exif(metadata.exif), adobe_rgb=False))
    return replace(metadata, icc=None, exif=exif, png_colour=(), told_by_exif=False)


def fitted(metadata: Metadata, image_format: ImageFormat, *, channels: int) -> Metadata:
    """Return the metadata as a file of the format holds it.

    Parameters
    ----------
    metadata
        As it was kept.
    image_format
        What is written.
    channels
        Of the pixels, alpha included.

    Returns
    -------
    Metadata
        With a profile only where it fits the channels and nothing else tells as much; with density and IPTC where the
        format has a place for them, else within EXIF and XMP.
    """
    icc = metadata.icc
    if icc is not None and not _fits(icc, image_format, channels):
        icc = None
    if image_format == "JPEG":
        return replace(metadata, icc=None if metadata.told_by_exif else icc, png_colour=())
    xmp = with_iptc(metadata.xmp, read_iptc(metadata.iptc))
    if image_format == "PNG":
        return replace(metadata, icc=None if metadata.png_colour else icc, xmp=xmp, iptc=None)
    exif = metadata.exif
    if metadata.density is not None:
        exif = build_exif(replace(read_exif(exif), density=metadata.density))
    return replace(metadata, icc=icc, exif=exif, xmp=xmp, iptc=None, density=None, png_colour=())


def _fits(icc: bytes, image_format: ImageFormat, channels: int) -> bool:
    """Tell whether a profile describes pixels; of a grey JPEG one for RGB does, as many editors write them."""
    described = icc_channels(icc)
    return described == 3 if channels >= 3 else described == 1 or (described == 3 and image_format == "JPEG")

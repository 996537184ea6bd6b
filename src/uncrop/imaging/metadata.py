"""What of a photo's metadata goes into the picture: colour profile, creator, copyright.

GPS, thumbnails, maker notes, edit histories and the orientation never do, because nothing is copied: what may stay is
read and written anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.imaging.exif import ExifFacts, build_exif
from uncrop.imaging.limits import MAX_ICC_BYTES
from uncrop.imaging.xmp import kept_xmp
from uncrop.model import Metadata

if TYPE_CHECKING:
    from typing import Literal

NO_METADATA = Metadata()
ICC_HEADER_BYTES = 128
# The data colour space that a profile states, by the number of colour channels it describes.
ICC_SPACES = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}


def kept_metadata(*, icc: bytes | None, exif: ExifFacts, xmp: bytes | None, colours: Literal[1, 3]) -> Metadata:
    """Choose what is kept of a file's metadata.

    Parameters
    ----------
    icc
        The embedded profile as found; kept when it is sound and describes ``colours`` channels.
    exif, xmp
        As found; reduced to creator and rights.
    colours
        Colour channels after decoding, without alpha.
    """
    return Metadata(
        icc=icc if icc is not None and icc_channels(icc) == colours else None,
        exif=build_exif(replace(exif, orientation=1)),
        xmp=kept_xmp(xmp),
    )


def icc_channels(icc: bytes) -> int | None:
    """Return how many colour channels a profile describes, or ``None`` when it is no sound profile (ICC.1, 7.2)."""
    sound = ICC_HEADER_BYTES <= len(icc) <= MAX_ICC_BYTES and icc[36:40] == b"acsp"
    if not sound or int.from_bytes(icc[:4], "big") != len(icc):
        return None
    return ICC_SPACES.get(icc[16:20])

"""What of a photo's metadata goes into the picture: colour profile, creator, copyright.

GPS, thumbnails, maker notes, edit histories and the orientation never do, because nothing is copied: what may stay is
read and written anew.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.imaging.metadata.icc import icc_channels
from uncrop.imaging.metadata.xmp import kept_xmp
from uncrop.model import Metadata

if TYPE_CHECKING:
    from typing import Literal

NO_METADATA = Metadata()


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

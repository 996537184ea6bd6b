"""A maker's picture in the colour space of the photo that it extends."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.imaging.colour.convert import between
from uncrop.imaging.metadata.icc import icc_channels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import ImageHeader, OpenedFile

    Bytes = NDArray[np.uint8]

# Colours by which two spaces are compared: so many levels of each channel, from 0 to 255.
PROBES = 6
# Levels by which two spaces may differ and still be taken for one: what rounding makes of a profile that was rewritten.
SAME = 1


def decode_answer(file: OpenedFile, photo: ImageHeader) -> tuple[Bytes, Bytes | None]:
    """Decode a maker's picture whole, converted from the space that its file tells into the photo's.

    A file that tells none is taken for the photo's own numbers: the photo was sent with its profile, or in sRGB where
    it has none, and who drops a profile without converting keeps the numbers.

    Parameters
    ----------
    file
        The maker's.
    photo
        The photo's header.

    Returns
    -------
    tuple
        The colours, (height, width, 3), in the space in which the photo's pixels are put back; and the alpha,
        (height, width), or ``None`` where there is none.

    Raises
    ------
    InvalidImage
        The file is damaged or cut off.
    """
    colours, alpha = arrays.split_alpha(codec.decode_8bit(file))
    told = file.header.metadata.icc is not None or file.header.mode == "CMYK"
    source, target = file.header.metadata.icc, rgb_space(photo)
    converted = None
    if told and not is_same(source, target):
        converted = between(np.ascontiguousarray(colours), source, target)
    return arrays.to_rgb8(colours) if converted is None else converted, alpha


def rgb_space(photo: ImageHeader) -> bytes | None:
    """Return the profile of a photo's pixels once they are RGB; ``None`` is sRGB."""
    icc = photo.metadata.icc
    return icc if icc is not None and icc_channels(icc) == 3 else None


@lru_cache(maxsize=32)
def is_same(source: bytes | None, target: bytes | None) -> bool:
    """Tell whether two profiles, or sRGB for ``None``, mean the same by all numbers; True too where one does not work.

    A profile for grey is never the same, so that it is converted.
    """
    if source == target:
        return True
    if source is not None and icc_channels(source) != 3:
        return False
    levels = np.linspace(0, 255, PROBES).astype(np.uint8)
    probes = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(1, -1, 3)
    converted = between(probes, source, target)
    return converted is None or int(np.abs(converted.astype(int) - probes).max()) <= SAME

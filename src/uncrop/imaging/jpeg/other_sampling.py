"""JPEGs whose sampling factors have no name in TurboJPEG, decoded by Pillow, and proved to be whole by experiment.

T.81 lets each component have factors of 1 to 4. TurboJPEG names seven combinations and refuses all others, for example
CMYK of 2x2, 1x1, 1x1, 1x1. Pillow's libjpeg decodes them, but takes missing data for zeros and tells nobody. So each
file is decoded again with other bits behind each stretch of its data, which change the picture if anything is missing
there, and without its last bytes, which changes nothing if the decoder lost its place before.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import numpy as np
from PIL.JpegImagePlugin import JpegImageFile

from uncrop.errors import InvalidImage, UnsupportedImageFormat
from uncrop.imaging.jpeg.layout import ACCOMPANYING, APP0, APP14, SOS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.layout import JpegLayout, Segment

# Of what accompanies a picture, JFIF and Adobe alone say how it is decoded. Pillow would read the rest, with warnings.
LEFT_OUT = ACCOMPANYING - {APP0, APP14}
# A restart marker within the entropy-coded data; each stretch of data ends at one, or with the scan.
RESTART = re.compile(rb"\xff([\xd0-\xd7])")
FIRST_RESTART = 0xD0
# What missing bits are decoded from in turn, beside zeros: whatever the Huffman tables, not all of them mean the same.
FILLINGS = (b"\x55" * 32, b"\xaa" * 32, b"\xff\x00" * 32, b"\x93\x4c\xe1\x26" * 8)
# At least one of so many last bytes holds a bit that is needed, apart from a stuffed zero.
LAST_BYTES = 2


def decode(data: bytes, layout: JpegLayout) -> NDArray[np.uint8]:
    """Decode the first image as it lies in the file.

    Returns
    -------
    ndarray
        (height, width, 1, 3 or 4): grey, RGB, or CMYK as stored.

    Raises
    ------
    InvalidImage
        When the decoder refuses the file, or its data are not those of the whole picture.
    UnsupportedImageFormat
        When a component's factor does not divide the largest one, which libjpeg cannot decode.
    """
    check_factors(layout)
    whole = _decode(_rebuilt(data, layout))

    def changed(*, behind: bytes = b"", missing: int = 0) -> bool:
        return not np.array_equal(whole, _decode(_rebuilt(data, layout, behind=behind, missing=missing)))

    lacks = any(changed(behind=filling) for filling in FILLINGS)
    if lacks or not any(changed(behind=filling, missing=LAST_BYTES) for filling in (b"", *FILLINGS)):
        raise InvalidImage(system_message="the JPEG's picture data is corrupt or incomplete")
    return whole


def check_factors(layout: JpegLayout) -> None:
    """Refuse factors that do not divide the largest of their direction."""
    for factors in zip(*layout.factors, strict=True):
        if any(max(factors) % factor for factor in factors):
            names = ", ".join(f"{x}x{y}" for x, y in layout.factors)
            raise UnsupportedImageFormat(
                "The JPEG's chroma subsampling is not supported", details={"format": "JPEG", "sampling": names}
            )


def _rebuilt(data: bytes, layout: JpegLayout, *, behind: bytes = b"", missing: int = 0) -> bytes:
    """Copy what is decoded, with ``behind`` at the end of each stretch of data, and ``missing`` bytes off the last."""
    parts = [b"\xff\xd8"]
    for segment in layout.segments:
        if segment.marker in LEFT_OUT:
            continue
        end = segment.end - (missing if segment is layout.segments[-1] else 0)
        parts.append(_refilled(data, segment, end, behind) if segment.marker == SOS else data[segment.start : end])
    return b"".join((*parts, b"\xff\xd9"))


def _refilled(data: bytes, scan: Segment, end: int, behind: bytes) -> bytes:
    head = scan.payload - 2 + int.from_bytes(data[scan.payload - 2 : scan.payload], "big")
    coded = data[head : max(head, end)]
    restarts = [marker[0] for marker in RESTART.findall(coded)]
    if any(number != FIRST_RESTART + at % 8 for at, number in enumerate(restarts)):
        raise InvalidImage(system_message="the JPEG lacks a restart interval")
    if not behind:
        return data[scan.start : head] + coded
    # If there should be one more interval, it begins here, and is decoded from what stands behind it.
    one_more = bytes((0xFF, FIRST_RESTART + len(restarts) % 8))
    filled = RESTART.sub(lambda marker: behind + marker[0], coded)
    return b"".join((data[scan.start : head], filled, behind, one_more, behind))


def _decode(data: bytes) -> NDArray[np.uint8]:
    try:
        with JpegImageFile(io.BytesIO(data)) as image:
            pixels = np.asarray(image)
    except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
        raise InvalidImage(system_message="the JPEG's picture data is corrupt or incomplete") from error
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    # Pillow takes every CMYK for Adobe's and turns it round.
    return 255 - pixels if pixels.shape[2] == 4 else pixels

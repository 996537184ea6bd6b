"""JPEG to pixels and back, by libjpeg-turbo, taking its warnings for what they are.

libjpeg fills what is missing with grey and only warns; a caller who does not listen takes half a picture for a whole
one. Here every warning refuses the file, except a few about things that do not touch the picture: those are mended in
a copy, and the copy is decoded as strictly.
"""

from __future__ import annotations

import io
import re
from typing import TYPE_CHECKING

import simplejpeg
from PIL import Image

from uncrop.errors import InvalidImage
from uncrop.imaging.jpeg import other_sampling
from uncrop.imaging.jpeg.layout import APP0, APP2, APP14, SOS
from uncrop.imaging.limits import MAX_PADDING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.layout import JpegLayout
    from uncrop.model import ImageHeader, JpegFacts

# libjpeg's warnings that say nothing about the entropy-coded data. It tells the first warning only, so what follows
# one of these is still unknown, and the mended copy is decoded as strictly as the file was.
BENIGN = re.compile(
    r"Warning: unknown JFIF revision number|Unknown Adobe color transform code|"
    r"Invalid SOS parameters for sequential JPEG|bad ICC marker|\d+ extraneous bytes before marker"
)
# Padding before the end marker. The decoder comes by here when it has all it wanted, and nothing comes after, so this
# first warning is the last. More bytes than this mean that it lost its place in the data before.
PADDED = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
END = b"\xff\xd9"
UNKNOWN_SUBSAMPLING = "Could not determine subsampling"
# What is written when nothing is known about the original, and the least that is written at all: a second generation
# at less would lose visibly.
MIN_QUALITY = 90
# What to ask libjpeg for, by the mode in the header.
COLOURS = {"L": "GRAY", "RGB": "RGB", "CMYK": "CMYK"}


def decode(data: bytes, header: ImageHeader, layout: JpegLayout) -> NDArray[np.uint8]:
    """Decode the first image, whole, as it lies in the file.

    Parameters
    ----------
    data, header, layout
        The file, as it was opened.

    Returns
    -------
    ndarray
        (height, width, 1, 3 or 4): grey, RGB, or CMYK as stored.

    Raises
    ------
    InvalidImage
        On every error and every warning of the decoder that touches the picture.
    UnsupportedImageFormat
        For sampling factors that libjpeg cannot decode, such as 3x1 beside 2x1.
    """
    colours = COLOURS[header.mode]
    if not layout.ended:
        # With an end marker behind the last scan, the decoder warns if it needs one bit more than there is.
        data = data[: layout.segments[-1].end] + END
    try:
        return _strictly(data, colours)
    except ValueError as error:
        if UNKNOWN_SUBSAMPLING in str(error):
            return other_sampling.decode(data, layout)
        if not BENIGN.search(str(error)):
            raise _refusal() from error
    try:
        return _strictly(mended(data, layout), colours)
    except ValueError as error:
        raise _refusal() from error


def decode_written(data: bytes, channels: int) -> NDArray[np.uint8]:
    """Decode a grey or YCbCr JPEG that this package wrote: (height, width, channels).

    Raises
    ------
    InvalidImage
        On every error and every warning of the decoder.
    """
    try:
        return simplejpeg.decode_jpeg(data, COLOURS["L" if channels == 1 else "RGB"], strict=True)  # type: ignore[no-any-return]
    except ValueError as error:
        raise _refusal() from error


def encode(pixels: NDArray[np.uint8], facts: JpegFacts | None, *, least: int = 0) -> bytes | None:
    """Encode grey or RGB at ``least`` this quality; ``None`` when neither encoder can.

    ``facts`` are the original's, whose subsampling is kept.
    """
    quality = max(MIN_QUALITY, least)
    subsampling = facts.subsampling if facts and facts.subsampling != "grey" else "444"
    try:
        return write(pixels, quality=quality, subsampling=subsampling)
    except (ValueError, MemoryError):
        return _write_by_lines(pixels, quality)


def write(pixels: NDArray[np.uint8], *, quality: int, subsampling: str) -> bytes:
    """Encode (height, width, 1 or 3) with the standard tables."""
    if pixels.shape[2] == 1:
        return simplejpeg.encode_jpeg(pixels, quality, "GRAY", "Gray")  # type: ignore[no-any-return]
    return simplejpeg.encode_jpeg(pixels, quality, "RGB", subsampling)  # type: ignore[no-any-return]


def _write_by_lines(pixels: NDArray[np.uint8], quality: int) -> bytes | None:
    """Encode without subsampling, some lines at a time, which takes less memory than TurboJPEG asks for at once."""
    file = io.BytesIO()
    try:
        Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).save(
            file, "JPEG", quality=quality, subsampling=0
        )
    except (OSError, ValueError, MemoryError):
        return None
    return file.getvalue()


def mended(data: bytes, layout: JpegLayout) -> bytes:
    """Copy the file without what lies between its segments, and with the harmless mistakes put right."""
    parts = [b"\xff\xd8"]
    for segment in layout.segments:
        if segment.marker == APP2:  # a broken profile; nothing there touches the picture
            continue
        part = bytearray(data[segment.start : segment.end])
        if segment.marker == APP0 and part[4:9] == b"JFIF\0":
            part[9:11] = b"\x01\x02"
        elif segment.marker == APP14 and part[4:9] == b"Adobe" and len(part) > 15 and part[15]:
            # What libjpeg takes any other number for; 0 means that there is no transform.
            part[15] = 1 if layout.components == 3 else 2
        elif segment.marker == SOS and not layout.facts.progressive:
            spectral = 4 + 1 + 2 * part[4]
            part[spectral : spectral + 3] = b"\x00\x3f\x00"
        parts.append(bytes(part))
    return b"".join((*parts, END))


def _strictly(data: bytes, colours: str) -> NDArray[np.uint8]:
    """Decode; a warning is a ``ValueError``, except one about padding behind a picture that is complete."""
    try:
        return simplejpeg.decode_jpeg(data, colours, strict=True)  # type: ignore[no-any-return]
    except ValueError as error:
        padding = PADDED.search(str(error))
        if padding is None or int(padding[1]) > MAX_PADDING:
            raise
    return simplejpeg.decode_jpeg(data, colours, strict=False)  # type: ignore[no-any-return]


def _refusal() -> InvalidImage:
    return InvalidImage(system_message="the JPEG's picture data is corrupt or incomplete")

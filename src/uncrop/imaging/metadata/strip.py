"""A file without anything but pixels and colour, its compressed data copied byte for byte.

What goes to a provider carries no place, no name, no thumbnail, no comment, nothing behind its end, and nothing that a
later reader could take for another kind of file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.imaging.jpeg import layout as jpeg
from uncrop.imaging.png import layout as png
from uncrop.imaging.webp import layout as webp

if TYPE_CHECKING:
    from uncrop.imaging.jpeg.layout import JpegLayout, Segment
    from uncrop.imaging.png.layout import PngLayout
    from uncrop.imaging.webp.layout import WebpLayout
    from uncrop.model import OpenedFile

# Everything that T.81 needs to decode, the JFIF and Adobe markers that say which colours are meant.
JPEG_KEPT = {jpeg.SOS, jpeg.DQT, jpeg.DHT, jpeg.DRI, jpeg.DNL, jpeg.APP14, *jpeg.KNOWN_FRAMES}
JFIF_BYTES = 14
ADOBE_BYTES = 12
PNG_KEPT = {*png.CRITICAL, b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT", b"cICP", b"mDCV", b"cLLI"}
WEBP_PICTURE = {b"VP8 ", b"VP8L", b"ALPH"}


def strip(file: OpenedFile) -> bytes:
    """Return the same picture, bit for bit, with nothing else in the file."""
    match file.layout:
        case jpeg.JpegLayout() as layout:
            return _jpeg(file.data, layout)
        case png.PngLayout() as layout:
            return _png(file.data, layout)
        case webp.WebpLayout() as layout:
            return _webp(file.data, layout)
        case other:
            raise TypeError(f"no layout of a file: {type(other).__name__}")


def _jpeg(data: bytes, layout: JpegLayout) -> bytes:
    parts = [part for segment in layout.segments for part in _jpeg_parts(data, segment)]
    return jpeg.with_metadata(
        b"".join((b"\xff\xd8", *parts, b"\xff\xd9")), icc=jpeg.icc_of(data, layout), exif=None, xmp=None
    )


def _jpeg_parts(data: bytes, segment: Segment) -> list[bytes]:
    if segment.marker == jpeg.APP0 and data.startswith(b"JFIF\0", segment.payload, segment.end):
        # The thumbnail behind the fixed part is left out, and its size is set to nothing.
        fixed = data[segment.payload : segment.payload + JFIF_BYTES - 2].ljust(JFIF_BYTES, b"\0")
        return [jpeg.segment(jpeg.APP0, fixed)]
    if segment.marker == jpeg.APP14:
        fixed = data[segment.payload : segment.end][:ADOBE_BYTES]
        return [jpeg.segment(jpeg.APP14, fixed)] if fixed.startswith(b"Adobe") else []
    return [data[segment.start : segment.end]] if segment.marker in JPEG_KEPT else []


def _png(data: bytes, layout: PngLayout) -> bytes:
    # Length and name stand in the 8 bytes before a payload, the checksum in the 4 behind it.
    kept = [data[chunk.start - 8 : chunk.end + 4] for chunk in layout.chunks if chunk.name in PNG_KEPT]
    return b"".join((png.SIGNATURE, *kept))


def _webp(data: bytes, layout: WebpLayout) -> bytes:
    return webp.build(
        [(name, data[start:end]) for name, start, end in layout.chunks if name in WEBP_PICTURE],
        width=layout.width,
        height=layout.height,
        alpha=layout.alpha,
        icc=layout.payload(data, b"ICCP"),
    )

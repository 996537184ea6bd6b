"""A file without anything but pixels and colour, its compressed data copied byte for byte.

What goes to a provider carries no place, no name, no thumbnail, no comment, nothing behind its end, and nothing that a
later reader could take for another kind of file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.imaging.jpeg import layout as jpeg
from uncrop.imaging.jpeg.metadata import icc_of, with_metadata
from uncrop.imaging.metadata.icc import sound_icc
from uncrop.imaging.png import layout as png
from uncrop.imaging.webp import layout as webp
from uncrop.model import Metadata

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


def can_strip(file: OpenedFile) -> bool:
    """Tell whether the compressed data, copied as they lie, are the picture and nothing else.

    They are not where a JPEG has no end, so that other data may follow, or where a WebP's canvas is larger than its
    picture.
    """
    match file.layout:
        case jpeg.JpegLayout() as layout:
            return layout.ended
        case webp.WebpLayout() as layout:
            return layout.fills
        case _:
            return True


def strip(file: OpenedFile) -> bytes:
    """Return the same picture, bit for bit, with nothing else in the file."""
    match file.layout:
        case jpeg.JpegLayout() as layout:
            return _jpeg(file, layout)
        case png.PngLayout() as layout:
            return _png(file.data, layout)
        case webp.WebpLayout() as layout:
            return _webp(file.data, layout)
        case other:
            raise TypeError(f"no layout of a file: {type(other).__name__}")


def _jpeg(file: OpenedFile, layout: JpegLayout) -> bytes:
    parts = [part for segment in layout.segments for part in _jpeg_parts(file.data, segment)]
    # The file's own, for CMYK too, or what stands for a colour space that EXIF alone told.
    icc = sound_icc(icc_of(file.data, layout), 1, 3, 4) or file.header.metadata.icc
    return with_metadata(b"".join((b"\xff\xd8", *parts, b"\xff\xd9")), Metadata(icc=icc))


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
    # Behind the picture data nothing counts but the end, and some readers heed it all the same.
    first = next(number for number, chunk in enumerate(layout.chunks) if chunk.name == b"IDAT")
    chunks = [chunk for number, chunk in enumerate(layout.chunks) if number < first or chunk.name in png.CRITICAL]
    kept = [data[chunk.start - 8 : chunk.end + 4] for chunk in chunks if chunk.name in PNG_KEPT]
    end = [] if chunks[-1].name == b"IEND" else [png.chunk(b"IEND", b"")]
    return b"".join((png.SIGNATURE, *kept, *end))


def _webp(data: bytes, layout: WebpLayout) -> bytes:
    return webp.build(
        [(name, data[start:end]) for name, start, end in layout.chunks if name in webp.FRAME_CHUNKS],
        width=layout.width,
        height=layout.height,
        alpha=layout.alpha,
        icc=sound_icc(layout.payload(data, b"ICCP"), 3),
    )

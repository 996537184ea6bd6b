"""What a JPEG holds beside its picture, in its application segments; read and written.

EXIF after CIPA DC-008, XMP after ISO 16684-3, profiles after ICC.1, annex B.4, IPTC after Photoshop's file format
specification, JFIF after ITU-T T.871.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.imaging.jpeg.layout import APP0, APP1, APP2, APP13, segment
from uncrop.imaging.limits import MAX_ICC_BYTES
from uncrop.imaging.metadata.density import read_jfif, write_jfif
from uncrop.imaging.metadata.exif import PREFIX as EXIF_PREFIX

if TYPE_CHECKING:
    from collections.abc import Iterator

    from uncrop.imaging.jpeg.layout import JpegLayout
    from uncrop.model import Density, Metadata

XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
ICC_PREFIX = b"ICC_PROFILE\0"
PHOTOSHOP_PREFIX = b"Photoshop 3.0\0"
JFIF_PREFIX = b"JFIF\0"
# Where the unit of the density stands in a file that begins with a JFIF segment.
JFIF_DENSITY = 13
MAX_SEGMENT_PAYLOAD = 65_533


def exif_of(data: bytes, layout: JpegLayout) -> bytes | None:
    """Return the first EXIF block."""
    return next(payloads(data, layout, APP1, EXIF_PREFIX), None)


def xmp_of(data: bytes, layout: JpegLayout) -> bytes | None:
    """Return the XMP packet; extended XMP is not looked at."""
    return next(payloads(data, layout, APP1, XMP_PREFIX), None)


def icc_of(data: bytes, layout: JpegLayout) -> bytes | None:
    """Return the colour profile, put together from its numbered chunks, or ``None`` when one is missing."""
    chunks: dict[int, bytes] = {}
    total = 0
    for payload in payloads(data, layout, APP2, ICC_PREFIX):
        if len(payload) < 2:
            return None
        total = payload[1]
        chunks.setdefault(payload[0], payload[2:])
    if not chunks or sorted(chunks) != list(range(1, total + 1)):
        return None
    profile = b"".join(chunks[number] for number in sorted(chunks))
    return profile if len(profile) <= MAX_ICC_BYTES else None


def iptc_of(data: bytes, layout: JpegLayout) -> bytes | None:
    """Return Photoshop's image resources, among which IPTC's are, put together from all their segments."""
    resources = b"".join(payloads(data, layout, APP13, PHOTOSHOP_PREFIX))
    return resources or None


def density_of(data: bytes, layout: JpegLayout) -> Density | None:
    """Return the JFIF segment's density; ``None`` where it says nothing."""
    payload = next(payloads(data, layout, APP0, JFIF_PREFIX), None)
    return None if payload is None else read_jfif(JFIF_PREFIX + payload)


def with_metadata(jpeg: bytes, metadata: Metadata) -> bytes:
    """Insert metadata behind the JFIF segment of a JPEG that this package wrote, and the density into it."""
    has_jfif = jpeg[3] == APP0
    start = 2 + 2 + int.from_bytes(jpeg[4:6], "big") if has_jfif else 2
    head = jpeg[:start]
    if metadata.density is not None and has_jfif:
        head = head[:JFIF_DENSITY] + write_jfif(metadata.density) + head[JFIF_DENSITY + 5 :]
    parts = [head]
    for marker, prefix, block in (
        (APP1, EXIF_PREFIX, metadata.exif),
        (APP1, XMP_PREFIX, metadata.xmp),
        (APP13, PHOTOSHOP_PREFIX, metadata.iptc),
    ):
        if block is not None and len(block) <= MAX_SEGMENT_PAYLOAD - len(prefix):
            parts.append(segment(marker, prefix + block))
    if metadata.icc is not None:
        parts += _icc_segments(metadata.icc)
    return b"".join((*parts, jpeg[start:]))


def _icc_segments(icc: bytes) -> list[bytes]:
    size = MAX_SEGMENT_PAYLOAD - len(ICC_PREFIX) - 2
    pieces = [icc[at : at + size] for at in range(0, len(icc), size)]
    return [segment(APP2, ICC_PREFIX + bytes((number, len(pieces))) + piece) for number, piece in enumerate(pieces, 1)]


def payloads(data: bytes, layout: JpegLayout, marker: int, prefix: bytes) -> Iterator[bytes]:
    """Yield what stands behind ``prefix`` in each application segment that begins with it."""
    for part in layout.segments:
        if part.marker == marker and data.startswith(prefix, part.payload, part.end):
            yield data[part.payload + len(prefix) : part.end]

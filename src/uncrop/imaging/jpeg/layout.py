"""JPEG: the structure of a file, strict decoding, and encoding; on libjpeg-turbo through simplejpeg.

Marker syntax after ITU-T T.81, annex B; the Adobe marker after Adobe's Technical Note 5116; profiles after ICC.1, B.4.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.errors import InvalidImage, UnsupportedImageFormat
from uncrop.imaging.jpeg.scans import check_complete
from uncrop.imaging.jpeg.tables import estimate_quality
from uncrop.imaging.limits import MAX_ICC_BYTES, MAX_SCANS, MAX_SEGMENTS
from uncrop.imaging.metadata.exif import PREFIX as EXIF_PREFIX
from uncrop.model import JpegFacts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Literal

SOI, EOI, SOS, DQT, DHT, DNL, DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDC, 0xDD
APP0, APP1, APP2, APP14 = 0xE0, 0xE1, 0xE2, 0xEE
# Baseline, extended and progressive Huffman coding are what all readers know; lossless, hierarchical and arithmetic
# coding are told apart so that the caller learns why the file is refused.
PROGRESSIVE = 0xC2
KNOWN_FRAMES = {0xC0, 0xC1, PROGRESSIVE}
OTHER_FRAMES = {0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF}
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
ICC_PREFIX = b"ICC_PROFILE\0"
MAX_SEGMENT_PAYLOAD = 65_533
# Of a scan with four components: their count, two bytes for each, and three about the coefficients.
MAX_SCAN_HEADER = 12
# A marker that begins a segment: an 0xFF that is followed by neither a stuffed zero, a fill byte, nor the markers
# without a segment, which are the restarts and one for temporary use.
_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")
_SUBSAMPLINGS: dict[tuple[int, int], Literal["444", "422", "420", "440", "411"]] = {
    (1, 1): "444",
    (2, 1): "422",
    (2, 2): "420",
    (1, 2): "440",
    (4, 1): "411",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Segment:
    """One marker and its payload; for a scan, the entropy-coded data that follows too."""

    marker: int
    start: int  # of the marker's 0xFF
    payload: int  # first byte behind the length field
    end: int  # first byte that is not the segment's


@dataclass(frozen=True, kw_only=True, slots=True)
class JpegLayout:
    """The segments of the first image in a file, from behind its SOI to its EOI, exclusively."""

    segments: tuple[Segment, ...]
    width: int
    height: int
    components: Literal[1, 3, 4]
    facts: JpegFacts
    adobe: bool
    scans: int


def read_layout(data: bytes) -> JpegLayout:
    """Walk through the file's first image without decoding it.

    Raises
    ------
    InvalidImage
        When the structure is broken, has no end marker, or has more than 100 scans.
    UnsupportedImageFormat
        When it is a JPEG of a kind that few readers know: lossless, arithmetic, 12 bit.
    """
    try:
        segments = _segments(data)
        return _layout(data, segments)
    except (struct.error, IndexError) as error:
        raise InvalidImage(system_message="a JPEG segment is too short") from error


def exif_of(data: bytes, layout: JpegLayout) -> bytes | None:
    """Return the first EXIF block."""
    return next(_payloads(data, layout, APP1, EXIF_PREFIX), None)


def xmp_of(data: bytes, layout: JpegLayout) -> bytes | None:
    """Return the XMP packet; extended XMP is not looked at."""
    return next(_payloads(data, layout, APP1, XMP_PREFIX), None)


def icc_of(data: bytes, layout: JpegLayout) -> bytes | None:
    """Return the colour profile, put together from its numbered chunks, or ``None`` when one is missing."""
    chunks: dict[int, bytes] = {}
    total = 0
    for payload in _payloads(data, layout, APP2, ICC_PREFIX):
        if len(payload) < 2:
            return None
        total = payload[1]
        chunks.setdefault(payload[0], payload[2:])
    if not chunks or sorted(chunks) != list(range(1, total + 1)):
        return None
    profile = b"".join(chunks[number] for number in sorted(chunks))
    return profile if len(profile) <= MAX_ICC_BYTES else None


def with_metadata(jpeg: bytes, *, icc: bytes | None, exif: bytes | None, xmp: bytes | None) -> bytes:
    """Insert metadata behind the JFIF segment of a JPEG that this package wrote."""
    start = 2 + 2 + int.from_bytes(jpeg[4:6], "big") if jpeg[3] == APP0 else 2
    parts = [jpeg[:start]]
    if exif is not None and len(exif) <= MAX_SEGMENT_PAYLOAD - len(EXIF_PREFIX):
        parts.append(segment(APP1, EXIF_PREFIX + exif))
    if xmp is not None and len(xmp) <= MAX_SEGMENT_PAYLOAD - len(XMP_PREFIX):
        parts.append(segment(APP1, XMP_PREFIX + xmp))
    if icc is not None:
        size = MAX_SEGMENT_PAYLOAD - len(ICC_PREFIX) - 2
        pieces = [icc[at : at + size] for at in range(0, len(icc), size)]
        parts += [
            segment(APP2, ICC_PREFIX + bytes((number, len(pieces))) + piece) for number, piece in enumerate(pieces, 1)
        ]
    return b"".join((*parts, jpeg[start:]))


def segment(marker: int, payload: bytes) -> bytes:
    """Write one segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _payloads(data: bytes, layout: JpegLayout, marker: int, prefix: bytes) -> Iterator[bytes]:
    for segment in layout.segments:
        if segment.marker == marker and data.startswith(prefix, segment.payload, segment.end):
            yield data[segment.payload + len(prefix) : segment.end]


def _segments(data: bytes) -> tuple[Segment, ...]:
    segments: list[Segment] = []
    scans, at = 0, 2
    while True:
        # Bytes between two segments are skipped, as all decoders do.
        found = _MARKER.search(data, at)
        if found is None:
            raise InvalidImage(system_message="the JPEG ends before its end marker")
        marker, start = data[found.start() + 1], found.start()
        if marker == EOI:
            return tuple(segments)
        (length,) = struct.unpack_from(">H", data, start + 2)
        end = start + 2 + length
        if length < 2 or end > len(data):
            raise InvalidImage(system_message="a JPEG segment has an impossible length")
        if marker == SOS:
            scans += 1
            following = _MARKER.search(data, end)
            end = following.start() if following else len(data)
        segments.append(Segment(marker=marker, start=start, payload=start + 4, end=end))
        if scans > MAX_SCANS:
            raise InvalidImage(
                f"The JPEG has more than {MAX_SCANS} scans", details={"max_allowed": MAX_SCANS, "unit": "scans"}
            )
        if len(segments) > MAX_SEGMENTS:
            raise InvalidImage(system_message="the JPEG has too many segments")
        at = end


def _layout(data: bytes, segments: tuple[Segment, ...]) -> JpegLayout:
    if any(segment.marker in OTHER_FRAMES for segment in segments):
        raise UnsupportedImageFormat("Lossless, hierarchical and arithmetic JPEGs are not supported")
    frames = [segment for segment in segments if segment.marker in KNOWN_FRAMES]
    scans = sum(segment.marker == SOS for segment in segments)
    if len(frames) != 1 or not scans:
        raise InvalidImage(system_message="the JPEG must have one frame and at least one scan")
    frame = frames[0]
    precision, height, width, components = struct.unpack_from(">BHHB", data, frame.payload)
    if precision != 8:
        raise UnsupportedImageFormat(f"JPEGs of {precision} bits are not supported", details={"bits": precision})
    if components not in (1, 3, 4) or not width or not height or frame.end < frame.payload + 6 + 3 * components:
        raise InvalidImage(system_message="the JPEG's frame header is not valid")
    check_complete(
        [data[segment.payload : segment.payload + MAX_SCAN_HEADER] for segment in segments if segment.marker == SOS],
        [data[frame.payload + 6 + 3 * index] for index in range(components)],
        progressive=frame.marker == PROGRESSIVE,
    )
    return JpegLayout(
        segments=segments,
        width=width,
        height=height,
        components=components,
        facts=JpegFacts(
            quality=estimate_quality(*_tables(data, segments, frame, components)),
            subsampling=_subsampling(data, frame, components),
            progressive=frame.marker == PROGRESSIVE,
        ),
        adobe=any(_is_adobe(data, segment) for segment in segments),
        scans=scans,
    )


def _is_adobe(data: bytes, segment: Segment) -> bool:
    return segment.marker == APP14 and data.startswith(b"Adobe", segment.payload, segment.end)


def _subsampling(data: bytes, frame: Segment, components: int) -> Literal["444", "422", "420", "440", "411", "grey"]:
    if components == 1:
        return "grey"
    bytes_of_factors = (data[frame.payload + 6 + 3 * index + 1] for index in range(components))
    factors = [(both >> 4, both & 15) for both in bytes_of_factors]
    if not all(x and y for x, y in factors):
        raise InvalidImage(system_message="a JPEG sampling factor is zero")
    (luma_x, luma_y), *others = factors
    chroma_x, chroma_y = max(x for x, _ in others[:2]), max(y for _, y in others[:2])
    # What has no name is written back in full, which is at least the original's.
    return _SUBSAMPLINGS.get((luma_x // chroma_x, luma_y // chroma_y), "444")


def _tables(data: bytes, segments: tuple[Segment, ...], frame: Segment, components: int) -> tuple[int, int | None]:
    """Return the sums of the quantisation tables of the first component and of the second."""
    sums: dict[int, int] = {}
    for segment in segments:
        at = segment.payload
        while segment.marker == DQT and at < segment.end:
            wide, number = data[at] >> 4, data[at] & 15
            size = 128 if wide else 64
            sums[number] = sum(struct.unpack_from(">64H" if wide else ">64B", data, at + 1))
            at += 1 + size
    used = [data[frame.payload + 6 + 3 * index + 2] for index in range(components)]
    if any(number not in sums for number in used):
        raise InvalidImage(system_message="a JPEG quantisation table is missing")
    return sums[used[0]], sums[used[1]] if components == 3 else None

"""JPEG: the structure of a file.

Marker syntax after ITU-T T.81, annex B; the Adobe marker after Adobe's Technical Note 5116.
"""

from __future__ import annotations

import re
import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.errors import InvalidImage, UnsupportedImageFormat
from uncrop.imaging.jpeg.scans import check_complete
from uncrop.imaging.jpeg.tables import estimate_quality
from uncrop.imaging.limits import MAX_SCANS, MAX_SEGMENTS
from uncrop.model import JpegFacts

if TYPE_CHECKING:
    from typing import Literal

SOI, EOI, SOS, DQT, DHT, DNL, DRI = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDC, 0xDD
APP0, APP1, APP2, APP13, APP14 = 0xE0, 0xE1, 0xE2, 0xED, 0xEE
# Baseline, extended and progressive Huffman coding are what all readers know; the other codings are told apart so that
# the caller learns why the file is refused (T.81, table B.1; the last one is of T.87).
PROGRESSIVE = 0xC2
ACCOMPANYING = frozenset({0xFE, *range(APP0, APP0 + 16)})  # comments, and what applications keep
DNL = 0xDC
KNOWN_FRAMES = {0xC0, 0xC1, PROGRESSIVE}
OTHER_FRAMES = {
    0xC3: "lossless",
    0xC5: "hierarchical",
    0xC6: "hierarchical progressive",
    0xC7: "hierarchical lossless",
    0xC9: "arithmetic-coded",
    0xCA: "arithmetic-coded progressive",
    0xCB: "arithmetic-coded lossless",
    0xCD: "arithmetic-coded hierarchical",
    0xCE: "arithmetic-coded hierarchical progressive",
    0xCF: "arithmetic-coded hierarchical lossless",
    0xF7: "JPEG-LS",
}
# What may follow a scan: tables, further scans, application data and comments. Anything else is not the picture's.
_BEHIND_SCANS = frozenset({DHT, 0xCC, SOS, DQT, DNL, DRI}) | ACCOMPANYING
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
    """The segments of the first image in a file, from behind its SOI to its EOI, exclusively.

    ``ended`` is whether the EOI is there. Where it is not, the segments end with the scan that completes the picture,
    as far as the scans' headers can tell; that its data are complete, too, only strict decoding proves.
    """

    segments: tuple[Segment, ...]
    width: int
    height: int
    components: Literal[1, 3, 4]
    facts: JpegFacts
    adobe: bool
    scans: int
    ended: bool
    factors: tuple[tuple[int, int], ...]  # of each component: horizontal and vertical sampling


def read_layout(data: bytes) -> JpegLayout:
    """Walk through the file's first image without decoding it.

    Raises
    ------
    InvalidImage
        When the structure is broken, ends before the last scan, or has more than 100 scans.
    UnsupportedImageFormat
        When it is a JPEG of a kind that few readers know, which the message names: lossless, arithmetic-coded, 12 bit.
    """
    try:
        segments, ended = _segments(data)
        return _layout(data, segments, ended=ended)
    except (struct.error, IndexError) as error:
        raise InvalidImage(system_message="a JPEG segment is too short") from error


def segment(marker: int, payload: bytes) -> bytes:
    """Write one segment."""
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def _segments(data: bytes) -> tuple[tuple[Segment, ...], bool]:
    """Walk to the end marker, or, behind a scan, to what is no segment; tell too whether the end marker was there."""
    segments: list[Segment] = []
    scans, at = 0, 2
    while True:
        # Bytes between two segments are skipped, as all decoders do.
        found = _MARKER.search(data, at)
        marker = data[found.start() + 1] if found else None
        if marker == EOI:
            return tuple(segments), True
        end = None if found is None or (scans and marker not in _BEHIND_SCANS) else _end(data, found.start())
        if found is None or marker is None or end is None:
            if scans:
                return tuple(segments), False
            raise InvalidImage(system_message="the JPEG ends, or a segment does, before its first scan")
        if marker == SOS:
            scans += 1
            following = _MARKER.search(data, end)
            end = following.start() if following else len(data)
        segments.append(Segment(marker=marker, start=found.start(), payload=found.start() + 4, end=end))
        if scans > MAX_SCANS:
            raise InvalidImage(
                f"The JPEG has more than {MAX_SCANS} scans", details={"max_allowed": MAX_SCANS, "unit": "scans"}
            )
        if len(segments) > MAX_SEGMENTS:
            raise InvalidImage(system_message="the JPEG has too many segments")
        at = end


def _end(data: bytes, start: int) -> int | None:
    """Return where the segment that begins at ``start`` ends; ``None`` when its length is impossible."""
    if start + 4 > len(data):
        return None
    (length,) = struct.unpack_from(">H", data, start + 2)
    end: int = start + 2 + length
    return end if length >= 2 and end <= len(data) else None


def _layout(data: bytes, segments: tuple[Segment, ...], *, ended: bool) -> JpegLayout:
    frame = _frame(segments)
    precision, height, width, components = struct.unpack_from(">BHHB", data, frame.payload)
    if precision != 8:
        raise UnsupportedImageFormat(
            f"JPEGs of {precision} bits are not supported", details={"format": "JPEG", "bits": precision}
        )
    if not height and any(segment.marker == DNL for segment in segments):
        kind = "height behind the first scan"
        raise UnsupportedImageFormat(
            f"The image is a JPEG with its {kind} (DNL), which is not supported",
            details={"format": "JPEG", "kind": kind},
        )
    if components not in (1, 3, 4) or not width or not height or frame.end < frame.payload + 6 + 3 * components:
        raise InvalidImage(system_message="the JPEG's frame header is not valid")
    progressive = frame.marker == PROGRESSIVE
    ids = [data[frame.payload + 6 + 3 * index] for index in range(components)]
    factors = _factors(data, frame, components)
    segments = _complete(data, segments, ids, progressive=progressive, ended=ended)
    return JpegLayout(
        segments=segments,
        width=width,
        height=height,
        components=components,
        facts=JpegFacts(
            quality=estimate_quality(*_tables(data, segments, frame, components)),
            subsampling=_subsampling(factors),
            progressive=progressive,
        ),
        adobe=any(_is_adobe(data, segment) for segment in segments),
        scans=sum(segment.marker == SOS for segment in segments),
        ended=ended,
        factors=factors,
    )


def _frame(segments: tuple[Segment, ...]) -> Segment:
    """Return the one frame header, of a coding that is read here."""
    for segment in segments:
        kind = OTHER_FRAMES.get(segment.marker)
        if kind is not None:
            name = kind if kind.startswith("JPEG") else f"{kind} JPEG"
            raise UnsupportedImageFormat(
                f"The image is a file of the kind {name}, which is not supported",
                details={"format": "JPEG", "kind": kind},
            )
    frames = [segment for segment in segments if segment.marker in KNOWN_FRAMES]
    if len(frames) != 1 or all(segment.marker != SOS for segment in segments):
        raise InvalidImage(system_message="the JPEG must have one frame and at least one scan")
    return frames[0]


def _complete(
    data: bytes, segments: tuple[Segment, ...], ids: list[int], *, progressive: bool, ended: bool
) -> tuple[Segment, ...]:
    """Check that the scans carry the whole picture; without an end marker, return the segments until they do."""

    def check(some: tuple[Segment, ...]) -> None:
        scans = [data[part.payload : part.payload + MAX_SCAN_HEADER] for part in some if part.marker == SOS]
        check_complete(scans, ids, progressive=progressive)

    if not ended:
        for number, segment in enumerate(segments, 1):
            if segment.marker == SOS:
                with suppress(InvalidImage):
                    check(segments[:number])
                    return segments[:number]
    check(segments)
    return segments


def _is_adobe(data: bytes, segment: Segment) -> bool:
    return segment.marker == APP14 and data.startswith(b"Adobe", segment.payload, segment.end)


def _factors(data: bytes, frame: Segment, components: int) -> tuple[tuple[int, int], ...]:
    """Return each component's sampling factors, horizontal and vertical."""
    both = (data[frame.payload + 6 + 3 * index + 1] for index in range(components))
    factors = tuple((byte >> 4, byte & 15) for byte in both)
    if not all(x and y for x, y in factors):
        raise InvalidImage(system_message="a JPEG sampling factor is zero")
    return factors


def _subsampling(
    factors: tuple[tuple[int, int], ...],
) -> Literal["444", "422", "420", "440", "411", "grey"]:
    if len(factors) == 1:
        return "grey"
    if len(factors) == 4:
        return "444"  # inks are no chroma, so that none of them tells how finely colours are to be written
    (luma_x, luma_y), *others = factors
    chroma_x, chroma_y = max(x for x, _ in others), max(y for _, y in others)
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

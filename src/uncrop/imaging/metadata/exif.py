"""The three facts of an EXIF block that matter here, read from and written to TIFF structure.

Only the first directory is read: orientation, artist and copyright live there, while GPS, thumbnail and maker notes lie
behind pointers that are never followed. Structure: TIFF 6.0, section 2; tags: CIPA DC-008 (Exif 3.0), table 3.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from uncrop.imaging.limits import MAX_EXIF_BYTES, MAX_TEXT_BYTES

ORIENTATION, ARTIST, COPYRIGHT = 0x0112, 0x013B, 0x8298
ASCII, SHORT, LONG, UTF8 = 2, 3, 4, 129
PREFIX = b"Exif\0\0"
MAX_ENTRIES = 1000


@dataclass(frozen=True, kw_only=True, slots=True)
class ExifFacts:
    """How to turn the pixels upright (1..8; 1 is upright), and whose they are, in the bytes of the file."""

    orientation: int = 1
    artist: bytes = b""
    copyright: bytes = b""


def read_exif(block: bytes | None) -> ExifFacts:
    """Read the facts; what cannot be read is as if it were not there, and the first of two equal tags wins."""
    if block is None or len(block) > MAX_EXIF_BYTES:
        return ExifFacts()
    tiff = block.removeprefix(PREFIX)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return ExifFacts()
    try:
        entries = _directory(tiff, order)
        return ExifFacts(
            orientation=_orientation(entries.get(ORIENTATION), order),
            artist=_text(tiff, order, entries.get(ARTIST)),
            copyright=_text(tiff, order, entries.get(COPYRIGHT)),
        )
    except struct.error:
        return ExifFacts()


def build_exif(facts: ExifFacts) -> bytes | None:
    """Write a big-endian TIFF block with these facts alone, or ``None`` when there are none."""
    entries: list[tuple[int, int, bytes]] = []
    if facts.orientation != 1:
        entries.append((ORIENTATION, SHORT, struct.pack(">H", facts.orientation)))
    entries += [
        (tag, ASCII, text + b"\0") for tag, text in ((ARTIST, facts.artist), (COPYRIGHT, facts.copyright)) if text
    ]
    if not entries:
        return None
    directory, values = struct.pack(">H", len(entries)), b""
    behind = 8 + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        count = len(value) if kind == ASCII else len(value) // 2
        if len(value) <= 4:
            place = value.ljust(4, b"\0")
        else:
            place = struct.pack(">I", behind + len(values))
            values += value + b"\0" * (len(value) % 2)
        directory += struct.pack(">HHI", tag, kind, count) + place
    return b"MM\0*" + struct.pack(">I", 8) + directory + struct.pack(">I", 0) + values


def _directory(tiff: bytes, order: str) -> dict[int, tuple[int, int, bytes]]:
    (offset,) = struct.unpack_from(order + "I", tiff, 4)
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    entries: dict[int, tuple[int, int, bytes]] = {}
    for number in range(min(count, MAX_ENTRIES)):
        tag, kind, length, place = struct.unpack_from(order + "HHI4s", tiff, offset + 2 + 12 * number)
        entries.setdefault(tag, (kind, length, place))
    return entries


def _orientation(entry: tuple[int, int, bytes] | None, order: str) -> int:
    if entry is None or entry[0] not in (SHORT, LONG) or entry[1] != 1:
        return 1
    (value,) = struct.unpack_from(order + ("H" if entry[0] == SHORT else "I"), entry[2])
    return value if 1 <= value <= 8 else 1


def _text(tiff: bytes, order: str, entry: tuple[int, int, bytes] | None) -> bytes:
    if entry is None or entry[0] not in (ASCII, UTF8) or entry[1] > MAX_TEXT_BYTES:
        return b""
    _, length, place = entry
    if length <= 4:
        return place[:length].strip(b"\0 ")
    (offset,) = struct.unpack(order + "I", place)
    value = tiff[offset : offset + length]
    return value.strip(b"\0 ") if len(value) == length else b""

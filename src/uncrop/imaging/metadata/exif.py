"""The facts of an EXIF block that matter here, read from and written to TIFF structure.

Of the directories only the first, the one of the exposure and the one of interoperability are read; GPS, thumbnail and
maker notes lie behind other pointers, which are never followed. Structure: TIFF 6.0, section 2; tags: CIPA DC-008 (Exif
3.0), tables 3, 5 and 14; the colour space of interoperability: CIPA DC-009 (DCF 2.0), section 3.1.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias

from uncrop.imaging.limits import MAX_EXIF_BYTES, MAX_TEXT_BYTES
from uncrop.imaging.metadata.density import MAX_DENSITY
from uncrop.model import Density

if TYPE_CHECKING:
    from collections.abc import Iterable

ByteOrder: TypeAlias = Literal["<", ">"]
Entry: TypeAlias = tuple[int, int, bytes]  # kind, count, and the value or its place

MAKE, MODEL, ORIENTATION, ARTIST, COPYRIGHT = 0x010F, 0x0110, 0x0112, 0x013B, 0x8298
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 0x011A, 0x011B, 0x0128
EXPOSURE, TAKEN, TAKEN_OFFSET, COLOUR_SPACE = 0x8769, 0x9003, 0x9011, 0xA001
INTEROPERABILITY, INTEROPERABILITY_INDEX = 0xA005, 0x0001
ASCII, SHORT, LONG, RATIONAL, UTF8 = 2, 3, 4, 5, 129
NO_UNIT, INCH, CENTIMETRE = 1, 2, 3
# Of colour spaces: the standard knows sRGB (1) and others (0xFFFF), and DCF's index tells that the other is Adobe RGB;
# some cameras write a 2 instead.
OTHER_SPACE, ADOBE_SPACE, ADOBE_INDEX = 0xFFFF, 2, b"R03"
PREFIX = b"Exif\0\0"
MAX_ENTRIES = 1000
_DATE = re.compile(rb"\d{4}:\d\d:\d\d \d\d:\d\d:\d\d")
_OFFSET = re.compile(rb"[+-]\d\d:\d\d")
_SIZES = {ASCII: 1, SHORT: 2, LONG: 4, RATIONAL: 8}


@dataclass(frozen=True, kw_only=True, slots=True)
class ExifFacts:
    """What is read of an EXIF block; texts are in the bytes of the file.

    Attributes
    ----------
    orientation
        How to turn the pixels upright, 1..8; 1 is upright.
    artist, copyright
        Whose the photo is.
    make, model
        The camera's.
    taken, taken_offset
        When the photo was taken, ``YYYY:MM:DD HH:MM:SS``, and how far that is ahead of UTC, ``+HH:MM``.
    adobe_rgb
        Whether its colours are those of Adobe RGB (1998).
    density
        Pixels a length, where it is told.
    """

    orientation: int = 1
    artist: bytes = b""
    copyright: bytes = b""
    make: bytes = b""
    model: bytes = b""
    taken: bytes = b""
    taken_offset: bytes = b""
    adobe_rgb: bool = False
    density: Density | None = None


@dataclass(frozen=True, slots=True)
class _Directory:
    """The entries of one directory, and the block that they point into."""

    tiff: bytes
    order: ByteOrder
    entries: dict[int, Entry]

    def number(self, tag: int) -> int | None:
        kind, count, place = self.entries.get(tag, (0, 0, b""))
        if kind not in (SHORT, LONG) or count != 1:
            return None
        (value,) = struct.unpack_from(self.order + ("H" if kind == SHORT else "I"), place)
        return int(value)

    def text(self, tag: int) -> bytes:
        kind, length, place = self.entries.get(tag, (0, 0, b""))
        if kind not in (ASCII, UTF8) or length > MAX_TEXT_BYTES:
            return b""
        if length <= 4:
            return place[:length].strip(b"\0 ")
        (offset,) = struct.unpack(self.order + "I", place)
        value = self.tiff[offset : offset + length]
        return value.strip(b"\0 ") if len(value) == length else b""

    def ratio(self, tag: int) -> float | None:
        kind, count, place = self.entries.get(tag, (0, 0, b""))
        if kind != RATIONAL or count != 1:
            return None
        (offset,) = struct.unpack(self.order + "I", place)
        numerator, denominator = struct.unpack_from(self.order + "II", self.tiff, offset)
        return numerator / denominator if denominator else None

    def below(self, tag: int) -> _Directory:
        """Return the directory that a pointer names; an empty one where there is none."""
        offset = self.number(tag)
        return _Directory(self.tiff, self.order, {}) if offset is None else _directory(self.tiff, self.order, offset)


def read_exif(block: bytes | None) -> ExifFacts:
    """Read the facts; what cannot be read is as if it were not there, and the first of two equal tags wins."""
    if block is None or len(block) > MAX_EXIF_BYTES:
        return ExifFacts()
    tiff = block.removeprefix(PREFIX)
    orders: dict[bytes, ByteOrder] = {b"II*\0": "<", b"MM\0*": ">"}
    order = orders.get(tiff[:4])
    if order is None:
        return ExifFacts()
    try:
        (offset,) = struct.unpack_from(order + "I", tiff, 4)
        first = _directory(tiff, order, offset)
        facts = ExifFacts(
            orientation=_orientation(first.number(ORIENTATION)),
            artist=first.text(ARTIST),
            copyright=first.text(COPYRIGHT),
            make=first.text(MAKE),
            model=first.text(MODEL),
        )
    except struct.error:
        return ExifFacts()
    return _with_density(_with_exposure(facts, first), first)


def _with_exposure(facts: ExifFacts, first: _Directory) -> ExifFacts:
    try:
        exposure = first.below(EXPOSURE)
        taken, offset = exposure.text(TAKEN), exposure.text(TAKEN_OFFSET)
        facts = replace(
            facts,
            taken=taken if _DATE.fullmatch(taken) else b"",
            taken_offset=offset if _OFFSET.fullmatch(offset) else b"",
            adobe_rgb=exposure.number(COLOUR_SPACE) == ADOBE_SPACE,
        )
        index = exposure.below(INTEROPERABILITY).text(INTEROPERABILITY_INDEX)
    except struct.error:
        return facts
    other = exposure.number(COLOUR_SPACE) in (OTHER_SPACE, None)
    return replace(facts, adobe_rgb=facts.adobe_rgb or (other and index == ADOBE_INDEX))


def _with_density(facts: ExifFacts, first: _Directory) -> ExifFacts:
    try:
        x, y, unit = first.ratio(X_RESOLUTION), first.ratio(Y_RESOLUTION), first.number(RESOLUTION_UNIT)
    except struct.error:
        return facts
    if x is None or y is None or not (0 < x < MAX_DENSITY and 0 < y < MAX_DENSITY):
        return facts
    factor = 2.54 if unit == CENTIMETRE else 1.0
    return replace(facts, density=Density(x=x * factor, y=y * factor, physical=unit != NO_UNIT))


def build_exif(facts: ExifFacts) -> bytes | None:
    """Write a big-endian TIFF block with these facts alone, or ``None`` when there are none."""
    if facts == ExifFacts():
        return None
    exposure = _exposure_entries(facts)
    density = facts.density
    entries = [
        *_texts((MAKE, facts.make), (MODEL, facts.model)),
        *([(ORIENTATION, SHORT, struct.pack(">H", facts.orientation))] if facts.orientation != 1 else []),
        *(_density_entries(density) if density is not None else []),
        *_texts((ARTIST, facts.artist), (COPYRIGHT, facts.copyright)),
    ]
    below = [(EXPOSURE, LONG, b"\0" * 4)] if exposure else []
    start = 8 + len(_written([*entries, *below], 8))
    written = _written(_sorted([*entries, *((tag, kind, struct.pack(">I", start)) for tag, kind, _ in below)]), 8)
    return b"MM\0*" + struct.pack(">I", 8) + written + (_exposure(exposure, start, facts) if exposure else b"")


def _exposure_entries(facts: ExifFacts) -> list[tuple[int, int, bytes]]:
    entries = _texts((TAKEN, facts.taken), (TAKEN_OFFSET, facts.taken_offset))
    return [*entries, (COLOUR_SPACE, SHORT, struct.pack(">H", OTHER_SPACE))] if facts.adobe_rgb else entries


def _exposure(entries: list[tuple[int, int, bytes]], start: int, facts: ExifFacts) -> bytes:
    """Write the directory of the exposure, which begins at ``start``, and behind it that of interoperability."""
    if not facts.adobe_rgb:
        return _written(entries, start)
    behind = start + len(_written([*entries, (INTEROPERABILITY, LONG, b"\0" * 4)], start))
    pointer = (INTEROPERABILITY, LONG, struct.pack(">I", behind))
    index = [(INTEROPERABILITY_INDEX, ASCII, ADOBE_INDEX + b"\0")]
    return _written([*entries, pointer], start) + _written(index, behind)


def _texts(*texts: tuple[int, bytes]) -> list[tuple[int, int, bytes]]:
    return [(tag, ASCII, text + b"\0") for tag, text in texts if text]


def _density_entries(density: Density) -> list[tuple[int, int, bytes]]:
    ratios = [struct.pack(">II", round(value * 1000), 1000) for value in (density.x, density.y)]
    return [
        (X_RESOLUTION, RATIONAL, ratios[0]),
        (Y_RESOLUTION, RATIONAL, ratios[1]),
        (RESOLUTION_UNIT, SHORT, struct.pack(">H", INCH if density.physical else NO_UNIT)),
    ]


def _sorted(entries: Iterable[tuple[int, int, bytes]]) -> list[tuple[int, int, bytes]]:
    return sorted(entries, key=lambda entry: entry[0])


def _written(entries: list[tuple[int, int, bytes]], start: int) -> bytes:
    """Write one directory that begins at ``start``, and the values that do not fit into it."""
    directory, values = struct.pack(">H", len(entries)), b""
    behind = start + 2 + 12 * len(entries) + 4
    for tag, kind, value in entries:
        if len(value) <= 4:
            place = value.ljust(4, b"\0")
        else:
            place = struct.pack(">I", behind + len(values))
            values += value + b"\0" * (len(value) % 2)
        directory += struct.pack(">HHI", tag, kind, len(value) // _SIZES[kind]) + place
    return directory + struct.pack(">I", 0) + values


def _directory(tiff: bytes, order: ByteOrder, offset: int) -> _Directory:
    (count,) = struct.unpack_from(order + "H", tiff, offset)
    entries: dict[int, Entry] = {}
    for number in range(min(count, MAX_ENTRIES)):
        tag, kind, length, place = struct.unpack_from(order + "HHI4s", tiff, offset + 2 + 12 * number)
        entries.setdefault(tag, (kind, length, place))
    return _Directory(tiff, order, entries)


def _orientation(value: int | None) -> int:
    return value if value is not None and 1 <= value <= 8 else 1

"""Creator and rights in IPTC's older form, IIM, which JPEGs hold within Photoshop's image resources.

IIM version 4.2, chapters 1 to 6; the image resource block after Adobe's Photoshop file format specification.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from uncrop.imaging.limits import MAX_TEXT_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOURCE, IPTC = b"8BIM", 0x0404
TAG = 0x1C
CHARACTER_SET, UTF8 = (1, 90), b"\x1b%G"
# Record and number of the data sets that are kept.
KEPT = {(2, 80): "creators", (2, 110): "credit", (2, 115): "source", (2, 116): "copyright"}
MAX_ITEMS = 50
# More data sets than any newsroom fills in only cost time.
MAX_DATA_SETS = 2000


@dataclass(frozen=True, kw_only=True, slots=True)
class IptcFacts:
    """Whose the photo is; only creators can be several."""

    creators: tuple[str, ...] = ()
    credit: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    copyright: tuple[str, ...] = ()


def read_iptc(resources: bytes | None) -> IptcFacts:
    """Read the facts from Photoshop's image resources; what cannot be read is as if it were not there."""
    found: dict[str, list[bytes]] = {name: [] for name in KEPT.values()}
    encoding = "latin-1"
    for block in _resources(resources or b""):
        for key, value in _data_sets(block):
            if key == CHARACTER_SET and value == UTF8:
                encoding = "utf-8"
            elif key in KEPT and len(value) <= MAX_TEXT_BYTES:
                found[KEPT[key]].append(value)
    return IptcFacts(
        **{
            name: tuple(_texts(values, encoding))[: MAX_ITEMS if name == "creators" else 1]
            for name, values in found.items()
        }
    )


def build_iptc(facts: IptcFacts) -> bytes | None:
    """Write image resources with these facts alone, in UTF-8, or ``None`` when there are none."""
    if facts == IptcFacts():
        return None
    sets = [(CHARACTER_SET, UTF8), ((2, 0), b"\0\x04")]
    names = {name: key for key, name in KEPT.items()}
    for field in fields(facts):
        sets += [(names[field.name], text.encode()) for text in getattr(facts, field.name)]
    block = b"".join(struct.pack(">BBBH", TAG, *key, len(value)) + value for key, value in sets)
    return RESOURCE + struct.pack(">HHI", IPTC, 0, len(block)) + block + b"\0" * (len(block) % 2)


def _texts(values: list[bytes], encoding: str) -> Iterator[str]:
    for value in values:
        text = value.decode(encoding, errors="replace").strip("\0 ")
        # What XML cannot hold is no part of a name.
        if text and all(sign >= " " or sign in "\t\n\r" for sign in text):
            yield text


def _resources(data: bytes) -> Iterator[bytes]:
    """Yield the IIM blocks among Photoshop's image resources."""
    at = 0
    while data.startswith(RESOURCE, at) and at + 12 <= len(data):
        number, name = struct.unpack_from(">HB", data, at + 4)
        # The name with its length, and the data, are padded to even lengths.
        start = at + 6 + (1 + name + 1) // 2 * 2
        if start + 4 > len(data):
            return
        (size,) = struct.unpack_from(">I", data, start)
        if number == IPTC:
            yield data[start + 4 : start + 4 + size]
        at = start + 4 + size + size % 2


def _data_sets(block: bytes) -> Iterator[tuple[tuple[int, int], bytes]]:
    at = 0
    for _ in range(MAX_DATA_SETS):
        if at + 5 > len(block) or block[at] != TAG:
            return
        record, number, size = struct.unpack_from(">BBH", block, at + 1)
        # A length of more than 15 bits says how many bytes hold the length; nothing that is kept is so long.
        if size >= 1 << 15 or at + 5 + size > len(block):
            return
        yield (record, number), block[at + 5 : at + 5 + size]
        at += 5 + size

"""EXIF and IPTC as ImageMagick and its kin wrote them into PNGs before there was a chunk for them: as texts in hex.

A text chunk's keyword is ``Raw profile type`` and a name; its text is that name, a length and the hex digits, each on
lines of their own. After ImageMagick's ``coders/png.c``; there is no other description.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.imaging.limits import MAX_EXIF_BYTES
from uncrop.imaging.png.inflate import inflate

if TYPE_CHECKING:
    from uncrop.imaging.png.layout import PngLayout

KEYWORD = b"Raw profile type "
# Two digits a byte, and a line's end behind each 36 of them.
MAX_TEXT = 3 * MAX_EXIF_BYTES


def raw_profile(data: bytes, layout: PngLayout, *names: bytes) -> bytes | None:
    """Return the first block under one of these names, or ``None`` when none is there, sound and within bounds."""
    for chunk in layout.chunks:
        if chunk.name not in (b"tEXt", b"zTXt") or not data.startswith(KEYWORD, chunk.start, chunk.end):
            continue
        keyword, _, text = data[chunk.start : chunk.end].partition(b"\0")
        if keyword.removeprefix(KEYWORD) in names:
            content = inflate(text[1:], MAX_TEXT) if chunk.name == b"zTXt" else text[:MAX_TEXT]
            return None if content is None else _unhexed(content)
    return None


def _unhexed(text: bytes) -> bytes | None:
    """Decode the digits behind the lines of name and length, which must agree with them."""
    lines = text.split(maxsplit=2)
    if len(lines) != 3 or not lines[1].isdigit() or len(lines[1]) > len(str(MAX_EXIF_BYTES)):
        return None
    try:
        block = bytes.fromhex(lines[2].decode("ascii"))
    except ValueError:
        return None
    return block if len(block) == int(lines[1]) else None

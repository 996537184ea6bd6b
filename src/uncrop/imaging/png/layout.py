"""PNG: the structure of a file, checked to the last byte but not inflated.

Chunks after the PNG specification, third edition (W3C, 2025), sections 5 and 11.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from isal import isal_zlib

from uncrop.errors import InvalidImage, UnsupportedImageFormat
from uncrop.imaging.limits import MAX_EXIF_BYTES, MAX_ICC_BYTES, MAX_SEGMENTS, MAX_XMP_BYTES
from uncrop.imaging.png.inflate import inflate

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGBA: (8, 16)}
SAMPLES = {GREY: 1, RGB: 3, PALETTE: 1, GREY_ALPHA: 2, RGBA: 4}
CRITICAL = {b"IHDR", b"PLTE", b"IDAT", b"IEND"}
# Of Apple's own variant, whose picture data no PNG decoder reads: bare deflate, blue first, alpha multiplied in.
APPLE = b"CgBI"
XMP_KEYWORD = b"XML:com.adobe.xmp"


@dataclass(frozen=True, kw_only=True, slots=True)
class Chunk:
    """One chunk: its name and where its payload lies; length and name are the 8 bytes before, the CRC the 4 behind."""

    name: bytes
    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class PngLayout:
    """What the header says, and all chunks in their order; the last one, IEND, may be missing in the file."""

    chunks: tuple[Chunk, ...]
    width: int
    height: int
    depth: int
    colour: int
    interlaced: bool
    transparent: bool  # has a tRNS chunk where one counts
    frames: int

    def payload(self, data: bytes, name: bytes) -> bytes | None:
        """Return the payload of the first chunk of that name."""
        return next((data[chunk.start : chunk.end] for chunk in self.chunks if chunk.name == name), None)

    def leading(self, data: bytes, name: bytes) -> bytes | None:
        """Return the payload of the first chunk of that name before the picture data; behind it, few of them count."""
        for chunk in self.chunks:
            if chunk.name == b"IDAT":
                return None
            if chunk.name == name:
                return data[chunk.start : chunk.end]
        raise AssertionError("a layout has picture data")


def read_layout(data: bytes) -> PngLayout:
    """Walk through the chunks and check order, lengths and checksums; nothing is inflated.

    A chunk that only accompanies the picture and whose checksum is wrong is as if absent.

    A file may end behind its picture data without an end chunk, or within a chunk that follows: whether the data are
    whole, inflating them tells, since they end with a checksum of their own.

    Raises
    ------
    InvalidImage
        When anything in the structure is broken or missing.
    UnsupportedImageFormat
        When it is Apple's variant.
    """
    try:
        chunks = _chunks(data)
        return _layout(data, chunks)
    except struct.error as error:
        raise InvalidImage(system_message="a PNG chunk is too short") from error


def exif_of(data: bytes, layout: PngLayout) -> bytes | None:
    """Return the EXIF block."""
    block = layout.payload(data, b"eXIf")
    return block if block is not None and len(block) <= MAX_EXIF_BYTES else None


def icc_of(data: bytes, layout: PngLayout) -> bytes | None:
    """Return the inflated colour profile, or ``None`` when it is absent, broken or too large."""
    payload = layout.leading(data, b"iCCP") or b""
    _, found, rest = payload.partition(b"\0")
    return inflate(rest[1:], MAX_ICC_BYTES) if found and rest[:1] == b"\0" else None


def xmp_of(data: bytes, layout: PngLayout) -> bytes | None:
    """Return the XMP packet from its iTXt chunk, or ``None`` when it is absent, broken or too large."""
    for chunk in layout.chunks:
        if chunk.name == b"iTXt" and data.startswith(XMP_KEYWORD + b"\0", chunk.start, chunk.end):
            rest = data[chunk.start + len(XMP_KEYWORD) + 1 : chunk.end]
            text = rest[2:].split(b"\0", 2)
            if len(rest) < 2 or len(text) != 3:
                return None
            return inflate(text[2], MAX_XMP_BYTES) if rest[0] else text[2][: MAX_XMP_BYTES + 1]
    return None


def chunk(name: bytes, payload: bytes) -> bytes:
    """Write one chunk."""
    checksum = isal_zlib.crc32(payload, isal_zlib.crc32(name))
    return b"".join((struct.pack(">I", len(payload)), name, payload, struct.pack(">I", checksum)))


def _chunks(data: bytes) -> tuple[Chunk, ...]:
    view = memoryview(data)
    chunks: list[Chunk] = []
    at, left_out = len(SIGNATURE), 0
    while not chunks or chunks[-1].name != b"IEND":
        if _ends(data, at, chunks):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        (checksum,) = struct.unpack_from(">I", data, end)
        is_sound = isal_zlib.crc32(view[at + 4 : end]) == checksum
        if not is_sound and not (name.isalpha() and name[:1].islower()):
            raise InvalidImage(system_message="a PNG checksum is wrong")
        if name == APPLE:
            raise UnsupportedImageFormat(
                "The image is a PNG of Apple's own variant (CgBI), which is not supported",
                details={"format": "PNG", "kind": "CgBI"},
            )
        if not name.isalpha() or (name[:1].isupper() and name not in CRITICAL):
            raise InvalidImage(system_message="the PNG has an unknown critical chunk")
        if is_sound:
            chunks.append(Chunk(name=name, start=at + 8, end=end))
        else:
            left_out += 1  # as libpng does with what only accompanies the picture
        if len(chunks) + left_out > MAX_SEGMENTS:
            raise InvalidImage(system_message="the PNG has too many chunks")
        at = end + 4
    return tuple(chunks)


def _ends(data: bytes, at: int, chunks: list[Chunk]) -> bool:
    """Tell whether the file ends before the chunk at ``at`` does, though all chunks of picture data are whole."""
    if at + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, at)
        if name == b"IDAT" or at + 12 + length <= len(data):
            return False
    # Last, since it looks at all of them: a file may have thousands.
    return any(chunk.name == b"IDAT" for chunk in chunks)


def _layout(data: bytes, chunks: tuple[Chunk, ...]) -> PngLayout:
    if chunks[0].name != b"IHDR" or chunks[0].end - chunks[0].start != 13:
        raise InvalidImage(system_message="the PNG does not begin with a header")
    width, height, depth, colour, compression, filtering, interlace = struct.unpack_from(
        ">IIBBBBB", data, chunks[0].start
    )
    if not 0 < width < 2**31 or not 0 < height < 2**31:
        raise InvalidImage(system_message="the PNG has an impossible extent")
    if depth not in DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise InvalidImage(system_message="the PNG's header has an unknown value")
    names = [chunk.name for chunk in chunks]
    _check_order(names, colour)
    layout = PngLayout(
        chunks=chunks,
        width=width,
        height=height,
        depth=depth,
        colour=colour,
        interlaced=bool(interlace),
        transparent=_is_transparent(names, colour),
        frames=_frames(data, chunks),
    )
    _check_colours(layout, data)
    return layout


def _is_transparent(names: list[bytes], colour: int) -> bool:
    """Tell whether a tRNS chunk counts: before the picture data, behind a palette, and not beside alpha."""
    before = names[: names.index(b"IDAT")]
    if colour == PALETTE:
        before = before[before.index(b"PLTE") :]
    return colour in (GREY, RGB, PALETTE) and b"tRNS" in before


def _frames(data: bytes, chunks: tuple[Chunk, ...]) -> int:
    """Count the pictures of an animation; a control that is no animation's, behind the picture, does not count."""
    names = [chunk.name for chunk in chunks]
    if b"acTL" not in names[: names.index(b"IDAT")]:
        return 1
    control = chunks[names.index(b"acTL")]
    if control.end - control.start != 8:
        raise InvalidImage(system_message="the PNG's animation control has an impossible length")
    (frames,) = struct.unpack_from(">I", data, control.start)
    # Of more frames than there are, only those that are there can be shown.
    return max(1, min(int(frames), names.count(b"fcTL")))


def _check_order(names: list[bytes], colour: int) -> None:
    if names.count(b"IHDR") != 1 or b"IDAT" not in names:
        raise InvalidImage(system_message="the PNG must have one header and picture data")
    first = names.index(b"IDAT")
    if any(name != b"IDAT" for name in names[first : first + names.count(b"IDAT")]):
        raise InvalidImage(system_message="the PNG's picture data is interrupted")
    if names.count(b"PLTE") > 1 or (colour == PALETTE and b"PLTE" not in names[:first]):
        raise InvalidImage(system_message="the PNG's palette is missing or not alone")


def _check_colours(layout: PngLayout, data: bytes) -> None:
    palette = layout.payload(data, b"PLTE")
    if palette is not None and (not palette or len(palette) % 3 or len(palette) > 768):
        raise InvalidImage(system_message="the PNG's palette has an impossible length")
    transparency = layout.leading(data, b"tRNS") or b""
    expected = {GREY: 2, RGB: 6}.get(layout.colour)
    if layout.transparent and expected is not None and len(transparency) != expected:
        raise InvalidImage(system_message="the PNG's transparency has an impossible length")

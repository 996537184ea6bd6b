"""WebP: the structure of a file, read and written; the pixels are the codec's.

Container after RFC 9649, section 2; the frame headers of VP8 after RFC 6386, section 9.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from uncrop.errors import InvalidImage
from uncrop.imaging.limits import MAX_SEGMENTS

ICC_FLAG, ALPHA_FLAG, EXIF_FLAG, XMP_FLAG, ANIMATION_FLAG = 0x20, 0x10, 0x08, 0x04, 0x02


@dataclass(frozen=True, kw_only=True, slots=True)
class WebpLayout:
    """The chunks of a file, in their order, each as (four-letter name, payload's start, payload's end)."""

    chunks: tuple[tuple[bytes, int, int], ...]
    width: int
    height: int
    alpha: bool
    lossless: bool
    animated: bool
    frames: int

    def payload(self, data: bytes, name: bytes) -> bytes | None:
        """Return the payload of the first chunk of that name."""
        return next((data[start:end] for kind, start, end in self.chunks if kind == name), None)


def read_layout(data: bytes) -> WebpLayout:
    """Walk through the chunks without decoding any.

    Raises
    ------
    InvalidImage
        When a chunk is cut off, the picture is missing, or the sizes in the file contradict one another.
    """
    try:
        chunks = _chunks(data)
        return _layout(data, chunks)
    except (struct.error, IndexError) as error:
        raise InvalidImage(system_message="a WebP chunk is too short") from error


def build(picture: list[tuple[bytes, bytes]], *, width: int, height: int, alpha: bool, **kept: bytes | None) -> bytes:
    """Put a file together from the picture's chunks and, if there are any, ``icc``, ``exif`` and ``xmp``."""
    icc, exif, xmp = kept.get("icc"), kept.get("exif"), kept.get("xmp")
    chunks = list(picture)
    if any((icc, exif, xmp)) or len(picture) > 1:
        flags = (
            (ICC_FLAG if icc else 0)
            | (ALPHA_FLAG if alpha else 0)
            | (EXIF_FLAG if exif else 0)
            | (XMP_FLAG if xmp else 0)
        )
        extended = bytes((flags, 0, 0, 0)) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
        before = [(b"VP8X", extended), *([(b"ICCP", icc)] if icc else [])]
        behind = [*([(b"EXIF", exif)] if exif else []), *([(b"XMP ", xmp)] if xmp else [])]
        chunks = [*before, *picture, *behind]
    body = b"".join(name + struct.pack("<I", len(load)) + load + b"\0" * (len(load) % 2) for name, load in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def _chunks(data: bytes) -> tuple[tuple[bytes, int, int], ...]:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise InvalidImage(system_message="the WebP is shorter than it says")
    chunks: list[tuple[bytes, int, int]] = []
    at = 12
    while at + 8 <= size + 8:
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > size + 8:
            raise InvalidImage(system_message="a WebP chunk is cut off")
        chunks.append((name, at + 8, at + 8 + length))
        at += 8 + length + length % 2
        if len(chunks) > MAX_SEGMENTS:
            raise InvalidImage(system_message="the WebP has too many chunks")
    return tuple(chunks)


def _layout(data: bytes, chunks: tuple[tuple[bytes, int, int], ...]) -> WebpLayout:
    names = [name for name, _, _ in chunks]
    if not names or names[0] not in (b"VP8 ", b"VP8L", b"VP8X"):
        raise InvalidImage(system_message="the WebP has no picture")
    canvas = _canvas(data[chunks[0][1] : chunks[0][2]]) if names[0] == b"VP8X" else None
    if canvas is not None and data[chunks[0][1]] & ANIMATION_FLAG:
        frames = names.count(b"ANMF")
        return WebpLayout(
            chunks=chunks, width=canvas[0], height=canvas[1], alpha=True, lossless=False, animated=True, frames=frames
        )
    pictures = [(name, start, end) for name, start, end in chunks if name in (b"VP8 ", b"VP8L")]
    if len(pictures) != 1:
        raise InvalidImage(system_message="the WebP must have one picture")
    name, start, end = pictures[0]
    width, height, alpha = _vp8l(data[start:end]) if name == b"VP8L" else (*_vp8(data[start:end]), b"ALPH" in names)
    if canvas is not None and canvas != (width, height):
        raise InvalidImage(system_message="the WebP's canvas and picture differ in size")
    return WebpLayout(
        chunks=chunks, width=width, height=height, alpha=alpha, lossless=name == b"VP8L", animated=False, frames=1
    )


def _canvas(payload: bytes) -> tuple[int, int]:
    if len(payload) < 10:
        raise InvalidImage(system_message="the WebP's extended header is too short")
    return 1 + int.from_bytes(payload[4:7], "little"), 1 + int.from_bytes(payload[7:10], "little")


def _vp8(payload: bytes) -> tuple[int, int]:
    if payload[3:6] != b"\x9d\x01\x2a" or payload[0] & 1:
        raise InvalidImage(system_message="the WebP's picture is not a key frame")
    width, height = struct.unpack_from("<HH", payload, 6)
    if not width & 0x3FFF or not height & 0x3FFF:
        raise InvalidImage(system_message="the WebP has no extent")
    return width & 0x3FFF, height & 0x3FFF


def _vp8l(payload: bytes) -> tuple[int, int, bool]:
    signature, packed = struct.unpack_from("<BI", payload)
    if signature != 0x2F or packed >> 29:
        raise InvalidImage(system_message="the WebP's lossless picture has no signature")
    return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF), bool(packed >> 28 & 1)

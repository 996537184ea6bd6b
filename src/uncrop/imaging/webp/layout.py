"""WebP: the structure of a file, read and written; the pixels are the codec's.

Container after RFC 9649, section 2; the frame headers of VP8 after RFC 6386, section 9.1.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TypeAlias

from uncrop.errors import InvalidImage
from uncrop.imaging.limits import MAX_SEGMENTS

Chunks: TypeAlias = tuple[tuple[bytes, int, int], ...]
FRAME_CHUNKS = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
FRAME_HEADER = 16
ICC_FLAG, ALPHA_FLAG, EXIF_FLAG, XMP_FLAG, ANIMATION_FLAG = 0x20, 0x10, 0x08, 0x04, 0x02


@dataclass(frozen=True, kw_only=True, slots=True)
class WebpLayout:
    """The chunks of a file, in their order, each as (four-letter name, payload's start, payload's end).

    Of an animation with one frame, that frame's chunks stand in place of the animation's. ``frame`` is where the
    picture lies on the canvas and its extent: x, y, width, height.
    """

    chunks: tuple[tuple[bytes, int, int], ...]
    width: int
    height: int
    alpha: bool
    lossless: bool
    animated: bool  # as the header says; it may still be one picture
    frames: int
    frame: tuple[int, int, int, int]

    @property
    def fills(self) -> bool:
        """Whether the picture is as large as the canvas."""
        return self.frame == (0, 0, self.width, self.height)

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


def still(data: bytes, layout: WebpLayout) -> bytes:
    """Write the picture of an animation with one frame as a file of its own, without anything else."""
    _, _, width, height = layout.frame
    picture = [(name, data[start:end]) for name, start, end in layout.chunks if name in FRAME_CHUNKS]
    alpha = any(name == b"ALPH" for name, _ in picture)
    return build(picture, width=width, height=height, alpha=alpha)


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


def _chunks(data: bytes) -> Chunks:
    (size,) = struct.unpack_from("<I", data, 4)
    if size + 8 > len(data):
        raise InvalidImage(system_message="the WebP is shorter than it says")
    return _walk(data, 12, size + 8)


def _walk(data: bytes, at: int, end: int) -> Chunks:
    chunks: list[tuple[bytes, int, int]] = []
    while at + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, at)
        if at + 8 + length > end:
            raise InvalidImage(system_message="a WebP chunk is cut off")
        chunks.append((name, at + 8, at + 8 + length))
        at += 8 + length + length % 2
        if len(chunks) > MAX_SEGMENTS:
            raise InvalidImage(system_message="the WebP has too many chunks")
    return tuple(chunks)


def _layout(data: bytes, chunks: Chunks) -> WebpLayout:
    names = [name for name, _, _ in chunks]
    if not names or names[0] not in (b"VP8 ", b"VP8L", b"VP8X"):
        raise InvalidImage(system_message="the WebP has no picture")
    canvas = _canvas(data[chunks[0][1] : chunks[0][2]]) if names[0] == b"VP8X" else None
    animated = canvas is not None and bool(data[chunks[0][1]] & ANIMATION_FLAG)
    frames = names.count(b"ANMF") if animated else 1
    if canvas is not None and frames > 1:
        return WebpLayout(
            chunks=chunks,
            width=canvas[0],
            height=canvas[1],
            alpha=True,
            lossless=False,
            animated=True,
            frames=frames,
            frame=(0, 0, *canvas),
        )
    place, claimed = (0, 0), canvas
    if animated and frames == 1:
        chunks, place, claimed = _only_frame(data, chunks)
    pictures = [(name, start, end) for name, start, end in chunks if name in (b"VP8 ", b"VP8L")]
    if len(pictures) != 1:
        raise InvalidImage(system_message="the WebP must have one picture")
    name, start, end = pictures[0]
    alpha = any(name == b"ALPH" for name, _, _ in chunks)
    width, height, alpha = _vp8l(data[start:end]) if name == b"VP8L" else (*_vp8(data[start:end]), alpha)
    canvas = canvas or (width, height)
    frame = (*place, width, height)
    inside = place[0] + width <= canvas[0] and place[1] + height <= canvas[1]
    if (claimed is not None and claimed != (width, height)) or not inside:
        raise InvalidImage(system_message="the WebP's canvas and picture differ in size")
    return WebpLayout(
        chunks=chunks,
        width=canvas[0],
        height=canvas[1],
        # What the picture leaves free of the canvas is transparent.
        alpha=alpha or frame != (0, 0, *canvas),
        lossless=name == b"VP8L",
        animated=animated,
        frames=1,
        frame=frame,
    )


def _only_frame(data: bytes, chunks: Chunks) -> tuple[Chunks, tuple[int, int], tuple[int, int]]:
    """Put the chunks of an animation's only frame in its place; return its place and extent too (RFC 9649, 2.7.1.1)."""
    start, end = next((start, end) for name, start, end in chunks if name == b"ANMF")
    if end - start < FRAME_HEADER:
        raise InvalidImage(system_message="the WebP's frame is too short")
    x, y, width, height = (int.from_bytes(data[start + at : start + at + 3], "little") for at in (0, 3, 6, 9))
    inner = tuple(chunk for chunk in _walk(data, start + FRAME_HEADER, end) if chunk[0] in FRAME_CHUNKS)
    outer = (chunk for chunk in chunks if chunk[0] not in {b"ANIM", b"ANMF", *FRAME_CHUNKS})
    # Places are counted in twos, extents from one.
    return (*outer, *inner), (2 * x, 2 * y), (1 + width, 1 + height)


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

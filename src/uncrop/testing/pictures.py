"""Sample pictures for tests and benchmarks: made of numbers, seeded, no file needed.

A photo here has what photos have: slow gradients, waves of several sizes, edges, and noise, so that it compresses, and
suffers from compression, about as one does.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

import numpy as np

from uncrop.imaging import arrays, codec
from uncrop.imaging.jpeg import pixels as jpeg_pixels
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.imaging.png.layout import SIGNATURE, chunk, read_layout
from uncrop.imaging.webp import layout as webp
from uncrop.model import Metadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.model import ImageFormat, Mask, Pixels, Rect

__all__ = [
    "animated_png",
    "animated_webp",
    "mask_png",
    "noise",
    "photo",
    "photo_file",
    "photo_jpeg",
    "photo_png",
    "photo_webp",
    "rotated",
    "truncated",
]

# The orientation that undoes each: itself, but for the quarter turns.
_INVERSE = {6: 8, 8: 6}
NOISE = 3.0
# Tests ask for the same few pictures again and again. Larger ones are made anew, so that little memory is held.
KEPT, KEPT_PIXELS = 64, 1 << 20


def photo(
    width: int, height: int, *, channels: Literal[1, 2, 3, 4] = 3, bits: Literal[8, 16] = 8, seed: int = 0
) -> Pixels:
    """Make a photo-like picture, (height, width, channels); the same arguments give the same pixels.

    Alpha, where there is one, fades from opaque to transparent from left to right.
    """
    if width * height > KEPT_PIXELS:
        return _photo(width, height, channels, bits, seed)
    return _kept_photo(width, height, channels, bits, seed).copy()


def _photo(width: int, height: int, channels: int, bits: int, seed: int) -> Pixels:
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    planes = []
    for _ in range(1 if channels < 3 else 3):
        level, slope_x, slope_y = random.uniform(90, 165), random.uniform(-40, 40), random.uniform(-40, 40)
        plane = level + slope_x * (x / width - 0.5) + slope_y * (y / height - 0.5)
        for size in (200.0, 60.0, 17.0, 5.0):
            angle, phase = random.uniform(0, 2 * np.pi, 2)
            plane += size**0.5 * np.sin((x * np.cos(angle) + y * np.sin(angle)) * (2 * np.pi / size) + phase)
        # A horizon, so that there is an edge.
        plane[y > height * 0.6 + 8 * np.sin(x / 31)] -= 35
        planes.append(plane + random.normal(0, NOISE, (height, width)).astype(np.float32))
    if channels in (2, 4):
        planes.append(np.broadcast_to(np.linspace(255, 0, width, dtype=np.float32), (height, width)))
    levels = np.stack(planes, axis=2).clip(0, 255)
    return levels.round().astype(np.uint8) if bits == 8 else (levels * 257).round().astype(np.uint16)


_kept_photo = lru_cache(maxsize=KEPT)(_photo)


def photo_jpeg(
    width: int,
    height: int,
    *,
    grey: bool = False,
    quality: int = 90,
    subsampling: Literal["444", "422", "420", "440", "411"] = "420",
    seed: int = 0,
) -> bytes:
    """Make a photo as a JPEG of just this quality and subsampling."""
    pixels = arrays.to_8bit(photo(width, height, channels=1 if grey else 3, seed=seed))
    return jpeg_pixels.write(pixels, quality=quality, subsampling=subsampling)


def photo_png(
    width: int, height: int, *, channels: Literal[1, 2, 3, 4] = 3, bits: Literal[8, 16] = 8, seed: int = 0
) -> bytes:
    """Make a photo as a PNG."""
    return codec.encode(photo(width, height, channels=channels, bits=bits, seed=seed), "PNG")


def photo_webp(width: int, height: int, *, channels: Literal[3, 4] = 3, lossless: bool = False, seed: int = 0) -> bytes:
    """Make a photo as a WebP."""
    return codec.encode(photo(width, height, channels=channels, seed=seed), "WEBP", lossless=lossless)


def photo_file(
    image_format: ImageFormat, width: int, height: int, *, metadata: Metadata | None = None, seed: int = 0
) -> bytes:
    """Make a photo in any format, with any metadata."""
    return codec.encode(photo(width, height, seed=seed), image_format, metadata=metadata or Metadata())


def mask_png(width: int, height: int, *, hole: Rect | None = None) -> bytes:
    """Make an RGBA mask as callers send it: black where the photo stays, transparent in the hole.

    Without ``hole``, the right quarter, at least one column, is to be made.
    """
    wanted: Mask = np.zeros((height, width), np.bool_)
    if hole is None:
        wanted[:, min(width - 1, width * 3 // 4) :] = True
    else:
        wanted[hole.y : hole.y + hole.height, hole.x : hole.x + hole.width] = True
    pixels = np.zeros((height, width, 4), np.uint8)
    pixels[:, :, 3] = np.where(wanted, 0, 255)
    return codec.encode(pixels, "PNG")


def rotated(image_format: ImageFormat, orientation: int, *, width: int, height: int, seed: int = 0) -> bytes:
    """Make a photo that lies as EXIF's ``orientation`` says; upright it is ``photo(width, height, seed=seed)``."""
    lying = arrays.upright(photo(width, height, seed=seed), _INVERSE.get(orientation, orientation))
    exif = build_exif(ExifFacts(orientation=orientation))
    return codec.encode(lying, image_format, metadata=Metadata(exif=exif), lossless=True)


def animated_png(width: int, height: int, *, frames: int = 2) -> bytes:
    """Make an APNG that shows ``frames`` pictures."""
    control = struct.pack(">IIIIHHBB", width, height, 0, 0, 1, 10, 0, 0)
    stills = [photo_png(width, height, seed=seed) for seed in range(frames)]
    header = read_layout(stills[0]).payload(stills[0], b"IHDR") or b""
    parts, number = [SIGNATURE, chunk(b"IHDR", header), chunk(b"acTL", struct.pack(">II", frames, 0))], 0
    for frame, still in enumerate(stills):
        parts.append(chunk(b"fcTL", struct.pack(">I", number) + control))
        number += 1
        for part in read_layout(still).chunks:
            if part.name != b"IDAT":
                continue
            data = still[part.start : part.end]
            parts.append(chunk(b"IDAT", data) if frame == 0 else chunk(b"fdAT", struct.pack(">I", number) + data))
            number += frame > 0
    return b"".join((*parts, chunk(b"IEND", b"")))


def animated_webp(width: int, height: int, *, frames: int = 2) -> bytes:
    """Make a WebP that shows ``frames`` pictures."""
    place = b"\0" * 6 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    shown = place + (100).to_bytes(3, "little") + b"\0"
    extent = place[6:]
    chunks = [(b"VP8X", bytes((webp.ANIMATION_FLAG, 0, 0, 0)) + extent), (b"ANIM", b"\0" * 6)]
    # A still WebP is a RIFF header of 12 bytes and its picture's chunk, which a frame holds as it is.
    chunks += [(b"ANMF", shown + photo_webp(width, height, seed=seed)[12:]) for seed in range(frames)]
    body = b"".join(name + struct.pack("<I", len(load)) + load + b"\0" * (len(load) % 2) for name, load in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def truncated(data: bytes, share: float = 0.5, *, forged_end: bool = False) -> bytes:
    """Cut a file off after ``share`` of its bytes; ``forged_end`` then makes its end, and its lengths, look right."""
    cut = data[: int(len(data) * share)]
    if not forged_end:
        return cut
    if data.startswith(b"\xff\xd8"):
        return cut + b"\xff\xd9"
    return _forged_png(cut) if data.startswith(SIGNATURE) else _forged_webp(cut)


def _forged_png(cut: bytes) -> bytes:
    """Mend the length and checksum of the chunk that was cut, and add an end."""
    at, parts = len(SIGNATURE), [SIGNATURE]
    while at + 8 < len(cut):
        length, name = struct.unpack_from(">I4s", cut, at)
        parts.append(chunk(name, cut[at + 8 : at + 8 + length]))
        at += 12 + length
    return b"".join((*parts, chunk(b"IEND", b"")))


def _forged_webp(cut: bytes) -> bytes:
    """Mend the length of the chunk that was cut, and the file's."""
    at, parts = 12, []
    while at + 8 < len(cut):
        name, length = struct.unpack_from("<4sI", cut, at)
        load = cut[at + 8 : at + 8 + length]
        parts.append(name + struct.pack("<I", len(load)) + load + b"\0" * (len(load) % 2))
        at += 8 + length + length % 2
    body = b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def noise(width: int, height: int, *, seed: int = 0) -> NDArray[np.uint8]:
    """Make RGB noise, which no codec can compress."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)

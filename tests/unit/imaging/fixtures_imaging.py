"""Files that only tests need, made by a second codec or by hand."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

from uncrop.imaging.png.layout import SIGNATURE, chunk


def pillow(pixels: np.ndarray, image_format: str, mode: str | None = None, **options: object) -> bytes:
    """Encode with Pillow, converted to ``mode``."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    file = io.BytesIO()
    (image.convert(mode) if mode else image).save(file, image_format, **options)
    return file.getvalue()


def opened(data: bytes, mode: str | None = None) -> np.ndarray:
    """Decode with Pillow."""
    image = Image.open(io.BytesIO(data))
    return np.asarray(image.convert(mode) if mode else image)


def png(header: bytes, *chunks: tuple[bytes, bytes], end: bool = True) -> bytes:
    """Put a PNG together from its header's payload and further chunks."""
    parts = [chunk(name, payload) for name, payload in ((b"IHDR", header), *chunks)]
    return b"".join((SIGNATURE, *parts, chunk(b"IEND", b"") if end else b""))


def ihdr(width: int, height: int, depth: int = 8, colour: int = 2, **flags: int) -> bytes:
    """Make the payload of a PNG's header."""
    return struct.pack(
        ">IIBBBBB",
        width,
        height,
        depth,
        colour,
        flags.get("compression", 0),
        flags.get("filtering", 0),
        flags.get("interlace", 0),
    )


def icc(space: bytes = b"RGB ", size: int = 200) -> bytes:
    """Make something that looks like a colour profile for the given space."""
    return struct.pack(">I", size) + b"\0" * 12 + space + b"\0" * 16 + b"acsp" + b"\0" * (size - 40)


def cmyk_profile() -> bytes:
    """Make a working CMYK profile: any ink at all is plain red, no ink is white (ICC.1, lut8Type)."""
    white, red = bytes((255, 128, 128)), bytes((136, 208, 195))
    lookup = white + red * 15
    identity = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1\0\0\0\0" + bytes((4, 3, 2, 0)) + matrix + identity * 4 + lookup + identity * 3
    table += b"\0" * (-len(table) % 4)
    white_point = b"XYZ \0\0\0\0" + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"A2B0": table, b"wtpt": white_point}
    directory, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, payload in tags.items():
        directory += name + struct.pack(">II", at + len(body), len(payload))
        body += payload
    size = 128 + len(directory) + len(body)
    header = struct.pack(">I4sI4s4s4s", size, b"\0" * 4, 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + directory + body

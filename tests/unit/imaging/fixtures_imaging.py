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


# Huffman codes, as strings of bits: of differences' sizes, and of the end of a block; AC has two more, never used.
_SIZES = [format(number, "04b") for number in range(12)]
_END = "00"


def block_jpeg(factors: tuple[tuple[int, int], ...], *, units: int = 6, restart: int = 0) -> bytes:
    """Make a baseline JPEG of flat, random blocks: ``units`` MCUs in a row, components of any sampling ``factors``.

    After ``restart`` MCUs comes a restart marker. Quantisation steps are 8, so that a DC of 1 is a grey level.
    """
    random = np.random.default_rng(len(factors))
    stretches: list[str] = []
    last = [0] * len(factors)
    for unit in range(units):
        if unit == 0 or (restart and unit % restart == 0):
            stretches.append("")
            last = [0] * len(factors)
        for component, (x, y) in enumerate(factors):
            for level in random.integers(-100, 100, x * y).tolist():
                difference = level - last[component]
                size = abs(difference).bit_length()
                value = difference if difference >= 0 else difference + (1 << size) - 1
                stretches[-1] += _SIZES[size] + (format(value, f"0{size}b") if size else "") + _END
                last[component] = level
    coded = b""
    for number, bits in enumerate(stretches):
        padded = bits + "1" * (-len(bits) % 8)
        coded += int(padded, 2).to_bytes(len(padded) // 8, "big").replace(b"\xff", b"\xff\0")
        coded += bytes((0xFF, 0xD0 + number % 8)) if number + 1 < len(stretches) else b""
    width, height = 8 * units * max(x for x, _ in factors), 8 * max(y for _, y in factors)
    frame = struct.pack(">BHHB", 8, height, width, len(factors))
    frame += b"".join(bytes((1 + number, x << 4 | y, 0)) for number, (x, y) in enumerate(factors))
    scan = bytes((len(factors),)) + b"".join(bytes((1 + number, 0)) for number in range(len(factors))) + b"\0\x3f\0"
    tables = b"\0" + bytes((0, 0, 0, 12, *[0] * 12)) + bytes(range(12))
    tables += b"\x10" + bytes((0, 3, *[0] * 14)) + b"\x00\x01\x11"
    segments = [(0xDB, b"\0" + b"\x08" * 64), (0xC0, frame), (0xC4, tables)]
    segments += [(0xDD, struct.pack(">H", restart))] if restart else []
    if len(factors) == 4:
        segments.insert(0, (0xEE, b"Adobe\0\x64\0\0\0\0\0"))
    heads = b"".join(
        struct.pack(">BBH", 0xFF, marker, 2 + len(load)) + load for marker, load in (*segments, (0xDA, scan))
    )
    return b"\xff\xd8" + heads + coded + b"\xff\xd9"


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

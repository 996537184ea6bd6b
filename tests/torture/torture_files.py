"""Hostile image files, made by hand: claims that are not kept, foreign contents, and flipped bits."""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING

from uncrop.imaging.png.layout import SIGNATURE, chunk
from uncrop.testing import pictures

if TYPE_CHECKING:
    from collections.abc import Iterator

FORMATS = ("JPEG", "PNG", "WEBP")
CLAIMS = (
    (0, 0),
    (0, 10),
    (10, 0),
    (65_535, 65_535),
    (64_250, 64_250),
    (16_383, 16_383),
    (65_500, 1600),
    (1, 65_535),
    (2**31 - 1, 1),
    (2**31 - 1, 2**31 - 1),
    (2**32 - 1, 2**32 - 1),
    (10_001, 10_000),
    (20_000, 5001),
    (41, 30),
    (40, 31),
    (20, 15),
)


def claiming(image_format: str, width: int, height: int) -> bytes:
    """Make a small photo whose header claims another size; what the format cannot name is cut to its bits."""
    data = bytearray(pictures.photo_file(image_format, 40, 30))  # type: ignore[arg-type]
    if image_format == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        struct.pack_into(">HH", data, at, height & 0xFFFF, width & 0xFFFF)
    elif image_format == "PNG":
        data[8:33] = chunk(b"IHDR", struct.pack(">II", width & 0xFFFFFFFF, height & 0xFFFFFFFF) + data[24:29])
    else:
        at = data.index(b"\x9d\x01\x2a") + 3
        struct.pack_into("<HH", data, at, width & 0x3FFF, height & 0x3FFF)
    return bytes(data)


def bombs() -> Iterator[tuple[str, bytes]]:
    """Make files that are small and say, or hold, a lot."""
    for image_format in FORMATS:
        for width, height in CLAIMS:
            yield f"{image_format} that claims {width} x {height}", claiming(image_format, width, height)
    yield "PNG of 49 MP in one bit", _flat_png(7000, 7000, depth=1)
    yield "PNG of 16 bits and 16 MP", _flat_png(4000, 4000, depth=16, colour=6)
    yield "interlaced PNG of 16 MP", _flat_png(4000, 4000, depth=8, colour=2, interlace=1)
    yield "PNG whose data go on for 100 MB", _flat_png(40, 30, more=100_000_000)
    for name in (b"zTXt", b"iTXt", b"iCCP", b"eXIf"):
        yield f"PNG with 100 MB of {name.decode()}", _with_text(name)
    yield (
        "lossless WebP of 49 MP in 34 bytes",
        (
            b"RIFF"
            + struct.pack("<I", 30)
            + b"WEBPVP8L"
            + struct.pack("<IBI", 18, 0x2F, 16_382 | 2999 << 14)
            + b"\0" * 13
        ),
    )
    scan = _last_scan()
    yield "JPEG of 2000 scans", pictures.photo_jpeg(64, 48)[:-2] + scan * 2000 + b"\xff\xd9"
    yield "JPEG of 100,000 comments", b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000 + pictures.photo_jpeg(40, 30)[2:]
    yield "PNG of 100,000 chunks", _with(pictures.photo_png(40, 30), chunk(b"teXt", b"") * 100_000)
    yield (
        "PNG of 10,000 frames",
        pictures.animated_png(8, 8, frames=2).replace(
            chunk(b"acTL", struct.pack(">II", 2, 0)), chunk(b"acTL", struct.pack(">II", 10_000, 0))
        ),
    )
    yield "JPEG whose EXIF points to itself", _with_exif(b"MM\0*\0\0\0\x08\0\1\x87i\0\4\0\0\0\1\0\0\0\x08\0\0\0\x08")
    yield (
        "JPEG whose EXIF has 65,535 entries",
        _with_exif(b"MM\0*\0\0\0\x08\xff\xff" + b"\1\x0f\0\2\0\0\0\4abcd" * 5000),
    )


def _flat_png(width: int, height: int, *, depth: int = 8, colour: int = 0, interlace: int = 0, more: int = 0) -> bytes:
    row = (width * depth * {0: 1, 2: 3, 6: 4}[colour] + 7) // 8 + 1
    packed = zlib.compressobj(9)
    size = row * height + more if not interlace else row * height + 16 * height
    data = b"".join(packed.compress(bytes(min(1 << 20, size - at))) for at in range(0, size, 1 << 20)) + packed.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace)
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _with_text(name: bytes) -> bytes:
    packed = zlib.compress(bytes(100_000_000), 9)
    heads = {b"zTXt": b"a\0\0", b"iTXt": b"XML:com.adobe.xmp\0\1\0\0\0", b"iCCP": b"a\0\0", b"eXIf": b"MM\0*"}
    return _with(pictures.photo_png(40, 30), chunk(name, heads[name] + packed))


def _with(png: bytes, more: bytes) -> bytes:
    """Put chunks behind the header."""
    return png[:33] + more + png[33:]


def _with_exif(block: bytes) -> bytes:
    payload = (b"Exif\0\0" + block)[:65_500]
    jpeg = pictures.photo_jpeg(40, 30)
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(payload) + 2) + payload + jpeg[2:]


def _last_scan() -> bytes:
    jpeg = pictures.photo_jpeg(64, 48)
    return jpeg[jpeg.rindex(b"\xff\xda") : -2]


PAYLOADS = {
    "HTML": b"<html><script>alert('CANARY-payload')</script></html>",
    "JavaScript": b"/*CANARY-payload*/alert(1)//",
    "PHP": b"<?php system($_GET['CANARY-payload']); ?>",
    "PHAR": b"<?php __HALT_COMPILER(); ?>\r\nCANARY-payload",
    "ZIP": b"PK\3\4\x14\0\0\0\0\0CANARY-payload PK\5\6" + bytes(18),
    "PDF": b"%PDF-1.4\n1 0 obj<</JS(CANARY-payload)>>endobj\n%%EOF",
    "SVG": b"<svg xmlns='http://www.w3.org/2000/svg' onload='CANARY-payload()'/>",
    "PE": b"MZ" + bytes(58) + b"\x80\0\0\0CANARY-payload",
    "ELF": b"\x7fELF\2\1\1CANARY-payload",
    "MP4": b"\0\0\0\x18ftypisomCANARY-payload",
}
CANARY = b"CANARY-payload"


def polyglots() -> Iterator[tuple[str, bytes]]:
    """Make pictures that are something else as well: behind their end, and in every place for texts."""
    for name, load in PAYLOADS.items():
        jpeg, png, webp = (pictures.photo_file(kind, 40, 30) for kind in ("JPEG", "PNG", "WEBP"))  # type: ignore[arg-type]
        yield f"{name} behind a JPEG", jpeg + load
        yield f"{name} in a JPEG's comment", jpeg[:2] + _segment(0xFE, load) + jpeg[2:]
        yield f"{name} in a JPEG's APP7", jpeg[:2] + _segment(0xE7, load) + jpeg[2:]
        yield f"{name} behind a PNG", png + load
        yield f"{name} in a PNG's text", _with(png, chunk(b"tEXt", b"Comment\0" + load))
        yield f"{name} in an unknown chunk of a PNG", _with(png, chunk(b"prVt", load))
        yield f"{name} behind a WebP", webp + load
        padded = load + b"\0" * (len(load) % 2)
        grown = struct.pack("<I", len(webp) - 8 + 8 + len(padded))
        yield (
            f"{name} in an unknown chunk of a WebP",
            (webp[:4] + grown + webp[8:] + b"junk" + struct.pack("<I", len(load)) + padded),
        )


def _segment(marker: int, load: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(load) + 2) + load


def seeds() -> list[bytes]:
    """Make sound files of every kind, small ones."""
    return [
        *(pictures.photo_jpeg(40, 30, subsampling=kind, seed=1) for kind in ("444", "422", "420", "440", "411")),  # type: ignore[arg-type]
        pictures.photo_jpeg(40, 30, grey=True),
        *(pictures.photo_png(40, 30, channels=count, bits=bits) for count in (1, 2, 3, 4) for bits in (8, 16)),  # type: ignore[arg-type]
        *(pictures.photo_webp(40, 30, lossless=kind, seed=seed) for kind in (False, True) for seed in (0, 1)),
        pictures.photo_webp(40, 30, channels=4),
        pictures.animated_png(20, 10),
        pictures.animated_webp(20, 10, frames=1),
        *(pictures.rotated(kind, 6, width=40, height=30) for kind in ("JPEG", "PNG", "WEBP")),  # type: ignore[arg-type]
        _with_exif(b"MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    ]


def flipped(data: bytes, *, seed: int) -> bytes:
    """Flip a share of the bits, from one in a hundred thousand to one in a hundred, at least one."""
    chance = random.Random(seed)
    bits = max(1, round(len(data) * 8 * 10 ** chance.uniform(-5, -2)))
    changed = bytearray(data)
    for _ in range(bits):
        at = chance.randrange(len(changed) * 8)
        changed[at // 8] ^= 1 << at % 8
    return bytes(changed)

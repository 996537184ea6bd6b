"""Random damage: a file is decoded to what its header says, or refused; nothing else ever comes out."""

from __future__ import annotations

import random
import struct
import zlib
from typing import TYPE_CHECKING

import pytest
from fixtures_imaging import cmyk_profile, icc, pillow

from uncrop.errors import ImageTooLarge, InvalidImage, UnsupportedImageFormat
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.png.layout import SIGNATURE
from uncrop.imaging.upload import upload_bytes
from uncrop.model import Metadata
from uncrop.testing import pictures

if TYPE_CHECKING:
    from fixtures_torture import Cases

FORMATS = ("JPEG", "PNG", "WEBP")
PHOTO = pictures.photo(61, 43)
METADATA = Metadata(icc=icc(), exif=build_exif(ExifFacts(orientation=6, artist=b"Ada", copyright=b"(c) 1843")))
FILES = {
    **{image_format: pictures.photo_file(image_format, 61, 43, metadata=METADATA) for image_format in FORMATS},
    "progressive": pillow(PHOTO, "JPEG", progressive=True),
    "restarts": pillow(PHOTO, "JPEG", restart_marker_rows=1),
    "CMYK": pillow(PHOTO, "JPEG", "CMYK", icc_profile=cmyk_profile()),
    "palette": pillow(PHOTO, "PNG", "P", transparency=3),
    "deep": pictures.photo_png(61, 43, channels=4, bits=16),
    "WebP with alpha": pictures.photo_webp(61, 43, channels=4),
    "lossless WebP": pictures.photo_webp(61, 43, lossless=True),
}


def _damaged(whole: bytes, chance: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(chance.choice((1, 1, 2, 5, 20))):
        # The first bytes steer most of what a decoder does, so they are hit as often as all others together.
        at = chance.randrange(len(data) if chance.random() < 0.5 else min(len(data), 700))
        match chance.randrange(4):
            case 0 | 1:
                data[at] ^= 1 << chance.randrange(8)
            case 2:
                data[at] = chance.choice((0, 1, 127, 128, 0xD8, 0xD9, 0xDA, 255))
            case _:
                data[at : at + chance.randrange(9)] = chance.randbytes(chance.randrange(9))
    return _with_right_checksums(bytes(data)) if data.startswith(SIGNATURE) else bytes(data)


def _with_right_checksums(data: bytes) -> bytes:
    """Mend the checksums, without which a PNG's damage would never get past the first look."""
    parts, at = [SIGNATURE], len(SIGNATURE)
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        body = data[at + 4 : at + 8 + length]
        parts.append(data[at : at + 4] + body + struct.pack(">I", zlib.crc32(body)))
        at += 12 + length
    return b"".join(parts)


@pytest.mark.parametrize("name", FILES)
def test_damaged_files(name: str, cases: Cases) -> None:
    chance = random.Random(name)
    accepted = 0
    damages = cases.number(60, 600)
    for _ in range(damages):
        data = _damaged(FILES[name], chance)
        try:
            file = open_file(data)
            pixels = codec.decode(file)
        except (InvalidImage, UnsupportedImageFormat, ImageTooLarge):
            continue
        accepted += 1
        header = file.header
        assert pixels.shape == (header.height, header.width, header.channels)
        stripped = strip(file)
        assert codec.decode(open_file(stripped)).size == pixels.size
        upload_bytes(file, pixels, formats=frozenset(FORMATS))
        codec.encode(pixels, header.format, jpeg=header.jpeg, metadata=header.metadata)
    cases.ran(damages)
    # Not all damage goes unnoticed, or the test would tell nothing.
    assert accepted < damages

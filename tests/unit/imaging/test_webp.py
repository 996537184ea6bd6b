"""WebP: read and written through Pillow, its structure by us."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from fixtures_imaging import icc, opened

from uncrop.errors import InvalidImage
from uncrop.imaging import codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.webp import layout as webp
from uncrop.model import Metadata
from uncrop.testing import pictures

LOSSY = pictures.photo_webp(40, 30)
LOSSLESS = pictures.photo_webp(40, 30, lossless=True)
EXTENDED = pictures.photo_file("WEBP", 40, 30, metadata=Metadata(icc=icc()))


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    body = b"".join(name + struct.pack("<I", len(load)) + load + b"\0" * (len(load) % 2) for name, load in chunks)
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def extent(width: int, height: int, flags: int = 0) -> tuple[bytes, bytes]:
    sides = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"VP8X", bytes((flags, 0, 0, 0)) + sides


PICTURE = (b"VP8 ", LOSSY[20 : 20 + struct.unpack_from("<I", LOSSY, 16)[0]])


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_lossless_is_exact(channels: int, bits: int) -> None:
    pixels = pictures.photo(40, 30, channels=channels, bits=bits)
    data = codec.encode(pixels, "WEBP", lossless=True)
    header = read_header(data)
    assert (header.lossless, header.channels) == (True, 4 if channels in (2, 4) else 3)
    expected = pixels if bits == 8 else ((pixels.astype(int) + 128) // 257).astype(np.uint8)
    if channels < 3:
        expected = np.concatenate((expected[:, :, :1].repeat(3, axis=2), expected[:, :, 1:]), axis=2)
    assert np.array_equal(codec.decode(open_file(data)), expected)


def test_lossy_is_close() -> None:
    pixels = pictures.photo(200, 100)
    data = codec.encode(pixels, "WEBP")
    back = codec.decode(open_file(data))
    assert psnr(back, pixels) > 35
    assert np.array_equal(back, opened(data))


def test_alpha_that_the_header_announces_and_the_picture_lacks() -> None:
    data = riff(extent(40, 30, webp.ALPHA_FLAG), PICTURE)
    header = read_header(data)
    pixels = codec.decode(open_file(data))
    assert pixels.shape == (30, 40, header.channels)


@pytest.mark.parametrize(
    "data",
    [
        b"RIFF\x04\0\0\0WEBP",
        LOSSY[:12],
        LOSSY[:17],
        LOSSY[:-1],
        riff((b"ICCP", b"x"), PICTURE),  # begins with neither a picture nor an extended header
        riff(extent(40, 30)),  # no picture
        riff(extent(40, 30), PICTURE, PICTURE),
        riff(extent(41, 30), PICTURE),  # another size than the canvas
        riff((b"VP8X", b"\0" * 9), PICTURE),
        riff((b"VP8X", b""), PICTURE),
        riff((b"VP8 ", b"\0" * 9)),
        riff((b"VP8 ", PICTURE[1][:8])),
        riff((b"VP8 ", b"\x01" + PICTURE[1][1:])),  # no key frame
        riff((b"VP8 ", PICTURE[1][:6] + b"\0\0" + PICTURE[1][8:])),  # no width
        riff((b"VP8 ", PICTURE[1][:8] + b"\0\0" + PICTURE[1][10:])),  # no height
        riff((b"VP8L", b"\x2e\0\0\0\0")),
        riff((b"VP8L", b"\x2f\0\0\0\xe0")),  # a version of the future
        riff((b"VP8L", b"\x2f")),
        b"RIFF\xff\xff\xff\x7fWEBP" + LOSSY[12:],
        b"RIFF" + struct.pack("<I", 30) + b"WEBPVP8 " + struct.pack("<I", 100) + PICTURE[1],  # a chunk behind the end
        riff(*((b"ABCD", b""),) * 20_001),
    ],
)
def test_broken_structure(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read_header(data)


def test_broken_picture_data() -> None:
    data = riff((b"VP8 ", PICTURE[1][:60] + b"\xff" * 20))
    with pytest.raises(InvalidImage) as caught:
        codec.decode(open_file(data))
    assert caught.value.system_message == "the WebP's picture data is corrupt or incomplete"


def test_a_plain_file_is_built_without_an_extended_header() -> None:
    assert webp.build([PICTURE], width=40, height=30, alpha=False) == LOSSY


def test_an_extended_file_has_the_flags_of_what_it_holds() -> None:
    data = webp.build([PICTURE], width=40, height=30, alpha=False, icc=b"p", exif=b"e", xmp=b"x")
    layout = webp.read_layout(data)
    assert [name for name, _, _ in layout.chunks] == [b"VP8X", b"ICCP", b"VP8 ", b"EXIF", b"XMP "]
    assert layout.payload(data, b"VP8X") == bytes((0x20 | 0x08 | 0x04, 0, 0, 0, 39, 0, 0, 29, 0, 0))
    assert layout.payload(data, b"ALPH") is None


def test_profile_of_an_extended_file() -> None:
    assert read_header(EXTENDED).metadata.icc == icc()
    assert read_header(LOSSLESS).metadata == Metadata()

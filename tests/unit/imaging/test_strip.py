"""What is left of a file when everything but pixels and colour is taken away."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from fixtures_imaging import cmyk_profile, icc, pillow, png

from uncrop.imaging import arrays, codec
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.jpeg import layout as jpeg
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.png.layout import read_layout
from uncrop.imaging.webp import layout as webp
from uncrop.model import Metadata
from uncrop.testing import pictures

SECRET = b"52.5163N 13.3777E"
EVERYTHING = Metadata(icc=icc(), exif=b"MM\0*" + SECRET, xmp=b"<x>" + SECRET + b"</x>")


def stripped(data: bytes) -> bytes:
    return strip(open_file(data))


def same_pixels(first: bytes, second: bytes) -> bool:
    return np.array_equal(codec.decode(open_file(first)), codec.decode(open_file(second)))


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_metadata_goes_and_colour_stays(image_format: str) -> None:
    data = pictures.photo_file(image_format, 64, 48, metadata=EVERYTHING)
    assert SECRET in data
    left = stripped(data + b"\n" + SECRET)
    assert SECRET not in left
    assert read_header(left).metadata == Metadata(icc=icc())
    assert same_pixels(data, left)
    assert stripped(left) == left


@pytest.mark.parametrize(
    "data",
    [
        pictures.photo_jpeg(64, 48),
        pictures.photo_jpeg(64, 48, grey=True),
        pictures.photo_png(64, 48, channels=4, bits=16),
        pictures.photo_webp(64, 48),
        pictures.photo_webp(64, 48, channels=4),
        pictures.photo_webp(64, 48, lossless=True),
    ],
)
def test_a_bare_file_stays_as_it_is(data: bytes) -> None:
    assert stripped(data) == data


@pytest.mark.parametrize("options", [{"progressive": True}, {"restart_marker_rows": 1}, {"optimize": True}])
def test_jpegs_of_other_encoders(options: dict[str, object]) -> None:
    data = pillow(pictures.photo(64, 48), "JPEG", comment=SECRET, **options)
    assert SECRET not in stripped(data)
    assert same_pixels(data, stripped(data))


def test_jpeg_segments() -> None:
    plain = pictures.photo_jpeg(64, 48)
    thumbnail = b"JFIF\0\x01\x01\x01\0\x48\0\x48\x02\x01" + b"thumbs"
    segments = (
        (jpeg.APP0, thumbnail),
        (jpeg.APP0, b"JFXX\0\x10" + SECRET),
        (jpeg.APP1, b"Exif\0\0" + SECRET),
        (jpeg.APP2, b"MPF\0" + SECRET),
        (0xED, b"Photoshop 3.0\0" + SECRET),
        (jpeg.APP14, b"Adobe\0\x64\0\0\0\0\x01" + SECRET),
        (jpeg.APP14, SECRET),
        (0xFE, SECRET),
    )
    data = plain[:2] + b"".join(jpeg.segment(*segment) for segment in segments) + plain[20:] + plain
    left = stripped(data)
    assert SECRET not in left
    assert b"thumbs" not in left
    markers = [(part.marker, left[part.payload : part.end]) for part in jpeg.read_layout(left).segments[:2]]
    assert markers == [
        (jpeg.APP0, b"JFIF\0\x01\x01\x01\0\x48\0\x48\0\0"),
        (jpeg.APP14, b"Adobe\0\x64\0\0\0\0\x01"),
    ]
    assert left.endswith(plain[-40:])
    assert left.count(b"\xff\xd8\xff") == 1
    assert same_pixels(plain, left)


def test_a_cmyk_file_keeps_its_colours() -> None:
    data = pillow(pictures.photo(64, 48), "JPEG", "CMYK", icc_profile=cmyk_profile())
    assert same_pixels(data, stripped(data))
    assert cmyk_profile() in stripped(data)


def test_png_chunks() -> None:
    plain = pictures.photo_png(8, 6)
    header, picture = (read_layout(plain).payload(plain, name) for name in (b"IHDR", b"IDAT"))
    colour = [(b"gAMA", struct.pack(">I", 45455)), (b"sRGB", b"\0"), (b"cICP", b"\x01\x0d\0\x01")]
    noise = [(b"tEXt", b"a\0" + SECRET), (b"tIME", SECRET), (b"caBX", SECRET)]
    data = png(header, *colour, *noise, (b"IDAT", picture), *noise)
    assert stripped(data + SECRET) == png(header, *colour, (b"IDAT", picture))


def test_webp_chunks() -> None:
    data = pictures.photo_file("WEBP", 64, 48, metadata=Metadata(exif=b"MM\0*" + SECRET))
    # Nothing but the picture is left, so the extended header goes as well.
    assert [name for name, _, _ in webp.read_layout(stripped(data)).chunks] == [b"VP8 "]


def test_orientation_is_left_to_who_strips() -> None:
    data = pictures.rotated("JPEG", 6, width=64, height=48)
    left = stripped(data)
    assert read_header(left).orientation == 1
    upright = arrays.upright(codec.decode(open_file(left)), 6)
    assert np.array_equal(upright, codec.decode(open_file(data)))

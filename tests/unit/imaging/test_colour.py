"""What a file says about its colours, read from wherever it says so, and written wherever it belongs."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from fixtures_imaging import cmyk_profile, icc, ihdr, pillow, png

from uncrop.imaging import codec
from uncrop.imaging.answer import is_same
from uncrop.imaging.colour.profiles import (
    ADOBE_CURVE,
    ADOBE_PRIMARIES,
    SRGB_CURVE,
    SRGB_PRIMARIES,
    Curve,
    Primaries,
    grey_profile,
    made,
    rgb_profile,
)
from uncrop.imaging.colour.turned import in_rgb
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.metadata.exif import ExifFacts, build_exif, read_exif
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.upload import upload_bytes
from uncrop.model import Metadata
from uncrop.testing import pictures

P3 = Primaries(red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06))
IDAT = (b"IDAT", zlib.compress(b"\0" * 13 * 4))
GAMMA = (b"gAMA", struct.pack(">I", 50_000))
SRGB_POINTS = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
POINTS = (b"cHRM", struct.pack(">8I", *SRGB_POINTS))
COLOUR = {
    "nothing": ((), None),
    "gamma": ((GAMMA,), rgb_profile(SRGB_PRIMARIES, Curve((2.0,)))),
    "points": ((POINTS,), rgb_profile(SRGB_PRIMARIES, SRGB_CURVE)),
    "gamma and points": ((GAMMA, POINTS), rgb_profile(SRGB_PRIMARIES, Curve((2.0,)))),
    "sRGB": (((b"sRGB", b"\0"), GAMMA), rgb_profile(SRGB_PRIMARIES, SRGB_CURVE)),
    "cICP": (((b"cICP", b"\x0c\x0d\0\1"), GAMMA), rgb_profile(P3, SRGB_CURVE)),
    "cICP of HDTV": (
        ((b"cICP", b"\1\1\0\1"),),
        rgb_profile(SRGB_PRIMARIES, Curve((1 / 0.45, 1 / 1.099, 0.099 / 1.099, 1 / 4.5, 0.081))),
    ),
    "high dynamic range": (((b"cICP", b"\x09\x10\0\1"), GAMMA), rgb_profile(SRGB_PRIMARIES, Curve((2.0,)))),
    "video levels": (((b"cICP", b"\1\x0d\0\0"),), None),
    "a gamma of nothing": (((b"gAMA", b"\0\0\0\0"),), None),
    "points on a line": (((b"cHRM", struct.pack(">8I", *SRGB_POINTS[:2], *(3000,) * 6)),), None),
    "points without light": (((b"cHRM", struct.pack(">8I", 31270, 0, *SRGB_POINTS[2:])),), None),
    "a profile": (((b"iCCP", b"x\0\0" + zlib.compress(icc())),), icc()),
}


@pytest.mark.parametrize("name", COLOUR)
def test_what_a_png_says_becomes_a_profile_elsewhere(name: str) -> None:
    chunks, expected = COLOUR[name]
    header = read_header(png(ihdr(4, 4), *chunks, IDAT))
    assert header.metadata.icc == expected
    for image_format in ("JPEG", "WEBP"):
        written = codec.encode(pictures.photo(8, 8), image_format, metadata=header.metadata)
        assert read_header(written).metadata.icc == expected


@pytest.mark.parametrize("name", COLOUR)
def test_another_png_says_it_in_the_same_words(name: str) -> None:
    chunks, expected = COLOUR[name]
    header = read_header(png(ihdr(4, 4), *chunks, IDAT))
    written = codec.encode(pictures.photo(8, 8), "PNG", metadata=header.metadata)
    found = read_header(written).metadata
    assert found.icc == expected
    assert found.png_colour == header.metadata.png_colour == (() if name == "a profile" else chunks)


def test_a_profile_beside_other_words_is_kept_with_them() -> None:
    profile = (b"iCCP", b"x\0\0" + zlib.compress(icc()))
    metadata = read_header(png(ihdr(4, 4), profile, GAMMA, IDAT)).metadata
    assert metadata.icc == icc()
    assert metadata.png_colour == ((b"iCCP", icc()), GAMMA)
    again = read_header(codec.encode(pictures.photo(8, 8), "PNG", metadata=metadata)).metadata
    assert again == metadata


def test_chunks_out_of_their_place_say_nothing() -> None:
    palette = (b"PLTE", b"\1\2\3")
    for chunks in ((palette, GAMMA, IDAT), (palette, IDAT, GAMMA)):
        assert read_header(png(ihdr(4, 4), *chunks)).metadata == Metadata()
    assert read_header(png(ihdr(4, 4), (b"gAMA", b"\0\0\xb1"), IDAT)).metadata == Metadata()


def test_a_grey_png_gets_a_grey_profile() -> None:
    rows = (b"IDAT", zlib.compress(b"\0" * 5 * 4))
    assert read_header(png(ihdr(4, 4, 8, 0), GAMMA, rows)).metadata.icc == grey_profile(Curve((2.0,)))


def test_primaries_that_are_none() -> None:
    for primaries in (
        Primaries(red=(0.3, 0.3), green=(0.3, 0.3), blue=(0.1, 0.1)),
        Primaries(red=(0.64, 0.33), green=(0.3, 0.6), blue=(0.15, 0.0)),
        Primaries(red=(0.64, 0.33), green=(0.3, 0.6), blue=(0.15, 0.06), white=(0.9, 0.05)),
    ):
        assert rgb_profile(primaries, SRGB_CURVE) is None


# --- told by EXIF ----------------------------------------------------------------------------------------------------


def adobe_jpeg(channels: int = 3, **kept: bytes) -> bytes:
    exif = build_exif(ExifFacts(adobe_rgb=True, artist=b"Ada"))
    return pillow(pictures.photo(16, 16, channels=channels), "JPEG", exif=b"Exif\0\0" + (exif or b""), **kept)


def test_a_colour_space_told_by_exif_alone_stays_told() -> None:
    metadata = read_header(adobe_jpeg()).metadata
    assert metadata.icc == rgb_profile(ADOBE_PRIMARIES, ADOBE_CURVE)
    pixels = pictures.photo(16, 16)
    jpeg = read_header(codec.encode(pixels, "JPEG", metadata=metadata)).metadata
    assert (jpeg, jpeg.told_by_exif) == (metadata, True)
    for image_format in ("PNG", "WEBP"):
        other = read_header(codec.encode(pixels, image_format, metadata=metadata)).metadata
        assert (other.icc, other.told_by_exif) == (metadata.icc, False)


def test_a_profile_is_worth_more_than_exif() -> None:
    metadata = read_header(adobe_jpeg(icc_profile=icc())).metadata
    assert (metadata.icc, metadata.told_by_exif) == (icc(), False)
    assert not read_exif(metadata.exif).adobe_rgb


def test_a_stripped_file_gets_the_profile_that_exif_stood_for() -> None:
    stripped = strip(open_file(adobe_jpeg()))
    assert read_header(stripped).metadata == Metadata(icc=rgb_profile(ADOBE_PRIMARIES, ADOBE_CURVE))
    assert b"Ada" not in stripped


# --- grey that becomes RGB -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("bits", [8, 16])
def test_grey_takes_its_meaning_along(channels: int, bits: int) -> None:
    levels = np.full((4, 4, channels), 128 if bits == 8 else 128 * 257, np.uint8 if bits == 8 else np.uint16)
    file = open_file(codec.encode(levels, "PNG", metadata=Metadata(icc=grey_profile(Curve((1.0,))))))
    turned = in_rgb(file)
    assert (turned.header.channels, turned.header.bits, turned.header.metadata) == (channels + 2, 8, Metadata())
    pixels = codec.decode(turned)
    assert (pixels[:, :, :3] == 188).all()  # half the light, in sRGB
    assert channels == 1 or (pixels[:, :, 3] == 128).all()


def test_grey_that_is_srgb_already_stays_as_it_is() -> None:
    data = png(ihdr(4, 4, 8, 0), (b"sRGB", b"\0"), (b"IDAT", zlib.compress(b"\0" * 5 * 4)))
    turned = in_rgb(open_file(data))
    assert (turned.header.channels, turned.header.metadata, turned.header.source_icc) == (1, Metadata(), None)


def test_what_is_not_grey_or_tells_nothing_is_not_turned() -> None:
    for data in (pictures.photo_png(4, 4), pictures.photo_png(4, 4, channels=1)):
        file = open_file(data)
        assert in_rgb(file) is file


def test_a_grey_profile_that_does_not_work_changes_nothing() -> None:
    file = open_file(codec.encode(pictures.photo(8, 8, channels=1), "PNG", metadata=Metadata(icc=icc(b"GRAY"))))
    assert np.array_equal(codec.decode(in_rgb(file)), np.repeat(codec.decode(file), 3, axis=2))


def test_grey_told_by_exif_forgets_it_once_it_is_converted() -> None:
    turned = in_rgb(open_file(adobe_jpeg(channels=1)))
    assert not read_exif(turned.header.metadata.exif).adobe_rgb
    assert read_exif(turned.header.metadata.exif).artist == b"Ada"


def test_grey_that_becomes_rgb_is_sent_as_rgb() -> None:
    data = pillow(pictures.photo(64, 48, channels=1), "JPEG", icc_profile=grey_profile(Curve((1.8,))))
    file = in_rgb(open_file(data))
    sent, image_format = upload_bytes(file, codec.decode(file), formats=frozenset({"JPEG", "PNG"}))
    header = read_header(sent)
    assert (image_format, header.mode, header.metadata) == ("JPEG", "RGB", Metadata())


def test_a_padded_cmyk_profile_is_applied() -> None:
    photo = pictures.photo(64, 48)
    padded = pillow(photo, "JPEG", "CMYK", quality=98, icc_profile=cmyk_profile() + b"\0" * 5)
    exact = pillow(photo, "JPEG", "CMYK", quality=98, icc_profile=cmyk_profile())
    assert np.array_equal(codec.decode(open_file(padded)), codec.decode(open_file(exact)))


# --- comparing spaces ------------------------------------------------------------------------------------------------


def test_spaces_are_compared_by_what_they_show() -> None:
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    assert is_same(None, srgb)
    assert is_same(srgb, made(SRGB_PRIMARIES, SRGB_CURVE, 3))
    assert is_same(icc(), None)  # one that does not work says nothing
    assert not is_same(None, rgb_profile(P3, SRGB_CURVE))
    assert not is_same(rgb_profile(P3, SRGB_CURVE), rgb_profile(P3, Curve((1.8,))))
    assert not is_same(grey_profile(SRGB_CURVE), None)


def test_orientation_and_density_of_a_png() -> None:
    file = io.BytesIO()
    file.write(pictures.photo_file("PNG", 8, 4, metadata=Metadata(exif=build_exif(ExifFacts(orientation=6)))))
    data = file.getvalue()
    physical = data[:33] + png(ihdr(1, 1), (b"pHYs", struct.pack(">IIB", 1000, 2000, 1)))[33:54] + data[33:]
    density = read_header(physical).metadata.density
    assert density is not None
    assert (density.x, density.y) == pytest.approx((50.8, 25.4))

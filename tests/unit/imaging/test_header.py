"""What is read from a file's header, and what is refused there."""

from __future__ import annotations

import base64
import gzip
import io
import struct

import numpy as np
import pytest
from fixtures_imaging import icc, ihdr, pillow, png
from PIL import Image

from uncrop.errors import ImageTooLarge, InvalidImage, UnsupportedImageFormat
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header, sniff
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.imaging.png.layout import chunk as png_chunk
from uncrop.model import ImageHeader, JpegFacts, Metadata
from uncrop.testing import pictures

PHOTOS = {
    "JPEG": pictures.photo_jpeg(20, 10),
    "PNG": pictures.photo_png(20, 10),
    "WEBP": pictures.photo_webp(20, 10),
}


@pytest.mark.parametrize("quality", [1, 25, 49, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("subsampling", ["444", "422", "420", "440", "411"])
def test_jpeg_facts_are_those_it_was_written_with(quality: int, subsampling: str) -> None:
    data = pictures.photo_jpeg(40, 30, quality=quality, subsampling=subsampling)
    assert read_header(data) == ImageHeader(
        format="JPEG",
        width=40,
        height=30,
        channels=3,
        bits=8,
        mode="RGB",
        orientation=1,
        jpeg=JpegFacts(quality=quality, subsampling=subsampling, progressive=False),
        metadata=Metadata(),
    )


@pytest.mark.parametrize("quality", [30, 92])
def test_grey_and_progressive_jpegs(quality: int) -> None:
    grey = read_header(pictures.photo_jpeg(40, 30, grey=True, quality=quality))
    assert (grey.channels, grey.mode) == (1, "L")
    assert grey.jpeg == JpegFacts(quality=quality, subsampling="grey", progressive=False)
    progressive = read_header(pillow(pictures.photo(40, 30), "JPEG", progressive=True, quality=quality))
    assert progressive.jpeg == JpegFacts(quality=quality, subsampling="420", progressive=True)


def test_own_tables_get_the_lowest_quality_that_is_as_fine() -> None:
    photo = pictures.photo(40, 30)
    facts = read_header(pillow(photo, "JPEG", qtables=[[40] * 64, [60] * 64])).jpeg
    assert facts is not None

    def coarseness(quality: int) -> int:
        image = Image.open(io.BytesIO(pillow(photo, "JPEG", quality=quality)))
        return sum(sum(table) for table in image.quantization.values())

    assert coarseness(facts.quality) <= 64 * (40 + 60) < coarseness(facts.quality - 1)


@pytest.mark.parametrize(
    ("channels", "bits", "mode"),
    [(1, 8, "L"), (2, 8, "LA"), (3, 8, "RGB"), (4, 8, "RGBA"), (1, 16, "L"), (2, 16, "LA"), (3, 16, "RGB")],
)
def test_png_kinds(channels: int, bits: int, mode: str) -> None:
    header = read_header(pictures.photo_png(40, 30, channels=channels, bits=bits))
    assert (header.format, header.width, header.height) == ("PNG", 40, 30)
    assert (header.channels, header.bits, header.mode) == (channels, bits, mode)
    assert (header.lossless, header.jpeg) == (True, None)


@pytest.mark.parametrize(
    ("mode", "options", "channels"),
    [("P", {}, 3), ("P", {"transparency": 3}, 4), ("1", {}, 1), ("L", {"transparency": 7}, 2)],
)
def test_png_palettes_and_transparent_colours(mode: str, options: dict[str, int], channels: int) -> None:
    header = read_header(pillow(pictures.photo(40, 30), "PNG", mode, **options))
    assert (header.mode, header.channels, header.bits) == (mode, channels, 8)


def test_webp_kinds() -> None:
    plain, alpha = read_header(pictures.photo_webp(40, 30)), read_header(pictures.photo_webp(41, 31, channels=4))
    assert (plain.format, plain.width, plain.height, plain.channels, plain.mode) == ("WEBP", 40, 30, 3, "RGB")
    assert (alpha.width, alpha.height, alpha.channels, alpha.mode, alpha.lossless) == (41, 31, 4, "RGBA", False)
    lossless = read_header(pictures.photo_webp(42, 32, channels=4, lossless=True))
    assert (lossless.width, lossless.height, lossless.channels, lossless.lossless) == (42, 32, 4, True)
    assert read_header(pictures.photo_webp(42, 32, lossless=True)).channels == 3


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_size_is_upright(image_format: str, orientation: int) -> None:
    header = read_header(pictures.rotated(image_format, orientation, width=40, height=24))
    assert (header.width, header.height, header.orientation) == (40, 24, orientation)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_unknown_orientations_are_upright(orientation: int) -> None:
    exif = build_exif(ExifFacts(orientation=orientation))
    data = pictures.photo_file("JPEG", 40, 24, metadata=Metadata(exif=exif))
    assert read_header(data).orientation == 1


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_metadata_that_is_kept(image_format: str) -> None:
    exif = build_exif(ExifFacts(orientation=6, artist=b"Ada Lovelace", copyright=b"(c) 1843"))
    profile = icc(size=70_000)
    data = pictures.photo_file(image_format, 40, 24, metadata=Metadata(icc=profile, exif=exif))
    header = read_header(data)
    assert header.orientation == 6
    assert header.metadata == Metadata(
        icc=profile, exif=build_exif(ExifFacts(artist=b"Ada Lovelace", copyright=b"(c) 1843"))
    )


def test_animations_are_refused_with_their_frames() -> None:
    for image_format, data in (
        ("PNG", pictures.animated_png(20, 10, frames=3)),
        ("WEBP", pictures.animated_webp(20, 10, frames=3)),
    ):
        with pytest.raises(UnsupportedImageFormat) as caught:
            read_header(data)
        assert caught.value.message == "Animated images are not supported"
        assert caught.value.details == {"format": image_format, "frames": 3, "max_allowed": 1}


def test_an_animation_of_one_frame() -> None:
    assert read_header(pictures.animated_png(20, 10, frames=1)).format == "PNG"
    data = pictures.animated_webp(20, 10, frames=1)
    assert np.array_equal(codec.decode(open_file(data)), codec.decode(open_file(pictures.photo_webp(20, 10))))


def test_an_animation_that_promises_more_frames_than_it_has() -> None:
    still = pictures.photo_png(20, 10)
    at = still.index(b"IDAT") - 4
    control = png_chunk(b"acTL", struct.pack(">II", 7, 0))
    assert read_header(still[:at] + control + still[at:]).width == 20
    # Behind the picture it controls nothing.
    end = still.index(b"IEND") - 4
    assert read_header(still[:end] + control + still[end:]).width == 20


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a", "a GIF"),
        (b"\0\0\x01\0", "an icon"),
        (b"\0\0\0\x18ftypavif", "an AVIF"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG"),
        (b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- drawn -->\n<SVG/>", "an SVG"),
        (b"<?xml version='1.0'?><rss/>", "text in XML"),
        (b"\n<!DOCTYPE html><html>", "an HTML page"),
        (b"<HTML>", "an HTML page"),
        (b'{"error": "not found"}', "text in JSON"),
        (base64.b64encode(PHOTOS["JPEG"]), "text in base64"),
        (base64.b64encode(PHOTOS["PNG"]), "text in base64"),
        (base64.b64encode(PHOTOS["WEBP"]), "text in base64"),
        (b"data:image/png;base64,iVBORw0KGgo", "a data address"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (gzip.compress(PHOTOS["JPEG"]), "a gzip archive"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\r\n" + PHOTOS["JPEG"], "a picture with other bytes before it"),
        (b"\xef\xbb\xbf" + PHOTOS["PNG"], "a picture with other bytes before it"),
    ],
)
def test_what_a_file_is_that_is_no_picture_of_ours(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImageFormat) as caught:
        read_header(data)
    assert caught.value.message == f"The image is not a PNG, JPEG or WebP but {name}"
    assert caught.value.details == {"format": name.removeprefix("an ").removeprefix("a ")}


@pytest.mark.parametrize("data", [b"RIFF\0\0\0\0WAVE", b"\0" * 100, b"\xff\xd8", b"\0\0\0\x18ftypxxxx", b"hello there"])
def test_unknown_formats(data: bytes) -> None:
    assert sniff(data) is None
    with pytest.raises(UnsupportedImageFormat) as caught:
        read_header(data)
    assert caught.value.message == "The image is not a PNG, JPEG or WebP"
    assert caught.value.details is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"GIF89a\x01\0\x01\0", "a GIF"),
        (b"<svg/>", "an SVG"),
        (b"%PDF-1.7", "a PDF"),
        (b"BM" + b"\0" * 60, "a BMP"),
        (b"II*\0", "a TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a HEIC"),
        (b"\0\0\0\x1cftypavif", "an AVIF"),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL"),
        (b"\x8aMNG\r\n\x1a\n", "an MNG"),
    ],
)
def test_other_formats_are_named(data: bytes, name: str) -> None:
    with pytest.raises(UnsupportedImageFormat) as caught:
        read_header(data)
    assert caught.value.message == f"The image is not a PNG, JPEG or WebP but {name}"
    assert caught.value.details == {"format": name.partition(" ")[2]}


def test_nothing_at_all() -> None:
    with pytest.raises(InvalidImage, match="The image is empty"):
        read_header(b"")


def test_bombs_are_refused_before_any_pixel() -> None:
    claims = {
        "PNG": png(ihdr(10_001, 10_000), (b"IDAT", b"")),
        "JPEG": _claiming(pictures.photo_jpeg(16, 16), 10_001, 10_000),
        "WEBP": b"RIFF"
        + struct.pack("<I", 30)
        + b"WEBPVP8L"
        + struct.pack("<IBI", 18, 0x2F, 9999 | 5000 << 14)
        + b"\0" * 13,
    }
    for image_format, data in claims.items():
        with pytest.raises(ImageTooLarge) as caught:
            read_header(data)
        limit = 50_000_000 if image_format == "WEBP" else 100_000_000
        width, height = (10_000, 5001) if image_format == "WEBP" else (10_001, 10_000)
        assert caught.value.details == {"width": width, "height": height, "max_allowed": limit, "unit": "pixels"}


def test_a_side_that_no_jpeg_decoder_takes() -> None:
    assert read_header(_claiming(pictures.photo_jpeg(16, 16), 65_500, 16)).width == 65_500
    with pytest.raises(ImageTooLarge) as caught:
        read_header(_claiming(pictures.photo_jpeg(16, 16), 16, 65_501))
    assert caught.value.details == {"width": 16, "height": 65_501, "max_allowed": 65_500, "unit": "pixels a side"}


def test_the_largest_claim_that_is_let_through() -> None:
    assert read_header(_claiming(pictures.photo_jpeg(16, 16), 10_000, 10_000)).width == 10_000
    assert read_header(png(ihdr(10_000, 10_000), (b"IDAT", b""))).height == 10_000


def test_a_multi_picture_file_is_its_first_picture() -> None:
    first, second = pictures.photo_jpeg(40, 30), pictures.photo_jpeg(60, 50, seed=1)
    header = read_header(first + second)
    assert (header.format, header.width, header.height) == ("JPEG", 40, 30)
    assert np.array_equal(codec.decode(open_file(first + second)), codec.decode(open_file(first)))


def _claiming(jpeg: bytes, width: int, height: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]

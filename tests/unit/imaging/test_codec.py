"""Decoding and encoding as the stages see them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fixtures_imaging import icc

from uncrop.errors import ImageTooLarge, InvalidImage, UnsupportedImageFormat
from uncrop.imaging import codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.jpeg import layout as jpeg_layout
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.png import layout as png_layout
from uncrop.imaging.upload import upload_bytes
from uncrop.imaging.webp import layout as webp_layout
from uncrop.model import Metadata
from uncrop.testing import pictures

if TYPE_CHECKING:
    from collections.abc import Callable

    from uncrop.model import OpenedFile


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_come_out_upright(image_format: str, orientation: int) -> None:
    data = pictures.rotated(image_format, orientation, width=40, height=24)
    pixels = codec.decode(open_file(data))
    photo = pictures.photo(40, 24)
    assert pixels.shape == photo.shape
    assert np.array_equal(pixels, photo) if image_format != "JPEG" else psnr(pixels, photo) > 35


def test_a_header_of_another_file_is_told() -> None:
    header = read_header(pictures.photo_png(40, 30))
    file = open_file(pictures.photo_png(40, 31))
    with pytest.raises(InvalidImage) as caught:
        codec.decode(replace(file, header=header))
    assert caught.value.system_message == "the picture's size is not what its header says"


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_an_answer_is_decoded_to_8_bits(image_format: str) -> None:
    data = pictures.photo_file(image_format, 40, 30)
    file = open_file(data)
    assert file.header == read_header(data)
    assert np.array_equal(codec.decode_8bit(file), codec.decode(file))


def test_a_deep_answer_is_reduced() -> None:
    pixels = codec.decode_8bit(open_file(pictures.photo_png(40, 30, bits=16)))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, codec.arrays.to_8bit(pictures.photo(40, 30, bits=16)))


def test_an_answer_that_is_none() -> None:
    with pytest.raises(UnsupportedImageFormat):
        codec.decode_8bit(open_file(b'{"error": "no"}'))
    with pytest.raises(InvalidImage):
        codec.decode_8bit(open_file(pictures.truncated(pictures.photo_jpeg(40, 30), forged_end=True)))


@pytest.mark.parametrize(("image_format", "limit"), [("JPEG", 65_500), ("WEBP", 16_383)])
@pytest.mark.parametrize("upended", [False, True])
def test_formats_have_their_limits(image_format: str, limit: int, upended: bool) -> None:
    def line(side: int) -> np.ndarray:
        shape = (side, 1, 3) if upended else (1, side, 3)
        return np.zeros(shape, np.uint8)

    header = read_header(codec.encode(line(limit), image_format))
    assert (header.width, header.height) == ((1, limit) if upended else (limit, 1))
    with pytest.raises(ImageTooLarge) as caught:
        codec.encode(line(limit + 1), image_format)
    width, height = (1, limit + 1) if upended else (limit + 1, 1)
    assert caught.value.details == {
        "width": width,
        "height": height,
        "max_allowed": limit,
        "unit": "pixels a side",
    }
    assert codec.encode(line(limit + 1), "PNG").startswith(b"\x89PNG")


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_jpeg_lays_alpha_on_white(channels: int, bits: int) -> None:
    pixels = pictures.photo(64, 48, channels=channels, bits=bits)
    pixels[:, 32:, -1] = 0
    pixels[:, :32, -1] = 255 if bits == 8 else 65535
    header = read_header(data := codec.encode(pixels, "JPEG"))
    assert (header.channels, header.bits) == (channels - 1, 8)
    back = codec.decode(open_file(data))
    assert back[:, 40:].min() > 250
    assert psnr(back[:, :32], codec.arrays.to_8bit(pixels[:, :32, :-1])) > 34


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize(("space", "channels", "kept"), [(b"RGB ", 3, True), (b"GRAY", 3, False), (b"CMYK", 3, False)])
def test_a_profile_that_does_not_fit_is_dropped(image_format: str, space: bytes, channels: int, kept: bool) -> None:
    exif = build_exif(ExifFacts(artist=b"Ada"))
    metadata = Metadata(icc=icc(space), exif=exif)
    written = read_header(codec.encode(pictures.photo(40, 30, channels=channels), image_format, metadata=metadata))
    assert written.metadata == Metadata(icc=icc(space) if kept else None, exif=exif)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG"])
def test_a_grey_profile_stays_with_grey(image_format: str) -> None:
    # Editors give grey JPEGs profiles for RGB; of PNGs no reader takes them.
    for space, kept in ((b"GRAY", True), (b"RGB ", image_format == "JPEG")):
        written = codec.encode(pictures.photo(40, 30, channels=1), image_format, metadata=Metadata(icc=icc(space)))
        assert (read_header(written).metadata.icc is not None) == kept


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_resampling(channels: int, bits: int) -> None:
    pixels = pictures.photo(120, 90, channels=channels, bits=bits)
    if channels in (2, 4):
        pixels[:, :, -1] = 255 if bits == 8 else 65535
    small = codec.resize(pixels, 40, 30)
    assert (small.shape, small.dtype) == ((30, 40, channels), pixels.dtype)
    blocks = pixels.reshape(30, 3, 40, 3, channels).mean(axis=(1, 3))
    assert psnr(small, blocks.astype(pixels.dtype)) > 27


def test_transparent_pixels_do_not_bleed() -> None:
    pixels = np.zeros((20, 20, 4), np.uint8)
    pixels[:, :10] = (200, 100, 50, 255)
    small = codec.resize(pixels, 7, 7)
    opaque = small[small[:, :, 3] > 30]
    # The black of transparent pixels would make them darker.
    assert (opaque[:, :3] >= (198, 98, 48)).all()


def test_resizing_to_the_same_extent_does_nothing() -> None:
    pixels = pictures.photo(40, 30)
    assert codec.resize(pixels, 40, 30) is pixels
    assert codec.resize(pixels, 20, 15).shape == (15, 20, 3)


@pytest.mark.parametrize("use", [codec.decode, strip])
def test_a_file_whose_layout_is_of_no_format_is_a_mistake_of_ours(use: Callable[[OpenedFile], object]) -> None:
    file = replace(open_file(pictures.photo_png(4, 3)), layout=None)
    with pytest.raises(TypeError, match="no layout of a file: NoneType"):
        use(file)


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP"])
def test_a_file_that_is_open_is_not_walked_through_again(image_format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    file = open_file(pictures.photo_file(image_format, 40, 30))
    for layout in (jpeg_layout, png_layout, webp_layout):
        monkeypatch.setattr(layout, "read_layout", None)
    pixels = codec.decode(file)
    sent, _ = upload_bytes(file, pixels, formats=frozenset({"JPEG", "PNG", "WEBP"}))
    assert sent == strip(file)

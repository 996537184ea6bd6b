"""What is sent to a provider, for every kind of file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from fixtures_imaging import pillow

from uncrop.imaging import arrays, codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.upload import upload_bytes
from uncrop.model import JpegFacts, Metadata
from uncrop.testing import pictures

ALL = frozenset({"JPEG", "PNG", "WEBP"})


def upload(data: bytes, formats: frozenset[str] = ALL) -> tuple[bytes, str, np.ndarray]:
    file = open_file(data)
    pixels = codec.decode(file)
    sent, image_format = upload_bytes(file, pixels, formats=formats)
    assert read_header(sent).format == image_format
    assert read_header(sent).metadata == Metadata(icc=read_header(sent).metadata.icc)
    return sent, image_format, pixels


@pytest.mark.parametrize(
    "data",
    [
        pictures.photo_jpeg(64, 48, quality=60),
        pictures.photo_jpeg(64, 48, grey=True),
        pillow(pictures.photo(64, 48), "JPEG", progressive=True),
        pictures.photo_png(64, 48),
        pictures.photo_png(64, 48, channels=4),
        pictures.photo_webp(64, 48),
        pictures.photo_webp(64, 48, channels=4),
    ],
)
def test_plain_files_are_stripped_and_not_compressed_again(data: bytes) -> None:
    sent, image_format, _ = upload(data)
    file = open_file(data)
    assert (sent, image_format) == (strip(file), file.header.format)


@pytest.mark.parametrize(("quality", "sent_quality"), [(80, 95), (98, 98)])
def test_a_lying_jpeg_is_turned_and_finely_compressed(quality: int, sent_quality: int) -> None:
    lying = pictures.rotated("JPEG", 6, width=64, height=48)
    file = open_file(lying)
    facts = JpegFacts(quality=quality, subsampling="420", progressive=False)
    pixels = codec.decode(file)
    file = replace(file, header=replace(file.header, jpeg=facts))
    sent, image_format = upload_bytes(file, pixels, formats=ALL)
    assert image_format == "JPEG"
    assert read_header(sent).jpeg == JpegFacts(quality=sent_quality, subsampling="444", progressive=False)
    assert read_header(sent).orientation == 1
    assert psnr(codec.decode(open_file(sent)), pixels) > 45


@pytest.mark.parametrize(
    ("data", "channels"),
    [
        (pictures.photo_png(64, 48, bits=16), 3),
        (pictures.photo_png(64, 48, channels=4, bits=16), 4),
        (pictures.photo_png(64, 48, channels=1), 3),
        (pictures.photo_png(64, 48, channels=2), 4),
        (pillow(pictures.photo(64, 48), "PNG", "P"), 3),
        (pillow(pictures.photo(64, 48), "PNG", "P", transparency=1), 4),
        (pillow(pictures.photo(64, 48), "PNG", "RGB", transparency=(1, 2, 3)), 4),
        (pillow(pictures.photo(64, 48), "PNG", "1"), 3),
        (pictures.rotated("PNG", 5, width=64, height=48), 3),
        (pictures.rotated("WEBP", 3, width=64, height=48), 3),
    ],
)
def test_other_kinds_are_sent_as_plain_pngs(data: bytes, channels: int) -> None:
    sent, image_format, pixels = upload(data)
    header = read_header(sent)
    assert (image_format, header.channels, header.bits, header.orientation) == ("PNG", channels, 8, 1)
    expected = arrays.to_rgba8(pixels) if channels == 4 else arrays.to_rgb8(pixels)
    assert np.array_equal(codec.decode(open_file(sent)), expected)


def test_cmyk_is_sent_as_a_fine_rgb_jpeg() -> None:
    sent, image_format, pixels = upload(pillow(pictures.photo(64, 48), "JPEG", "CMYK", quality=90))
    assert (image_format, read_header(sent).mode) == ("JPEG", "RGB")
    assert psnr(codec.decode(open_file(sent)), pixels) > 40


def test_formats_that_a_provider_does_not_take() -> None:
    for data in (pictures.photo_webp(64, 48), pictures.photo_jpeg(64, 48)):
        sent, image_format, pixels = upload(data, frozenset({"PNG"}))
        assert image_format == "PNG"
        assert np.array_equal(codec.decode(open_file(sent)), pixels)

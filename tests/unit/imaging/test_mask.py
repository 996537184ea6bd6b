"""Masks: each rule by itself, and the normal form."""

from __future__ import annotations

import numpy as np
import pytest
from fixtures_imaging import ihdr, opened, pillow, png

from uncrop.errors import InvalidMask
from uncrop.imaging import codec
from uncrop.imaging.header import open_file
from uncrop.imaging.mask import decode_mask, encode_mask, open_mask
from uncrop.model import Metadata, Rect
from uncrop.testing import pictures

MASK = pictures.mask_png(40, 30)


def mask_of(data: bytes) -> np.ndarray:
    return decode_mask(open_file(data))


def refusal(data: bytes) -> InvalidMask:
    with pytest.raises(InvalidMask) as caught:
        open_mask(data, 40, 30)
    return caught.value


@pytest.mark.parametrize(
    "data",
    [
        MASK,
        pictures.photo_png(40, 30, channels=2),
        pictures.photo_png(40, 30, channels=4, bits=16),
        pillow(pictures.photo(40, 30), "PNG", "P", transparency=0),
        pillow(pictures.photo(40, 30), "PNG", "L", transparency=0),
    ],
)
def test_masks_that_may_be(data: bytes) -> None:
    open_mask(data, 40, 30)


def test_other_formats() -> None:
    for data, actual in ((pictures.photo_webp(40, 30, channels=4), "WEBP"), (b"", "unknown"), (b"GIF89a", "unknown")):
        error = refusal(data)
        assert error.message == "The mask must be a PNG"
        assert error.details == {"rule": "format", "expected": "PNG", "actual": actual}


def test_no_alpha() -> None:
    error = refusal(pictures.photo_png(40, 30))
    assert error.message == "The mask must have an alpha channel"
    assert error.details == {"rule": "alpha", "expected": "an alpha channel", "actual": "RGB"}
    with pytest.raises(InvalidMask, match="The mask must have an alpha channel"):
        mask_of(pictures.photo_png(40, 30))


@pytest.mark.parametrize(("width", "height"), [(30, 40), (41, 30), (40, 29)])
def test_another_size(width: int, height: int) -> None:
    error = refusal(pictures.mask_png(width, height))
    assert error.message == "The mask must have the same width and height as the image"
    assert error.details == {"rule": "dimensions", "expected": "40x30", "actual": f"{width}x{height}"}


def test_a_lying_mask_is_measured_upright() -> None:
    alpha = pictures.photo(30, 40, channels=4)
    lying = codec.encode(
        alpha, "PNG", metadata=Metadata(exif=b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0")
    )
    open_mask(lying, 40, 30)
    assert mask_of(lying).shape == (30, 40)


def test_too_many_bytes() -> None:
    limit = 4 * 1024 * 1024
    fill = limit - len(png(b"", (b"tEXt", b""))) - len(MASK) + len(png(b""))
    data = MASK[:-12] + png(b"", (b"tEXt", b"\0" * fill))[8 + 12 : -12] + MASK[-12:]
    assert len(data) == limit
    error = refusal(data)
    assert error.message == "The mask must be smaller than 4 MB"
    assert error.details == {"rule": "bytes", "expected": "< 4194304", "actual": limit}
    smaller = MASK[:-12] + png(b"", (b"tEXt", b"\0" * (fill - 1)))[8 + 12 : -12] + MASK[-12:]
    open_mask(smaller, 40, 30)


def test_corrupt() -> None:
    expected = {"rule": "format", "expected": "a whole PNG", "actual": "corrupt"}
    error = refusal(MASK[:-30])
    assert (error.message, error.details) == ("The mask is corrupt or incomplete", expected)
    forged = pictures.truncated(MASK, 0.8, forged_end=True)
    open_mask(forged, 40, 30)
    with pytest.raises(InvalidMask) as caught:
        mask_of(forged)
    assert (caught.value.message, caught.value.details) == (error.message, expected)


def test_animated_and_enormous() -> None:
    assert refusal(pictures.animated_png(40, 30)).details == {
        "rule": "format",
        "expected": "a still PNG",
        "actual": "animated",
    }
    assert refusal(png(ihdr(20_000, 20_000, 8, 6), (b"IDAT", b""))).details == {
        "rule": "dimensions",
        "expected": "the image's extent",
        "actual": "too large",
    }


def test_nothing_transparent() -> None:
    pixels = np.full((30, 40, 4), 1, np.uint8)
    with pytest.raises(InvalidMask) as caught:
        mask_of(codec.encode(pixels, "PNG"))
    assert caught.value.message == "The mask must have at least one transparent pixel"
    assert caught.value.details == {"rule": "transparent", "expected": "at least 1 pixel", "actual": 0}


def test_only_alpha_0_is_to_be_made() -> None:
    pixels = np.zeros((1, 4, 4), np.uint8)
    pixels[0, :, 3] = (0, 1, 128, 255)
    assert mask_of(codec.encode(pixels, "PNG")).tolist() == [[True, False, False, False]]


def test_holes_of_sample_masks() -> None:
    assert np.argwhere(mask_of(pictures.mask_png(4, 2))).tolist() == [[0, 3], [1, 3]]
    hole = mask_of(pictures.mask_png(6, 5, hole=Rect(x=1, y=2, width=3, height=1)))
    assert np.argwhere(hole).tolist() == [[2, 1], [2, 2], [2, 3]]


def test_the_normal_form() -> None:
    mask = np.array([[True, False], [False, True]])
    white, black = [255, 255, 255, 0], [0, 0, 0, 255]
    data = encode_mask(mask)
    assert opened(data).tolist() == [[white, black], [black, white]]
    assert np.array_equal(mask_of(data), mask)


def test_a_part_of_a_larger_mask() -> None:
    mask = mask_of(MASK)[5:20, 25:38]
    assert np.array_equal(mask_of(encode_mask(mask)), mask)


def test_masks_stay_under_4_mb() -> None:
    y, x = np.mgrid[0:3000, 0:3334]
    circle = (x - 1600) ** 2 + (y - 1500) ** 2 < 1_000_000
    assert len(encode_mask(circle)) < 400_000
    ragged = np.random.default_rng(0).random((1536, 2048)) < 0.5
    data = encode_mask(ragged)
    assert len(data) < 4 * 1024 * 1024
    assert np.array_equal(mask_of(data), ragged)


def test_a_mask_that_no_small_png_holds() -> None:
    with pytest.raises(InvalidMask) as caught:
        encode_mask(np.random.default_rng(0).random((4000, 5000)) < 0.5)
    assert caught.value.message == "The mask is too ragged to be sent"
    assert caught.value.details is not None
    assert caught.value.details["rule"] == "bytes"


def test_a_mask_that_is_read_in_bands_says_what_its_whole_picture_says() -> None:
    pixels = np.random.default_rng(4).integers(0, 256, (300, 700, 4), np.uint8)
    pixels[:, :, 3][pixels[:, :, 3] < 90] = 0
    pixels[120:200] = pixels[119]
    for data in (codec.encode(pixels, "PNG"), pillow(pixels, "PNG", "RGBA")):  # one filter, and the best for each row
        assert np.array_equal(mask_of(data), pixels[:, :, 3] == 0)

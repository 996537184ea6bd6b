"""Conversions between kinds of pixels."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.imaging import arrays
from uncrop.testing import pictures


def test_16_bits_are_rounded_to_8() -> None:
    levels = np.array([[[0], [128], [129], [257], [65406], [65407], [65535]]], np.uint16)
    assert arrays.to_8bit(levels)[0, :, 0].tolist() == [0, 0, 1, 1, 254, 255, 255]
    small = pictures.photo(4, 3)
    assert arrays.to_8bit(small) is small


def test_every_level_is_rounded_to_the_nearest() -> None:
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1)
    assert np.array_equal(arrays.to_8bit(levels), np.round(levels / 257).astype(np.uint8))


@pytest.mark.parametrize("bits", [8, 16])
def test_to_rgb(bits: int) -> None:
    top = 255 if bits == 8 else 65535
    kind = np.uint8 if bits == 8 else np.uint16
    assert arrays.to_rgb8(np.array([[[top]]], kind)).tolist() == [[[255, 255, 255]]]
    assert arrays.to_rgb8(np.array([[[top, 0]]], kind)).tolist() == [[[255, 255, 255]]]
    assert arrays.to_rgb8(np.array([[[top, 0, 0]]], kind)).tolist() == [[[255, 0, 0]]]
    without_alpha = arrays.to_rgb8(np.array([[[top, 0, 0, 0]]], kind))
    assert without_alpha.tolist() == [[[255, 0, 0]]]
    assert without_alpha.flags.c_contiguous


@pytest.mark.parametrize(
    ("pixel", "expected"),
    [([7], [7, 7, 7, 255]), ([7, 9], [7, 7, 7, 9]), ([1, 2, 3], [1, 2, 3, 255]), ([1, 2, 3, 4], [1, 2, 3, 4])],
)
def test_to_rgba(pixel: list[int], expected: list[int]) -> None:
    assert arrays.to_rgba8(np.array([[pixel]], np.uint8)).tolist() == [[expected]]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_parts_of_a_picture_become_whole_arrays(channels: int) -> None:
    part = pictures.photo(9, 7, channels=channels)[1:6, 2:8]
    for converted in (arrays.to_rgb8(part), arrays.to_rgba8(part)):
        assert converted.flags.c_contiguous
        assert np.array_equal(converted[:, :, 0], part[:, :, 0])


def test_alpha_is_split_off() -> None:
    pixels = pictures.photo(5, 4, channels=4, bits=16)
    colours, alpha = arrays.split_alpha(pixels)
    assert np.array_equal(colours, pixels[:, :, :3])
    assert alpha is not None
    assert np.array_equal(alpha, pixels[:, :, 3])
    assert arrays.split_alpha(colours) == (colours, None) or arrays.split_alpha(colours)[1] is None
    opacity = arrays.alpha8(pixels)
    assert opacity is not None
    assert opacity[0].tolist() == [255, 191, 128, 64, 0]
    assert arrays.alpha8(pictures.photo(5, 4)) is None


@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize(("kind", "top"), [(np.uint8, 255), (np.uint16, 65535)])
def test_flatten_is_exact_to_rounding(channels: int, kind: type, top: int) -> None:
    pixels = np.random.default_rng(3).integers(0, top + 1, (64, 64, channels)).astype(kind)
    pixels[0, :, -1], pixels[1, :, -1] = 0, top
    flat = arrays.flatten(pixels)
    weight = pixels[:, :, -1:].astype(float) / top
    assert flat.dtype == kind
    assert np.abs(flat - (pixels[:, :, :-1] * weight + top * (1 - weight))).max() <= 0.5
    assert (flat[0] == top).all()
    assert np.array_equal(flat[1], pixels[1, :, :-1])


def test_flatten_leaves_opaque_kinds_alone() -> None:
    for channels in (1, 3):
        pixels = pictures.photo(4, 3, channels=channels)
        assert arrays.flatten(pixels) is pixels


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        (1, [[1, 2, 3], [4, 5, 6]]),
        (2, [[3, 2, 1], [6, 5, 4]]),
        (3, [[6, 5, 4], [3, 2, 1]]),
        (4, [[4, 5, 6], [1, 2, 3]]),
        (5, [[1, 4], [2, 5], [3, 6]]),
        (6, [[4, 1], [5, 2], [6, 3]]),
        (7, [[6, 3], [5, 2], [4, 1]]),
        (8, [[3, 6], [2, 5], [1, 4]]),
    ],
)
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_upright(orientation: int, expected: list[list[int]], channels: int, kind: type) -> None:
    lying = np.array([[1, 2, 3], [4, 5, 6]], kind)[:, :, None] * np.arange(1, channels + 1, dtype=kind)
    turned = arrays.upright(lying, orientation)
    assert turned.dtype == kind
    assert turned[:, :, 0].tolist() == expected
    assert np.array_equal(turned[:, :, -1], turned[:, :, 0] * channels)


def test_upright_of_a_view() -> None:
    pixels = pictures.photo(9, 7)[1:6, 2:8]
    assert np.array_equal(arrays.upright(pixels, 6), np.rot90(pixels, -1))

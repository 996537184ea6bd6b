"""The sample pictures are what they say they are."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.testing import pictures


def test_the_same_arguments_give_the_same_photo() -> None:
    assert np.array_equal(pictures.photo(40, 30, seed=5), pictures.photo(40, 30, seed=5))
    assert not np.array_equal(pictures.photo(40, 30, seed=5), pictures.photo(40, 30, seed=6))
    assert pictures.photo_jpeg(40, 30, seed=5) == pictures.photo_jpeg(40, 30, seed=5)


def test_photos_compress_as_photos_do() -> None:
    width, height = 640, 480
    bits_per_pixel = 8 * len(pictures.photo_jpeg(width, height)) / (width * height)
    assert 0.8 < bits_per_pixel < 4
    assert pictures.photo(width, height).std() > 20


@pytest.mark.parametrize("forged_end", [False, True])
def test_a_file_cut_at_its_end_is_nearly_whole(forged_end: bool) -> None:
    whole = pictures.photo_png(40, 30)
    cut = pictures.truncated(whole, 1.0, forged_end=forged_end)
    assert cut.startswith(whole[:-12])


def test_forged_ends_look_right() -> None:
    for data in (pictures.photo_jpeg(80, 60), pictures.photo_png(80, 60), pictures.photo_webp(80, 60)):
        header = read_header(pictures.truncated(data, 0.6, forged_end=True))
        assert (header.width, header.height) == (80, 60)


def test_animations_are_real() -> None:
    from io import BytesIO

    from PIL import Image

    for data in (pictures.animated_png(20, 10, frames=3), pictures.animated_webp(20, 10, frames=3)):
        image = Image.open(BytesIO(data))
        assert image.n_frames == 3
        image.seek(2)
        image.load()


def test_noise_and_files_of_any_format() -> None:
    assert pictures.noise(7, 5).shape == (5, 7, 3)
    assert read_header(pictures.photo_file("WEBP", 9, 8)).format == "WEBP"
    assert codec.decode_8bit(open_file(pictures.photo_file("PNG", 9, 8))).shape == (8, 9, 3)

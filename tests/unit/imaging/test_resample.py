"""Resampling, held to Pillow's bits: what providers are sent must not depend on which of the two did it."""

import numpy as np
import pytest
from PIL import Image

from uncrop.imaging import codec, resample_kernels
from uncrop.imaging.resample import resample, resample_at, warm_up
from uncrop.testing import pictures

KERNELS = ("weigh", "distinct", "across", "down")
INLINED = ("_sinc", "_exchange", "_turn", "_turn_rows", "_sum_up")
EXTENTS = [
    ((64, 64), (1024, 1024)),
    ((1, 1), (5, 3)),
    ((7, 1), (60, 1)),
    ((1, 7), (1, 60)),
    ((97, 53), (31, 77)),
    ((53, 97), (53, 50)),
    ((300, 40), (299, 40)),
    ((3864, 40), (1531, 16)),
    # Pillow begins with the columns where the height shrinks by more than twice as many pixels as the width.
    ((64, 64), (199, 3)),
    ((50, 200), (45, 180)),
    ((50, 200), (45, 190)),
    ((40, 4000), (10, 1000)),
]


def pillow(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.LANCZOS)).reshape(height, width, -1)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("old", "new"), EXTENTS)
def test_the_bits_are_pillows(old: tuple[int, int], new: tuple[int, int], channels: int) -> None:
    for pixels in (
        np.random.default_rng(1).integers(0, 256, (*old[::-1], channels), np.uint8),
        pictures.photo(*old, channels=channels),  # type: ignore[arg-type]
    ):
        assert np.array_equal(resample(pixels, *new), pillow(pixels, *new))


def test_the_bits_are_pillows_for_extents_at_random() -> None:
    random = np.random.default_rng(7)
    for _ in range(200):
        width, height, new_width, new_height = (int(value) for value in random.integers(1, 90, 4))
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        pixels[height // 2 :] = pixels[height // 2]  # rows that are alike are summed up once
        assert np.array_equal(resample(pixels, new_width, new_height), pillow(pixels, new_width, new_height))


def test_pixels_at_their_own_centres_are_what_they_were() -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (23, 31, 3), np.uint8)
    assert np.array_equal(resample_at(pixels, np.arange(31) + 0.5, np.arange(23) + 0.5), pixels)
    assert np.array_equal(resample_at(pixels, np.arange(4, 9) + 0.5, np.array([22.5])), pixels[22:, 4:9])


def test_pixels_in_between_are_those_of_a_shifted_box() -> None:
    pixels = pictures.photo(60, 50)
    moved = codec.resize(pixels, 40, 30, box=(8.3, 9.6, 48.3, 39.6))
    taken = resample_at(pixels, np.arange(40) + 8.8, np.arange(30) + 10.1)
    assert np.abs(taken.astype(int) - moved).max() <= 1


def test_beyond_a_picture_its_outermost_pixels_go_on() -> None:
    for height, width in ((9, 12), (1, 1), (2, 7)):
        pixels = np.random.default_rng(4).integers(0, 256, (height, width, 3), np.uint8)
        taken = resample_at(pixels, np.array([-9.0, width + 30.0]), np.array([-0.1, height + 5.0]))
        assert np.array_equal(taken, pixels[np.ix_([0, -1], [0, -1])])


def test_wanted_rows_and_columns_are_cut_out_of_the_whole() -> None:
    random = np.random.default_rng(3)
    for old, new in EXTENTS:
        pixels = random.integers(0, 256, (*old[::-1], 3), np.uint8)
        rows, columns = np.flatnonzero(random.random(new[1]) < 0.4), np.flatnonzero(random.random(new[0]) < 0.4)
        whole = resample(pixels, *new)
        assert np.array_equal(resample(pixels, *new, rows=rows, columns=columns), whole[np.ix_(rows, columns)])


def test_views_and_pixels_that_may_not_be_written_to() -> None:
    whole = pictures.photo(80, 60)
    view = whole[5:55, 7:70]
    frozen = view.copy()
    frozen.flags.writeable = False
    wanted = pillow(frozen, 30, 20)
    before = list(resample_kernels.across.signatures)
    assert np.array_equal(resample(view, 30, 20), wanted)
    assert np.array_equal(resample(frozen, 30, 20), wanted)
    assert resample_kernels.across.signatures == before or not before  # compiled no second time


def test_the_kernels_say_the_same_without_being_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (11, 9, 3), np.uint8)
    wanted = [resample(pixels, 5, 6), resample(pixels, 14, 13), resample(pixels[:, :8], 9, 2)]
    for name in (*KERNELS, *INLINED):
        monkeypatch.setattr(resample_kernels, name, getattr(resample_kernels, name).py_func)
    with np.errstate(over="ignore"):
        made = [resample(pixels, 5, 6), resample(pixels, 14, 13), resample(pixels[:, :8], 9, 2)]
    assert all(np.array_equal(one, other) for one, other in zip(made, wanted, strict=True))


def test_the_codec_resizes_with_it() -> None:
    pixels = pictures.photo(90, 60)
    assert np.array_equal(codec.resize(pixels, 40, 30), pillow(pixels, 40, 30))
    assert np.array_equal(codec.resize(pixels[:, :, :1], 40, 30), pillow(pixels[:, :, :1], 40, 30))


def test_warming_up_compiles_all_that_is_needed() -> None:
    warm_up()
    before = [list(getattr(resample_kernels, name).signatures) for name in KERNELS]
    for width in (31, 32):
        resample(pictures.photo(width, 20), 9, 9)
    assert [getattr(resample_kernels, name).signatures for name in KERNELS] == before


def test_the_bits_of_a_part_with_fractions_are_pillows() -> None:
    random = np.random.default_rng(9)
    for number in range(150):
        width, height, new_width = (int(value) for value in random.integers(2, 100, 3))
        # Half of them keep the shape, as all do in earnest.
        new_height = max(1, round(height * new_width / width)) if number % 2 else int(random.integers(1, 100))
        pixels = random.integers(0, 256, (height, width, 3), np.uint8)
        box = (
            random.uniform(0, width / 3),
            random.uniform(0, height / 3),
            random.uniform(width * 0.6, width),
            random.uniform(height * 0.6, height),
        )
        image = Image.fromarray(pixels).resize((new_width, new_height), Image.Resampling.LANCZOS, box=box)
        assert np.array_equal(codec.resize(pixels, new_width, new_height, box=box), np.asarray(image))

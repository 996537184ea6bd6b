"""What is sent of a photo, and what is believed of an answer."""

from __future__ import annotations

import numpy as np
import pytest

from uncrop.errors import ProviderInvalidResponse
from uncrop.imaging import codec
from uncrop.imaging.colour.convert import between
from uncrop.imaging.colour.profiles import (
    SRGB_CURVE,
    SRGB_PRIMARIES,
    Curve,
    Primaries,
    grey_profile,
    made,
    rgb_profile,
)
from uncrop.imaging.compare import mean_difference
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.model import ImageHeader, Metadata, Sides, Task, UncropRequest, UploadFacts
from uncrop.providers.clipdrop.facts import FACTS
from uncrop.providers.picture import opaque_file, photo_part, read_picture, used_file
from uncrop.testing.pictures import photo, photo_jpeg, photo_png, rotated, truncated
from uncrop.testing.workbench import make_task, run_alone

PHOTO = read_header(photo_png(60, 40))
ROOMY = UploadFacts(formats=frozenset({"PNG", "JPEG"}), max_bytes=1_000_000)


def task(image: bytes, **sides: int) -> Task:
    return make_task(UncropRequest(provider="", image=image, sides=Sides(**sides)), FACTS)


def test_where_nothing_is_cropped_the_file_is_the_whole_photos() -> None:
    whole = task(photo_jpeg(60, 40), left=8)
    assert used_file(whole, ROOMY)[0] == photo_part("image_file", whole, ROOMY).value == photo_jpeg(60, 40)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_cropped_png_is_exact(channels: int) -> None:
    image = photo_png(60, 40, channels=channels)  # type: ignore[arg-type]
    data, image_format = used_file(task(image, left=-7, right=9, up=-3, down=-4), ROOMY)
    pixels = codec.decode(open_file(data))
    expected = photo(60, 40, channels=channels)[3:36, 7:]  # type: ignore[arg-type]
    assert image_format == "PNG"
    assert np.array_equal(pixels, np.repeat(expected, 3, axis=2) if channels == 1 else expected)


def test_a_cropped_jpeg_stays_one_and_loses_next_to_nothing() -> None:
    cropped = task(rotated("JPEG", 6, width=60, height=40), left=-7, down=5)
    data, image_format = used_file(cropped, ROOMY)
    assert image_format == "JPEG"
    assert mean_difference(codec.decode(open_file(data)), cropped.photo[:, 7:]) < 2


@pytest.mark.parametrize("image", [photo_jpeg(60, 40), photo_png(60, 40, channels=1), photo_png(60, 40)])
def test_a_photo_without_alpha_is_opaque(image: bytes) -> None:
    cropped = task(image, left=-7, down=5)
    assert opaque_file(cropped, ROOMY) == used_file(cropped, ROOMY)


@pytest.mark.parametrize("channels", [2, 4])
def test_alpha_is_left_away_and_colour_lies_under_what_was_transparent(channels: int) -> None:
    pixels = np.full((40, 60, channels), 90, np.uint8)
    pixels[:, :, -1] = 255
    pixels[:, 30:] = 0  # transparent black
    pixels[:, 28:30, -1] = 7  # nearly transparent, still the photo's own
    data, image_format = opaque_file(task(codec.encode(pixels, "PNG"), left=-7, down=5), ROOMY)
    sent = codec.decode(open_file(data))
    assert (image_format, sent.shape) == ("PNG", (40, 53, 3))
    assert (sent == 90).all()


def test_an_opaque_alpha_is_left_away_too() -> None:
    pixels = np.full((40, 60, 4), 255, np.uint8)
    data, _ = opaque_file(task(codec.encode(pixels, "PNG"), left=5), ROOMY)
    assert read_header(data).channels == 3


def test_a_cropped_photo_that_outgrows_the_limit_goes_as_a_jpeg() -> None:
    image = photo_png(60, 40, channels=4)
    cropped = task(image, left=-7, down=5)
    tight = UploadFacts(formats=ROOMY.formats, max_bytes=len(used_file(cropped, ROOMY)[0]) - 1)
    data, image_format = used_file(cropped, tight)
    header = read_header(data)
    assert (image_format, header.format, header.width, header.height) == ("JPEG", "JPEG", 53, 40)


@pytest.mark.parametrize(
    "data",
    [b"", b"text", truncated(photo_png(60, 40)), photo_png(60, 50), photo_png(2500, 1700), b"GIF89a" + bytes(99)],
    ids=["nothing", "text", "half", "shape", "huge", "GIF"],
)
def test_what_is_no_such_picture_is_refused(data: bytes) -> None:
    with pytest.raises(ProviderInvalidResponse):
        run_alone(read_picture(data, 60, 40, PHOTO))


def test_a_picture_of_the_shape_is_taken_at_any_size() -> None:
    assert run_alone(read_picture(photo_png(120, 80), 60, 40, PHOTO)).shape == (80, 120, 3)
    assert run_alone(read_picture(photo_png(61, 40), 60, 40, PHOTO)).shape == (40, 61, 3)


# --- what an answer says about its colours, and its alpha -------------------------------------------------------------

P3 = rgb_profile(Primaries(red=(0.68, 0.32), green=(0.265, 0.69), blue=(0.15, 0.06)), SRGB_CURVE)
REDS = np.full((40, 60, 3), (200, 60, 40), np.uint8)


def picture(pixels: np.ndarray, icc: bytes | None = None) -> bytes:
    return codec.encode(pixels, "PNG", metadata=Metadata(icc=icc))


def in_p3() -> ImageHeader:
    return read_header(picture(REDS, P3))


def test_an_answer_comes_in_the_photos_colours() -> None:
    # The same red takes smaller numbers where there are stronger ones, and larger numbers the other way round.
    assert (run_alone(read_picture(picture(REDS), 60, 40, PHOTO)) == REDS).all()
    assert (run_alone(read_picture(picture(REDS, P3), 60, 40, in_p3())) == REDS).all()
    stronger = run_alone(read_picture(picture(REDS, P3), 60, 40, PHOTO))
    assert (stronger[0, 0].astype(int) - REDS[0, 0]).tolist() == pytest.approx([17, -18, -17], abs=2)
    weaker = run_alone(read_picture(picture(REDS, made(SRGB_PRIMARIES, SRGB_CURVE, 3)), 60, 40, in_p3()))
    assert weaker[0, 0, 0] < REDS[0, 0, 0]
    back = between(weaker, P3, None)
    assert back is not None
    assert np.abs(back.astype(int) - REDS).max() <= 1


def test_an_answer_that_tells_nothing_has_the_photos_numbers() -> None:
    assert (run_alone(read_picture(picture(REDS), 60, 40, in_p3())) == REDS).all()


def test_a_profile_that_does_not_work_tells_nothing() -> None:
    broken = b"\0\0\0\xc8" + b"\0" * 12 + b"RGB " + b"\0" * 16 + b"acsp" + b"\0" * 160
    assert (run_alone(read_picture(picture(REDS, broken), 60, 40, PHOTO)) == REDS).all()


def test_a_grey_answer_with_a_curve_of_its_own() -> None:
    grey = np.full((40, 60, 1), 128, np.uint8)
    linear = run_alone(read_picture(picture(grey, grey_profile(Curve((1.0,)))), 60, 40, PHOTO))
    assert (linear == 188).all()
    assert (run_alone(read_picture(picture(grey), 60, 40, PHOTO)) == 128).all()


def test_what_an_answer_leaves_transparent_is_filled_from_around_it() -> None:
    pixels = np.dstack((REDS, np.full((40, 60), 255, np.uint8)))
    pixels[10:20, 10:20] = (0, 255, 0, 0)
    filled = run_alone(read_picture(picture(pixels), 60, 40, PHOTO))
    assert np.abs(filled.astype(int) - REDS).max() <= 1
    pixels[10:20, 10:20, 3] = 102
    mixed = run_alone(read_picture(picture(pixels), 60, 40, PHOTO))
    assert np.abs(mixed[15, 15].astype(int) - (120, 138, 24)).max() <= 1


def test_an_answer_that_is_nowhere_opaque() -> None:
    faint = np.dstack((REDS, np.full((40, 60), 9, np.uint8)))
    assert (run_alone(read_picture(picture(faint), 60, 40, PHOTO)) == REDS).all()
    with pytest.raises(ProviderInvalidResponse):
        run_alone(read_picture(picture(np.dstack((REDS, np.zeros((40, 60), np.uint8)))), 60, 40, PHOTO))


def test_what_is_encoded_anew_keeps_its_profile() -> None:
    lying = codec.encode(REDS, "JPEG", metadata=Metadata(icc=P3, exif=build_exif(ExifFacts(orientation=6))))
    tight = UploadFacts(formats=ROOMY.formats, max_bytes=len(picture(REDS, P3)) - 1)
    for image, limits in ((lying, ROOMY), (picture(REDS, P3), tight)):
        data, _ = used_file(task(image, left=5), limits)
        assert read_header(data).metadata.icc == P3

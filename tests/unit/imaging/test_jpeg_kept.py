"""The photo's own coefficients in the answer: which are kept, what comes out, and when it is encoded as before."""

from __future__ import annotations

import io
import tracemalloc
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
import simplejpeg
from fixtures_imaging import opened, pillow
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from uncrop.errors import InvalidImage, ServerBusy
from uncrop.imaging import codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file
from uncrop.imaging.jpeg import kept as jpeg_kept
from uncrop.imaging.jpeg.coefficients import read
from uncrop.imaging.jpeg.kept import Kept, keep, read_own
from uncrop.imaging.metadata.exif import ExifFacts, build_exif
from uncrop.model import Density, Placement, Rect
from uncrop.testing import pictures

if TYPE_CHECKING:
    from uncrop.imaging.jpeg.coefficients.blocks import Coefficients
    from uncrop.imaging.jpeg.kept import ReadsOwn
    from uncrop.model import OpenedFile

SUBSAMPLINGS = {"444": 0, "422": 1, "420": 2}
UNITS = {"444": (8, 8), "422": (16, 8), "420": (16, 16), "440": (8, 16), "411": (32, 8), "grey": (8, 8)}
SIDEWAYS = (5, 6, 7, 8)


class Sides(NamedTuple):
    left: int = 0
    top: int = 0
    right: int = 0
    bottom: int = 0


class Extended(NamedTuple):
    """A photo's file, its pixels, the extended picture that is to be written, and where the photo lies on it."""

    file: OpenedFile
    photo: np.ndarray
    picture: np.ndarray
    placement: Placement

    def kept(self) -> Kept | None:
        return self.kept_by(read_own)

    def kept_by(self, reads_own: ReadsOwn) -> Kept | None:
        return keep(self.file, self.photo, self.picture, self.placement, reads_own=reads_own)

    def part(self, picture: np.ndarray) -> np.ndarray:
        part = self.placement.kept
        return picture[part.y : part.y + part.height, part.x : part.x + part.width]


def jpeg(
    pixels: np.ndarray, sampling: str = "420", *, quality: int = 85, orientation: int = 1, **options: object
) -> bytes:
    if sampling in ("440", "411"):
        return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", sampling)
    if sampling == "grey":
        pixels = pixels[:, :, :1]
    else:
        options["subsampling"] = SUBSAMPLINGS[sampling]
    exif = b"Exif\0\0" + (build_exif(ExifFacts(orientation=orientation)) or b"")
    return pillow(pixels, "JPEG", quality=quality, exif=exif if orientation > 1 else b"", **options)


UNCROPPED = Sides()


def extend(data: bytes, sides: Sides, *, crop: Sides = UNCROPPED, channels: int | None = None) -> Extended:
    """Extend the upright photo by its own mirror image, and what is made by noise on it."""
    file = open_file(data)
    photo = codec.decode(file)
    height, width = photo.shape[:2]
    source = Rect(x=crop.left, y=crop.top, width=width - crop.left - crop.right, height=height - crop.top - crop.bottom)
    kept = Rect(x=sides.left, y=sides.top, width=source.width, height=source.height)
    placement = Placement(
        width=source.width + sides.left + sides.right,
        height=source.height + sides.top + sides.bottom,
        source=source,
        kept=kept,
    )
    part = photo[source.y : source.y + source.height, source.x : source.x + source.width]
    if channels is not None:
        part = np.repeat(part, channels // part.shape[2], axis=2)
    around = ((sides.top, sides.bottom), (sides.left, sides.right), (0, 0))
    picture = np.pad(part, around, mode="symmetric").astype(np.int16)
    picture += np.random.default_rng(1).integers(-5, 6, picture.shape, np.int16)
    made = picture.clip(0, 255).astype(np.uint8)
    made[kept.y : kept.y + kept.height, kept.x : kept.x + kept.width] = part
    return Extended(file, photo, made, placement)


def shared_levels(extended: Extended, written: bytes) -> float:
    """Return which share of the photo's blocks, of all components, stand in the written file bit by bit.

    For photos that lie upright in their files, uncropped.
    """
    own = read.read(extended.file.data, extended.file.layout)
    new_file = open_file(written)
    new = read.read(written, new_file.layout)
    same = count = 0
    for plane, target in zip(own.grid.planes, new.grid.planes, strict=True):
        wide, high = own.grid.box(plane)
        x, y = extended.placement.kept.x // (8 * wide), extended.placement.kept.y // (8 * high)
        across, down = own.grid.extent(plane)
        there = new.of(target)[y : y + down, x : x + across]
        same += int((own.of(plane)[:down, :across] == there).all(axis=2).sum())
        count += across * down
    return same / count


# --- the family ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sides", [Sides(32, 16, 40, 24), Sides(right=37), Sides(bottom=5), Sides(left=32), Sides(top=16)]
)
@pytest.mark.parametrize("extent", [(96, 64), (93, 61), (81, 65), (17, 9)])
@pytest.mark.parametrize(
    ("sampling", "progressive"),
    [*((sampling, False) for sampling in UNITS), *((sampling, True) for sampling in ("444", "422", "420", "grey"))],
)
def test_the_photos_own_blocks_stand_in_the_answer(
    sampling: str, progressive: bool, extent: tuple[int, int], sides: Sides
) -> None:
    options = {"progressive": True} if progressive else {}
    extended = extend(jpeg(pictures.photo(*extent), sampling, **options), sides)
    kept = extended.kept()
    across, down = UNITS[sampling]
    # A photo of less than one MCU has no block to itself when it is extended beyond it.
    alone = (extent[0] < 8 and sides.right) or (extent[1] < 8 and sides.bottom)
    assert (kept is None) == bool(alone)
    if kept is None:
        return
    file, own = open_file(kept.data), extended.file
    assert (file.header.width, file.header.height) == (extended.placement.width, extended.placement.height)
    assert file.layout.factors == (own.layout.factors if sampling != "grey" else ((1, 1),))
    theirs, ours = (Image.open(io.BytesIO(data)).quantization for data in (own.data, kept.data))
    assert [ours[number] for number in sorted(ours)] == [theirs[number] for number in sorted(theirs)]
    # Another decoder than the one that proved it sees the photo's own pixels, farther inside than colours are smoothed.
    whole_across = extent[0] // across * across if sides.right else extent[0]
    whole_down = extent[1] // down * down if sides.bottom else extent[1]
    inner = (
        slice(1 if sides.top else 0, max(whole_down - 1, 0)),
        slice(1 if sides.left else 0, max(whole_across - 1, 0)),
    )
    found, photo = opened(kept.data), opened(own.data)
    assert np.array_equal(extended.part(found)[inner], photo[inner])
    if (whole_across, whole_down) == extent:
        assert shared_levels(extended, kept.data) == 1
        assert psnr(extended.part(found), photo) > 55


@pytest.mark.parametrize("orientation", range(2, 9))
@pytest.mark.parametrize("sampling", ["444", "422", "420", "grey"])
def test_photos_that_lie_otherwise_are_turned_without_loss(sampling: str, orientation: int) -> None:
    pixels = pictures.photo(96, 64)
    extended = extend(jpeg(pixels, sampling, orientation=orientation), Sides(32, 16, 16, 32))
    kept = extended.kept()
    assert kept is not None
    found = extended.part(codec.decode(open_file(kept.data)))
    assert np.abs(found.astype(int) - extended.photo).max() <= jpeg_kept.TURNING
    assert psnr(found, extended.photo) > 50
    again = extend(kept.data, Sides(16, 16, 16, 16))
    second = again.kept()
    assert second is not None
    inner = (slice(1, -1), slice(1, -1))
    assert np.array_equal(again.part(codec.decode(open_file(second.data)))[inner], again.photo[inner])


@pytest.mark.parametrize(("orientation", "left", "top"), [(2, 12, 0), (3, 12, 2), (4, 0, 2), (6, 2, 0), (8, 0, 12)])
def test_a_mirrored_photo_is_kept_where_what_fills_its_first_blocks_is_covered(
    orientation: int, left: int, top: int
) -> None:
    data = jpeg(pictures.photo(52, 30), "444", orientation=orientation)
    for extra in (0, 8):
        assert extend(data, Sides(left + extra if left else 8, top + extra if top else 8, 8, 8)).kept() is not None
    assert extend(data, Sides(8, 8, 8, 8)).kept() is None


@pytest.mark.parametrize("sampling", UNITS)
def test_blocks_that_do_not_meet_are_encoded_as_before(sampling: str) -> None:
    across, down = UNITS[sampling]
    data = jpeg(pictures.photo(96, 64), sampling)
    for sides in (Sides(left=across - 1), Sides(top=down + 1), Sides(left=across // 2), Sides(top=down // 2)):
        assert extend(data, sides).kept() is None
    assert extend(data, Sides(left=across, top=down)).kept() is not None


def test_pixels_come_out_exactly_where_colours_are_not_smoothed() -> None:
    pixels = pictures.photo(96, 64)
    exact = {name: extend(jpeg(pixels, name), Sides(32, 16, 8, 8)).kept() for name in UNITS}
    assert {name: kept.exact for name, kept in exact.items() if kept} == {
        "444": True, "422": False, "420": False, "440": False, "411": True, "grey": True
    }  # fmt: skip
    beside = extend(jpeg(pictures.photo(93, 64), "444"), Sides(left=32, right=8)).kept()
    assert beside is not None
    assert not beside.exact  # the block at the right holds three columns that were made


# --- cropped, masked, grey -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crop", "sides", "kept"),
    [
        (Sides(left=16, top=32), Sides(right=20), True),
        (Sides(left=5), Sides(left=5, right=16), True),  # back where it was
        (Sides(left=5), Sides(right=16), False),
        (Sides(left=4), Sides(left=20, bottom=3), True),
        (Sides(right=7, bottom=9), Sides(left=16), True),
    ],
)
def test_a_cropped_photo_is_kept_where_its_blocks_meet(crop: Sides, sides: Sides, kept: bool) -> None:
    extended = extend(jpeg(pictures.photo(96, 64)), sides, crop=crop)
    found = extended.kept()
    assert (found is not None) == kept
    if found is not None:
        inner = (slice(16, 32), slice(17, 47))
        decoded = codec.decode(open_file(found.data))
        source = extended.placement.source
        own = extended.photo[source.y : source.y + source.height, source.x : source.x + source.width]
        assert np.array_equal(extended.part(decoded)[inner], own[inner])


def test_what_was_cut_off_is_not_hidden_in_the_last_blocks() -> None:
    pixels = np.full((64, 64, 3), 40, np.uint8)
    pixels[:, 60:] = 250
    extended = extend(jpeg(pixels, quality=95), Sides(left=16), crop=Sides(right=5))
    kept = extended.kept()
    assert kept is not None
    found = read.read(kept.data, open_file(kept.data).layout)
    last = found.of(found.grid.planes[0])[:, 9]  # columns 56 to 63 of the photo, five of which were cut off
    own = read.read(extended.file.data, extended.file.layout)
    assert np.abs(own.of(own.grid.planes[0])[:, 7, 1:]).max() > 20
    assert np.abs(last[:, 1:]).max() < np.abs(own.of(own.grid.planes[0])[:, 7, 1:]).max() / 2
    assert opened(kept.data).max() < 110


def test_only_what_a_mask_leaves_is_kept() -> None:
    extended = extend(jpeg(pictures.photo(96, 64), "444"), Sides())
    extended.picture[20:30, 40:52] = 255
    kept = extended.kept()
    assert kept is not None
    assert not kept.exact  # the mask's blocks hold pixels of the photo too
    own, new = (read.read(data, open_file(data).layout) for data in (extended.file.data, kept.data))
    same = (own.of(own.grid.planes[0]) == new.of(new.grid.planes[0])).all(axis=2)
    expected = np.ones((8, 12), np.bool_)
    expected[2:4, 5:7] = False
    assert np.array_equal(same, expected)
    extended.picture[16:32, 40:56] = 255  # whole blocks: what was to be changed does not count
    whole = extended.kept()
    assert whole is not None
    assert whole.exact


def test_a_picture_without_anything_of_the_photo_keeps_nothing() -> None:
    extended = extend(jpeg(pictures.photo(96, 64)), Sides(right=16))
    extended.picture[:] = 255 - extended.picture
    assert extended.kept() is None


def test_a_grey_photo_stays_grey_in_a_picture_of_colours() -> None:
    extended = extend(jpeg(pictures.photo(93, 61), "grey"), Sides(8, 8, 16, 16), channels=3)
    extended.picture[:, -16:, 0] = 250
    kept = extended.kept()
    assert kept is not None
    found = opened(kept.data)
    assert found.shape == extended.picture.shape
    inner = extended.part(found)[:56, :88]
    assert np.array_equal(inner, np.repeat(extended.photo[:56, :88], 3, axis=2))
    assert (found[:, -8:, 0].astype(int) - found[:, -8:, 1]).mean() > 50


# --- what is encoded as before ---------------------------------------------------------------------------------------

PLAIN = jpeg(pictures.photo(96, 64))


@pytest.mark.parametrize(
    "data",
    [
        pillow(pictures.photo(96, 64), "PNG"),
        pillow(pictures.photo(96, 64), "JPEG", "CMYK"),
        pillow(pictures.photo(96, 64), "JPEG", keep_rgb=True),
    ],
)
def test_other_kinds_of_files_are_encoded_as_before(data: bytes) -> None:
    assert extend(data, Sides(right=16)).kept() is None


def test_a_scaled_photo_is_encoded_as_before() -> None:
    extended = extend(PLAIN, Sides(right=16))
    half = Placement(
        width=112, height=64, source=Rect(x=0, y=0, width=96, height=64), kept=Rect(x=0, y=0, width=48, height=32)
    )
    assert extended._replace(placement=half).kept() is None


def test_alpha_and_depth_are_encoded_as_before() -> None:
    extended = extend(PLAIN, Sides(right=16))
    for picture in (
        np.dstack([extended.picture, np.full((64, 112), 255, np.uint8)]),
        extended.picture.astype(np.uint16) * 257,
        extended.picture[:, :, :1],
    ):
        assert extended._replace(picture=picture).kept() is None


def test_many_scans_are_encoded_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    data = jpeg(pictures.photo(96, 64), progressive=True)
    assert extend(data, Sides(right=16)).kept() is not None
    monkeypatch.setattr(jpeg_kept, "MAX_KEPT_SCANS", 3)
    assert extend(data, Sides(right=16)).kept() is None


@pytest.mark.parametrize("step", [0, 1, 40, 63])
def test_a_step_of_zero_is_encoded_as_before(step: int) -> None:
    data = bytearray(jpeg(pictures.photo(64, 48)))
    tables = data.index(b"\xff\xdb") + 5  # behind the marker, the length and the first table's number
    data[tables + step] = 0
    extended = extend(bytes(data), Sides(left=16))
    assert extended.kept() is None


def test_damage_that_another_decoder_let_through_is_encoded_as_before() -> None:
    extended = extend(PLAIN, Sides(right=16))
    layout = extended.file.layout
    scan = next(segment for segment in layout.segments if segment.marker == 0xDA)
    for seed in range(60):
        random = np.random.default_rng(seed)
        broken = bytearray(PLAIN)
        for at in random.integers(scan.payload + 12, len(PLAIN) - 2, 3).tolist():
            broken[at] = int(random.integers(0, 255))
        file = type(extended.file)(data=bytes(broken), header=extended.file.header, layout=layout)
        assert extended._replace(file=file).kept() is None


@pytest.mark.parametrize("slip", ["a block aside", "other signs", "one level of one block", -32768, -2048, 2048, 32767])
def test_a_photo_that_does_not_come_out_is_not_given_out(slip: str | int) -> None:
    """Whoever reads the levels may have been taken over by the file, and say anything."""
    extended = extend(PLAIN, Sides(right=16))
    assert extended.kept() is not None

    def wrong(file: OpenedFile) -> Coefficients:
        result = read_own(file)
        if slip == "a block aside":
            result.levels[:] = np.roll(result.levels, 1, axis=0)
        elif slip == "other signs":
            result.levels[:] *= -1
        elif isinstance(slip, int):
            result.levels[::2] = slip
        else:
            result.levels[3 * 14 + 4, 0] += 1
        return result

    assert extended.kept_by(wrong) is None


@pytest.mark.parametrize("error", [InvalidImage, ServerBusy, MemoryError])
def test_what_cannot_be_read_now_is_encoded_as_before(error: type[Exception]) -> None:
    def fails(_file: OpenedFile) -> Coefficients:
        raise error

    assert extend(PLAIN, Sides(right=16)).kept_by(fails) is None


# --- again and again -------------------------------------------------------------------------------------------------


def ten_times(data: bytes, sides: Sides, *, keeping: bool) -> tuple[bytes, np.ndarray]:
    """Extend ten times in a row; return the last file, and the first photo's part of what it shows."""
    x = y = 0
    height, width = codec.decode(open_file(data)).shape[:2]
    for _ in range(10):
        extended = extend(data, sides)
        kept = extended.kept() if keeping else None
        header = extended.file.header
        data = (
            codec.encode(extended.picture, "JPEG", jpeg=header.jpeg, metadata=header.metadata)
            if kept is None
            else kept.data
        )
        x, y = x + sides.left, y + sides.top
    return data, codec.decode(open_file(data))[y : y + height, x : x + width]


@pytest.mark.parametrize("extent", [(96, 64), (93, 61)])
def test_ten_extensions_in_a_row_do_not_wear_the_photo(extent: tuple[int, int]) -> None:
    data = jpeg(pictures.photo(*extent), quality=75)
    photo = codec.decode(open_file(data))
    last, found = ten_times(data, Sides(16, 16, 21, 19), keeping=True)
    inner = (slice(1, extent[1] // 16 * 16 - 1), slice(1, extent[0] // 16 * 16 - 1))
    assert np.array_equal(found[inner], photo[inner])
    # The rest was compressed once more, the first time, and never again.
    _, once = ten_times(data, Sides(16, 16, 21, 19), keeping=True)
    assert np.array_equal(found, once)
    worn, before = ten_times(data, Sides(16, 16, 21, 19), keeping=False)
    assert psnr(found, photo) > psnr(before, photo) + 3
    assert len(last) < len(worn)


def test_the_answer_is_no_larger_than_another_encoders() -> None:
    extended = extend(jpeg(pictures.photo(320, 240)), Sides(64, 64, 64, 64))
    kept = extended.kept()
    assert kept is not None
    other = pillow(
        extended.picture, "JPEG", qtables=Image.open(io.BytesIO(extended.file.data)).quantization, subsampling=2
    )
    assert len(kept.data) < len(other)


@pytest.mark.parametrize(
    ("sampling", "orientation", "crop"), [("420", 1, UNCROPPED), ("444", 1, Sides(left=16)), ("420", 6, UNCROPPED)]
)
def test_no_more_memory_is_taken_than_was_told(sampling: str, orientation: int, crop: Sides) -> None:
    extended = extend(jpeg(pictures.photo(640, 480), sampling, orientation=orientation), Sides(32, right=64), crop=crop)
    extended.kept()  # what is kept for good is made
    tracemalloc.start()
    try:
        kept = extended.kept()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert kept is not None
    told = jpeg_kept.working_bytes(extended.file, extended.placement)
    assert told / 2 < peak < told + 500_000  # small tables, and some rows that are compared


def test_nothing_is_told_where_nothing_is_kept() -> None:
    png = pillow(pictures.photo(16, 16), "PNG")
    for data, sides in ((png, Sides(right=8)), (PLAIN, Sides(left=5))):
        extended = extend(data, sides)
        assert jpeg_kept.working_bytes(extended.file, extended.placement) == 0


def test_metadata_goes_along() -> None:
    exif = b"Exif\0\0" + (build_exif(ExifFacts(artist=b"Ada")) or b"")
    extended = extend(pillow(pictures.photo(96, 64), "JPEG", exif=exif, dpi=(300, 300)), Sides(right=16))
    kept = codec.encode_kept(extended.file, extended.photo, extended.picture, extended.placement, reads_own=read_own)
    assert kept is not None
    metadata = open_file(kept.data).header.metadata
    assert metadata == extended.file.header.metadata
    assert metadata.density == Density(x=300, y=300)
    assert metadata.exif is not None
    assert b"Ada" in metadata.exif


@given(
    extent=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    sides=st.tuples(*[st.integers(0, 40)] * 4),
    crop=st.tuples(*[st.integers(0, 20)] * 4),
    sampling=st.sampled_from(sorted(SUBSAMPLINGS)),
    progressive=st.booleans(),
    orientation=st.integers(1, 8),
    quality=st.integers(5, 100),
)
@settings(deadline=None, max_examples=80)
def test_whatever_is_kept_shows_the_photo(
    extent: tuple[int, int],
    sides: tuple[int, int, int, int],
    crop: tuple[int, int, int, int],
    sampling: str,
    progressive: bool,
    orientation: int,
    quality: int,
) -> None:
    data = jpeg(pictures.photo(*extent), sampling, quality=quality, orientation=orientation, progressive=progressive)
    header = open_file(data).header
    if crop[0] + crop[2] >= header.width or crop[1] + crop[3] >= header.height:
        crop = (0, 0, 0, 0)
    extended = extend(data, Sides(*sides), crop=Sides(*crop))
    kept = extended.kept()
    if kept is None:
        return
    found = opened(kept.data)
    assert found.shape == extended.picture.shape
    source = extended.placement.source
    own = extended.photo[source.y : source.y + source.height, source.x : source.x + source.width]
    if kept.exact:
        assert np.array_equal(extended.part(found), own)
    # Never worse than the same picture, encoded with the photo's tables.
    tables = Image.open(io.BytesIO(data)).quantization
    whole = opened(pillow(extended.picture, "JPEG", qtables=tables, subsampling=SUBSAMPLINGS[sampling]))
    if orientation not in SIDEWAYS:
        assert psnr(found, extended.picture) >= min(psnr(whole, extended.picture) - 0.5, 60)

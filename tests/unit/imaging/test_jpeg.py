"""JPEG: broken structure, benign mistakes, CMYK, and the floor for what is written."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from fixtures_imaging import block_jpeg, cmyk_profile, icc, opened, pillow
from PIL import Image

from uncrop.errors import InvalidImage, UnsupportedImageFormat
from uncrop.imaging import codec
from uncrop.imaging.compare import psnr
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.jpeg import layout as jpeg
from uncrop.imaging.jpeg.metadata import ICC_PREFIX
from uncrop.imaging.jpeg.scans import check_complete
from uncrop.imaging.upload import upload_bytes
from uncrop.model import JpegFacts, Metadata
from uncrop.testing import pictures

PHOTO = pictures.photo(64, 48)
PLAIN = pictures.photo_jpeg(64, 48)
PROGRESSIVE = pillow(PHOTO, "JPEG", progressive=True, quality=90)
SCAN = PLAIN.index(b"\xff\xda")
FRAME = PLAIN.index(b"\xff\xc0")


def decoded(data: bytes) -> np.ndarray:
    return codec.decode(open_file(data))


def patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize(
    "data", [PLAIN, PROGRESSIVE, pictures.photo_jpeg(64, 48, grey=True), pillow(PHOTO, "JPEG", keep_rgb=True)]
)
def test_pixels_are_those_of_another_decoder(data: bytes) -> None:
    pixels = decoded(data)
    assert np.array_equal(pixels.squeeze(), opened(data))
    assert pixels.dtype == np.uint8


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:SCAN] + b"\xff\xd9",  # no scan
        PLAIN[:FRAME] + PLAIN[SCAN:],  # no frame
        PLAIN[:SCAN] + PLAIN[FRAME:],  # two frames
        PLAIN[:FRAME] + b"\xff\xc0\x00\x04\x08\x00\xff\xd9",  # a frame without its fields
        patched(PLAIN, FRAME + 2, b"\x00\x0b"),  # a frame that is too short for its components
        patched(PLAIN, FRAME + 2, b"\x00\x01"),  # a length that is impossible
        patched(PLAIN, FRAME + 2, b"\xff\xff"),  # a length behind the end
        patched(PLAIN, FRAME + 5, b"\x00\x00"),  # no rows
        patched(PLAIN, FRAME + 7, b"\x00\x00"),  # no columns
        patched(PLAIN, FRAME + 9, b"\x02"),  # two components
        patched(PLAIN, FRAME + 12, b"\x07"),  # a quantisation table that is not there
        patched(PLAIN, FRAME + 14, b"\x00"),  # a sampling factor of zero
        patched(PLAIN, SCAN + 5, b"\x09"),  # a scan of a component that does not exist
        PLAIN[:3],
        PLAIN[:20],
    ],
)
def test_broken_structure(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read_header(data)


@pytest.mark.parametrize(
    ("marker", "name", "kind"),
    [
        (0xC3, "lossless JPEG", "lossless"),
        (0xC5, "hierarchical JPEG", "hierarchical"),
        (0xC9, "arithmetic-coded JPEG", "arithmetic-coded"),
        (0xCA, "arithmetic-coded progressive JPEG", "arithmetic-coded progressive"),
        (0xF7, "JPEG-LS", "JPEG-LS"),
    ],
)
def test_kinds_that_few_readers_know_are_named(marker: int, name: str, kind: str) -> None:
    with pytest.raises(UnsupportedImageFormat) as caught:
        read_header(patched(PLAIN, FRAME + 1, bytes((marker,))))
    assert caught.value.message == f"The image is a file of the kind {name}, which is not supported"
    assert caught.value.details == {"format": "JPEG", "kind": kind}


def test_a_height_that_comes_behind_the_first_scan_is_named() -> None:
    rows = PLAIN[FRAME + 5 : FRAME + 7]
    late = patched(PLAIN, FRAME + 5, b"\0\0")[:-2] + b"\xff\xdc\x00\x04" + rows + PLAIN[-2:]
    with pytest.raises(UnsupportedImageFormat) as caught:
        read_header(late)
    assert (
        caught.value.message
        == "The image is a JPEG with its height behind the first scan (DNL), which is not supported"
    )
    assert caught.value.details == {"format": "JPEG", "kind": "height behind the first scan"}


def test_twelve_bits() -> None:
    with pytest.raises(UnsupportedImageFormat) as caught:
        read_header(patched(PLAIN, FRAME + 4, b"\x0c"))
    assert caught.value.details == {"format": "JPEG", "bits": 12}


# --- without an end marker -------------------------------------------------------------------------------------------

TRAILER = b"\0\0\x01\x0aPanorama_Shot_Info"
ENDLESS = {"plain": PLAIN, "progressive": PROGRESSIVE, "grey": pictures.photo_jpeg(64, 48, grey=True)}


@pytest.mark.parametrize("name", ENDLESS)
@pytest.mark.parametrize(
    "behind",
    [
        b"",
        b"\xff",
        TRAILER,
        TRAILER + b"\xff\x63\x0b\x11" + b"x" * 5000,  # what looks like a marker, and is none
        TRAILER + PLAIN,  # another picture, with its own end
        TRAILER + b"\xff\xe1\x00\x06abcd" + b"x" * 100 + b"\xff\xc4\xff\xff",
    ],
)
def test_a_picture_whose_end_marker_alone_is_missing(name: str, behind: bytes) -> None:
    whole = ENDLESS[name]
    file = open_file(whole[:-2] + behind)
    assert not file.layout.ended
    assert np.array_equal(codec.decode(file), decoded(whole))
    assert file.header == read_header(whole)


@pytest.mark.parametrize("name", ENDLESS)
def test_without_an_end_marker_no_bit_may_be_missing(name: str) -> None:
    whole = ENDLESS[name]
    for missing in range(1, 200):
        with pytest.raises(InvalidImage):
            decoded(whole[: -2 - missing])


def test_what_follows_a_picture_without_an_end_is_not_sent() -> None:
    data = PLAIN[:-2] + TRAILER
    file = open_file(data)
    sent, image_format = upload_bytes(file, codec.decode(file), formats=frozenset({"JPEG", "PNG"}))
    assert image_format == "JPEG"
    assert b"Panorama" in data
    assert b"Panorama" not in sent


def test_a_second_scan_that_is_missing() -> None:
    data = pillow(PHOTO, "JPEG", progressive=True)
    last = jpeg.read_layout(data).segments[-1]
    with pytest.raises(InvalidImage):
        read_header(data[: last.start])


# --- sampling factors ------------------------------------------------------------------------------------------------

SAMPLINGS = [
    ((2, 2), (1, 1), (1, 1), (1, 1)),
    ((1, 1), (1, 1), (1, 1), (2, 2)),
    ((4, 2), (1, 1), (1, 1)),
    ((1, 1), (2, 1), (1, 1)),
    ((2, 2), (2, 1), (1, 2)),
    ((1, 4), (1, 2), (1, 1)),
]


@pytest.mark.parametrize("restart", [0, 2])
@pytest.mark.parametrize("factors", SAMPLINGS)
def test_any_sampling_is_read(factors: tuple[tuple[int, int], ...], restart: int) -> None:
    data = block_jpeg(factors, restart=restart)
    assert np.array_equal(decoded(data), opened(data, "RGB"))


def test_of_no_sampling_metadata_are_read_by_another_library() -> None:
    data = block_jpeg(SAMPLINGS[4])
    # One tag, of 1000 bytes that are not there: Pillow would warn, which is an error in tests.
    exif = b"Exif\0\0" + b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x8298, 2, 1000, 60)
    accompanied = data[:2] + jpeg.segment(jpeg.APP1, exif) + jpeg.segment(0xFE, b"made by hand") + data[2:]
    assert np.array_equal(decoded(accompanied), decoded(data))


@pytest.mark.parametrize("restart", [0, 2])
@pytest.mark.parametrize("factors", SAMPLINGS[:3])
def test_of_no_sampling_a_cut_is_accepted(factors: tuple[tuple[int, int], ...], restart: int) -> None:
    data = block_jpeg(factors, restart=restart)
    decoded(data)
    for missing in range(1, 60):
        with pytest.raises(InvalidImage):
            decoded(data[: -2 - missing] + b"\xff\xd9")


def test_data_that_come_too_early_to_their_end() -> None:
    data = block_jpeg(SAMPLINGS[0])
    with pytest.raises(InvalidImage):
        decoded(data[:-2] + b"\x12" * 40 + data[-2:])
    restarts = block_jpeg(SAMPLINGS[0], restart=2)
    at = restarts.index(b"\xff\xd1")
    with pytest.raises(InvalidImage):
        decoded(restarts[: at - 4] + restarts[at:])
    # A whole interval is missing, with its marker.
    with pytest.raises(InvalidImage):
        decoded(restarts[: restarts.index(b"\xff\xd0")] + restarts[at:])


def test_factors_that_no_decoder_takes_are_named() -> None:
    with pytest.raises(UnsupportedImageFormat) as caught:
        decoded(block_jpeg(((3, 1), (2, 1), (1, 1))))
    assert caught.value.details == {"format": "JPEG", "sampling": "3x1, 2x1, 1x1"}


def _with_scans(count: int) -> bytes:
    """Repeat the last, refining scan of a progressive file, which changes nothing but costs a pass each time."""
    layout = jpeg.read_layout(PROGRESSIVE)
    last = layout.segments[-1]
    missing = count - layout.scans
    return PROGRESSIVE[: last.end] + PROGRESSIVE[last.start : last.end] * missing + b"\xff\xd9"


def test_scans_are_counted() -> None:
    assert jpeg.read_layout(_with_scans(100)).scans == 100
    with pytest.raises(InvalidImage) as caught:
        read_header(_with_scans(101))
    assert caught.value.message == "The JPEG has more than 100 scans"
    assert caught.value.details == {"max_allowed": 100, "unit": "scans"}


def test_segments_are_counted() -> None:
    with pytest.raises(InvalidImage) as caught:
        read_header(b"\xff\xd8" + b"\xff\xfe\x00\x02" * 20_001 + PLAIN[2:])
    assert caught.value.system_message == "the JPEG has too many segments"


def test_a_progressive_file_that_stops_between_two_scans() -> None:
    layout = jpeg.read_layout(PROGRESSIVE)
    ends = [segment.end for segment in layout.segments if segment.marker == jpeg.SOS]
    for end in ends[:-1]:
        with pytest.raises(InvalidImage) as caught:
            read_header(PROGRESSIVE[:end] + b"\xff\xd9")
        assert caught.value.system_message == "the JPEG's scans do not carry the whole picture"


@pytest.mark.parametrize(
    ("scans", "progressive"),
    [
        ([b"\x01\x01\x00\x00\x3f\x00"], False),  # the second component never comes
        ([b"\x02\x01\x00\x02\x00\x00\x3f\x01"], True),  # the last bit never comes
        ([b"\x02\x01\x00\x02\x00\x05\x04\x00"], True),  # from the fifth coefficient to the fourth
        ([b"\x02\x01\x00\x02\x00\x00\x40\x00"], True),  # to a coefficient that does not exist
        ([b"\x01\x03\x00\x00\x3f\x00"], False),  # a component that does not exist
    ],
)
def test_scans_that_do_not_carry_everything(scans: list[bytes], progressive: bool) -> None:
    with pytest.raises(InvalidImage):
        check_complete(scans, [1, 2], progressive=progressive)


def test_scans_that_carry_everything() -> None:
    check_complete([b"\x02\x01\x00\x02\x00\x00\x00\x00"], [1, 2], progressive=False)
    check_complete([b"\x02\x01\x00\x02\x00\x00\x3f\x01", b"\x02\x01\x00\x02\x00\x00\x3f\x10"], [1, 2], progressive=True)


# --- mistakes that do not touch the picture --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:-2] + b"\x12" * 100 + PLAIN[-2:],  # padding before the end marker
        PROGRESSIVE[:-2] + b"\x12" * 100 + PROGRESSIVE[-2:],
        PLAIN[:SCAN] + b"\0" * 7 + PLAIN[SCAN:],  # bytes between two segments
        PLAIN[:-2] + b"\xff" * 9 + PLAIN[-2:],  # fill bytes
        PLAIN[:SCAN] + b"\xff\x01\xff\xd0" + PLAIN[SCAN:],  # markers without a meaning here
        patched(PLAIN, PLAIN.index(b"JFIF") + 5, b"\x09"),  # a JFIF of the future
        patched(PLAIN, SCAN + 11, b"\x01\x00\x00"),  # spectral selection in a sequential scan
        PLAIN[:SCAN] + jpeg.segment(jpeg.APP2, ICC_PREFIX + b"\x02\x01x") + PLAIN[SCAN:],  # a profile's second half
        PLAIN + b"anything at all",  # behind the end
    ],
)
def test_benign_mistakes_are_forgiven(data: bytes) -> None:
    expected = decoded(PROGRESSIVE if b"\xff\xc2" in data else PLAIN)
    assert np.array_equal(decoded(data), expected)


@pytest.mark.parametrize("transform", [1, 2, 7])
def test_an_unknown_colour_transform(transform: int) -> None:
    """It is taken for the one of so many components, 2 of three components too."""
    adobe = b"Adobe\x00\x64\x00\x00\x00\x00" + bytes((transform,))
    data = PLAIN[:2] + jpeg.segment(jpeg.APP14, adobe) + PLAIN[20:]
    assert np.array_equal(decoded(data), decoded(PLAIN))


@pytest.mark.parametrize("transform", [1, 7])
def test_an_unknown_colour_transform_of_cmyk(transform: int) -> None:
    data = pillow(np.asarray(Image.fromarray(pictures.photo(64, 48)).convert("CMYK")), "JPEG", "CMYK")
    place = data.index(b"Adobe") + 11
    assert np.array_equal(decoded(patched(data, place, bytes((transform,)))), decoded(patched(data, place, b"\x02")))


@pytest.mark.parametrize(
    "data",
    [
        PLAIN[:-2] + b"\x12" * 2000 + PLAIN[-2:],  # more than padding: the decoder lost its place
        PLAIN[:SCAN] + b"\0" * 7 + PLAIN[SCAN:-60] + PLAIN[-2:],  # a benign mistake and a cut
        patched(PLAIN, PLAIN.index(b"JFIF") + 5, b"\x09")[:-60] + PLAIN[-2:],
    ],
)
def test_benign_mistakes_hide_nothing(data: bytes) -> None:
    with pytest.raises(InvalidImage) as caught:
        decoded(data)
    assert caught.value.system_message == "the JPEG's picture data is corrupt or incomplete"


# --- CMYK ------------------------------------------------------------------------------------------------------------


def test_cmyk_without_a_profile_is_converted_plainly() -> None:
    data = pillow(PHOTO, "JPEG", "CMYK", quality=98)
    header = read_header(data)
    assert (header.mode, header.channels) == ("CMYK", 3)
    pixels = decoded(data)
    assert np.array_equal(pixels, opened(data, "RGB"))
    assert psnr(pixels, PHOTO) > 30


def test_cmyk_without_an_adobe_marker_is_not_inverted() -> None:
    data = pillow(PHOTO, "JPEG", "CMYK", quality=98)
    adobe = data.index(b"\xff\xee")
    bare = data[:adobe] + data[adobe + 16 :]
    # Pillow takes every CMYK for Adobe's, so its inks are the complement of what the file says.
    inks = 255 - opened(bare)
    assert np.array_equal(decoded(bare), np.asarray(Image.fromarray(inks, "CMYK").convert("RGB")))


def test_cmyk_with_a_profile_is_converted_through_it() -> None:
    data = pillow(PHOTO, "JPEG", "CMYK", quality=98, icc_profile=cmyk_profile())
    pixels = decoded(data)
    assert read_header(data).metadata.icc is None
    # The profile calls nearly every ink red, so the picture can only be red when the profile was asked.
    assert (pixels[..., 0].astype(int) - pixels[..., 1]).mean() > 60


def test_a_broken_cmyk_profile_is_as_none() -> None:
    data = pillow(PHOTO, "JPEG", "CMYK", quality=98, icc_profile=icc(b"CMYK"))
    assert np.array_equal(decoded(data), decoded(pillow(PHOTO, "JPEG", "CMYK", quality=98)))


# --- profiles in pieces ----------------------------------------------------------------------------------------------


def _piece(number: int, total: int, payload: bytes) -> bytes:
    return jpeg.segment(jpeg.APP2, ICC_PREFIX + bytes((number, total)) + payload)


def test_profile_in_pieces_of_any_order() -> None:
    profile = icc(size=300)
    data = PLAIN[:20] + _piece(2, 2, profile[100:]) + _piece(1, 2, profile[:100]) + PLAIN[20:]
    assert read_header(data).metadata.icc == profile


@pytest.mark.parametrize(
    "pieces",
    [
        _piece(1, 2, icc()),  # the second is missing
        _piece(2, 1, icc()),
        jpeg.segment(jpeg.APP2, ICC_PREFIX + b"\x01"),  # no number
        _piece(1, 1, icc(size=300)[:-1]),  # shorter than it says
        b"".join(_piece(n, 80, icc(size=80 * 60_000)[(n - 1) * 60_000 : n * 60_000]) for n in range(1, 81)),  # > 4 MiB
    ],
)
def test_doubtful_profiles_are_dropped(pieces: bytes) -> None:
    assert read_header(PLAIN[:20] + pieces + PLAIN[20:]).metadata.icc is None


def test_metadata_too_large_for_a_segment_is_left_out() -> None:
    large = Metadata(exif=b"MM\0*" + b"x" * 70_000, xmp=b"<x/>" + b" " * 70_000)
    assert codec.encode(PHOTO, "JPEG", metadata=large) == codec.encode(PHOTO, "JPEG")


def test_wide_quantisation_tables() -> None:
    data = PLAIN
    for number in (0, 1):
        at = data.index(b"\xff\xdb\x00\x43" + bytes((number,)))
        wide = struct.pack(">64H", *data[at + 5 : at + 69])
        data = data[:at] + jpeg.segment(jpeg.DQT, bytes((0x10 | number,)) + wide) + data[at + 69 :]
    facts = read_header(data).jpeg
    assert facts is not None
    assert facts.quality == 90


# --- what is written -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("facts", "quality", "subsampling"),
    [
        (None, 90, "444"),
        (JpegFacts(quality=60, subsampling="420", progressive=False), 90, "420"),
        (JpegFacts(quality=97, subsampling="422", progressive=True), 97, "422"),
        (JpegFacts(quality=95, subsampling="grey", progressive=False), 95, "444"),
    ],
)
def test_the_original_is_the_floor(facts: JpegFacts | None, quality: int, subsampling: str) -> None:
    written = read_header(codec.encode(PHOTO, "JPEG", jpeg=facts)).jpeg
    assert written == JpegFacts(quality=quality, subsampling=subsampling, progressive=False)


def test_grey_stays_grey() -> None:
    grey = pictures.photo(64, 48, channels=1)
    data = codec.encode(grey, "JPEG", jpeg=JpegFacts(quality=95, subsampling="grey", progressive=False))
    assert read_header(data).mode == "L"
    assert psnr(decoded(data), grey) > 38

"""PNG: read by our reader, written by our writer, both against Pillow; broken structure."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from fixtures_imaging import icc, ihdr, opened, pillow, png
from PIL import Image

from uncrop.errors import InvalidImage, UnsupportedImageFormat
from uncrop.imaging import codec
from uncrop.imaging.header import open_file, read_header
from uncrop.imaging.metadata.exif import ExifFacts, build_exif, read_exif
from uncrop.imaging.metadata.iptc import IptcFacts, build_iptc
from uncrop.imaging.metadata.strip import strip
from uncrop.imaging.png import read as png_read
from uncrop.imaging.png import unfilter
from uncrop.imaging.png import write as png_write
from uncrop.imaging.png.deflate import deflate
from uncrop.imaging.png.layout import SIGNATURE, chunk, read_layout
from uncrop.model import Metadata
from uncrop.testing import pictures

BLACK = zlib.compress(b"\0" * (1 + 3 * 4) * 4)
IDAT = (b"IDAT", BLACK)
IHDR = chunk(b"IHDR", ihdr(4, 4))
PLACES = 16_000


def decoded(data: bytes) -> np.ndarray:
    return codec.decode(open_file(data))


# --- writing and reading back ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 50), (50, 1), (37, 23), (700, 600)])
def test_every_kind_comes_back_exactly(bits: int, channels: int, width: int, height: int) -> None:
    pixels = pictures.photo(width, height, channels=channels, bits=bits)
    back = decoded(png_write.write(pixels))
    assert back.dtype == pixels.dtype
    assert np.array_equal(back, pixels)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_another_decoder_reads_what_is_written(channels: int) -> None:
    pixels = pictures.photo(301, 203, channels=channels)
    assert np.array_equal(opened(png_write.write(pixels)), pixels.squeeze())


def test_the_better_filter_is_taken() -> None:
    rows = np.repeat(pictures.photo(300, 1), 200, axis=0)
    columns = np.repeat(pictures.photo(1, 200), 300, axis=1)
    assert max(len(png_write.write(rows)), len(png_write.write(columns))) < 3000


def test_levels_change_the_size_alone() -> None:
    pixels = pictures.photo(300, 200)
    small, quick = png_write.write(pixels, level=3), png_write.write(pixels, level=0)
    assert len(small) < len(quick)
    assert np.array_equal(decoded(small), decoded(quick))


def test_metadata_chunks() -> None:
    data = png_write.write(pictures.photo(4, 4), Metadata(icc=b"profile", exif=b"MM\0*", xmp="<x>ü</x>".encode()))
    names = [part.name for part in read_layout(data).chunks]
    assert names == [b"IHDR", b"iCCP", b"eXIf", b"iTXt", b"IDAT", b"IEND"]
    image = Image.open(io.BytesIO(data))
    image.load()
    assert image.info["icc_profile"] == b"profile"
    assert image.info["exif"].endswith(b"MM\0*")
    assert image.info["XML:com.adobe.xmp"] == "<x>ü</x>"


# --- reading what others write ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", [0, 1, 6, 9])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA"])
def test_plain_modes(mode: str, level: int) -> None:
    data = pillow(pictures.photo(101, 77), "PNG", mode, compress_level=level)
    assert np.array_equal(decoded(data).squeeze(), opened(data))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_palettes(bits: int) -> None:
    data = pillow(pictures.photo(101, 77), "PNG", "P", bits=bits)
    assert np.array_equal(decoded(data), opened(data, "RGB"))
    data = pillow(pictures.photo(101, 77), "PNG", "P", bits=bits, transparency=b"\x00\x80")
    assert np.array_equal(decoded(data), opened(data, "RGBA"))


def test_an_index_beyond_the_palette_is_black() -> None:
    data = png(ihdr(2, 1, 8, 3), (b"PLTE", b"\x09\x08\x07"), (b"IDAT", zlib.compress(b"\0\0\x05")))
    assert decoded(data).tolist() == [[[9, 8, 7], [0, 0, 0]]]


def test_black_and_white() -> None:
    data = pillow(pictures.photo(101, 77), "PNG", "1")
    assert read_header(data).channels == 1
    assert np.array_equal(decoded(data)[:, :, 0], opened(data, "L"))


@pytest.mark.parametrize(
    ("depth", "key", "levels"),
    # Of a key that is too large for the depth, the lowest bits count.
    [(2, 3, [0, 85, 170, 255]), (4, 15, [0, 17, 34, 255]), (4, 255, [0, 17, 34, 255])],
)
def test_small_greys_are_scaled_and_their_transparent_level_is_not(depth: int, key: int, levels: list[int]) -> None:
    packed = {2: b"\x1b", 4: b"\x01\x2f"}[depth]
    data = png(ihdr(4, 1, depth, 0), (b"tRNS", struct.pack(">H", key)), (b"IDAT", zlib.compress(b"\0" + packed)))
    assert decoded(data).tolist() == [[[levels[0], 255], [levels[1], 255], [levels[2], 255], [levels[3], 0]]]


def test_a_transparent_colour_of_16_bits() -> None:
    pixels = np.array([[[1, 2, 3], [1, 2, 259]]], ">u2")
    data = png(
        ihdr(2, 1, 16, 2), (b"tRNS", struct.pack(">3H", 1, 2, 3)), (b"IDAT", zlib.compress(b"\0" + pixels.tobytes()))
    )
    assert decoded(data).tolist() == [[[1, 2, 3, 0], [1, 2, 259, 65535]]]


@pytest.mark.parametrize("place", ["behind", "before the palette"])
def test_transparency_out_of_its_place_does_not_count(place: str) -> None:
    palette, late = (b"PLTE", b"\1\2\3"), (b"tRNS", b"\0")
    rows = (b"IDAT", zlib.compress(b"\0\0"))
    chunks = (palette, rows, late) if place == "behind" else (late, palette, rows)
    data = png(ihdr(1, 1, 8, 3), *chunks)
    assert decoded(data).tolist() == [[[1, 2, 3]]]
    key = png(ihdr(1, 1, 8, 0), (b"IDAT", zlib.compress(b"\0\7")), (b"tRNS", b"\0\7"))
    assert decoded(key).tolist() == [[[7]]]
    # Other readers may heed it, so it is not sent either.
    assert b"tRNS" not in strip(open_file(key))


def test_apples_variant_is_named() -> None:
    data = SIGNATURE + chunk(b"CgBI", b"\x50\0\x20\2") + chunk(b"IHDR", ihdr(4, 4)) + chunk(*IDAT) + chunk(b"IEND", b"")
    with pytest.raises(UnsupportedImageFormat) as caught:
        read_header(data)
    assert caught.value.message == "The image is a PNG of Apple's own variant (CgBI), which is not supported"
    assert caught.value.details == {"format": "PNG", "kind": "CgBI"}


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 5), (9, 9), (33, 17)])
def test_interlacing(depth: int, width: int, height: int) -> None:
    pixels = pictures.photo(width, height, bits=depth)
    raw = b""
    for x, y, step_x, step_y in (
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ):
        part = pixels[y::step_y, x::step_x]
        if part.size:
            raw += b"".join(b"\0" + row.astype(">u2" if depth == 16 else "u1").tobytes() for row in part)
    data = png(ihdr(width, height, depth, 2, interlace=1), (b"IDAT", zlib.compress(raw)))
    assert np.array_equal(decoded(data), pixels)


def test_picture_data_in_many_pieces() -> None:
    data = png(ihdr(4, 4), *((b"IDAT", BLACK[at : at + 1]) for at in range(len(BLACK))), (b"IDAT", b""))
    assert decoded(data).shape == (4, 4, 3)


# --- filters ---------------------------------------------------------------------------------------------------------


def _filtered(rows: np.ndarray, step: int, kinds: list[int]) -> np.ndarray:
    """Filter as the specification words it, a byte at a time."""
    result = np.zeros((rows.shape[0], rows.shape[1] + 1), np.uint8)
    for y, kind in enumerate(kinds):
        result[y, 0] = kind
        for x in range(rows.shape[1]):
            a = int(rows[y, x - step]) if x >= step else 0
            b = int(rows[y - 1, x]) if y else 0
            c = int(rows[y - 1, x - step]) if y and x >= step else 0
            nearest = min((abs(a + b - c - value), order, value) for order, value in enumerate((a, b, c)))[2]
            result[y, x + 1] = (int(rows[y, x]) - (0, a, b, (a + b) // 2, nearest)[kind]) % 256
    return result


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize(("step", "length"), [(1, 7), (3, 12), (4, 4), (6, 18), (8, 8), (3, 3)])
def test_filters_are_undone(step: int, length: int, compiled: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(step)
    rows = random.integers(0, 256, (25, length), np.uint8)
    kinds = [*range(5), *range(5)[::-1], *random.integers(0, 5, 15).tolist()]
    back = np.empty_like(rows)
    function = unfilter.unfilter
    if not compiled:
        function = function.py_func
        for name in ("_sub", "_sub_of_three", "_average", "_paeth"):
            monkeypatch.setattr(unfilter, name, getattr(unfilter, name).py_func)
    with np.errstate(over="ignore"):
        # In two parts, as a picture that is read in bands: the second begins below the first one's last row.
        filtered, nothing = _filtered(rows, step, kinds), np.zeros(length, np.uint8)
        assert function(filtered[:11], step, nothing, back[:11])
        assert function(filtered[11:], step, back[10], back[11:])
    assert np.array_equal(back, rows)


@pytest.mark.parametrize("kind", range(5))
def test_filters_of_a_first_row(kind: int) -> None:
    rows = np.random.default_rng(1).integers(0, 256, (1, 12), np.uint8)
    back = np.empty_like(rows)
    assert unfilter.unfilter(_filtered(rows, 3, [kind]), 3, np.zeros(12, np.uint8), back)
    assert np.array_equal(back, rows)


def test_a_filter_that_does_not_exist() -> None:
    assert not unfilter.unfilter.py_func(
        np.full((1, 4), 5, np.uint8), 3, np.zeros(3, np.uint8), np.empty((1, 3), np.uint8)
    )
    with pytest.raises(InvalidImage) as caught:
        decoded(png(ihdr(1, 1), (b"IDAT", zlib.compress(b"\x05\0\0\0"))))
    assert caught.value.system_message == "the PNG has an unknown filter"


def test_warming_up_compiles_what_reading_needs() -> None:
    png_read.warm_up()
    before = list(unfilter.unfilter.signatures)
    assert decoded(pictures.photo_png(9, 7, channels=4, bits=16)).shape == (7, 9, 4)
    assert unfilter.unfilter.signatures == before


# --- without an end --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kept", range(24))
def test_a_picture_without_its_end_is_whole(kept: int) -> None:
    whole = png(ihdr(4, 4), IDAT, (b"tEXt", b"a\0b"))
    start = whole.index(b"tEXt") - 4
    data = whole[: start + kept]
    assert decoded(data).shape == (4, 4, 3)
    assert strip(open_file(data)) == png(ihdr(4, 4), IDAT)


def test_a_picture_whose_data_are_cut_is_not() -> None:
    pieces = [(b"IDAT", BLACK[at : at + 4]) for at in range(0, len(BLACK), 4)]
    whole = png(ihdr(4, 4), *pieces, end=False)
    assert decoded(whole).shape == (4, 4, 3)
    for length in range(len(png(ihdr(4, 4), end=False)), len(whole)):
        with pytest.raises(InvalidImage):
            decoded(whole[:length])


# --- broken files ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        SIGNATURE,
        png(ihdr(4, 4)),  # no picture data
        png(ihdr(0, 4), IDAT),
        png(ihdr(4, 0), IDAT),
        png(ihdr(2**31, 4), IDAT),
        png(ihdr(4, 4, 3), IDAT),  # three bits of colour
        png(ihdr(4, 4, 8, 5), IDAT),  # a colour type that does not exist
        png(ihdr(4, 4, compression=1), IDAT),
        png(ihdr(4, 4, filtering=1), IDAT),
        png(ihdr(4, 4, interlace=2), IDAT),
        png(ihdr(4, 4)[:-1], IDAT),
        png(ihdr(4, 4), (b"IHDR", ihdr(4, 4)), IDAT),
        png(ihdr(4, 4), IDAT, (b"tEXt", b"a\0b"), IDAT),  # interrupted
        png(ihdr(4, 4, 8, 3), IDAT),  # no palette
        png(ihdr(4, 4, 8, 3), IDAT, (b"PLTE", b"\0\0\0")),  # too late
        png(ihdr(4, 4, 8, 3), (b"PLTE", b"\0\0\0"), (b"PLTE", b"\0\0\0"), IDAT),
        png(ihdr(4, 4), (b"PLTE", b"\0\0"), IDAT),
        png(ihdr(4, 4), (b"PLTE", b""), IDAT),
        png(ihdr(4, 4), (b"PLTE", b"\0" * 771), IDAT),
        png(ihdr(4, 4), (b"tRNS", b"\0\0"), IDAT),
        png(ihdr(4, 4), (b"ABCD", b""), IDAT),  # critical, unknown
        png(ihdr(4, 4), (b"a1bc", b""), IDAT),
        png(ihdr(4, 4), (b"acTL", b"\0"), IDAT),
        SIGNATURE + chunk(b"tEXt", b"") + chunk(b"IHDR", ihdr(4, 4)) + chunk(*IDAT) + chunk(b"IEND", b""),
        png(ihdr(4, 4), IDAT)[:-1] + b"\0",  # checksum
        png(ihdr(4, 4), *(((b"teXt", b""),) * 20_001), IDAT),
    ],
)
def test_broken_structure(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        read_header(data)


def wrong(name: bytes, payload: bytes) -> bytes:
    """Make a chunk whose checksum is wrong."""
    return chunk(name, payload)[:-1] + bytes([chunk(name, payload)[-1] ^ 1])


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        (b"tEXt", b"a\0b"),
        (b"gAMA", struct.pack(">I", 100_000)),
        (b"iCCP", b"a\0\0" + zlib.compress(icc())),
        (b"eXIf", build_exif(ExifFacts(orientation=6))),
        (b"tRNS", b"\0\0\0\0\0\0"),
        (b"acTL", struct.pack(">II", 2, 0)),
        (b"pHYs", b""),
        (b"prVt", b"anything"),
    ],
)
def test_what_only_accompanies_a_picture_and_is_damaged_is_as_if_absent(name: bytes, payload: bytes) -> None:
    plain, damaged = png(ihdr(4, 4), IDAT), png(ihdr(4, 4), IDAT).replace(IHDR, IHDR + wrong(name, payload))
    assert read_header(damaged) == read_header(plain)
    assert np.array_equal(decoded(damaged), decoded(plain))
    assert strip(open_file(damaged)) == plain


@pytest.mark.parametrize("name", [b"IHDR", b"PLTE", b"IDAT", b"IEND"])
def test_what_makes_a_picture_must_not_be_damaged(name: bytes) -> None:
    payloads = {b"IHDR": ihdr(4, 4), b"PLTE": b"\0\0\0", b"IDAT": IDAT[1], b"IEND": b""}
    parts = [SIGNATURE, *(wrong(each, load) if each == name else chunk(each, load) for each, load in payloads.items())]
    with pytest.raises(InvalidImage):
        read_header(b"".join(parts))


def test_damaged_chunks_are_counted_too() -> None:
    with pytest.raises(InvalidImage):
        read_header(png(ihdr(4, 4), IDAT).replace(IHDR, IHDR + wrong(b"teXt", b"") * 20_001))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"nonsense",
        BLACK[:-1],
        BLACK[:-4] + b"\0\0\0\0",  # checksum
        zlib.compress(b"\0" * 51),  # a byte too few
        zlib.compress(b"\0" * 53),  # a byte too many
        zlib.compress(b"\0" * 10_000_000),
        BLACK + b"hidden".ljust(1025),
    ],
)
def test_broken_picture_data(packed: bytes) -> None:
    with pytest.raises(InvalidImage) as caught:
        decoded(png(ihdr(4, 4), (b"IDAT", packed)))
    assert caught.value.message == "The image is corrupt or incomplete"
    assert caught.value.system_message == "the PNG's picture data is corrupt, incomplete or too long"


def test_a_little_padding_is_forgiven() -> None:
    assert decoded(png(ihdr(4, 4), (b"IDAT", BLACK + b"\0" * 1024))).shape == (4, 4, 3)


def test_what_follows_the_end_is_not_looked_at() -> None:
    assert decoded(png(ihdr(4, 4), IDAT) + b"anything").shape == (4, 4, 3)


def test_transparency_where_there_is_alpha_already_is_ignored() -> None:
    raw = zlib.compress(b"\0" + b"\x01\x02\x03\x04")
    assert decoded(png(ihdr(1, 1, 8, 6), (b"tRNS", b"\0"), (b"IDAT", raw))).tolist() == [[[1, 2, 3, 4]]]


@pytest.mark.parametrize(
    "profile",
    [
        b"",
        b"name",
        b"name\0",
        b"name\0\x01" + zlib.compress(b"x"),
        b"name\0\0nonsense",
        b"name\0\0" + zlib.compress(b"\0" * (4 << 20) + b"\0"),
        b"name\0\0" + zlib.compress(b"too short to be a profile"),
    ],
)
def test_doubtful_profiles_are_dropped(profile: bytes) -> None:
    assert read_header(png(ihdr(4, 4), (b"iCCP", profile), IDAT)).metadata.icc is None


RIGHTS = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><r:RDF xmlns:r="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<r:Description xmlns:p="http://ns.adobe.com/photoshop/1.0/" p:Credit="Ada"/></r:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        (b"XML:com.adobe.xmp\0\0\0\0\0" + RIGHTS, True),
        (b"XML:com.adobe.xmp\0\x01\0en\0name\0" + zlib.compress(RIGHTS), True),
        (b"XML:com.adobe.xmp\0\x01\0\0\0" + RIGHTS, False),
        (b"XML:com.adobe.xmp\0\x01\0\0\0" + zlib.compress(RIGHTS.ljust((1 << 20) + 1)), False),
        (b"XML:com.adobe.xmp\0\0\0\0\0" + RIGHTS.ljust((1 << 20) + 1), False),
        (b"XML:com.adobe.xmp\0\0", False),
        (b"XML:com.adobe.xmp\0", False),
        (b"Comment\0\0\0\0\0" + RIGHTS, False),
    ],
)
def test_xmp_texts(text: bytes, kept: bool) -> None:
    xmp = read_header(png(ihdr(4, 4), (b"iTXt", text), IDAT)).metadata.xmp
    assert (xmp is not None and b"Ada" in xmp) == kept


def test_exif_that_is_too_large_is_dropped() -> None:
    block = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    assert read_header(png(ihdr(4, 4), (b"eXIf", block), IDAT)).orientation == 6
    assert read_header(png(ihdr(4, 4), (b"eXIf", block.ljust((1 << 20) + 1)), IDAT)).orientation == 1


# --- EXIF and IPTC as texts ------------------------------------------------------------------------------------------


def raw(name: str, block: bytes, length: int | None = None) -> bytes:
    digits = block.hex()
    lines = "\n".join(digits[at : at + 72] for at in range(0, len(digits), 72))
    return f"\n{name}\n{len(block) if length is None else length:8}\n{lines}\n".encode()


@pytest.mark.parametrize("packed", [True, False])
def test_profiles_in_hex_are_read(packed: bool) -> None:
    def text(name: str, block: bytes) -> tuple[bytes, bytes]:
        keyword, content = f"Raw profile type {name}".encode(), raw(name, block)
        return (b"zTXt", keyword + b"\0\0" + zlib.compress(content)) if packed else (b"tEXt", keyword + b"\0" + content)

    iptc = build_iptc(IptcFacts(copyright=("(c) Ada",))) or b""
    exif = b"Exif\0\0" + (build_exif(ExifFacts(artist=b"Ada", orientation=6)) or b"")
    header = read_header(png(ihdr(4, 4), text("iptc", iptc), text("exif", exif), IDAT))
    assert header.metadata.iptc == iptc
    assert header.orientation == 1  # no viewer heeds it there
    assert read_exif(header.metadata.exif) == ExifFacts(artist=b"Ada")
    # The chunk of its own comes first.
    own = build_exif(ExifFacts(artist=b"Bob")) or b""
    assert (
        read_exif(read_header(png(ihdr(4, 4), text("exif", exif), (b"eXIf", own), IDAT)).metadata.exif).artist == b"Bob"
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\niptc\n",
        b"\niptc\n  x\nab\n",
        b"\niptc\n  1\nxy\n",
        b"\niptc\n  1\na\xff\n",
        raw("iptc", b"abc", 4),
        b"\niptc\n" + b"9" * 5000 + b"\nab\n",
    ],
)
def test_doubtful_hex_says_nothing(content: bytes) -> None:
    data = png(
        ihdr(4, 4), (b"tEXt", b"Raw profile type iptc\0" + content), (b"zTXt", b"Raw profile type exif\0\0no"), IDAT
    )
    assert read_header(data).metadata == Metadata()


def test_a_profile_behind_the_picture_data_does_not_count() -> None:
    profile = (b"iCCP", b"x\0\0" + zlib.compress(icc()))
    assert read_header(png(ihdr(4, 4), profile, IDAT)).metadata.icc == icc()
    assert read_header(png(ihdr(4, 4), IDAT, profile)).metadata.icc is None


def test_the_same_rows_are_packed_into_the_same_bytes_wherever_the_packer_lies() -> None:
    # Left to itself, igzip packs these otherwise in about 4 of 16,000 places.
    rows = np.random.default_rng(3).integers(0, 256, (40, 300), np.uint8)
    rows[2:] = np.tile(rows[:2], (19, 1))
    first = b"".join(deflate([rows.data]))
    taken = []
    for _ in range(PLACES):
        taken.append(np.empty(1 << 16, np.uint8))  # moves what comes next; never written to, it takes no memory
        assert b"".join(deflate([rows.data])) == first
    assert zlib.decompress(first) == rows.tobytes()


@pytest.mark.parametrize("sizes", [(1,), (15,), (16,), (17,), (5, 9), (16, 1), (40, 1 << 17, 3)])
def test_what_comes_in_parts_is_packed_into_one_stream(sizes: tuple[int, ...]) -> None:
    parts = [np.random.default_rng(size).integers(0, 9, size, np.uint8) for size in sizes]
    packed = b"".join(deflate(part.data for part in parts))
    assert zlib.decompress(packed) == b"".join(part.tobytes() for part in parts)

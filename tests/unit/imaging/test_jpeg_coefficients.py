"""Coefficients: what is read is what another decoder saw, what is made is what another encoder would have made."""

from __future__ import annotations

import importlib
import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
import simplejpeg
from fixtures_imaging import block_jpeg, opened, pillow
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.errors import InvalidImage
from uncrop.imaging.compare import psnr
from uncrop.imaging.jpeg.coefficients import blocks, huffman, make, read, turn, write
from uncrop.imaging.jpeg.layout import read_layout
from uncrop.testing import pictures

if TYPE_CHECKING:
    from uncrop.imaging.jpeg.coefficients.blocks import Coefficients

PHOTO = pictures.photo(85, 59)
SAMPLINGS = ("444", "422", "420", "440", "411")
FOLDER = "uncrop.imaging.jpeg.coefficients."
INLINED = {
    "read_kernels": (
        "_window",
        "_symbol",
        "_value",
        "_read_ac",
        "_read_block",
        "_refine",
        "_refine_zeros",
        "_read_band",
    ),
    "make_kernels": ("_transform", "_pixel", "_gather"),
    "write_kernels": ("_put", "_write_block"),
}
KERNELS = {
    "read_kernels": ("read_units", "read_bands"),
    "make_kernels": ("make_blocks",),
    "write_kernels": ("write_units",),
}


def jpeg(pixels: np.ndarray, sampling: str, quality: int) -> bytes:
    if sampling == "grey":
        return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels[:, :, :1]), quality, "GRAY", "Gray")
    return simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality, "RGB", sampling)


def coefficients(data: bytes) -> Coefficients:
    return read.read(data, read_layout(data))


FILES = {
    **{f"{sampling} {quality}": jpeg(PHOTO, sampling, quality) for sampling in SAMPLINGS for quality in (35, 100)},
    "grey": jpeg(PHOTO, "grey", 80),
    **{
        f"progressive {name}": pillow(PHOTO, "JPEG", mode, progressive=True, quality=quality, **options)
        for name, mode, quality, options in (
            ("444", None, 95, {"subsampling": 0}),
            ("422", None, 60, {"subsampling": 1}),
            ("420", None, 85, {"subsampling": 2}),
            ("grey", "L", 90, {}),
            ("with restarts", None, 85, {"restart_marker_rows": 1}),
            ("with close restarts", None, 85, {"restart_marker_blocks": 1}),
        )
    },
    "optimised": pillow(PHOTO, "JPEG", optimize=True, quality=70),
    "restarts": pillow(PHOTO, "JPEG", restart_marker_blocks=3),
    "restarts at each row": pillow(PHOTO, "JPEG", restart_marker_rows=1, subsampling=0),
    "no end": pillow(PHOTO, "JPEG")[:-2],
    "flat": jpeg(np.full((40, 40, 3), 200, np.uint8), "420", 90),
    "noise": jpeg(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8), "420", 100),
    "one pixel": jpeg(PHOTO[:1, :1], "420", 90),
}


@pytest.mark.parametrize("name", FILES)
def test_what_is_read_and_written_decodes_to_the_same_picture(name: str) -> None:
    data = FILES[name]
    found = coefficients(data)
    written = write.write(found)
    assert np.array_equal(opened(written), opened(data if name != "no end" else data + b"\xff\xd9"))
    again = coefficients(written)
    assert np.array_equal(again.levels, found.levels)
    assert again.grid == found.grid


@pytest.mark.parametrize("name", ["444 100", "420 35", "progressive 420", "optimised", "grey"])
def test_a_strict_decoder_takes_what_is_written(name: str) -> None:
    written = write.write(coefficients(FILES[name]))
    assert simplejpeg.decode_jpeg(written, "GRAY" if name == "grey" else "RGB", strict=True).size
    assert len(written) < 1.1 * len(FILES[name])


@pytest.mark.parametrize(("sampling", "interval"), [(((1, 1), (1, 1), (1, 1)), 2), (((4, 1), (1, 1), (2, 1)), 0)])
def test_restarts_begin_anew(sampling: tuple[tuple[int, int], ...], interval: int) -> None:
    found = coefficients(block_jpeg(sampling, restart=interval))
    assert np.array_equal(found.levels, coefficients(block_jpeg(sampling)).levels)
    assert found.levels[:, 0].any()
    assert not found.levels[:, 1:].any()


def test_a_large_picture_is_coded_by_the_symbols_of_some_of_its_rows() -> None:
    pixels = pictures.photo(64, 300)
    pixels[100:108] = np.random.default_rng(3).integers(0, 256, (8, 64, 3), np.uint8)  # one row of MCUs, unlike others
    data = jpeg(pixels, "444", 92)
    found = coefficients(data)
    assert found.grid.units[1] >= write.SAMPLED_ROWS
    written = write.write(found)
    assert np.array_equal(opened(written), opened(data))
    assert len(written) < len(data)


def test_rows_that_are_all_unlike_those_that_were_looked_at_are_counted_too() -> None:
    pixels = np.full((400, 256, 1), 128, np.uint8)
    noise = np.random.default_rng(5).integers(0, 256, pixels.shape, np.uint8)
    rows = np.arange(400) // 8 % write.SAMPLE != 0
    pixels[rows] = noise[rows]
    data = jpeg(pixels, "grey", 100)
    assert np.array_equal(opened(write.write(coefficients(data))), opened(data))


def remade(pixels: np.ndarray, like: Coefficients) -> Coefficients:
    found = blocks.Coefficients(grid=like.grid, levels=np.zeros_like(like.levels))
    everything = tuple(np.ones((plane.rows, plane.columns), np.bool_) for plane in like.grid.planes)
    make.make(np.ascontiguousarray(pixels[:, :, : len(like.grid.planes)]), everything, found)
    return found


@pytest.mark.parametrize("quality", [25, 75, 95])
@pytest.mark.parametrize("sampling", [*SAMPLINGS, "grey"])
def test_what_is_made_is_as_good_as_another_encoders(sampling: str, quality: int) -> None:
    for pixels in (PHOTO, PHOTO[:48, :64]):  # the second one fills all its MCUs
        data = jpeg(pixels, sampling, quality)
        theirs = coefficients(data)
        ours = remade(pixels, theirs)
        truth = pixels[:, :, 0] if sampling == "grey" else pixels
        assert psnr(opened(write.write(ours)), truth) > psnr(opened(data), truth) - 0.05
    # They round differently, and at a fine quality their transforms' last digits show.
    assert np.abs(ours.levels - theirs.levels).max() <= (1 if quality < 90 else 3)
    assert np.mean(ours.levels != theirs.levels) < (0.06 if quality < 90 else 0.12)


def test_only_wanted_blocks_are_made() -> None:
    found = coefficients(FILES["420 35"])
    before = found.levels.copy()
    wanted = tuple(np.zeros((plane.rows, plane.columns), np.bool_) for plane in found.grid.planes)
    wanted[1][1, 2] = True
    make.make(255 - PHOTO, wanted, found)
    changed = np.flatnonzero((found.levels != before).any(axis=1))
    assert changed.tolist() == [found.grid.planes[1].first + found.grid.planes[1].columns + 2]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("sampling", ["444", "422", "420", "grey"])
def test_turned_coefficients_are_the_turned_picture(sampling: str, orientation: int) -> None:
    pixels = pictures.photo(64, 48)
    data = jpeg(pixels, sampling, 95)
    found = opened(write.write(turn.turned(coefficients(data), orientation)))
    there = {
        1: lambda picture: picture,
        2: np.fliplr,
        3: lambda picture: np.rot90(picture, 2),
        4: np.flipud,
        5: lambda picture: picture.swapaxes(0, 1),
        6: lambda picture: np.rot90(picture, -1),
        7: lambda picture: np.rot90(picture.swapaxes(0, 1), 2),
        8: np.rot90,
    }[orientation](opened(data))
    assert found.shape == there.shape
    assert np.abs(found.astype(int) - there).max() <= (0 if orientation == 1 else 4)
    assert psnr(found, np.ascontiguousarray(there)) > 50


def test_what_fills_the_last_blocks_comes_first_in_a_mirrored_picture() -> None:
    grid = coefficients(jpeg(pictures.photo(60, 45), "420", 90)).grid
    assert {
        orientation: turn.lead(turn.turned_grid(grid, orientation), orientation) for orientation in range(1, 9)
    } == {
        1: (0, 0),
        2: (4, 0),
        3: (4, 3),
        4: (0, 3),
        5: (0, 0),
        6: (3, 0),
        7: (3, 4),
        8: (0, 4),
    }


# --- Huffman codes ---------------------------------------------------------------------------------------------------


@given(st.dictionaries(st.integers(0, 255), st.integers(1, 10**9), min_size=1))
@settings(deadline=None, max_examples=150)
def test_codes_are_short_and_none_begins_another(counts: dict[int, int]) -> None:
    frequencies = np.zeros(256, np.int64)
    frequencies[list(counts)] = list(counts.values())
    table = huffman.shortest(frequencies)
    assert sorted(table.symbols) == sorted(counts)
    assert sum(table.counts) == len(table.symbols)
    codes = [format(table.bits[symbol], f"0{table.lengths[symbol]}b") for symbol in counts]
    assert all(0 < len(code) <= 16 and "0" in code for code in codes)
    ordered = sorted(codes)
    assert not any(after.startswith(before) for before, after in itertools.pairwise(ordered))
    # Shannon's bounds; the limit of 16 bits costs at most a little of them.
    shares = frequencies[frequencies > 0] / frequencies.sum()
    entropy = float(-(shares * np.log2(shares)).sum())
    mean = float((frequencies * table.lengths).sum() / frequencies.sum())
    assert entropy - 1e-9 <= mean <= entropy + 1.2


def test_very_uneven_symbols_get_codes_of_sixteen_bits_at_most() -> None:
    frequencies = np.zeros(256, np.int64)
    frequencies[:40] = [int(1.618**power) + 1 for power in range(40)]
    table = huffman.shortest(frequencies)
    assert max(table.lengths) == 16
    assert sum(table.counts) == 40


@pytest.mark.parametrize(
    "payload",
    [
        b"\x00" + bytes(10),  # no counts
        b"\x00" + bytes((1, *[0] * 15)),  # no symbol
        b"\x20" + bytes(16),  # a kind that is not there
        b"\x04" + bytes(16),  # a fifth table
        b"\x00" + bytes((3, *[0] * 15)) + b"abc",  # three codes of one bit
        b"\x00" + bytes((255, 255, *[0] * 14)) + bytes(510),  # more symbols than there are
    ],
)
def test_tables_that_cannot_be(payload: bytes) -> None:
    with pytest.raises(InvalidImage):
        huffman.read_tables(payload, huffman.no_codes())


# --- damage ----------------------------------------------------------------------------------------------------------


def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernels run as plain Python, where an index beyond an array is an error."""
    for name, functions in (*INLINED.items(), *KERNELS.items()):
        module = importlib.import_module(FOLDER + name)
        for function in functions:
            monkeypatch.setattr(module, function, getattr(module, function).py_func)


SMALL = {
    "baseline": jpeg(PHOTO[:24, :24], "420", 90),
    "progressive": pillow(PHOTO[:24, :24], "JPEG", progressive=True, quality=90),
    "grey, with restarts": pillow(PHOTO[:24, :24], "JPEG", "L", restart_marker_blocks=2),
}


@pytest.mark.parametrize("name", SMALL)
def test_the_kernels_are_what_they_are_as_plain_python(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = coefficients(SMALL[name])
    made = remade(PHOTO[:24, :24], compiled)
    written = write.write(made)
    plain(monkeypatch)
    assert np.array_equal(coefficients(SMALL[name]).levels, compiled.levels)
    twin = remade(PHOTO[:24, :24], compiled)
    assert np.abs(twin.levels - made.levels).max() <= 1  # the compiled one may add in another order
    with np.errstate(over="ignore"):  # compiled numbers wrap around, and are meant to
        assert write.write(made) == written


def damaged(data: bytes, seed: int) -> bytes:
    """Replace, drop or insert some bytes behind the frame header."""
    random = np.random.default_rng(seed)
    start = data.index(b"\xff\xc4")
    broken = bytearray(data)
    for _ in range(int(random.integers(1, 6))):
        at = int(random.integers(start, len(broken)))
        broken[at : at + int(random.integers(0, 3))] = random.bytes(int(random.integers(0, 3)))
    return bytes(broken)


def look(data: bytes) -> None:
    try:
        layout = read_layout(data)
    except Exception:  # noqa: BLE001 - refused before: not what is tried here
        return
    try:
        found = read.read(data, layout)
    except InvalidImage:
        return
    assert found.levels.shape == (found.grid.count, 64)


@pytest.mark.parametrize("name", SMALL)
def test_damage_makes_the_compiled_reader_refuse_or_read_other_levels(name: str) -> None:
    for seed in range(400):
        look(damaged(SMALL[name], seed))


@pytest.mark.parametrize("name", SMALL)
def test_damage_never_leads_beyond_an_array(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plain(monkeypatch)
    for seed in range(25):
        look(damaged(SMALL[name], seed))


@pytest.mark.parametrize("missing", [1, 30, 200])
def test_data_that_end_too_early(missing: int) -> None:
    for data in SMALL.values():
        layout = read_layout(data)
        scan = next(segment for segment in layout.segments if segment.marker == 0xDA)
        cut = data[: max(scan.end - missing, scan.payload + 8)] + data[scan.end :]
        with pytest.raises(InvalidImage):
            coefficients(cut)


def test_levels_that_a_baseline_file_cannot_hold_are_not_written() -> None:
    found = coefficients(FILES["grey"])
    for place, level in ((3, 1024), (0, 3000)):
        levels = found.levels.copy()
        levels[2, place] = level
        with pytest.raises(InvalidImage):
            write.write(blocks.Coefficients(grid=found.grid, levels=levels))


def test_steps_that_a_baseline_file_cannot_hold_are_not_written() -> None:
    found = coefficients(FILES["grey"])
    grid = blocks.make_grid(85, 59, [(1, 1, (300,) * 64)])
    with pytest.raises(InvalidImage):
        write.write(blocks.Coefficients(grid=grid, levels=found.levels))


def test_a_quantisation_table_behind_the_first_scan_is_not_looked_for() -> None:
    data = FILES["grey"]
    layout = read_layout(data)
    table = next(segment for segment in layout.segments if segment.marker == 0xDB)
    moved = data[: table.start] + data[table.end : -2] + data[table.start : table.end] + data[-2:]
    with pytest.raises(InvalidImage):
        coefficients(moved)


@pytest.mark.parametrize(("options", "expected"), [({}, True), ({"keep_rgb": True}, False)])
def test_rgb_is_told_from_ycbcr(options: dict[str, bool], expected: bool) -> None:
    data = pillow(PHOTO, "JPEG", **options)
    assert read.is_ycbcr(data, read_layout(data)) is expected
    bare = data[:2] + b"".join(
        data[segment.start : segment.end] for segment in read_layout(data).segments if not 0xE0 <= segment.marker < 0xF0
    )
    assert read.is_ycbcr(bare + b"\xff\xd9", read_layout(bare + b"\xff\xd9")) is expected

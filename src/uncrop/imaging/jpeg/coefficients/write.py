"""Coefficients to a JPEG: baseline, one scan, with the Huffman tables that make it shortest."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import numpy as np

from uncrop.errors import InvalidImage
from uncrop.imaging.jpeg.coefficients.huffman import Table, shortest
from uncrop.imaging.jpeg.layout import APP0, DHT, DQT, EOI, SOI, SOS, segment

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.coefficients.blocks import BlockGrid, Coefficients
    from uncrop.imaging.jpeg.coefficients.write_kernels import Sink

BASELINE = 0xC0
MAX_STEP = 255  # of a baseline JPEG's quantisation tables
# Version 1.2, and pixels that are square and of no known size (ITU-T T.871, section 10.1).
JFIF = struct.pack(">5sBBBHHBB", b"JFIF\0", 1, 2, 0, 1, 1, 0, 0)
# Of a picture with so many rows of MCUs, every fourth one is counted.
SAMPLED_ROWS, SAMPLE = 32, 4
BLOCK_BYTES = 512  # more than a block takes, twice
_FOLLOWING = np.arange(256) & 15  # how many bits follow a symbol
# Which symbols may come: sizes of differences; sizes of levels, behind so many zeros.
_POSSIBLE = np.zeros((4, 256), np.int64)
_POSSIBLE[::2, :12] = 1
_POSSIBLE[1::2] = (_FOLLOWING > 0) & (_FOLLOWING <= 10)
_POSSIBLE[1::2, (0x00, 0xF0)] = 1
_SIZES = np.array([number.bit_length() for number in range(1 << 12)], np.uint8)


def write(coefficients: Coefficients) -> bytes:
    """Write grey or YCbCr as a JPEG with a JFIF segment in front.

    Raises
    ------
    InvalidImage
        When a level, or a step, is larger than a baseline JPEG can tell.
    """
    grid = coefficients.grid
    tables, coded = _coded(coefficients)
    parts = [bytes((0xFF, SOI)), segment(APP0, JFIF)]
    parts += (segment(DQT, bytes((number,)) + bytes(table)) for number, table in enumerate(steps_of(grid)))
    parts.append(segment(BASELINE, _frame(grid)))
    for row, table in enumerate(tables):
        # The row's table is of DC or AC, of the first component or of the rest.
        parts.append(segment(DHT, bytes(((row % 2) << 4 | row // 2,)) + table.counts + table.symbols))
    parts += (segment(SOS, _scan(grid)), coded, bytes((0xFF, EOI)))
    return b"".join(parts)


def steps_of(grid: BlockGrid) -> list[tuple[int, ...]]:
    """Return the quantisation tables, each once.

    Raises
    ------
    InvalidImage
        When a step is larger than a baseline JPEG can tell, or zero, by which nothing could be divided.
    """
    steps = list(dict.fromkeys(plane.table for plane in grid.planes))
    if any(not 0 < step <= MAX_STEP for table in steps for step in table):
        raise InvalidImage(system_message="a JPEG quantisation step is zero or too large")
    return steps


def _frame(grid: BlockGrid) -> bytes:
    steps = steps_of(grid)
    parts = (
        bytes((number, plane.across << 4 | plane.down, steps.index(plane.table)))
        for number, plane in enumerate(grid.planes, 1)
    )
    return struct.pack(">BHHB", 8, grid.height, grid.width, len(grid.planes)) + b"".join(parts)


def _scan(grid: BlockGrid) -> bytes:
    parts = (bytes((number, 0 if number == 1 else 0x11)) for number in range(1, len(grid.planes) + 1))
    return bytes((len(grid.planes),)) + b"".join(parts) + b"\0\x3f\0"


def _coded(coefficients: Coefficients) -> tuple[tuple[Table, ...], bytes]:
    """Choose the tables, and code the levels by them.

    Of a large picture, some rows tell how often each symbol comes. If others are so different that they take far more
    room than they were given, all of them are counted.
    """
    if coefficients.grid.units[1] >= SAMPLED_ROWS:
        found = _coded_by(coefficients, SAMPLE)
        if found is not None:
            return found
    found = _coded_by(coefficients, 1)
    if found is None:
        raise InvalidImage(system_message="a JPEG coefficient is too large for a baseline file")
    return found


def _coded_by(coefficients: Coefficients, sample: int) -> tuple[tuple[Table, ...], bytes] | None:
    """Code the levels by tables for every so many-th row of MCUs; ``None`` when a level, or all of them, do not fit."""
    rows = 2 if len(coefficients.grid.planes) == 1 else 4
    none = np.zeros(4 * 256, np.int64)
    counted = _sink(none, none, 0)
    if _walk(coefficients, counted, sample)[0] < 0:
        return None
    counts = counted.counts.reshape(4, 256) * sample
    if sample > 1:
        counts += _POSSIBLE
    tables = tuple(shortest(count) for count in counts[:rows])
    lengths, bits = none.reshape(4, 256).copy(), none.reshape(4, 256).copy()
    for row, table in enumerate(tables):
        lengths[row], bits[row] = table.lengths, table.bits
    size = int((counts * (lengths + _FOLLOWING)).sum()) // 8
    sink = _sink(lengths.ravel(), bits.ravel(), (size if sample == 1 else size + size // 4) + 2 * BLOCK_BYTES)
    length, waiting, count = _walk(coefficients, sink, 1)
    if length < 0:
        return None
    ones = -count % 8  # fill the last byte
    rest = ((waiting & ((1 << count) - 1)) << ones | ((1 << ones) - 1)).to_bytes((count + ones) // 8, "big")
    return tables, (sink.coded[:length].tobytes() + rest).replace(b"\xff", b"\xff\0")


def _sink(lengths: NDArray[np.int64], bits: NDArray[np.int64], size: int) -> Sink:
    from uncrop.imaging.jpeg.coefficients.write_kernels import DE_BRUIJN, Sink

    return Sink(
        counts=np.zeros(4 * 256, np.int64),
        lengths=lengths,
        bits=bits,
        sizes=_SIZES,
        powers=np.argsort((DE_BRUIJN << np.arange(64, dtype=np.uint64)) >> np.uint64(58)).astype(np.uint8),
        coded=np.empty(size, np.uint8),
    )


def _walk(coefficients: Coefficients, sink: Sink, step: int) -> tuple[int, int, int]:
    from uncrop.imaging.jpeg.coefficients.write_kernels import write_units

    places = [
        (plane.first, plane.columns, plane.across, plane.down, 0 if number == 0 else 512)
        for number, plane in enumerate(coefficients.grid.planes)
    ]
    length, waiting, count = write_units(
        np.array(places, np.int64),
        np.array((*coefficients.grid.units, step), np.int64),
        np.zeros(len(places), np.int64),
        coefficients.levels,
        sink,
    )
    return int(length), int(waiting), int(count)

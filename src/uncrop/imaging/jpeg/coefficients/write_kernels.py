"""Writing JPEG's entropy-coded data, compiled (ITU-T T.81, F.1.2).

Imported by ``write`` on its first use, because Numba takes a while to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_DC_BITS, MAX_AC_BITS = 11, 10  # of 8-bit samples (T.81, tables F.1 and F.2)
BLOCK_BYTES = 512  # more than the longest codes of 64 levels and their bits take, twice
# Times a power of two, its six highest bits are others for each power (Leiserson, Prokop and Randall, 1998).
DE_BRUIJN = np.uint64(0x03F79D71B4CB0A89)
ZEROS, END = 0xF0, 0x00  # sixteen zeros; nothing but zeros


class Sink(NamedTuple):
    """Where symbols go: they are counted while ``coded`` is empty, and written otherwise.

    ``counts``, ``lengths`` and ``bits`` have 256 places for each table: DC and AC of the first component, then of the
    rest. ``sizes`` are how many bits each number has, and ``powers`` which power of two ``DE_BRUIJN`` was taken times.
    """

    counts: NDArray[np.int64]  # (1024,)
    lengths: NDArray[np.int64]  # (1024,)
    bits: NDArray[np.int64]  # (1024,)
    sizes: NDArray[np.uint8]  # (4096,)
    powers: NDArray[np.uint8]  # (64,)
    coded: NDArray[np.uint8]


@inlined
def _put(
    sink: Sink, symbol: np.int64, value: np.int64, size: np.int64, pending: tuple[np.int64, np.int64, np.int64]
) -> tuple[np.int64, np.int64, np.int64]:
    """Take a symbol of one of the tables, and the ``size`` bits that tell a value (T.81, F.1.2.1.1).

    ``pending`` are bits that are not written yet, the lowest of a number, how many they are, and how many bytes are.
    """
    waiting, count, at = pending
    place = np.uint64(symbol)  # unsigned indices are not looked at for being counted from the end
    if not len(sink.coded):
        sink.counts[place] += 1
        return pending
    length = sink.lengths[place]
    extra = (value + (value >> 63)) & ((np.int64(1) << size) - 1)
    waiting = (waiting << length | sink.bits[place]) << size | extra
    count += length + size
    if count >= 32:
        count -= 32
        word = waiting >> count
        sink.coded[np.uint64(at)] = (word >> 24) & 255
        sink.coded[np.uint64(at + 1)] = (word >> 16) & 255
        sink.coded[np.uint64(at + 2)] = (word >> 8) & 255
        sink.coded[np.uint64(at + 3)] = word & 255
        at += 4
    return waiting, count, at


@inlined
def _write_block(
    levels: NDArray[np.int16],
    difference: np.int64,
    table: np.int64,
    sink: Sink,
    pending: tuple[np.int64, np.int64, np.int64],
) -> tuple[bool, tuple[np.int64, np.int64, np.int64]]:
    """Write one block, and tell whether a baseline JPEG can tell all its levels."""
    size = np.int64(sink.sizes[np.uint64(abs(difference)) & np.uint64(4095)])
    pending = _put(sink, table + size, difference, size, pending)
    table += 256
    left = np.uint64(0)  # a bit for each level that is not zero; so most are passed over without a look
    for place in range(1, 64):
        left |= np.uint64(levels[np.uint64(place)] != 0) << np.uint64(place)
    largest, last = np.int64(0), np.int64(0)
    while left:
        lowest = left & (~left + np.uint64(1))
        left ^= lowest
        at = np.int64(sink.powers[(lowest * DE_BRUIJN) >> np.uint64(58)])
        run = at - last - 1
        last = at
        level = np.int64(levels[np.uint64(at)])
        largest = max(largest, abs(level))
        while run > 15:
            pending = _put(sink, table + ZEROS, np.int64(0), np.int64(0), pending)
            run -= 16
        size = np.int64(sink.sizes[np.uint64(abs(level)) & np.uint64(4095)])
        pending = _put(sink, table + (run << 4 | size), level, size, pending)
    if last < 63:
        pending = _put(sink, table + END, np.int64(0), np.int64(0), pending)
    return bool(abs(difference) < 1 << MAX_DC_BITS and largest < 1 << MAX_AC_BITS), pending


@kernel
def write_units(
    places: NDArray[np.int64],
    units: NDArray[np.int64],
    last: NDArray[np.int64],
    levels: NDArray[np.int16],
    sink: Sink,
) -> tuple[np.int64, np.int64, np.int64]:
    """Write the one scan of a baseline JPEG, or count what it takes.

    Parameters
    ----------
    places
        (components, 5): first block, blocks a row, those of a unit across and down, where its first table begins.
    units
        MCUs across and down, and which of their rows to go through: every first, every second and so on.
    last
        (components,): scratch space.
    levels
        (blocks, 64).
    sink
        Where to.

    Returns
    -------
    tuple of int
        How many bytes are written, the bits behind them that do not make 32, and how many these are; -1 bytes when a
        level is larger than a baseline JPEG can tell, or ``sink.coded`` has no room for one block more.
    """
    room = len(sink.coded) - BLOCK_BYTES
    failed, pending = (np.int64(-1), np.int64(0), np.int64(0)), (np.int64(0), np.int64(0), np.int64(0))
    for number in range(len(places)):
        last[number] = 0
    rows = (units[1] + units[2] - 1) // units[2]
    for unit in range(units[0] * rows):
        row, column = unit // units[0] * units[2], unit % units[0]
        for number in range(len(places)):
            first, stride, wide, high = places[number, 0], places[number, 1], places[number, 2], places[number, 3]
            for part in range(wide * high):
                at = first + (row * high + part // wide) * stride + column * wide + part % wide
                level = np.int64(levels[at, 0])
                difference, last[number] = level - last[number], level
                fits, pending = _write_block(levels[at], difference, places[number, 4], sink, pending)
                if not fits or (pending[2] > room and len(sink.coded)):
                    return failed
    return pending[2], pending[0], pending[1]

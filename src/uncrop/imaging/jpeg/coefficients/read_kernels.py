"""Reading JPEG's entropy-coded data, compiled: where a symbol begins depends on all before it (ITU-T T.81, F.2, G.2).

Imported by ``read`` on its first use, because Numba takes a while to load.

Nothing that a file says is trusted: a block begins within its stretch of data and takes at most ``MARGIN`` bytes, with
which the data must end; levels are written within the block alone, and blocks are counted by the caller.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.coefficients.huffman import Codes

MARGIN = 512  # bytes behind the data; a block takes at most 64 codes of 16 bits, and 15 more bits for each
MAX_DC_BITS, MAX_AC_BITS = 11, 10  # of 8-bit samples (T.81, tables F.1 and F.2)


@inlined
def _window(data: NDArray[np.uint8], bit: np.int64) -> np.int64:
    """Return the 56 bits from ``bit`` on."""
    at = np.uint64(bit) >> np.uint64(3)
    # Written so, it is one load: unsigned indices are not looked at for being counted from the end.
    word = (
        (np.uint64(data[at]) << np.uint64(56))
        | (np.uint64(data[at + np.uint64(1)]) << np.uint64(48))
        | (np.uint64(data[at + np.uint64(2)]) << np.uint64(40))
        | (np.uint64(data[at + np.uint64(3)]) << np.uint64(32))
        | (np.uint64(data[at + np.uint64(4)]) << np.uint64(24))
        | (np.uint64(data[at + np.uint64(5)]) << np.uint64(16))
        | (np.uint64(data[at + np.uint64(6)]) << np.uint64(8))
        | np.uint64(data[at + np.uint64(7)])
    )
    return np.int64((word << (np.uint64(bit) & np.uint64(7))) >> np.uint64(8))


@inlined
def _symbol(window: np.int64, codes: Codes, row: np.int64) -> tuple[np.int64, np.int64]:
    """Return the symbol that a window begins with, and the length of its code: 0 where there is no such code."""
    top = window >> 40
    found = np.int64(codes.fast[np.uint64(row), np.uint64(top >> 7)])
    if found:
        return found & 255, found >> 8
    length = np.int64(10)
    while length <= 16 and top >= codes.limits[row, length]:
        length += 1
    if length > 16:
        return np.int64(0), np.int64(0)
    place = (np.int64(codes.offsets[row, length]) + (top >> (16 - length))) & 255
    return np.int64(codes.symbols[row, place]), length


@inlined
def _value(window: np.int64, used: np.int64, size: np.int64) -> np.int64:
    """Return the signed number of ``size`` bits behind the first ``used`` ones (T.81, figure F.12)."""
    if size == 0:
        return np.int64(0)
    bits = (window >> (56 - used - size)) & ((np.int64(1) << size) - 1)
    if bits < np.int64(1) << (size - 1):
        bits -= (np.int64(1) << size) - 1
    return bits


@inlined
def _read_ac(
    data: NDArray[np.uint8], bit: np.int64, codes: Codes, row: np.int64, levels: NDArray[np.int16]
) -> np.int64:
    """Read all but the first level of a block; return the bit behind it, or -1."""
    at = np.int64(1)
    while at < 64:
        window = _window(data, bit)
        symbol, length = _symbol(window, codes, row)
        run, size = symbol >> 4, symbol & 15
        if length == 0 or size > MAX_AC_BITS:
            return np.int64(-1)
        bit += length + size
        if size == 0:
            if run < 15:
                break
            at += 16
            continue
        at += run
        if at > 63:
            return np.int64(-1)
        levels[np.uint64(at)] = _value(window, length, size)
        at += 1
    return bit


@inlined
def _read_block(
    data: NDArray[np.uint8],
    bit: np.int64,
    codes: Codes,
    place: NDArray[np.int64],
    levels: NDArray[np.int16],
    last: np.int64,
    scan: NDArray[np.int64],
) -> tuple[np.int64, np.int64]:
    """Read one block; return the bit behind it, or -1, and its first level, before more bits of it come."""
    whole, low, refines = scan[3], scan[4], scan[5]
    window = _window(data, bit)
    if refines:
        levels[0] |= (window >> 55) << low
        return bit + 1, last
    size, length = _symbol(window, codes, place[4])
    if length == 0 or size > MAX_DC_BITS:
        return np.int64(-1), last
    last += _value(window, length, size)
    levels[0] = last << low
    bit += length + size
    if whole:
        bit = _read_ac(data, bit, codes, place[5], levels)
    return bit, last


@kernel
def read_units(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    codes: Codes,
    places: NDArray[np.int64],
    walk: NDArray[np.int64],
    last: NDArray[np.int64],
    levels: NDArray[np.int16],
) -> bool:
    """Read a sequential scan, or a progressive one of first levels.

    Parameters
    ----------
    data
        The scan's data without stuffed zeros and restart markers, and ``MARGIN`` bytes.
    bounds
        (stretches, 2): where each restart interval begins and ends.
    codes
        The tables in use.
    places
        (components, 6): first block, blocks a row, those of a unit across and down, rows of the two tables.
    walk
        Units across and down, units of a restart interval, whether all levels come, how many bits are still to come,
        and whether this is one of them.
    last
        (components,): scratch space.
    levels
        (blocks, 64), written to.

    Returns
    -------
    bool
        False when the data are not those of such a scan.
    """
    across, interval = walk[0], walk[2]
    bit, end = np.int64(0), np.int64(0)
    for unit in range(across * walk[1]):
        if unit % interval == 0:
            bit, end = bounds[unit // interval, 0] * 8, bounds[unit // interval, 1] * 8
            for number in range(len(places)):
                last[number] = 0
        row, column = unit // across, unit % across
        for number in range(len(places)):
            place = places[number]
            first, stride, wide, high = place[0], place[1], place[2], place[3]
            for part in range(wide * high):
                block = levels[first + (row * high + part // wide) * stride + column * wide + part % wide]
                bit, last[number] = _read_block(data, bit, codes, place, block, last[number], walk)
                if bit < 0 or bit > end:
                    return False
    return True


@inlined
def _refine(data: NDArray[np.uint8], bit: np.int64, level: np.int64, step: np.int64) -> np.int64:
    """Return a level that was not zero with one more bit, which is at ``bit``."""
    if (data[bit >> 3] >> (7 - (bit & 7))) & 1 == 0 or abs(level) & step:
        return level
    return level + step if level > 0 else level - step


@inlined
def _refine_zeros(
    data: NDArray[np.uint8],
    bit: np.int64,
    at: np.int64,
    walk: NDArray[np.int64],
    skipped: np.int64,
    levels: NDArray[np.int16],
) -> tuple[np.int64, np.int64]:
    """Go past so many zeros, and refine what lies between them; return the bit and the place that come then."""
    step = np.int64(1) << walk[5]
    while at <= walk[4]:
        if levels[at]:
            levels[at] = _refine(data, bit, np.int64(levels[at]), step)
            bit += 1
        elif skipped == 0:
            break
        else:
            skipped -= 1
        at += 1
    return bit, at


@inlined
def _read_band(
    data: NDArray[np.uint8],
    bit: np.int64,
    codes: Codes,
    walk: NDArray[np.int64],
    levels: NDArray[np.int16],
) -> tuple[np.int64, np.int64]:
    """Read a block's part of a band until it ends; return the bit behind it, or -1, and how many blocks end here."""
    at, final, low, refines = walk[3], walk[4], walk[5], walk[6]
    while at <= final:
        window = _window(data, bit)
        symbol, length = _symbol(window, codes, walk[7])
        run, size = symbol >> 4, symbol & 15
        if length == 0 or size > MAX_AC_BITS or (refines and size > 1):
            return np.int64(-1), np.int64(0)
        bit += length
        if size == 0 and run < 15:
            more = (window >> (56 - length - run)) & ((np.int64(1) << run) - 1)
            ends = (np.int64(1) << run) + more
            bit += run
            if refines:
                bit, at = _refine_zeros(data, bit, at, walk, np.int64(64), levels)
            return bit, ends
        bit += size
        if refines:
            bit, at = _refine_zeros(data, bit, at, walk, run, levels)
        else:
            at += run
        if size:
            if at > final:
                return np.int64(-1), np.int64(0)
            levels[at] = _value(window, length, size) << low
        at += 1
    return bit, np.int64(0)


@kernel
def read_bands(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    codes: Codes,
    place: NDArray[np.int64],
    walk: NDArray[np.int64],
    levels: NDArray[np.int16],
) -> bool:
    """Read a progressive scan of one component's further levels.

    Parameters
    ----------
    data, bounds, codes, levels
        As for ``read_units``.
    place
        First block, blocks a row.
    walk
        Blocks across and down, blocks of a restart interval, first and last place in the zigzag, how many bits are
        still to come, whether this is one of them, and the table's row.
    """
    bit, end, ends = np.int64(0), np.int64(0), np.int64(0)
    for unit in range(walk[0] * walk[1]):
        if unit % walk[2] == 0:
            bit, end = bounds[unit // walk[2], 0] * 8, bounds[unit // walk[2], 1] * 8
            ends = np.int64(0)
        block = levels[place[0] + (unit // walk[0]) * place[1] + unit % walk[0]]
        if ends == 0:
            bit, ends = _read_band(data, bit, codes, walk, block)
        elif walk[6]:
            bit, _ = _refine_zeros(data, bit, walk[3], walk, np.int64(64), block)
        if bit < 0 or bit > end:
            return False
        if ends:
            ends -= 1
    return True

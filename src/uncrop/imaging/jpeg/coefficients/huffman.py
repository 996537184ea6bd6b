"""JPEG's Huffman codes: tables to read by, and the shortest ones to write with (ITU-T T.81, annexes C and K.2)."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from uncrop.errors import InvalidImage

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Codes of so many bits are found at once, by a table of what they begin.
FAST_BITS = 9
LONGEST = 16
TABLES = 8  # four for DC, then four for AC
RESERVED = 256  # a symbol that is never written, so that no code has ones alone (T.81, K.2)


class Codes(NamedTuple):
    """The tables of a file, a row each, as the kernels read by them.

    ``fast`` is 256 times the length, plus the symbol, of the code that begins with an index's bits; 0 where it is
    longer. ``limits`` are the first 16 bits from which on a code is longer than the index. ``offsets`` is what to add
    to a code of the index's length for its place among the ``symbols``.
    """

    fast: NDArray[np.int32]  # (8, 512)
    limits: NDArray[np.int32]  # (8, 17)
    offsets: NDArray[np.int32]  # (8, 17)
    symbols: NDArray[np.uint8]  # (8, 256)


def no_codes() -> Codes:
    """Make tables in which there is no code."""
    return Codes(
        fast=np.zeros((TABLES, 1 << FAST_BITS), np.int32),
        limits=np.zeros((TABLES, LONGEST + 1), np.int32),
        offsets=np.zeros((TABLES, LONGEST + 1), np.int32),
        symbols=np.zeros((TABLES, 256), np.uint8),
    )


def read_tables(payload: bytes, codes: Codes) -> None:
    """Put the tables of a DHT segment in place of those that had their numbers.

    Raises
    ------
    InvalidImage
        When there are more codes than bits can tell apart, or the segment ends within a table.
    """
    at = 0
    while at < len(payload):
        kind, number = payload[at] >> 4, payload[at] & 15
        counts = payload[at + 1 : at + 1 + LONGEST]
        symbols = payload[at + 1 + LONGEST : at + 1 + LONGEST + sum(counts)]
        if kind > 1 or number > 3 or len(counts) < LONGEST or len(symbols) < sum(counts) or sum(counts) > 256:
            raise InvalidImage(system_message="a JPEG Huffman table is not valid")
        _fill(codes, 4 * kind + number, counts, symbols)
        at += 1 + LONGEST + len(symbols)


def _fill(codes: Codes, row: int, counts: bytes, symbols: bytes) -> None:
    for table in codes:
        table[row] = 0
    codes.symbols[row, : len(symbols)] = np.frombuffer(symbols, np.uint8)
    code = place = 0
    for length, count in enumerate(counts, 1):
        codes.offsets[row, length] = place - code
        if length <= FAST_BITS:
            for symbol in symbols[place : place + count]:
                free = FAST_BITS - length
                codes.fast[row, code << free : (code + 1) << free] = length << 8 | symbol
                code += 1
        else:
            code += count
        place += count
        if code > 1 << length:
            raise InvalidImage(system_message="a JPEG Huffman table has too many codes")
        codes.limits[row, length] = code << (LONGEST - length)
        code <<= 1


@dataclass(frozen=True, slots=True)
class Table:
    """One table to write with.

    Attributes
    ----------
    counts, symbols
        How many codes of 1 to 16 bits there are, and what they mean: a DHT segment's contents.
    lengths, bits
        Of each symbol, its code's length, 0 where it has none, and its code: (256,).
    """

    counts: bytes
    symbols: bytes
    lengths: NDArray[np.int32] = field(repr=False)
    bits: NDArray[np.int32] = field(repr=False)


def shortest(frequencies: NDArray[np.int64]) -> Table:
    """Make the table by which symbols that occur so often, (256,), take the fewest bits in all."""
    depths = _depths(frequencies)
    counts = [0] * (max(depths.values(), default=0) + 1)
    for depth in depths.values():
        counts[depth] += 1
    counts = _limited(counts)
    # The most frequent first, since the codes are given from the shortest on.
    ordered = sorted((symbol for symbol in depths if symbol != RESERVED), key=lambda symbol: (depths[symbol], symbol))
    return _table(bytes(counts), bytes(ordered))


def _depths(frequencies: NDArray[np.int64]) -> dict[int, int]:
    """Return how deep each symbol that occurs lies in the tree of the two rarest, joined again and again."""
    heap = [(int(frequencies[symbol]), -int(symbol), [int(symbol)]) for symbol in np.flatnonzero(frequencies)]
    heap.append((1, -RESERVED, [RESERVED]))
    heapq.heapify(heap)
    depths = dict.fromkeys((group[0] for _, _, group in heap), 0)
    while len(heap) > 1:
        rarest, next_rarest = heapq.heappop(heap), heapq.heappop(heap)
        group = rarest[2] + next_rarest[2]
        for symbol in group:
            depths[symbol] += 1
        heapq.heappush(heap, (rarest[0] + next_rarest[0], min(rarest[1], next_rarest[1]), group))
    return depths


def _limited(counts: list[int]) -> list[int]:
    """Bring codes to 16 bits at most, and take the reserved one, which is of the longest (T.81, figure K.3)."""
    counts = counts + [0] * (LONGEST + 1 - len(counts))
    for length in range(len(counts) - 1, LONGEST, -1):
        while counts[length]:
            shorter = length - 2
            while not counts[shorter]:
                shorter -= 1
            counts[length] -= 2
            counts[length - 1] += 1
            counts[shorter + 1] += 2
            counts[shorter] -= 1
    longest = max((length for length, count in enumerate(counts) if count), default=0)
    counts[longest] -= 1
    return counts[1 : LONGEST + 1]


def _table(counts: bytes, symbols: bytes) -> Table:
    lengths, bits = np.zeros(256, np.int32), np.zeros(256, np.int32)
    code = place = 0
    for length, count in enumerate(counts, 1):
        for symbol in symbols[place : place + count]:
            lengths[symbol], bits[symbol] = length, code
            code += 1
        place += count
        code <<= 1
    return Table(counts, symbols, lengths, bits)

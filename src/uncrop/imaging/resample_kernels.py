"""The loops of resampling, compiled; loaded by ``resample`` on its first use, because Numba takes a while to load.

None allocates: whoever calls them brings the room they work in. Indices are unsigned where it counts, for Numba tests
signed ones for being negative, which costs as much as the sums.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOBES = 3.0
# Weights are whole numbers of 2**-22: 8 bits of a sample and 2 of overflow fit beside them into 32.
BITS = 22
HALF = 1 << (BITS - 1)
LANES = 32  # rows that are worked on side by side
WORDS = LANES // 8
TAPS = 4  # a pass takes so many weights at a time


class Room(NamedTuple):
    """What ``across`` works in, each array as bytes and as words of eight.

    ``lines`` is (LANES, bytes of the longer row), ``turned`` and ``done`` are (bytes of a row, LANES), before and after
    the sums; all are padded to whole words. ``total`` is (LANES,).
    """

    lines: NDArray[np.uint8]
    line_words: NDArray[np.uint64]
    turned: NDArray[np.uint8]
    turned_words: NDArray[np.uint64]
    done: NDArray[np.uint8]
    done_words: NDArray[np.uint64]
    total: NDArray[np.int32]


@inlined
def _sinc(x: float) -> float:
    return 1.0 if x == 0 else math.sin(x * math.pi) / (x * math.pi)


@kernel
def weigh(
    size: int,
    part: tuple[float, float],
    firsts: NDArray[np.uint64],
    weights: NDArray[np.int32],
    exact: NDArray[np.float64],
) -> None:
    """Fill in, for each pixel that is wanted, the first one that it is made of, and the weights from there on.

    Parameters
    ----------
    size
        How many pixels there are.
    part
        Where the part that is resampled begins among them, and how long it is.
    firsts
        (wanted,), written to.
    weights
        (wanted, taps), written to; zero where the picture has ended.
    exact
        (taps,), room to work in.
    """
    wanted = len(firsts)
    scale = part[1] / wanted
    stretch = max(scale, 1.0)
    for x in range(wanted):
        centre = part[0] + (x + 0.5) * scale
        first = max(int(centre - LOBES * stretch + 0.5), 0)
        count = min(int(centre + LOBES * stretch + 0.5), size) - first
        total = 0.0
        for i in range(count):
            distance = (i + first - centre + 0.5) * (1.0 / stretch)
            inside = -LOBES <= distance < LOBES
            exact[i] = _sinc(distance) * _sinc(distance / LOBES) if inside else 0.0
            total += exact[i]
        firsts[x] = first
        weights[x] = 0
        for i in range(count):
            share = exact[i] / total * (1 << BITS)
            weights[x, i] = int(share - 0.5) if share < 0 else int(share + 0.5)


@kernel
def distinct(source: NDArray[Any], rows: NDArray[np.uint64], places: NDArray[np.uint64]) -> int:
    """List the rows that differ from the one above, and say for each row which of those it equals.

    Parameters
    ----------
    source
        The picture's rows, as bytes or as words.
    rows, places
        (height,), written to.

    Returns
    -------
    int
        How many of ``rows`` were written.
    """
    height, length = source.shape
    count = 0
    for y in range(height):
        same = y > 0
        if same:
            for j in range(length):
                if source[y, j] != source[y - 1, j]:
                    same = False
                    break
        if not same:
            rows[count] = y
            count += 1
        places[y] = count - 1
    return count


@inlined
def _exchange(first: int, second: int, shift: int, mask: int) -> tuple[int, int]:
    """Exchange the upper parts of one word's fields with the lower parts of another's."""
    moved = ((first >> shift) ^ second) & mask
    return first ^ (moved << shift), second ^ moved


@inlined
def _turn(
    source: NDArray[np.uint64], at: int, step: int, target: NDArray[np.uint64], to: int, target_step: int
) -> None:
    """Transpose 8 x 8 bytes, which are eight words with ``step`` between them (Warren, Hacker's Delight, 7-3)."""
    half, quarter, byte = np.uint64(32), np.uint64(16), np.uint64(8)
    halves, quarters, bytes_ = np.uint64(0xFFFFFFFF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0x00FF00FF00FF00FF)
    a, b, c, d = source[at], source[at + step], source[at + step + step], source[at + step + step + step]
    at += step + step + step + step
    e, f, g, h = source[at], source[at + step], source[at + step + step], source[at + step + step + step]
    a, e = _exchange(a, e, half, halves)
    b, f = _exchange(b, f, half, halves)
    c, g = _exchange(c, g, half, halves)
    d, h = _exchange(d, h, half, halves)
    a, c = _exchange(a, c, quarter, quarters)
    b, d = _exchange(b, d, quarter, quarters)
    e, g = _exchange(e, g, quarter, quarters)
    f, h = _exchange(f, h, quarter, quarters)
    a, b = _exchange(a, b, byte, bytes_)
    c, d = _exchange(c, d, byte, bytes_)
    e, f = _exchange(e, f, byte, bytes_)
    g, h = _exchange(g, h, byte, bytes_)
    for word in (a, b, c, d, e, f, g, h):
        target[to] = word
        to += target_step


@inlined
def _turn_rows(lines: NDArray[np.uint64], pitch: int, blocks: int, columns: NDArray[np.uint64], back: bool) -> None:
    """Transpose ``LANES`` rows of so many words, ``pitch`` apart, into columns of ``WORDS`` words, or back again."""
    words, eight = np.uint64(WORDS), np.uint64(8)
    for group in range(words):
        for block in range(blocks):
            row, column = group * eight * pitch + block, block * eight * words + group
            if back:
                _turn(columns, column, words, lines, row, pitch)
            else:
                _turn(lines, row, pitch, columns, column, words)


@inlined
def _sum_up(
    turned: NDArray[np.uint8], at: int, step: int, weights: NDArray[np.int32], x: int, total: NDArray[np.int32]
) -> None:
    """Add up the weighted samples of ``LANES`` rows; ``at`` is the first sample's place, ``step`` leads to the next."""
    lanes = np.uint64(LANES)
    for lane in range(lanes):
        total[lane] = HALF
    for i in range(0, weights.shape[1], TAPS):
        first, second, third, fourth = weights[x, i], weights[x, i + 1], weights[x, i + 2], weights[x, i + 3]
        b = at + step
        c = b + step
        d = c + step
        for lane in range(lanes):
            total[lane] += (
                first * np.int32(turned[at + lane])
                + second * np.int32(turned[b + lane])
                + third * np.int32(turned[c + lane])
                + fourth * np.int32(turned[d + lane])
            )
        at = d + step


@kernel
def across(
    source: NDArray[np.uint8],
    rows: NDArray[np.uint64],
    channels: int,
    firsts: NDArray[np.uint64],
    weights: NDArray[np.int32],
    room: Room,
    target: NDArray[np.uint8],
) -> None:
    """Resample rows of ``source``, (height, bytes of a row), into ``target``, (len(rows), bytes of a row).

    ``LANES`` rows are transposed, so that the sums run over all of them at once, and the sums are transposed back.
    """
    lanes, pitch = np.uint64(LANES), np.uint64(room.lines.shape[1] // 8)
    length, wanted = source.shape[1], target.shape[1]
    for top in range(0, len(rows), LANES):
        count = min(LANES, len(rows) - top)
        for lane in range(count):
            row = rows[top + lane]
            for j in range(length):
                room.lines[lane, j] = source[row, j]
        _turn_rows(room.line_words, pitch, np.uint64((length + 7) // 8), room.turned_words, False)
        to = np.uint64(0)
        for x in range(len(firsts)):
            for channel in range(channels):
                at = (firsts[x] * np.uint64(channels) + np.uint64(channel)) * lanes
                _sum_up(room.turned, at, lanes * np.uint64(channels), weights, x, room.total)
                for lane in range(lanes):
                    room.done[to + lane] = min(max(room.total[lane] >> BITS, 0), 255)
                to += lanes
        _turn_rows(room.line_words, pitch, np.uint64((wanted + 7) // 8), room.done_words, True)
        for lane in range(count):
            for j in range(wanted):
                target[top + lane, j] = room.lines[lane, j]


@kernel
def down(
    source: NDArray[np.uint8],
    places: NDArray[np.uint64],
    firsts: NDArray[np.uint64],
    weights: NDArray[np.int32],
    total: NDArray[np.int32],
    target: NDArray[np.uint8],
) -> None:
    """Resample the columns of ``source`` into ``target``, (len(firsts), bytes of a row).

    Parameters
    ----------
    places
        In which row of ``source`` each row of the picture is found.
    total
        (bytes of a row,), room to work in.
    """
    length, last = np.uint64(source.shape[1]), len(places) - 1
    for y in range(len(firsts)):
        for j in range(length):
            total[j] = HALF
        for i in range(0, weights.shape[1], TAPS):
            first = int(firsts[y]) + i
            # Behind the last row all weights are zero.
            a, b = places[min(first, last)], places[min(first + 1, last)]
            c, d = places[min(first + 2, last)], places[min(first + 3, last)]
            k, m, n, p = weights[y, i], weights[y, i + 1], weights[y, i + 2], weights[y, i + 3]
            for j in range(length):
                total[j] += (
                    k * np.int32(source[a, j])
                    + m * np.int32(source[b, j])
                    + n * np.int32(source[c, j])
                    + p * np.int32(source[d, j])
                )
        for j in range(length):
            target[y, j] = min(max(total[j] >> BITS, 0), 255)


@kernel
def average_known(
    pixels: NDArray[np.uint8], known: NDArray[np.bool_], means: NDArray[np.uint8], found: NDArray[np.bool_]
) -> None:
    """Average the known ones of every 2 x 2 pixels, rounding down, and tell where there was one."""
    height, width, channels = pixels.shape
    for row in range(len(found)):
        top, bottom = np.uint64(2 * row), np.uint64(min(2 * row + 1, height - 1))
        for column in range(found.shape[1]):
            left, right = np.uint64(2 * column), np.uint64(min(2 * column + 1, width - 1))
            # A pixel beyond an odd edge is one that is not known.
            a, b = known[top, left], known[top, right] and right > left
            c, d = known[bottom, left] and bottom > top, known[bottom, right] and bottom > top and right > left
            count = np.uint32(a) + np.uint32(b) + np.uint32(c) + np.uint32(d)
            found[row, column] = count > 0
            for channel in range(np.uint64(channels)):
                total = np.uint32(pixels[top, left, channel]) * np.uint32(a)
                total += np.uint32(pixels[top, right, channel]) * np.uint32(b)
                total += np.uint32(pixels[bottom, left, channel]) * np.uint32(c)
                total += np.uint32(pixels[bottom, right, channel]) * np.uint32(d)
                means[row, column, channel] = total >> np.uint32(2) if count == 4 else total // max(count, np.uint32(1))


@kernel
def fill_unknown(
    pixels: NDArray[np.uint8],
    known: NDArray[np.bool_],
    rows: NDArray[np.intp],
    columns: NDArray[np.intp],
    patch: NDArray[np.uint8],
) -> None:
    """Write the pixels of ``patch``, (len(rows), len(columns), channels), to those of their places that are not known.

    ``pixels``, (height, width, channels), is written to.
    """
    for i in range(len(rows)):
        row = np.uint64(rows[i])
        for j in range(len(columns)):
            column = np.uint64(columns[j])
            if not known[row, column]:
                for channel in range(pixels.shape[2]):
                    pixels[row, column, channel] = patch[i, j, channel]

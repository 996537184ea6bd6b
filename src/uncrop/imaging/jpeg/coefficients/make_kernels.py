"""Pixels to quantised coefficients, compiled. The transform is Arai, Agui and Nakajima's of eight points.

Imported by ``make`` on its first use, because Numba takes a while to load.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 1023  # the largest level that a baseline JPEG of 8 bits can write at any place
ROUNDED = np.float32(16384.5)  # added before a fraction is cut off, so that what is below zero is rounded alike
HALF, SLANT, LESS, MORE = (np.float32(value) for value in (0.707106781, 0.382683433, 0.541196100, 1.306562965))


class Component(NamedTuple):
    """How one component is made of pixels.

    Attributes
    ----------
    weights
        (4,): of a pixel's one or three channels, divided by the number of pixels that a sample stands for; at last,
        what is added to a sample.
    box
        (2,): how many pixels a sample stands for, across and down.
    channels
        Of a pixel, 1 or 3.
    factors
        (64,): what coefficients are multiplied by.
    places
        (64,): where coefficients stand in a block row by row. Both in zigzag order.
    """

    weights: NDArray[np.float32]
    box: NDArray[np.uint64]
    channels: np.uint64
    factors: NDArray[np.float32]
    places: NDArray[np.uint64]


@inlined
def _transform(samples: NDArray[np.float32], start: np.int64, step: np.int64) -> None:
    """Transform eight samples in place; each comes out by a factor of its own too large."""
    s0, s7 = samples[start], samples[start + 7 * step]
    s1, s6 = samples[start + step], samples[start + 6 * step]
    s2, s5 = samples[start + 2 * step], samples[start + 5 * step]
    s3, s4 = samples[start + 3 * step], samples[start + 4 * step]
    a0, a1, a2, a3 = s0 + s7, s1 + s6, s2 + s5, s3 + s4
    d0, d1, d2, d3 = s0 - s7, s1 - s6, s2 - s5, s3 - s4
    e0, e1, e2, e3 = a0 + a3, a1 + a2, a1 - a2, a0 - a3
    turned = (e2 + e3) * HALF
    samples[start], samples[start + 4 * step] = e0 + e1, e0 - e1
    samples[start + 2 * step], samples[start + 6 * step] = e3 + turned, e3 - turned
    o0, o1, o2 = d3 + d2, d2 + d1, d1 + d0
    both = (o0 - o2) * SLANT
    low, high, middle = LESS * o0 + both, MORE * o2 + both, o1 * HALF
    far, near = d0 + middle, d0 - middle
    samples[start + 5 * step], samples[start + 3 * step] = near + low, near - low
    samples[start + step], samples[start + 7 * step] = far + high, far - high


@inlined
def _pixel(pixels: NDArray[np.uint8], component: Component, row: np.uint64, at: np.uint64) -> np.float32:
    """Return a pixel's share in a sample."""
    total: np.float32 = component.weights[0] * np.float32(pixels[row, at])
    if component.channels == 3:
        total += component.weights[1] * np.float32(pixels[row, at + np.uint64(1)])
        total += component.weights[2] * np.float32(pixels[row, at + np.uint64(2)])
    return total


@inlined
def _gather(
    pixels: NDArray[np.uint8], component: Component, top: np.uint64, left: np.uint64, samples: NDArray[np.float32]
) -> None:
    """Take the samples of a block whose pixels begin there; the outermost pixels go on beyond the picture."""
    wide, high, channels = component.box[0], component.box[1], component.channels
    last_row, last = np.uint64(pixels.shape[0] - 1), np.uint64(pixels.shape[1]) - channels
    inside = (left + np.uint64(8) * wide) * channels <= last + channels
    for place in range(64):
        samples[place] = component.weights[3]
    for line in range(np.uint64(8) * high):
        row, start = min(top + line, last_row), line // high * np.uint64(8)
        for shift in range(wide):
            for x in range(np.uint64(8)):
                at = (left + x * wide + shift) * channels
                if not inside:
                    at = min(at, last)
                samples[start + x] += _pixel(pixels, component, row, at)


@kernel
def make_blocks(
    pixels: NDArray[np.uint8],
    component: Component,
    wanted: NDArray[np.bool_],
    samples: NDArray[np.float32],
    levels: NDArray[np.int16],
) -> None:
    """Fill those blocks of one component that are wanted.

    Parameters
    ----------
    pixels
        (height, width * channels).
    component
        How it is made.
    wanted
        (rows, columns) of blocks.
    samples
        (64,): scratch space.
    levels
        (rows, columns, 64), in zigzag order; written to where ``wanted``.
    """
    rows, columns = wanted.shape
    wide, high = component.box[0] * np.uint64(8), component.box[1] * np.uint64(8)
    for row in range(rows):
        for column in range(columns):
            if not wanted[row, column]:
                continue
            _gather(pixels, component, np.uint64(row) * high, np.uint64(column) * wide, samples)
            for line in range(8):
                _transform(samples, line * 8, 1)
            for line in range(8):
                _transform(samples, line, 8)
            block = levels[row, column]
            for place in range(64):
                at = np.uint64(place)
                level = np.int32(samples[component.places[at]] * component.factors[at] + ROUNDED) - np.int32(ROUNDED)
                block[at] = min(max(level, np.int32(-MOST)), np.int32(MOST))

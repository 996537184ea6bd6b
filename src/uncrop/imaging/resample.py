"""Resampling of 8-bit pixels with a Lanczos filter of three lobes: Pillow's bits in a quarter of its time.

Pillow's method: a pass along the rows and a pass along the columns, sums of 32 bits, each pass rounded to 8 bits. Here
the sums run over 32 rows at once, equal rows are summed up once, and rows and columns that nobody wants are left out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.imaging.resample_kernels import Room
    from uncrop.model import Mask

    Bytes = NDArray[np.uint8]
    Indices = NDArray[np.intp]
    Places = NDArray[np.uint64]
    Box = tuple[float, float, float, float]
    Centres = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Axis:
    """One direction: how many pixels there are and will be, which part of the old ones counts, which new are wanted."""

    old: int
    new: int
    part: tuple[float, float]  # start and length
    wanted: Indices

    @property
    def stays(self) -> bool:
        """Whether nothing changes in this direction."""
        return self.old == self.new and self.part == (0, self.old)


def resample(
    pixels: Bytes,
    width: int,
    height: int,
    *,
    box: Box | None = None,
    rows: Indices | None = None,
    columns: Indices | None = None,
) -> Bytes:
    """Resample to ``width`` x ``height``.

    Parameters
    ----------
    pixels
        (height, width, channels); no channel is taken for alpha.
    box
        The part to resample: left, top, right and bottom in pixels, fractions included; all of it, when absent.
    rows, columns
        Which rows and columns of the result are wanted; all, when absent.

    Returns
    -------
    ndarray
        (len(rows), len(columns), channels), as cut out of the whole result.
    """
    from uncrop.imaging.resample_kernels import distinct

    old_height, old_width, channels = pixels.shape
    left, top, right, bottom = (0, 0, old_width, old_height) if box is None else box
    across = _Axis(
        old=old_width, new=width, part=_part(left, right), wanted=np.arange(width) if columns is None else columns
    )
    down = _Axis(
        old=old_height, new=height, part=_part(top, bottom), wanted=np.arange(height) if rows is None else rows
    )
    # Copied where Numba would compile once more, for arrays that must not be written to.
    flat = np.require(pixels, requirements=("C", "W")).reshape(old_height, -1)
    if old_height - height > 2 * max(old_width - width, 0):
        flat = _down(flat, np.arange(old_height, dtype=np.uint64), down)
        return _across(flat, np.arange(len(flat), dtype=np.uint64), channels, across)
    some, places = np.empty(old_height, np.uint64), np.empty(old_height, np.uint64)
    # Eight bytes at a time where the rows are whole words.
    count = distinct(flat.view(np.uint64) if flat.shape[1] % 8 == 0 else flat, some, places)
    made = _across(flat, some[:count], channels, across).reshape(count, -1)
    return _down(made, places, down).reshape(len(down.wanted), len(across.wanted), channels)


def resample_at(pixels: Bytes, columns: Centres, rows: Centres) -> Bytes:
    """Take pixels at any places of a picture, with the same filter and without a change of scale.

    Parameters
    ----------
    pixels
        (height, width, channels); no channel is taken for alpha.
    columns, rows
        Where the pixels of the result have their centres: a pixel's own centre is at half a pixel. Beyond the picture
        its outermost pixels go on.

    Returns
    -------
    ndarray
        (len(rows), len(columns), channels).
    """
    from uncrop.imaging.resample_kernels import across, down

    height, width, channels = pixels.shape
    flat = np.require(pixels, requirements=("C", "W")).reshape(height, -1)
    firsts, weights = _weights_at(columns, width)
    some = np.empty((height, len(columns) * channels), np.uint8)
    room = _room(flat.shape[1], some.shape[1], weights.shape[1] * channels)
    across(flat, np.arange(height, dtype=np.uint64), channels, firsts, weights, room, some)
    firsts, weights = _weights_at(rows, height)
    made = np.empty((len(rows), some.shape[1]), np.uint8)
    down(some, np.arange(height, dtype=np.uint64), firsts, weights, np.empty(some.shape[1], np.int32), made)
    return made.reshape(len(rows), len(columns), channels)


def halve_known(pixels: Bytes, known: Mask) -> tuple[Bytes, Mask]:
    """Halve a picture of which only some pixels are known: the known ones of every 2 x 2 are averaged.

    Returns
    -------
    tuple
        (height / 2, width / 2, channels) and (height / 2, width / 2), rounded up; True where one was known.
    """
    from uncrop.imaging.resample_kernels import average_known

    height, width = -(-known.shape[0] // 2), -(-known.shape[1] // 2)
    means, found = np.empty((height, width, pixels.shape[2]), np.uint8), np.empty((height, width), np.bool_)
    average_known(np.require(pixels, requirements=("C", "W")), known, means, found)
    return means, found


def fill_unknown(pixels: Bytes, known: Mask, rows: Indices, columns: Indices, patch: Bytes) -> None:
    """Write what ``resample`` made of some rows and columns to those of its places that are not known.

    Parameters
    ----------
    pixels
        (height, width, channels), written to.
    known
        (height, width).
    patch
        (len(rows), len(columns), channels).
    """
    from uncrop.imaging import resample_kernels

    resample_kernels.fill_unknown(pixels, known, rows, columns, patch)


def warm_up() -> None:
    """Compile the loops ahead of the first picture."""
    pixels, known, places = np.zeros((2, 2, 3), np.uint8), np.zeros((2, 2), np.bool_), np.arange(2)
    halve_known(pixels, known)
    fill_unknown(pixels, known, places, places, pixels.copy())
    for width in (7, 8):
        resample(np.zeros((2, width, 1), np.uint8), 1, 1)


def _across(flat: Bytes, rows: Places, channels: int, axis: _Axis) -> Bytes:
    from uncrop.imaging.resample_kernels import across

    if axis.stays:
        whole = flat[rows].reshape(len(rows), axis.old, channels)
        return whole if len(axis.wanted) == axis.old else whole[:, axis.wanted]
    made = np.empty((len(rows), len(axis.wanted) * channels), np.uint8)
    firsts, weights = _weights(axis)
    room = _room(flat.shape[1], made.shape[1], weights.shape[1] * channels)
    across(flat, rows, channels, firsts[axis.wanted], weights[axis.wanted], room, made)
    return made.reshape(len(rows), len(axis.wanted), channels)


def _down(flat: Bytes, places: Places, axis: _Axis) -> Bytes:
    from uncrop.imaging.resample_kernels import down

    if axis.stays:
        return flat[places[axis.wanted]]
    firsts, weights = _weights(axis)
    made = np.empty((len(axis.wanted), flat.shape[1]), np.uint8)
    down(flat, places, firsts[axis.wanted], weights[axis.wanted], np.empty(flat.shape[1], np.int32), made)
    return made


def _weights(axis: _Axis) -> tuple[Places, NDArray[np.int32]]:
    from uncrop.imaging.resample_kernels import LOBES, TAPS, weigh

    most = 2 * math.ceil(LOBES * max(axis.part[1] / axis.new, 1)) + 1
    firsts, weights = np.empty(axis.new, np.uint64), np.empty((axis.new, -(-most // TAPS) * TAPS), np.int32)
    weigh(axis.old, axis.part, firsts, weights, np.empty(most))
    # A pass costs as much for a weight of zero, and the last ones are mostly zero for all.
    used = int(np.flatnonzero(weights.any(axis=0))[-1]) + 1
    return firsts, np.ascontiguousarray(weights[:, : -(-used // TAPS) * TAPS])


def _weights_at(centres: Centres, size: int) -> tuple[Places, NDArray[np.int32]]:
    """Return the first pixel and the weights from there on, for each place along an axis of ``size`` pixels."""
    from uncrop.imaging.resample_kernels import BITS, LOBES, TAPS

    taps = -(-int(2 * LOBES) // TAPS) * TAPS
    inside = np.clip(centres, 0.5, size - 0.5)
    firsts = np.clip(np.floor(inside - LOBES + 0.5), 0, max(size - 1, 0)).astype(np.int64)
    places = firsts[:, None] + np.arange(taps)
    away = places + 0.5 - inside[:, None]
    exact = np.where((np.abs(away) < LOBES) & (places < size), np.sinc(away) * np.sinc(away / LOBES), 0)
    shares = np.rint(exact / exact.sum(axis=1, keepdims=True) * (1 << BITS)).astype(np.int32)
    return firsts.astype(np.uint64), shares


def _part(start: float, end: float) -> tuple[float, float]:
    """Return start and length, rounded as in Pillow, which takes both ends in 32 bits."""
    first, last = np.float32(start), np.float32(end)
    return float(first), float(last - first)


def _room(length: int, wanted: int, beyond: int) -> Room:
    """Make room for rows of ``length`` bytes in and ``wanted`` bytes out, of which ``beyond`` more may be read."""
    from uncrop.imaging.resample_kernels import LANES, Room

    def whole(size: int) -> int:
        return -(-size // 8) * 8

    lines = np.zeros((LANES, whole(max(length, wanted))), np.uint8)
    turned, done = np.zeros(whole(length + beyond) * LANES, np.uint8), np.zeros(whole(wanted) * LANES, np.uint8)
    return Room(
        lines=lines,
        line_words=lines.reshape(-1).view(np.uint64),
        turned=turned,
        turned_words=turned.view(np.uint64),
        done=done,
        done_words=done.view(np.uint64),
        total=np.empty(LANES, np.int32),
    )

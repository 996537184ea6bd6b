"""The loops of the seam's step, compiled; loaded on their first use, because Numba takes a while to load.

None allocates: whoever calls them brings the arrays that they work in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def smooth(
    border: NDArray[np.int32],
    gaps: NDArray[np.float32],
    numbers: NDArray[np.int32],
    values: NDArray[np.float32],
    reach: int,
) -> None:
    """Take the mean of the gaps at all places of the border within ``reach`` pixels.

    Parameters
    ----------
    border
        (places,), indices of pixels among the rows in work.
    gaps
        (places, channels).
    numbers
        (rows, width), -1 everywhere; written to: the number of each place of the border.
    values
        (at least as many, channels), written to: the means.
    """
    width = numbers.shape[1]
    for i in range(len(border)):
        numbers[border[i] // width, border[i] % width] = i
    for i in range(len(border)):
        _take_mean(border[i], i, (reach, len(border)), numbers, gaps, values)


@inlined
def _take_mean(
    pixel: int,
    place: int,
    near: tuple[int, int],
    numbers: NDArray[np.int32],
    source: NDArray[np.float32],
    values: NDArray[np.float32],
) -> None:
    """Give a place the mean of ``source`` around its pixel, as ``near`` says.

    That is: within so many pixels, and at places with a number below the second.
    """
    rows, width = numbers.shape
    reach, before = near
    y, x = pixel // width, pixel % width
    count = 0
    for channel in range(values.shape[1]):
        values[place, channel] = 0
    for near_y in range(max(y - reach, 0), min(y + reach + 1, rows)):
        for near_x in range(max(x - reach, 0), min(x + reach + 1, width)):
            j = numbers[near_y, near_x]
            if 0 <= j < before:
                count += 1
                for channel in range(values.shape[1]):
                    values[place, channel] += source[j, channel]
    for channel in range(values.shape[1]):
        values[place, channel] /= np.float32(count)


@kernel
def bend(
    pixels: NDArray[np.uint8],
    extent: tuple[int, int, int],
    stays: NDArray[np.bool_],
    places: NDArray[np.int32],
    numbers: NDArray[np.int32],
    values: NDArray[np.float32],
    begun: tuple[int, NDArray[np.float32]],
) -> None:
    """Carry the gaps from the border outward, layer by layer, and add them to what was made.

    Layers grow to four neighbours and to eight in turn, so that equal distances lie on octagons.

    Parameters
    ----------
    pixels
        (height, width, channels), the whole canvas; written to.
    extent
        The first row in work; the first row to be changed, and the one behind the last.
    stays
        (rows in work, width): the photo's own pixels.
    places, values
        (places,) and (places, channels): those of the border first; the others are written to.
    numbers
        (rows in work, width): the number of each pixel among ``places``, else -1; written to.
    begun
        How many places are the border's, and (layers,) the share of the gap that each layer takes.
    """
    start, top, bottom = extent
    rows, width = numbers.shape
    first, last, fade = 0, begun[0], begun[1]
    for layer in range(len(fade)):
        end = last
        for i in range(first, last):
            y, x = places[i] // width, places[i] % width
            for near_y in range(max(y - 1, 0), min(y + 2, rows)):
                for near_x in range(max(x - 1, 0), min(x + 2, width)):
                    straight = near_y == y or near_x == x
                    if (straight or layer % 2 == 1) and numbers[near_y, near_x] < 0 and not stays[near_y, near_x]:
                        numbers[near_y, near_x] = end
                        places[end] = near_y * width + near_x
                        end += 1
        for i in range(last, end):
            y, x = places[i] // width, places[i] % width
            _take_mean(places[i], i, (1, last), numbers, values, values)
            if top <= start + y < bottom:
                for channel in range(values.shape[1]):
                    changed = np.float32(pixels[start + y, x, channel]) + values[i, channel] * fade[layer]
                    pixels[start + y, x, channel] = np.uint8(np.rint(min(max(changed, np.float32(0)), np.float32(255))))
        first, last = last, end

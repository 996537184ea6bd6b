"""The feature channels by which patches are compared: CIE Lab and the amount of texture, four bytes a pixel.

On coarse levels grass and a grey road have the same blurred colour. The fourth channel, the local mean of the
gradient's magnitude, keeps them apart (Newson et al. 2014, doi:10.1137/140954933).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.kernels import inlined, kernel

BAND = 64
CURVE = 8192  # entries of the table of Lab's cube root
# sRGB (D65, IEC 61966-2-1) to XYZ, each row divided by the white point.
TO_XYZ = np.array(
    [
        [0.412453 / 0.950456, 0.357580 / 0.950456, 0.180423 / 0.950456],
        [0.212671, 0.715160, 0.072169],
        [0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754],
    ],
    dtype=np.float32,
)


def _linear() -> NDArray[np.float32]:
    """Return the linear light, 0 to 1, of every 8-bit sRGB value."""
    v = np.arange(256) / 255.0
    return np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4).astype(np.float32)


def _root() -> NDArray[np.float32]:
    """Return Lab's f over [0, 1] in ``CURVE`` steps."""
    t = np.arange(CURVE + 1) / CURVE
    return np.where(t > 216 / 24389, np.cbrt(t), t * (24389 / 27 / 116) + 16 / 116).astype(np.float32)


@inlined
def root_of(root: Any, top: int, v: Any) -> Any:
    """Return Lab's f of ``v`` from the table ``root``, whose last index is ``top``."""
    return root[min(top, int(v * np.float32(top) + np.float32(0.5)))]


@kernel
def lab_rows(rgb: Any, out: Any, linear: Any, root: Any, matrix: Any, first: int, last: int) -> None:
    """Write 8-bit Lab (L * 255 / 100, a + 128, b + 128) of the rows ``first`` to ``last`` into ``out[..., :3]``."""
    top = root.shape[0] - 1
    for y in range(first, last):
        for x in range(rgb.shape[1]):
            r, g, b = linear[rgb[y, x, 0]], linear[rgb[y, x, 1]], linear[rgb[y, x, 2]]
            fx, fy, fz = (
                root_of(root, top, matrix[0, 0] * r + matrix[0, 1] * g + matrix[0, 2] * b),
                root_of(root, top, matrix[1, 0] * r + matrix[1, 1] * g + matrix[1, 2] * b),
                root_of(root, top, matrix[2, 0] * r + matrix[2, 1] * g + matrix[2, 2] * b),
            )
            lightness = (np.float32(116) * fy - np.float32(16)) * np.float32(2.55)
            green_red = np.float32(500) * (fx - fy) + np.float32(128)
            blue_yellow = np.float32(200) * (fy - fz) + np.float32(128)
            out[y, x, 0] = min(255, max(0, int(lightness + np.float32(0.5))))
            out[y, x, 1] = min(255, max(0, int(green_red + np.float32(0.5))))
            out[y, x, 2] = min(255, max(0, int(blue_yellow + np.float32(0.5))))


@kernel
def gradient_rows(lab: Any, out: Any, first: int, last: int) -> None:
    """Write the magnitude of the lightness's gradient by Sobel's operator, times 4, into ``out`` (h, w) uint16."""
    height, width = out.shape
    for y in range(first, last):
        above, under = max(0, y - 1), min(height - 1, y + 1)
        for x in range(width):
            west, east = max(0, x - 1), min(width - 1, x + 1)
            nw, n, ne = int(lab[above, west, 0]), int(lab[above, x, 0]), int(lab[above, east, 0])
            w, e = int(lab[y, west, 0]), int(lab[y, east, 0])
            sw, s, se = int(lab[under, west, 0]), int(lab[under, x, 0]), int(lab[under, east, 0])
            gx = ne + 2 * e + se - nw - 2 * w - sw
            gy = sw + 2 * s + se - nw - 2 * n - ne
            out[y, x] = int(np.sqrt(float(gx * gx + gy * gy)))


@kernel
def mean_rows(gradient: Any, out: Any, column: Any, reach: int, first: int, last: int) -> None:
    """Write the mean of ``gradient`` over (2 * reach + 1)² pixels, cut at the photo's border, into ``out`` (uint16).

    ``column`` (w) int64, all 0 before, is scratch space.
    """
    height, width = gradient.shape
    for y in range(max(0, first - reach), min(height, first + reach)):
        for x in range(width):
            column[x] += gradient[y, x]
    for y in range(first, last):
        if y + reach < height:
            for x in range(width):
                column[x] += gradient[y + reach, x]
        if y - reach - 1 >= max(0, first - reach):
            for x in range(width):
                column[x] -= gradient[y - reach - 1, x]
        count = min(height, y + reach + 1) - max(0, y - reach)
        total = 0
        for x in range(min(width, reach)):
            total += column[x]
        for x in range(width):
            if x + reach < width:
                total += column[x + reach]
            if x - reach - 1 >= 0:
                total -= column[x - reach - 1]
            out[y, x] = total // (count * (min(width, x + reach + 1) - max(0, x - reach)))


def _standard_deviation(values: NDArray[Any]) -> float:
    """Return the standard deviation, from exact integer sums that are the same on every machine."""
    n = values.size
    total = int(values.sum(dtype=np.int64))
    squares = sum(int(np.square(row, dtype=np.int64).sum()) for row in values)
    return float(max(0, n * squares - total * total) ** 0.5) / n


def feature_channels(rgb: NDArray[np.uint8], reach: int, pool: ThreadPool) -> NDArray[np.uint8]:
    """Return the feature channels (h, w, 4) uint8 of a photo (h, w, 3) uint8 RGB.

    Texture is averaged over windows of 2 * ``reach`` + 1 pixels; ``reach`` is one pixel of the coarsest level.
    """
    height, width = rgb.shape[:2]
    out = np.empty((height, width, 4), np.uint8)
    linear, root = _linear(), _root()
    cuts = bands(0, height, BAND)
    pool.each(lambda band: lab_rows(rgb, out, linear, root, TO_XYZ, *band), cuts)
    gradient = np.empty((height, width), np.uint16)
    pool.each(lambda band: gradient_rows(out, gradient, *band), cuts)
    texture = np.empty((height, width), np.uint16)

    def average(band: tuple[int, int]) -> None:
        mean_rows(gradient, texture, np.zeros(width, np.int64), reach, *band)

    pool.each(average, bands(0, height, max(BAND, 4 * reach)))
    scale = _standard_deviation(out[:, :, 0]) / max(1.0, _standard_deviation(texture))
    table = np.minimum(255.0, np.floor(np.arange(int(texture.max()) + 1) * scale + 0.5)).astype(np.uint8)
    out[:, :, 3] = table[texture]
    return out

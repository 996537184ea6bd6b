"""Pixels to a JPEG's coefficients: block by block, as far as they are wanted."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.imaging.jpeg.coefficients.blocks import ZIGZAG

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.imaging.jpeg.coefficients.blocks import Coefficients, Plane
    from uncrop.model import Mask

# Weights of red, green and blue, and what is added, so that zero is the middle (ITU-T T.871, section 7).
YCBCR = ((0.299, 0.587, 0.114, -128.0), (-0.168735892, -0.331264108, 0.5, 0.0), (0.5, -0.418687589, -0.081312411, 0.0))
GREY = ((1.0, -128.0),)
# By how much each of the eight outputs of the quick transform is too large (Pennebaker and Mitchell, section 4.3.5).
SCALES = (1.0, 1.387039845, 1.306562965, 1.175875602, 1.0, 0.785694958, 0.541196100, 0.275899379)


def make(pixels: NDArray[np.uint8], wanted: tuple[Mask, ...], result: Coefficients) -> None:
    """Fill the wanted blocks, (rows, columns) of each component, with what the pixels, (height, width, 1 or 3), show.

    Pixels of one channel make a picture of one component, those of three make YCbCr.
    """
    from uncrop.imaging.jpeg.coefficients.make_kernels import Component, make_blocks

    grid = result.grid
    rows = pixels.reshape(len(pixels), -1)
    for plane, weights, some in zip(grid.planes, GREY if pixels.shape[2] == 1 else YCBCR, wanted, strict=True):
        box = np.array(grid.box(plane), np.uint64)
        scaled = np.zeros(4, np.float32)
        scaled[: len(weights) - 1] = np.array(weights[:-1]) / int(box.prod())
        scaled[3] = weights[-1]
        component = Component(
            weights=scaled,
            box=box,
            channels=np.uint64(pixels.shape[2]),
            factors=_factors(plane),
            places=ZIGZAG.astype(np.uint64),
        )
        make_blocks(rows, component, some, np.empty(64, np.float32), result.of(plane))


def _factors(plane: Plane) -> NDArray[np.float32]:
    scales = np.outer(SCALES, SCALES).ravel()[ZIGZAG]
    factors: NDArray[np.float32] = (1 / (8 * scales * np.array(plane.table))).astype(np.float32)
    return factors

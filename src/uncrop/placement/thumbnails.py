"""Two pictures of one scene as small ones: the mean brightness of square cells, and what stands out from around them.

A provider repaints the photo along with what it makes. Whether that repaint shows the photo, and where, is seen in the
pattern of light and dark: tone and noise of single pixels hardly reach it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from uncrop.model import Rect

    Field: TypeAlias = NDArray[np.float32]
    Edges: TypeAlias = NDArray[np.int32]

# Cells to both sides. The mean of 3 x 3 is compared with that of 9 x 9: noise, and what is lost when cells are taken at
# fractions, is left out.
NEAR, WIDE = 1, 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Thumbnails:
    """The photo and what a provider made, in cells of one size.

    Attributes
    ----------
    original
        The photo's brightness, (rows, columns), in grey levels.
    known
        1 where all of a cell stays, else 0, (rows, columns).
    made
        What the provider made, (rows, columns) of the whole canvas.
    top, left
        Where the photo's first cell lies on the canvas, in cells.
    """

    original: Field = field(repr=False)
    known: Field = field(repr=False)
    made: Field = field(repr=False)
    top: int
    left: int

    @property
    def can_be_halved(self) -> bool:
        """Whether at least two rows and two columns are left then."""
        return bool(min(self.original.shape) >= 4)

    def halved(self) -> Thumbnails:
        """Return the same in cells of twice the side; what does not fill one is left out."""
        made = self.made[self.top % 2 :, self.left % 2 :]
        return Thumbnails(
            original=_halve(self.original),
            known=np.floor(_halve(self.known)),
            made=_halve(made),
            top=self.top // 2,
            left=self.left // 2,
        )


def take(
    original: NDArray[np.uint8], opacity: NDArray[np.uint8] | None, made: NDArray[np.uint8], kept: Rect, cell: int
) -> Thumbnails:
    """Compare at the canvas's own scale.

    Parameters
    ----------
    original
        (kept.height, kept.width, 3).
    opacity
        (kept.height, kept.width): cells that are not all of 255 are not known; ``None`` where all are.
    made
        (height, width, 3) of the canvas.
    kept
        Where the photo lies on it.
    cell
        Side of a cell in pixels. The cells of both begin where the photo does; what does not fill one is left out.
    """
    height, width = made.shape[:2]
    rows, columns = _steps(0, kept.height, cell), _steps(0, kept.width, cell)
    shape = (len(rows) - 1, len(columns) - 1)
    return Thumbnails(
        original=means(original, rows, columns),
        known=np.ones(shape, np.float32) if opacity is None else whole_cells(opacity, rows, columns),
        made=means(made, _steps(kept.y % cell, height, cell), _steps(kept.x % cell, width, cell)),
        top=kept.y // cell,
        left=kept.x // cell,
    )


def means(pixels: NDArray[np.uint8], rows: Edges, columns: Edges) -> Field:
    """Return the mean brightness of the cells between these rows and columns of a picture, (height, width, 3)."""
    from uncrop.placement.kernels import cell_means

    made = np.empty((len(rows) - 1, len(columns) - 1), np.float32)
    cell_means(np.require(pixels, requirements=("C", "W")), rows, columns, made)
    return made


def whole_cells(opacity: NDArray[np.uint8], rows: Edges, columns: Edges) -> Field:
    """Return 1 for cells of full opacity, (height, width), else 0."""
    from uncrop.placement.kernels import cells_kept

    made = np.empty((len(rows) - 1, len(columns) - 1), np.float32)
    cells_kept(np.require(opacity, requirements=("C", "W")), rows, columns, made)
    return made


def relief(brightness: Field, known: Field) -> Field:
    """Return by how much the surroundings of each known cell are lighter than those farther around; 0 where not known.

    Only known cells count in either.
    """
    return reliefs((brightness,), known)[0]


def has_pattern(pictures: Thumbnails, *, fewest: float, deviation: float) -> bool:
    """Tell whether so many of the photo's cells are known, and stand out by so many grey levels in the mean square."""
    cells = float(pictures.known.sum())
    if cells < fewest:
        return False
    pattern = relief(pictures.original, pictures.known)
    return float((pattern * pattern).sum()) >= deviation**2 * cells


def reliefs(pictures: Sequence[Field], known: Field) -> list[Field]:
    """Return the relief of each of several pictures of which the same cells are known."""
    shares = [np.maximum(_sums(known, reach), 1) for reach in (NEAR, WIDE)]
    made = []
    for brightness in pictures:
        told = brightness * known
        near, wide = (_sums(told, reach) / share for reach, share in zip((NEAR, WIDE), shares, strict=True))
        made.append(((near - wide) * known).astype(np.float32))
    return made


def likeness(first: Field, second: Field, known: Field) -> float:
    """Return the correlation of two reliefs over the known cells, -1 to 1; 0 where one of them is flat."""
    size = float(np.sqrt((first * first * known).sum() * (second * second * known).sum()))
    return float((first * second * known).sum()) / size if size > 0 else 0.0


def _steps(start: int, end: int, cell: int) -> Edges:
    return np.arange(start, end + 1, cell, dtype=np.int32)


def _halve(cells: Field) -> Field:
    rows, columns = (extent // 2 * 2 for extent in cells.shape)
    even = cells[:rows, :columns]
    total = even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]
    return (total / 4).astype(np.float32)


def _sums(cells: Field, reach: int) -> Field:
    """Return, for each cell, the sum over those up to ``reach`` to both sides, as far as they exist."""
    for axis in (0, 1):
        total = np.cumsum(cells, axis=axis, dtype=np.float64)
        before = np.zeros_like(total.take([0], axis))
        padded = np.concatenate((before, total), axis=axis)
        place = np.arange(cells.shape[axis])
        end = np.minimum(place + reach + 1, cells.shape[axis])
        cells = (padded.take(end, axis) - padded.take(np.maximum(place - reach, 0), axis)).astype(np.float32)
    return cells

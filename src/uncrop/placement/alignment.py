"""By what scale and shift a provider's picture has strayed from the photo.

The known cells of both are brought to match by Gauss-Newton steps with robust weights, from coarse cells to fine ones
(Lucas and Kanade, IJCAI 1981; Baker and Matthews, "Lucas-Kanade 20 years on", IJCV 2004). Where that leads nowhere,
scales and shifts are tried in turn on the coarsest cells. Phase correlation is not used: the photo is cut by masks of
any shape, and what lies behind them would count.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from uncrop.placement.thumbnails import has_pattern, likeness, reliefs, take

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from uncrop.model import Rect
    from uncrop.placement.thumbnails import Field, Thumbnails

    Vector: TypeAlias = NDArray[Any]  # of float64

COARSE = 24  # cells along the longer side that are enough for a first search
CELLS = 130  # as many are looked at first
FINEST = 2  # pixels; smaller cells tell nothing more
MOST_CELLS = 520
FEWEST = 48  # known cells, below which nothing can be told
FEWEST_ACROSS = 2  # cells each way, below which there is no slope
FLAT = 0.7  # grey levels; a pattern that deviates by less cannot be told from noise
ALIGNED = 0.4  # pixels; less cannot be seen
FAR, FARTHER = 0.06, 16.0  # of the photo's longer side, and pixels; what lies beyond both together is chance
ALIKE = 0.5  # correlation, from which on a picture is taken for the photo's
SCALES = (-0.06, -0.045, -0.03, -0.015, 0.0, 0.015, 0.03, 0.045, 0.06)
SHIFTS = (-2.0, -1.0, 0.0, 1.0, 2.0)  # cells of the coarsest
TRIED = 4  # of the best of all those
STEPS = 6
LONGEST = 1.5  # cells; no step goes further
SETTLED = 0.01  # cells
OUTLIER = 3.0  # standard deviations; from there on cells count little
DAMPING = 1e-3


@dataclass(frozen=True, kw_only=True, slots=True)
class Axis:
    """Where in the picture that was made lies what belongs at ``x``: at ``scale * x + shift``."""

    scale: float = 1.0
    shift: float = 0.0

    def at(self, place: float) -> float:
        """Return where what belongs at ``place`` lies."""
        return self.scale * place + self.shift

    def all_at(self, places: Vector) -> Vector:
        """Return where what belongs at each of ``places`` lies."""
        return self.scale * places + self.shift

    def moved(self, shift: float, stretch: float, centre: float, half: float) -> Axis:
        """Add a shift, and a stretch by which what is ``half`` away from ``centre`` moves."""
        slope = stretch / half
        return Axis(scale=self.scale + slope, shift=self.shift + shift - slope * centre)

    def farthest(self, extent: float) -> float:
        """Return the largest distance that anything in ``0..extent`` has strayed."""
        return max(abs(self.shift), abs(self.at(extent) - extent))


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """What lies where, across and down, from the photo's top left corner."""

    across: Axis = Axis()
    down: Axis = Axis()

    def in_cells(self, size: float) -> Alignment:
        """Return the same with shifts in cells of ``size`` of the present unit."""
        return Alignment(
            across=Axis(scale=self.across.scale, shift=self.across.shift / size),
            down=Axis(scale=self.down.scale, shift=self.down.shift / size),
        )

    def farthest(self, width: float, height: float) -> float:
        """Return the largest distance, across or down, that anything in the photo has strayed."""
        return max(self.across.farthest(width), self.down.farthest(height))


def find_alignment(
    original: NDArray[np.uint8], opacity: NDArray[np.uint8] | None, made: NDArray[np.uint8], kept: Rect
) -> Alignment | None:
    """Find where what was made has strayed to, or None where it has not, or where that cannot be told.

    Parameters
    ----------
    original, opacity, made, kept
        As for ``thumbnails.take``.

    Returns
    -------
    Alignment
        In pixels from the photo's top left corner.
    """
    cell = cell_of(max(kept.width, kept.height))
    pictures = take(original, opacity, made, kept, cell)
    if not tells(pictures):
        return None
    nothing = Alignment()
    begun = refine(pictures.halved(), nothing).in_cells(0.5) if pictures.can_be_halved else nothing
    nearby = refine(pictures, begun, steps=2)
    if alike(pictures, nearby) >= ALIKE and nearby.farthest(*pictures.known.shape[::-1]) * cell < ALIGNED:
        return None
    found = search(pictures)
    while cell > FINEST and 2 * max(pictures.made.shape) <= MOST_CELLS:
        cell, found = cell // 2, found.in_cells(0.5)
        pictures = take(original, opacity, made, kept, cell)
        found = refine(pictures, found)
    after = alike(pictures, found)
    strayed = found.farthest(*pictures.known.shape[::-1]) * cell
    far = FAR * max(kept.width, kept.height) + FARTHER
    if after < ALIKE or after <= alike(pictures, nothing) or not ALIGNED <= strayed <= far:
        return None
    return found.in_cells(1 / cell)


def tells(pictures: Thumbnails) -> bool:
    """Tell whether enough of the photo is known, and has enough of a pattern, to be recognised."""
    return has_pattern(pictures, fewest=FEWEST, deviation=FLAT)


def cell_of(extent: int) -> int:
    """Return the side of the cells in which a photo of that many pixels is looked at first: a power of two."""
    cell = FINEST
    while extent > CELLS * cell:
        cell *= 2
    return cell


def search(pictures: Thumbnails) -> Alignment:
    """Find the best alignment of the cells, from the coarsest on, by trying scales and shifts there."""
    levels = [pictures]
    while max(levels[-1].made.shape) >= 2 * COARSE and levels[-1].can_be_halved:
        levels.append(levels[-1].halved())
    coarsest = levels[-1]
    tried = sorted(_candidates(coarsest), key=lambda each: -alike(coarsest, each))[:TRIED]
    refined = [refine(coarsest, each) for each in (Alignment(), *tried)]
    for number, level in enumerate(reversed(levels[:-1])):
        refined = [refine(level, each.in_cells(0.5)) for each in refined]
        if number == 0:
            refined = [max(refined, key=lambda each: alike(level, each))]
    return max(refined, key=lambda each: alike(pictures, each))


def alike(pictures: Thumbnails, alignment: Alignment) -> float:
    """Return the correlation, -1 to 1, of the photo's relief with that of what was made, taken as aligned."""
    made, known, _, _ = _aligned(pictures, alignment)
    wanted, got = reliefs((pictures.original, made), known)
    return likeness(wanted, got, known)


def refine(pictures: Thumbnails, alignment: Alignment, *, steps: int = STEPS) -> Alignment:
    """Bring the cells of what was made to those of the photo, step by step; a single row of them tells no slope."""
    if min(pictures.known.shape) < FEWEST_ACROSS or not pictures.known.any():
        return alignment
    centres = _extents(pictures.known)
    for _ in range(steps):
        change = _step(pictures, alignment, centres)
        (column, half_width), (row, half_height) = centres
        alignment = Alignment(
            across=alignment.across.moved(change[0], change[1], column, half_width),
            down=alignment.down.moved(change[2], change[3], row, half_height),
        )
        if np.abs(change).max() < SETTLED:
            break
    return alignment


def _step(pictures: Thumbnails, alignment: Alignment, centres: tuple[tuple[float, float], ...]) -> Vector:
    """Return shift and stretch across, shift and stretch down, in cells."""
    made, known, columns, rows = _aligned(pictures, alignment)
    wanted, got = reliefs((pictures.original, made), known)
    gain = float((wanted * got * known).sum()) / max(float((got * got * known).sum()), 1e-6)
    gain = min(max(gain, 0.5), 2.0)
    left = wanted - gain * got
    spread = OUTLIER * (1.5 * float(np.median(np.abs(left[known > 0]))) + 1e-3) if known.any() else 1.0
    weight = known / (1 + (left / spread) ** 2)
    down, across = np.gradient(gain * got)
    (column, half_width), (row, half_height) = centres
    slopes = np.stack(
        [
            across,
            across * ((columns - column) / half_width)[None, :],
            down,
            down * ((rows - row) / half_height)[:, None],
        ]
    ).reshape(4, -1)
    weighted = slopes * weight.ravel()
    normal = (weighted @ slopes.T).astype(np.float64)
    normal[np.diag_indices(4)] += DAMPING * np.trace(normal) / 4 + 1e-9
    change: Vector = np.linalg.solve(normal, (weighted @ left.ravel()).astype(np.float64))
    return np.clip(change, -LONGEST, LONGEST)


def _aligned(pictures: Thumbnails, alignment: Alignment) -> tuple[Field, Field, Vector, Vector]:
    """Return what was made at the photo's cells, which of these are known in both, and the cells' centres."""
    rows, columns = (np.arange(extent) + 0.5 for extent in pictures.original.shape)
    down, within_rows = _places(alignment.down.all_at(rows) + pictures.top, pictures.made.shape[0])
    across, within_columns = _places(alignment.across.all_at(columns) + pictures.left, pictures.made.shape[1])
    made = _between(_between(pictures.made, *down, axis=0), *across, axis=1)
    return made, pictures.known * within_rows[:, None] * within_columns[None, :], columns, rows


def _places(places: Vector, extent: int) -> tuple[tuple[NDArray[np.intp], Field], Field]:
    """Return the cell before each place and the share of the next one, and 1 where both exist."""
    before = places - 0.5
    first = np.clip(np.floor(before).astype(np.intp), 0, max(extent - 2, 0))
    share = np.clip(before - first, 0, 1).astype(np.float32)
    return (first, share), ((before >= 0) & (before <= extent - 1)).astype(np.float32)


def _between(cells: Field, first: NDArray[np.intp], share: Field, *, axis: int) -> Field:
    weight = share[:, None] if axis == 0 else share[None, :]
    second = np.minimum(first + 1, cells.shape[axis] - 1)
    mixed: Field = cells.take(first, axis) * (1 - weight) + cells.take(second, axis) * weight
    return mixed


def _extents(known: Field) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the centre and half the extent of the known cells, across and down."""
    found = []
    for axis in (0, 1):
        places = np.flatnonzero(known.any(axis=axis))
        start, end = (int(places[0]), int(places[-1]) + 1) if len(places) else (0, 1)
        found.append(((start + end) / 2, (end - start) / 2))
    return found[0], found[1]


def _candidates(pictures: Thumbnails) -> Sequence[Alignment]:
    (column, half_width), (row, half_height) = _extents(pictures.known)
    return [
        Alignment(
            across=Axis().moved(x, stretch * half_width, column, half_width),
            down=Axis().moved(y, stretch * half_height, row, half_height),
        )
        for stretch, x, y in product(SCALES, SHIFTS, SHIFTS)
    ]

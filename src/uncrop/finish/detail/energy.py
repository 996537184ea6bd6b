"""How much energy the photo's detail has where something was made: told by what can be seen at the small scale.

Within the photo both are known, the detail and what its small version looks like. A regression from the one to the
other tells the energy beyond the photo; where the photo near the border has more or less, the place beyond has too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from uncrop.engine.runtime.partition import bands
from uncrop.finish.colour import pull_push
from uncrop.finish.detail.planes import PARTS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.detail.planes import Cells, Pair

    Plane = NDArray[np.float32]
    Terms = NDArray[np.float64]

AROUND = 2.0  # cells, over which energy is told
FLOOR = np.float32(0.05)  # levels squared, below which energies are alike
SAMPLES = 10_000
RIDGE = 0.003  # of a sample, for terms of deviation 1
REACH = 3.0  # deviations; what is farther from all that was learned counts as if it were as far as that
BEYOND = 0.5  # by how much more than seldom values of the logarithm may be told
SELDOM = 0.5  # per cent
ROWS = 8  # of cells, for which all terms are held at once
BLOCK = 8  # cells a side, over which the photo's own deviation from the rule is told
OWN = 0.7  # how far that goes on beyond the border


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """A regression from terms to a logarithm of energy.

    Attributes
    ----------
    means, spreads
        (terms,) of what it was learned from.
    weights
        (1 + terms,): of 1, and of the terms less their means, divided by their spreads.
    range
        The least and the most that it tells.
    """

    means: Terms = field(repr=False)
    spreads: Terms = field(repr=False)
    weights: Terms = field(repr=False)
    range: tuple[float, float]

    def __call__(self, terms: Terms) -> Plane:
        """Tell a logarithm for each row of terms."""
        apart = np.clip((terms - self.means) / self.spreads, -REACH, REACH)
        told = self.weights[0] + np.einsum("...i,i->...", apart, self.weights[1:])
        return np.asarray(np.clip(told, *self.range), np.float32)


def expected(cells: Cells, pair: Pair) -> Plane:
    """Return the energy of the photo's residual that is to be expected around each cell, in levels squared.

    Parameters
    ----------
    pair
        Its residual is what the filters left; its usable cells are those that are learned from.
    """
    looks = _looks(cells, np.where(pair.whole, pair.offered[0], pair.light))
    energy = energy_of(cells, pair.residual)
    weight = pair.usable.astype(np.float32)
    known = np.log(cells.blur(energy * weight, AROUND) / np.maximum(cells.blur(weight, AROUND), 1e-3) + FLOOR)
    places = np.flatnonzero(pair.usable)
    places = places[:: -(-len(places) // SAMPLES)]
    rule = learn(_terms([plane.ravel()[places] for plane in looks]), known.ravel()[places])
    told = np.empty(cells.shape, np.float32)

    def work(rows: tuple[int, int]) -> None:
        told[slice(*rows)] = rule(_terms([plane[slice(*rows)] for plane in looks]))

    cells.pool.each(work, bands(0, cells.rows, ROWS))
    told += OWN * _continued(cells, np.where(pair.usable, known - told, 0), weight)
    return np.maximum(np.exp(told) - FLOOR, 0)


def energy_of(cells: Cells, residual: NDArray[np.int16]) -> Plane:
    """Return the mean square of each cell's residual, in levels squared."""
    parts = residual.reshape(cells.rows, cells.side, cells.columns, cells.side)
    scale = np.float32((cells.side * PARTS) ** 2)
    return np.asarray(np.einsum("aibj,aibj->ab", parts, parts, dtype=np.float32) / scale)


def learn(terms: Terms, wanted: Plane) -> Rule:
    """Learn a rule from (samples, terms) and what they are to tell; of equal bits on every machine's threads."""
    from uncrop.finish.detail.filter_kernels import solve

    means, spreads = terms.mean(axis=0), terms.std(axis=0) + 1e-3
    rows = np.concatenate([np.ones((len(terms), 1)), (terms - means) / spreads], axis=1)
    products = np.einsum("ni,nj->ij", rows, rows)  # no library whose threads could change a bit
    own = np.arange(1, len(products))
    products[own, own] += RIDGE * len(rows)
    weights = np.einsum("ni,n->i", rows, wanted.astype(np.float64))[:, None]
    solve(products, weights)
    low, high = np.percentile(wanted, (SELDOM, 100 - SELDOM))
    return Rule(means=means, spreads=spreads, weights=weights[:, 0], range=(float(low) - BEYOND, float(high)))


def _looks(cells: Cells, light: Plane) -> tuple[Plane, Plane, Plane, Plane]:
    """Return what a small picture looks like around each cell: energies of three scales, as logarithms; lightness."""
    fine, middle, coarse = (cells.blur(light, sigma) for sigma in (1.0, 2.0, 4.0))
    scales = ((light, fine, 2.0), (fine, middle, 3.0), (middle, coarse, 4.0))
    first, second, third = (np.log(cells.blur(np.square(a - b), sigma) + FLOOR) for a, b, sigma in scales)
    return first, second, third, middle / np.float32(128) - np.float32(1)


def _terms(looks: list[Plane]) -> Terms:
    """Return looks, and products of two of them, in the last dimension."""
    fine, middle, coarse, light = (plane.astype(np.float64) for plane in looks)
    squares = (fine * fine, middle * middle, coarse * coarse, light * light)
    mixed = (fine * middle, fine * coarse, middle * coarse, light * fine, light * middle)
    return np.stack((fine, middle, coarse, light, *squares, *mixed), axis=-1)


def _continued(cells: Cells, error: Plane, weight: Plane) -> Plane:
    """Return what is known of the photo, and beyond it what holds near the border; far away, the mean of more."""
    rows, columns = (-(-extent // BLOCK) for extent in cells.shape)
    around = ((0, rows * BLOCK - cells.rows), (0, columns * BLOCK - cells.columns))

    def means(plane: Plane) -> Plane:
        blocks = np.pad(plane, around).reshape(rows, BLOCK, columns, BLOCK)
        return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32)[..., None])

    found = pull_push(means(error), means(weight))[..., 0]
    whole = np.repeat(np.repeat(found, BLOCK, axis=0), BLOCK, axis=1)[: cells.rows, : cells.columns]
    return cells.blur(np.ascontiguousarray(whole), BLOCK / 2)

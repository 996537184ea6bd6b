"""Which blocks of coefficients a JPEG holds, and where they lie (ITU-T T.81, annex A)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

SIDE = 8  # samples of a block in each direction
# Row by row, which place of a block of 8 x 8 comes at which place of the zigzag (T.81, figure 5).
ZIGZAG = np.array(
    sorted(range(64), key=lambda at: (at // 8 + at % 8, at // 8 if (at // 8 + at % 8) % 2 else at % 8)), np.int64
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plane:
    """The blocks of one component.

    Attributes
    ----------
    across, down
        Its sampling factors.
    table
        Its quantisation steps, (64,) in zigzag order.
    first
        The number of its first block in ``Coefficients.levels``; the others follow, row by row.
    rows, columns
        How many it has in each direction: as many as whole MCUs hold.
    """

    across: int
    down: int
    table: tuple[int, ...] = field(repr=False)
    first: int
    rows: int
    columns: int


@dataclass(frozen=True, kw_only=True)
class BlockGrid:
    """How a picture of ``width`` x ``height`` pixels is cut into blocks, component by component."""

    width: int
    height: int
    planes: tuple[Plane, ...]

    @cached_property
    def across(self) -> int:
        """The largest horizontal sampling factor."""
        return max(plane.across for plane in self.planes)

    @cached_property
    def down(self) -> int:
        """The largest vertical sampling factor."""
        return max(plane.down for plane in self.planes)

    @cached_property
    def units(self) -> tuple[int, int]:
        """How many MCUs there are, across and down."""
        return -(-self.width // (SIDE * self.across)), -(-self.height // (SIDE * self.down))

    @cached_property
    def count(self) -> int:
        """How many blocks there are in all."""
        return sum(plane.rows * plane.columns for plane in self.planes)

    def box(self, plane: Plane) -> tuple[int, int]:
        """Return how many pixels one sample of a component stands for, across and down."""
        return self.across // plane.across, self.down // plane.down

    def extent(self, plane: Plane) -> tuple[int, int]:
        """Return how many blocks of a component hold any of the picture, across and down."""
        wide, high = self.box(plane)
        return -(-self.width // (SIDE * wide)), -(-self.height // (SIDE * high))


@dataclass(frozen=True, kw_only=True, slots=True)
class Coefficients:
    """A picture as quantised levels: (grid.count, 64) int16, each block in zigzag order."""

    grid: BlockGrid
    levels: NDArray[np.int16] = field(repr=False)

    def of(self, plane: Plane) -> NDArray[np.int16]:
        """Return a component's levels, (rows, columns, 64); what is written there stands in ``levels``."""
        count = plane.rows * plane.columns
        return self.levels[plane.first : plane.first + count].reshape(plane.rows, plane.columns, 64)


def make_grid(width: int, height: int, components: Iterable[tuple[int, int, tuple[int, ...]]]) -> BlockGrid:
    """Cut a picture into blocks; of each component, its sampling factors across and down, and its steps, are given."""
    given = tuple(components)
    if len(given) == 1:  # what is alone is not sampled against anything (T.81, A.2.2)
        given = ((1, 1, given[0][2]),)
    widest, highest = max(one[0] for one in given), max(one[1] for one in given)
    units_across, units_down = -(-width // (SIDE * widest)), -(-height // (SIDE * highest))
    planes: list[Plane] = []
    first = 0
    for across, down, table in given:
        rows, columns = units_down * down, units_across * across
        planes.append(Plane(across=across, down=down, table=table, first=first, rows=rows, columns=columns))
        first += rows * columns
    return BlockGrid(width=width, height=height, planes=tuple(planes))

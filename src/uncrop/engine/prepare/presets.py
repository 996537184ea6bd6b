"""How much effort each quality spends, and which layouts it tries."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from uncrop.engine.prepare.canvas import COARSEST, Frame
from uncrop.engine.prepare.prior import Strictness
from uncrop.model import Quality


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """Iterations at one level: rounds of (sweeps, vote), and random tries in each sweep within a radius in pixels."""

    rounds: int
    sweeps: int
    tries: int
    radius: int

    def votes_after(self, turn: int) -> bool:
        """Tell whether a new picture is made after sweep ``turn``; after the last one nobody would look at it."""
        return turn % self.sweeps == self.sweeps - 1 and turn < self.rounds * self.sweeps - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one quality does.

    Attributes
    ----------
    layouts
        The priors of the layouts that are made; every region takes the one that fits best there. Where there is time
        for one only, it is the first.
    times
        How often each of them is made, with other random numbers.
    later
        The prior from the joined layout on.
    grid
        A layout's search compares every ``grid``-th source in both directions, on a canvas of ``COARSEST`` x
        ``COARSEST`` pixels; see ``strides``.
    layout, joining
        The effort at the coarsest level: for every layout, and when they have been joined.
    finest, second, third, coarser
        The effort at each level after that.
    """

    layouts: tuple[Strictness, ...]
    times: int = 1
    later: Strictness
    grid: int
    layout: Effort
    joining: Effort
    finest: Effort
    second: Effort
    third: Effort
    coarser: Effort

    def effort(self, level: int) -> Effort:
        """Return the effort at a level, 0 being the finest."""
        return (self.finest, self.second, self.third, self.coarser)[min(level, 3)]

    def strides(self, frame: Frame) -> tuple[int, int]:
        """Return the rows and the columns from one source to the next of a layout's search, more on a large canvas.

        So, from ``COARSEST`` x ``COARSEST`` pixels on, the time that a layout takes grows with the canvas's pixels, not
        with their square. Of a thin photo ``LINES`` rows or columns are compared even so, and fewer of the others.
        """
        grid = max(self.grid, round(self.grid * sqrt(frame.height * frame.width) / COARSEST))
        most_rows, most_cols = frame.rows // LINES, frame.cols // LINES
        rows, cols = min(grid, most_rows), min(grid, most_cols)
        return min(most_rows, round(grid * grid / cols)), min(most_cols, round(grid * grid / rows))


WHOLE = 1 << 15
LINES = 4  # rows or columns of a thin photo
EVEN = Strictness(vertical=1600, horizontal=300, dead_cols=0.1)
# The more they differ, the better: what is wrong in one is right in another.
LAYOUTS = (
    Strictness(vertical=4000, horizontal=300, dead_rows=0.05, dead_cols=0.1, outward_rows=0.3),
    Strictness(vertical=4000, horizontal=1000, dead_cols=0.1),
    Strictness(vertical=400, horizontal=300, dead_cols=0.1),
    Strictness(vertical=4000, dead_rows=0.05, outward_rows=0.3),
    EVEN,
    Strictness(vertical=12000, horizontal=12000, dead_rows=0.05, dead_cols=0.05, outward_rows=0.3),
    Strictness(vertical=1600, horizontal=1000, dead_cols=0.05),
    Strictness(vertical=1600, horizontal=1600, dead_rows=0.15, dead_cols=0.15),
    Strictness(vertical=12000),
    Strictness(vertical=300),
    Strictness(vertical=12000, horizontal=300, dead_rows=0.05, dead_cols=0.2),
    Strictness(vertical=300, horizontal=1000, dead_cols=0.05),
)
STANDARD = Plan(
    layouts=LAYOUTS,
    later=EVEN,
    grid=4,
    layout=Effort(rounds=2, sweeps=2, tries=6, radius=WHOLE),
    joining=Effort(rounds=4, sweeps=2, tries=6, radius=WHOLE),
    finest=Effort(rounds=2, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=3, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=5, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=6, sweeps=2, tries=8, radius=WHOLE),
)
FAST = Plan(
    layouts=(EVEN, *LAYOUTS[:4], LAYOUTS[5]),
    later=EVEN,
    grid=4,
    layout=Effort(rounds=1, sweeps=2, tries=6, radius=WHOLE),
    joining=Effort(rounds=3, sweeps=2, tries=6, radius=WHOLE),
    finest=Effort(rounds=1, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=2, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=3, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=4, sweeps=2, tries=8, radius=WHOLE),
)
BEST = replace(STANDARD, times=4, grid=6)
PLANS: dict[Quality, Plan] = {"fast": FAST, "standard": STANDARD, "best": BEST}

"""How much effort each quality spends, and which layouts it tries."""

from __future__ import annotations

from dataclasses import dataclass, replace

from uncrop.engine.prior import Strictness
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
        The priors of the layouts that are tried; the one that fits best is kept. Where there is time for one only, it
        is the first.
    coarsest
        Pixels on the canvas's long side, about, where layouts are made.
    grid
        A layout's search compares every ``grid``-th source in both directions.
    finest, second, third, coarser
        The effort at each level.
    """

    layouts: tuple[Strictness, ...]
    coarsest: int
    grid: int
    finest: Effort
    second: Effort
    third: Effort
    coarser: Effort

    def effort(self, level: int) -> Effort:
        """Return the effort at a level, 0 being the finest."""
        return (self.finest, self.second, self.third, self.coarser)[min(level, 3)]


WHOLE = 1 << 15
# Chosen together, of fourteen, by what the cheapest of each set is worth on two sets of photographs (docs/engine.md).
EVEN = Strictness(vertical=1600, horizontal=300, dead_cols=0.1)
CLOSE = Strictness(vertical=4000, horizontal=300, dead_rows=0.05, dead_cols=0.1, outward_rows=0.3)
COLUMNS = Strictness(vertical=4000, horizontal=1000, dead_cols=0.1)
SOFT = Strictness(vertical=400, horizontal=300, dead_cols=0.1)
ROWS = Strictness(vertical=4000, dead_rows=0.05, outward_rows=0.3)
TIGHT = Strictness(vertical=12000, horizontal=12000, dead_rows=0.05, dead_cols=0.05, outward_rows=0.3)
STANDARD = Plan(
    layouts=(CLOSE, COLUMNS, SOFT, ROWS),
    coarsest=256,
    grid=4,
    finest=Effort(rounds=2, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=3, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=5, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=6, sweeps=2, tries=8, radius=WHOLE),
)
FAST = Plan(
    layouts=(EVEN,),
    coarsest=256,
    grid=4,
    finest=Effort(rounds=1, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=2, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=3, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=4, sweeps=2, tries=8, radius=WHOLE),
)
BEST = replace(STANDARD, layouts=(CLOSE, COLUMNS, SOFT, ROWS, EVEN, TIGHT), coarsest=512, grid=5)
PLANS: dict[Quality, Plan] = {"fast": FAST, "standard": STANDARD, "best": BEST}

"""How much effort each quality spends, and which layouts it tries."""

from __future__ import annotations

from dataclasses import dataclass

from uncrop.engine.prior import Strictness
from uncrop.model import Quality


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """Iterations at one level: rounds of (sweeps, vote), and random tries in each sweep within a radius in pixels."""

    rounds: int
    sweeps: int
    tries: int
    radius: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What one quality does."""

    layouts: tuple[Strictness, ...]
    finest: Effort
    second: Effort
    third: Effort
    coarser: Effort
    grid: int  # the layout search compares every grid-th source in both directions

    def effort(self, level: int) -> Effort:
        """Return the effort at a level, 0 being the finest."""
        return (self.finest, self.second, self.third, self.coarser)[min(level, 3)]


WHOLE = 1 << 15
STANDARD = Plan(
    layouts=(Strictness(vertical=300), Strictness(vertical=1600), Strictness(vertical=4000)),
    finest=Effort(rounds=2, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=3, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=5, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=6, sweeps=2, tries=8, radius=WHOLE),
    grid=4,
)
FAST = Plan(
    layouts=(Strictness(vertical=1600),),
    finest=Effort(rounds=1, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=2, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=3, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=4, sweeps=2, tries=8, radius=WHOLE),
    grid=4,
)
PLANS: dict[Quality, Plan] = {"fast": FAST, "standard": STANDARD, "best": STANDARD}

"""What each quality does: which candidates it makes, and how much it searches at every level."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from uncrop.engine.prepare.canvas import COARSEST, THIN, CanvasGeometry
from uncrop.engine.prepare.prior import Strictness
from uncrop.model import Quality


@dataclass(frozen=True, kw_only=True, slots=True)
class Effort:
    """How much is searched at one level.

    Attributes
    ----------
    rounds, sweeps
        There are ``rounds`` rounds; in each, ``sweeps`` sweeps are followed by one vote.
    tries, radius
        In a sweep every patch is compared with ``tries`` random sources, at most ``radius`` pixels away.
    """

    rounds: int
    sweeps: int
    tries: int
    radius: int

    def votes_after(self, iteration: int) -> bool:
        """Tell whether a vote follows sweep ``iteration``; none follows the last one, whose picture nobody reads."""
        return iteration % self.sweeps == self.sweeps - 1 and iteration < self.rounds * self.sweeps - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """What one quality does.

    Attributes
    ----------
    candidate_priors
        The priors of the candidates. Every region takes the candidate that fits best there. Where there is time for
        one candidate alone, it has the first of these priors.
    repetitions
        How many candidates are made with each prior, each with other random numbers.
    later_prior
        The prior from the joined candidate on.
    stride
        On a canvas of ``COARSEST`` x ``COARSEST`` pixels, the growth of a candidate compares every ``stride``-th
        source in both directions; see ``strides``.
    candidate_effort, joined_effort
        The effort at the coarsest level: for each candidate, and after they have been joined.
    finest, second, third, coarser
        The effort at each finer level.
    """

    candidate_priors: tuple[Strictness, ...]
    repetitions: int = 1
    later_prior: Strictness
    stride: int
    candidate_effort: Effort
    joined_effort: Effort
    finest: Effort
    second: Effort
    third: Effort
    coarser: Effort

    def effort(self, level: int) -> Effort:
        """Return the effort at a level, 0 being the finest."""
        return (self.finest, self.second, self.third, self.coarser)[min(level, 3)]

    def strides(self, canvas: CanvasGeometry) -> tuple[int, int]:
        """Return the rows and the columns from one compared source to the next, while a candidate grows.

        Canvases of more than ``COARSEST`` x ``COARSEST`` pixels get larger strides, so that the time a candidate takes
        grows with the canvas's pixels, not with their square; around thin photos still larger ones, so that comparing
        takes no more time, however many pixels there are. Of a thin photo at least ``LINES`` rows or columns are
        compared, and fewer of the others.
        """
        pixels = canvas.height * canvas.width
        stride = max(self.stride, round(self.stride * sqrt(pixels * max(1, pixels / THIN)) / COARSEST))
        most_rows, most_cols = canvas.rows // LINES, canvas.cols // LINES
        rows, cols = min(stride, most_rows), min(stride, most_cols)
        return min(most_rows, round(stride * stride / cols)), min(most_cols, round(stride * stride / rows))


WHOLE = 1 << 15  # pixels: a radius that covers any photo
LINES = 4  # rows or columns of a thin photo
EVEN = Strictness(vertical=1600, horizontal=300, dead_cols=0.1)
# The more they differ the better: what is wrong in one candidate is right in another.
CANDIDATE_PRIORS = (
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
STANDARD = Preset(
    candidate_priors=CANDIDATE_PRIORS,
    later_prior=EVEN,
    stride=4,
    candidate_effort=Effort(rounds=2, sweeps=2, tries=6, radius=WHOLE),
    joined_effort=Effort(rounds=4, sweeps=2, tries=6, radius=WHOLE),
    finest=Effort(rounds=2, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=3, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=5, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=6, sweeps=2, tries=8, radius=WHOLE),
)
FAST = Preset(
    candidate_priors=(EVEN, *CANDIDATE_PRIORS[:4], CANDIDATE_PRIORS[5]),
    later_prior=EVEN,
    stride=4,
    candidate_effort=Effort(rounds=1, sweeps=2, tries=6, radius=WHOLE),
    joined_effort=Effort(rounds=3, sweeps=2, tries=6, radius=WHOLE),
    finest=Effort(rounds=1, sweeps=1, tries=2, radius=16),
    second=Effort(rounds=2, sweeps=1, tries=4, radius=64),
    third=Effort(rounds=3, sweeps=2, tries=6, radius=WHOLE),
    coarser=Effort(rounds=4, sweeps=2, tries=8, radius=WHOLE),
)
BEST = replace(STANDARD, repetitions=4, stride=6)
PRESETS: dict[Quality, Preset] = {"fast": FAST, "standard": STANDARD, "best": BEST}

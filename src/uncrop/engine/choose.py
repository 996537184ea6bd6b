"""Several layouts with differently strict priors; every region takes the one that fits best there.

A layout that goes wrong mostly does so in one place: a subject begins again on the left, while the right is fine. So
the choice is made pixel by pixel, by the costs of the patches around it, and the pieces are joined by more sweeps, as
proposals are fused in Lempitsky et al. 2010 (doi:10.1109/TPAMI.2009.143), here without a graph cut: where two layouts
meet, the patches find new sources themselves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.grow.candidate import Layout, make_layout
from uncrop.engine.grow.growth import visiting_order
from uncrop.engine.grow.periods import NO_REPEATS, Repeats, periodic_layouts
from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.presets import Plan
from uncrop.engine.prepare.prior import Strictness, make_prior
from uncrop.engine.prepare.pyramid import Atlas
from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_field import Field, target_mask
from uncrop.engine.search.refine import improve

ANOTHER = 7919  # between the seeds of two layouts of the same prior
LARGE = 200_000  # pixels of the coarsest canvas above which only one layout is made
WINDOW = 31 / 256  # of the canvas's long side: the square around a pixel over which costs are compared


def choose_layout(frame: Frame, atlas: Atlas, plan: Plan, seed: int, crew: Crew, watch: ProgressMonitor) -> Layout:
    """Make every layout of the plan, each in one thread, and return what is best of them.

    A photo that repeats itself gets layouts that do so too; where one of these has the least mean cost it is kept
    whole. A canvas that is still large at its coarsest level, around a photo too thin for more levels, gets the plan's
    first layout alone.
    """
    visits = visiting_order(frame)
    if frame.height * frame.width > LARGE:
        return make_layout(frame, atlas, visits, plan.layouts[0], plan, seed, crew)
    alone, targets = Crew(1, watch.check), target_mask(frame)

    def make(strictness: Strictness, own_seed: int = seed, repeats: Repeats = NO_REPEATS) -> Layout:
        return make_layout(frame, atlas, visits, strictness, plan, own_seed, alone, repeats)

    tasks = [(strictness, seed + ANOTHER * turn) for turn in range(plan.times) for strictness in plan.layouts]
    joined = join(crew.stream(lambda task: make(*task), tasks), targets)
    periodic = crew.each(lambda task: make(task[0], repeats=task[1]), periodic_layouts(frame, atlas.pixels))
    if periodic:
        cheapest = min(periodic, key=lambda layout: mean_cost(layout.field, targets))
        if mean_cost(cheapest.field, targets) < joined.least:
            return replace(cheapest, disagreement=disagreement(periodic))
    improve(joined.field, atlas, make_prior(frame, plan.later), plan.joining, seed + 1, crew, targets)
    return Layout(field=joined.field, strictness=plan.later, disagreement=joined.spread.variance())


def mean_cost(field: Field, targets: NDArray[np.bool_]) -> float:
    """Return the mean of the costs of the ``targets`` (H, W)."""
    return float(field.costs[targets].mean(dtype=np.float64))


class Spread:
    """How far layouts are apart in the texture (H, W) of what they make."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._count = 0
        self._total = np.zeros(shape, np.int64)
        self._squares = np.zeros(shape, np.int64)

    def add(self, field: Field) -> None:
        """Take a layout in."""
        texture = field.picture[..., 3].astype(np.int64)
        self._count += 1
        self._total += texture
        self._squares += texture * texture

    def variance(self) -> NDArray[np.float64]:
        """Return (H, W): the variance over layouts of the texture around a pixel, in squared levels.

        Where some are calm and others busy, nothing in the photo tells what belongs there.
        """
        apart = window_sums(self._count * self._squares - self._total * self._total, RADIUS)
        variance: NDArray[np.float64] = apart / (self._count * self._count * PATCH)
        return variance


def disagreement(layouts: list[Layout]) -> NDArray[np.float64]:
    """Return (H, W): how far ``layouts`` are apart, see ``Spread.variance``."""
    spread = Spread(layouts[0].field.costs.shape)
    for layout in layouts:
        spread.add(layout.field)
    return spread.variance()


class Fit:
    """How well the best layout so far fits around every pixel.

    Compared are means of the roots of the costs (H, W), so that one patch that fits badly does not decide for all.
    """

    def __init__(self, targets: NDArray[np.bool_]) -> None:
        self._targets = targets
        self._half = max(1, round(WINDOW * max(targets.shape)) // 2)
        self._least = np.full(targets.shape, np.iinfo(np.int64).max)

    def take_in(self, costs: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Note the ``costs`` (H, W) of a layout, and return (H, W): where it fits better than all before it."""
        # In sixteenths, and whole, for sums that do not depend on their order.
        roots = np.where(self._targets, np.floor(16 * np.sqrt(costs.clip(min=0))), 0).astype(np.int64)
        around = window_sums(roots, self._half)
        better = around < self._least
        self._least[better] = around[better]
        return better


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """The parts of several layouts that fit best.

    Attributes
    ----------
    field
        Their sources and their picture; costs and shifts are those of one of them, until the next sweep.
    spread
        How far they were apart.
    least
        The least of their mean costs.
    """

    field: Field
    spread: Spread
    least: float


def join(layouts: Iterable[Layout], targets: NDArray[np.bool_]) -> Joined:
    """Join the parts of the layouts that fit best, the first of equals.

    Each is let go of when it has been looked at, so that many take no more memory than a few; the state of the first
    is used up.
    """
    fit, spread, least = Fit(targets), Spread(targets.shape), inf
    field: Field | None = None
    for layout in layouts:
        mine = layout.field
        spread.add(mine)
        least = min(least, mean_cost(mine, targets))
        better = fit.take_in(mine.costs)
        if field is None:
            field = mine
        else:
            field.labels[better] = mine.labels[better]
            field.picture[better] = mine.picture[better]
    if field is None:
        msg = "there is no layout to join"
        raise ValueError(msg)
    return Joined(field=field, spread=spread, least=least)


def window_sums(values: NDArray[np.int64], half: int) -> NDArray[np.int64]:
    """Return the sums of ``values`` (H, W) over the square of 2 half + 1 pixels around each, cut off at the rim."""
    for _ in range(2):  # along the columns, then, on its side, along the rows
        total = np.pad(values, ((half + 1, half), (0, 0))).cumsum(axis=0)
        values = (total[2 * half + 1 :] - total[: -2 * half - 1]).T
    return values

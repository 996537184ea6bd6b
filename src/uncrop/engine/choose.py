"""Step 8: several layouts with differently strict priors; every region takes the one that fits best there.

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

from uncrop.engine.align import Frame
from uncrop.engine.crew import Crew, bands
from uncrop.engine.field import Field, make_field, target_mask
from uncrop.engine.layout import COLOUR_SLACK, Visits, context_weights, grow, make_room, visiting_order
from uncrop.engine.periods import NO_REPEATS, Repeats, periodic_layouts
from uncrop.engine.plan import Plan
from uncrop.engine.prior import Strictness, make_prior
from uncrop.engine.pyramid import PATCH, RADIUS, Atlas
from uncrop.engine.refine import improve
from uncrop.engine.upsample import usable_place
from uncrop.engine.watch import Watch

CHUNK = 4096  # pixels grown between two looks at the clock
ANOTHER = 7919  # between the seeds of two layouts of the same prior
LARGE = 200_000  # pixels of the coarsest canvas above which only one layout is made
SHARE = 128  # pixels of one phase that one thread grows
WINDOW = 31 / 256  # of the canvas's long side: the square around a pixel over which costs are compared


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """A finished coarsest level.

    Attributes
    ----------
    field
        Its state.
    strictness
        Of the prior that holds from here on.
    disagreement
        (H, W) float64, how far apart the layouts were that it was chosen from; None where there was no other.
    """

    field: Field
    strictness: Strictness
    disagreement: NDArray[np.float64] | None = None


def make_layout(
    frame: Frame, atlas: Atlas, visits: Visits, strictness: Strictness, plan: Plan, seed: int, crew: Crew,
    repeats: Repeats = NO_REPEATS,
) -> Layout:  # fmt: skip
    """Grow one layout, and refine it at its own level."""
    field, prior = make_field(frame, atlas.pixels), make_prior(frame, strictness)
    phase, order = visits
    field.labels[:] = usable_place(atlas)
    canvas, weights, strides = field.picture, context_weights(), plan.strides(frame)

    def work(part: tuple[int, int]) -> None:
        grow(
            order, part[0], part[1], phase, canvas, field.labels, atlas, prior, weights, COLOUR_SLACK, strides, seed,
            repeats, make_room(),
        )  # fmt: skip

    for parts in shares(visits, crew):
        crew.each(work, parts)
    targets = target_mask(frame)
    field.labels[~targets] = -1
    clamp_labels(field, atlas, targets)
    improve(field, atlas, prior, plan.layout, seed, crew, targets)
    return Layout(field=field, strictness=strictness)


def shares(visits: Visits, crew: Crew) -> list[list[tuple[int, int]]]:
    """Cut the visiting order into lists of parts that may be grown side by side.

    Pixels of one phase do not read one another; a single thread just takes them in their order.
    """
    phase, order = visits
    if crew.alone:
        return [[part] for part in bands(0, order.size, CHUNK)]
    starts = np.flatnonzero(np.diff(phase.reshape(-1)[order], prepend=-1))
    ends = np.append(starts[1:], order.size)
    return [bands(int(first), int(last), SHARE) for first, last in zip(starts, ends, strict=True)]


def clamp_labels(field: Field, atlas: Atlas, targets: NDArray[np.bool_]) -> None:
    """Give the patches on the photo's rim, which no pixel was grown for, their own place or the nearest whole patch.

    Where neither is usable, because pixels there are transparent, they get a place that is.
    """
    top, bottom, left, right = field.box
    fallback = usable_place(atlas)
    rows, cols = np.nonzero(targets[top:bottom, left:right])
    height, width = atlas.usable.shape
    own = atlas.usable[rows, cols] != 0
    near_rows = np.where(own, rows, np.clip(rows, RADIUS, height - RADIUS - 1))
    near_cols = np.where(own, cols, np.clip(cols, RADIUS, width - RADIUS - 1))
    good = atlas.usable[near_rows, near_cols] != 0
    field.labels[top + rows, left + cols, 0] = np.where(good, near_rows, fallback[0])
    field.labels[top + rows, left + cols, 1] = np.where(good, near_cols, fallback[1])


def choose_layout(frame: Frame, atlas: Atlas, plan: Plan, seed: int, crew: Crew, watch: Watch) -> Layout:
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

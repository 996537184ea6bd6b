"""Several candidates with differently strict priors are made, and every region takes the one that fits best there.

A candidate that goes wrong mostly does so in one place: a subject begins again on the left while the right is fine. So
the choice is made pixel by pixel, by the costs of the patches around it, and more sweeps join the pieces. Lempitsky et
al. 2010 (doi:10.1109/TPAMI.2009.143) fuse proposals in the same way, but with a graph cut; here the patches find new
sources themselves where two candidates meet.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from math import inf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.grow.candidate import Candidate, CoarsestLevel, make_candidate
from uncrop.engine.grow.growth import visiting_order
from uncrop.engine.grow.periods import NO_PERIODS, Periods, periodic_candidates
from uncrop.engine.prepare.canvas import THIN, CanvasGeometry
from uncrop.engine.prepare.patch import PATCH, RADIUS
from uncrop.engine.prepare.presets import Preset
from uncrop.engine.prepare.prior import Strictness, make_prior
from uncrop.engine.prepare.pyramid import Exemplar
from uncrop.engine.runtime.run import Run
from uncrop.engine.runtime.shared import family_seed
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import PatchField, target_mask
from uncrop.engine.search.refine import improve

SEED_STEP = 7919  # between the seeds of two candidates with the same prior
WINDOW = 31 / 256  # of the canvas's long side: the square around a pixel over which costs are compared


def choose_candidate(canvas: CanvasGeometry, exemplar: Exemplar, preset: Preset, run: Run) -> Candidate:
    """Make every candidate of the preset, each in one thread, and join the best parts of them.

    A photo that repeats itself gets periodic candidates too; if one of these has the least mean cost of all, it is
    returned whole. Where the coarsest canvas is still large, around a thin photo, only one candidate is made, with the
    preset's first prior.
    """
    level = CoarsestLevel(canvas=canvas, exemplar=exemplar, visits=visiting_order(canvas))
    if canvas.height * canvas.width > THIN:
        return make_candidate(level, preset.candidate_priors[0], preset, run.seed, run.pool)
    one_thread, targets = ThreadPool(1, run.monitor.check), target_mask(canvas)

    def make(strictness: Strictness, seed: int = run.seed, periods: Periods = NO_PERIODS) -> Candidate:
        return make_candidate(level, strictness, preset, seed, one_thread, periods)

    def make_or_take(task: Task) -> Candidate:
        key = (task.strictness, task.seed)
        if run.kept is None or not task.shared:
            return make(*key)
        if key not in run.kept:
            run.kept[key] = make(*key)
        kept: Candidate = run.kept[key]
        return kept

    joined = join(run.pool.stream(make_or_take, tasks_of(preset, run.seed)), targets)
    periodic = run.pool.each(lambda task: make(task[0], periods=task[1]), periodic_candidates(canvas, exemplar.pixels))
    if periodic:
        cheapest = min(periodic, key=lambda candidate: mean_cost(candidate.field, targets))
        if mean_cost(cheapest.field, targets) < joined.least:
            return replace(cheapest, disagreement=disagreement(periodic))
    prior = make_prior(canvas, preset.later_prior)
    improve(joined.field, exemplar, prior, preset.joined_effort, run.seed + 1, run.pool, targets)
    return Candidate(field=joined.field, strictness=preset.later_prior, disagreement=joined.spread.variance())


class Task(NamedTuple):
    """A candidate to be made: its prior, its seed, and whether all pictures of the seed's family have it."""

    strictness: Strictness
    seed: int
    shared: bool


def tasks_of(preset: Preset, seed: int) -> list[Task]:
    """Return all candidates of a picture; every second one is the same for all seeds of the family.

    The first one is not, since what is joined is written into it.
    """
    priors = preset.candidate_priors * preset.repetitions
    tasks = []
    for number, strictness in enumerate(priors):
        shared = number % 2 == 1
        first = family_seed(seed) if shared else seed
        tasks.append(Task(strictness, first + SEED_STEP * (number // len(preset.candidate_priors)), shared))
    return tasks


def mean_cost(field: PatchField, targets: NDArray[np.bool_]) -> float:
    """Return the mean of the costs of the ``targets`` (H, W)."""
    return float(field.costs[targets].mean(dtype=np.float64))


class TextureSpread:
    """How much candidates differ in the texture (H, W) of what they make."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self._count = 0
        self._total = np.zeros(shape, np.int64)
        self._squares = np.zeros(shape, np.int64)

    def add(self, field: PatchField) -> None:
        """Add one candidate."""
        texture = field.picture[..., 3].astype(np.int64)
        self._count += 1
        self._total += texture
        self._squares += texture * texture

    def variance(self) -> NDArray[np.float64]:
        """Return (H, W): the variance over the candidates of the texture around a pixel, in squared levels.

        Where some candidates are calm and others busy, nothing in the photo tells what belongs there.
        """
        apart = window_sums(self._count * self._squares - self._total * self._total, RADIUS)
        variance: NDArray[np.float64] = apart / (self._count * self._count * PATCH)
        return variance


def disagreement(candidates: list[Candidate]) -> NDArray[np.float64]:
    """Return (H, W): how much ``candidates`` differ; see ``TextureSpread.variance``."""
    spread = TextureSpread(candidates[0].field.costs.shape)
    for candidate in candidates:
        spread.add(candidate.field)
    return spread.variance()


class BestFit:
    """How well the best candidate so far fits around every pixel.

    The measure is the sum of the square roots of the costs (H, W) in a window, so that one patch that fits badly does
    not decide for all.
    """

    def __init__(self, targets: NDArray[np.bool_]) -> None:
        self._targets = targets
        self._half = max(1, round(WINDOW * max(targets.shape)) // 2)
        self._least = np.full(targets.shape, np.iinfo(np.int64).max)

    def update(self, costs: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Add a candidate with these ``costs`` (H, W); return (H, W): True where it fits better than all before."""
        # Whole sixteenths, so that sums do not depend on their order.
        roots = np.where(self._targets, np.floor(16 * np.sqrt(costs.clip(min=0))), 0).astype(np.int64)
        around = window_sums(roots, self._half)
        better = around < self._least
        self._least[better] = around[better]
        return better


@dataclass(frozen=True, kw_only=True, slots=True)
class Joined:
    """The parts of several candidates that fit best.

    Attributes
    ----------
    field
        Their sources and their picture. Costs and shifts are those of one candidate, until the next sweep.
    spread
        How much the candidates differed.
    least
        The least of their mean costs.
    """

    field: PatchField
    spread: TextureSpread
    least: float


def join(candidates: Iterable[Candidate], targets: NDArray[np.bool_]) -> Joined:
    """Join the parts of the candidates that fit best; of equal ones the first is taken.

    A candidate is released as soon as its parts are taken, so that many need no more memory than a few. The field of
    the first one becomes the joined one.
    """
    fit, spread, least = BestFit(targets), TextureSpread(targets.shape), inf
    field: PatchField | None = None
    for candidate in candidates:
        mine = candidate.field
        spread.add(mine)
        least = min(least, mean_cost(mine, targets))
        better = fit.update(mine.costs)
        if field is None:
            field = mine
        else:
            field.sources[better] = mine.sources[better]
            field.picture[better] = mine.picture[better]
    if field is None:
        msg = "there is no candidate to join"
        raise ValueError(msg)
    return Joined(field=field, spread=spread, least=least)


def window_sums(values: NDArray[np.int64], half: int) -> NDArray[np.int64]:
    """Return the sums of ``values`` (H, W) over squares of 2 ``half`` + 1 pixels, cut off at the edges."""
    for _ in range(2):  # along the columns, then, transposed, along the rows
        total = np.pad(values, ((half + 1, half), (0, 0))).cumsum(axis=0)
        values = (total[2 * half + 1 :] - total[: -2 * half - 1]).T
    return values

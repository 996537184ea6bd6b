"""Step 8: several layouts with differently strict priors; every region takes the one that fits best there.

A layout that goes wrong mostly does so in one place: a subject begins again on the left, while the right is fine. So
the choice is made pixel by pixel, by the costs of the patches around it, and the pieces are joined by more sweeps, as
proposals are fused in Lempitsky et al. 2010 (doi:10.1109/TPAMI.2009.143), here without a graph cut: where two layouts
meet, the patches find new sources themselves.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.align import Frame
from uncrop.engine.crew import Crew, bands
from uncrop.engine.field import Field, make_field, target_mask
from uncrop.engine.layout import COLOUR_SLACK, context_weights, grow, make_room, visiting_order
from uncrop.engine.periods import NO_REPEATS, Repeats, periodic_layouts
from uncrop.engine.plan import Plan
from uncrop.engine.prior import Strictness, make_prior
from uncrop.engine.pyramid import PATCH, RADIUS, Atlas
from uncrop.engine.refine import improve
from uncrop.engine.upsample import usable_place
from uncrop.engine.watch import Watch

CHUNK = 4096  # pixels grown between two looks at the clock
LARGE = 600_000  # pixels of the coarsest canvas above which only one layout is made
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
    frame: Frame, atlas: Atlas, strictness: Strictness, plan: Plan, seed: int, crew: Crew,
    repeats: Repeats = NO_REPEATS,
) -> Layout:  # fmt: skip
    """Grow one layout, and refine it at its own level."""
    field, prior = make_field(frame, atlas.pixels), make_prior(frame, strictness)
    phase, order = visiting_order(frame)
    field.labels[:] = usable_place(atlas)
    canvas, weights = field.picture, context_weights()

    def work(part: tuple[int, int]) -> None:
        grow(
            order, part[0], part[1], phase, canvas, field.labels, atlas, prior, weights, COLOUR_SLACK, plan.grid, seed,
            repeats, make_room(),
        )  # fmt: skip

    for parts in shares(phase, order, crew):
        crew.each(work, parts)
    targets = target_mask(frame)
    field.labels[~targets] = -1
    clamp_labels(field, atlas, targets)
    improve(field, atlas, prior, plan.layout, seed, crew, targets)
    return Layout(field=field, strictness=strictness)


def shares(phase: NDArray[np.int32], order: NDArray[np.int32], crew: Crew) -> list[list[tuple[int, int]]]:
    """Cut the visiting order into lists of parts that may be grown side by side.

    Pixels of one phase do not read one another; a single thread just takes them in their order.
    """
    if crew.alone:
        return [[part] for part in bands(0, order.size, CHUNK)]
    starts = np.flatnonzero(np.diff(phase.reshape(-1)[order], prepend=-1))
    ends = np.append(starts[1:], order.size)
    return [bands(int(first), int(last), SHARE) for first, last in zip(starts, ends, strict=True)]


def clamp_labels(field: Field, atlas: Atlas, targets: NDArray[np.bool_]) -> None:
    """Give the patches on the photo's rim, which no pixel was grown for, the usable source nearest to themselves."""
    top, bottom, left, right = field.box
    fallback = usable_place(atlas)
    rows, cols = np.nonzero(targets[top:bottom, left:right])
    height, width = atlas.usable.shape
    near_rows = np.clip(rows, RADIUS, height - RADIUS - 1)
    near_cols = np.clip(cols, RADIUS, width - RADIUS - 1)
    good = atlas.usable[near_rows, near_cols] != 0
    field.labels[top + rows, left + cols, 0] = np.where(good, near_rows, fallback[0])
    field.labels[top + rows, left + cols, 1] = np.where(good, near_cols, fallback[1])


def choose_layout(frame: Frame, atlas: Atlas, plan: Plan, seed: int, crew: Crew, watch: Watch) -> Layout:
    """Make every layout of the plan, each in one thread, and return what is best of them.

    A photo that repeats itself gets layouts that do so too; where one of these has the least mean cost it is kept
    whole. A canvas that is still large at its coarsest level, around a photo too thin for more levels, gets the plan's
    first layout alone.
    """
    if frame.height * frame.width > LARGE:
        return make_layout(frame, atlas, plan.layouts[0], plan, seed, crew)
    tasks = [(strictness, NO_REPEATS) for strictness in plan.layouts]
    tasks += periodic_layouts(frame, atlas.pixels)
    alone, targets = Crew(1, watch.check), target_mask(frame)
    made = crew.each(lambda task: make_layout(frame, atlas, task[0], plan, seed, alone, task[1]), tasks)
    cheapest = int(np.argmin([layout.field.costs[targets].mean(dtype=np.float64) for layout in made]))
    repeats = cheapest >= len(plan.layouts)
    rivals = made[len(plan.layouts) :] if repeats else made[: len(plan.layouts)]
    apart = disagreement(rivals)  # before their state is used up
    chosen = made[cheapest] if repeats else fuse(rivals, frame, atlas, plan, seed, crew)
    return replace(chosen, disagreement=apart)


def disagreement(layouts: list[Layout]) -> NDArray[np.float64]:
    """Return (H, W): the variance over layouts of the texture around a pixel, in squared levels.

    Where some are calm and others busy, nothing in the photo tells what belongs there.
    """
    total = np.zeros(layouts[0].field.costs.shape, np.int64)
    squares = np.zeros_like(total)
    for layout in layouts:
        texture = layout.field.picture[..., 3].astype(np.int64)
        total += texture
        squares += texture * texture
    count = len(layouts)
    apart: NDArray[np.float64] = window_sums(count * squares - total * total, RADIUS) / (count * count * PATCH)
    return apart


def fuse(layouts: list[Layout], frame: Frame, atlas: Atlas, plan: Plan, seed: int, crew: Crew) -> Layout:
    """Join the parts of the layouts that fit best, and refine them; the state of the first layout is used up."""
    targets = target_mask(frame)
    choice = fits_best([layout.field.costs for layout in layouts], targets)
    field, prior = layouts[0].field, make_prior(frame, plan.joined)
    picture = field.picture
    for n, layout in enumerate(layouts[1:], start=1):
        mine = choice == n
        field.labels[mine] = layout.field.labels[mine]
        picture[mine] = layout.field.picture[mine]
    improve(field, atlas, prior, plan.join, seed + 1, crew, targets)
    return Layout(field=field, strictness=plan.joined)


def fits_best(costs: list[NDArray[np.int32]], targets: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return (H, W): for every pixel the index of the layout whose patches fit best around it, the first of equals.

    Compared are means of the roots of the ``costs`` (H, W), so that one patch that fits badly does not decide for all.
    """
    half = max(1, round(WINDOW * max(targets.shape)) // 2)
    least = np.full(targets.shape, np.iinfo(np.int64).max)
    choice = np.zeros(targets.shape, np.int32)
    for n, cost in enumerate(costs):
        # In sixteenths, and whole, for sums that do not depend on their order.
        roots = np.where(targets, np.floor(16 * np.sqrt(cost.clip(min=0))), 0).astype(np.int64)
        around = window_sums(roots, half)
        better = around < least
        least[better], choice[better] = around[better], n
    return choice


def window_sums(values: NDArray[np.int64], half: int) -> NDArray[np.int64]:
    """Return the sums of ``values`` (H, W) over the square of 2 half + 1 pixels around each, cut off at the rim."""
    for _ in range(2):  # along the columns, then, on its side, along the rows
        total = np.pad(values, ((half + 1, half), (0, 0))).cumsum(axis=0)
        values = (total[2 * half + 1 :] - total[: -2 * half - 1]).T
    return values

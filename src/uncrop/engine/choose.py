"""Step 8: several layouts with differently strict priors, and the choice of the one that fits best."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.align import Frame
from uncrop.engine.crew import Crew, bands
from uncrop.engine.field import Field, make_field
from uncrop.engine.layout import COLOUR_SLACK, context_weights, grow, make_room, visiting_order
from uncrop.engine.match import sweep
from uncrop.engine.periods import NO_REPEATS, Repeats, periodic_layouts
from uncrop.engine.plan import Plan
from uncrop.engine.prior import Strictness, make_prior
from uncrop.engine.pyramid import RADIUS, Atlas
from uncrop.engine.upsample import usable_place
from uncrop.engine.vote import vote
from uncrop.engine.watch import Watch

CHUNK = 4096  # pixels grown between two looks at the clock
LARGE = 600_000  # pixels of the coarsest canvas above which only one layout is made
SHARE = 128  # pixels of one phase that one thread grows


@dataclass(frozen=True, kw_only=True, slots=True)
class Layout:
    """A finished coarsest level."""

    field: Field
    strictness: Strictness
    energy: float


def target_mask(frame: Frame) -> NDArray[np.bool_]:
    """Return (H, W): the centres of patches that lie on the canvas and reach beyond the photo."""
    mask = np.zeros((frame.height, frame.width), np.bool_)
    mask[RADIUS : frame.height - RADIUS, RADIUS : frame.width - RADIUS] = True
    inner_rows = slice(max(0, frame.top + RADIUS), max(0, frame.bottom - RADIUS))
    inner_cols = slice(max(0, frame.left + RADIUS), max(0, frame.right - RADIUS))
    mask[inner_rows, inner_cols] = False
    return mask


def make_layout(
    frame: Frame, atlas: Atlas, strictness: Strictness, plan: Plan, level: int, seed: int, crew: Crew,
    repeats: Repeats = NO_REPEATS,
) -> Layout:  # fmt: skip
    """Grow one layout, and refine it at its own level."""
    field, prior = make_field(frame, atlas.pixels), make_prior(frame, strictness)
    phase, order = visiting_order(frame)
    field.labels[:] = usable_place(atlas)
    canvas, weights = field.flat[: 4 * field.costs.size].reshape(frame.height, frame.width, 4), context_weights()

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
    effort = plan.effort(level)
    for turn in range(effort.rounds * effort.sweeps):
        sweep(field, atlas, prior, crew, tries=effort.tries, radius=effort.radius, seed=seed, turn=turn)
        if effort.votes_after(turn):
            vote(field, atlas, crew, targets)
    return Layout(field=field, strictness=strictness, energy=float(field.costs[targets].mean(dtype=np.float64)))


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


def choose_layout(frame: Frame, atlas: Atlas, plan: Plan, level: int, seed: int, crew: Crew, watch: Watch) -> Layout:
    """Make every layout of the plan, each in one thread, and return the one of the least mean cost.

    A photo that repeats itself gets layouts that do so too. A canvas that is still large at its coarsest level, around
    a photo too thin for more levels, gets the plan's first layout alone.
    """
    tasks = [(strictness, NO_REPEATS) for strictness in plan.layouts]
    if frame.height * frame.width <= LARGE:
        tasks += periodic_layouts(frame, atlas.pixels)
    else:
        del tasks[1:]
    if len(tasks) == 1:
        return make_layout(frame, atlas, plan.layouts[0], plan, level, seed, crew)
    alone = Crew(1, watch.check)
    made = crew.each(lambda task: make_layout(frame, atlas, task[0], plan, level, seed, alone, task[1]), tasks)
    return min(made, key=lambda layout: layout.energy)

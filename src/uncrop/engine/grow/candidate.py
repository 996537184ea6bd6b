"""One candidate for the coarsest level: grown outward from the photo, then refined at its own level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.grow.growth import Visits, context_weights, grow, make_room
from uncrop.engine.grow.periods import NO_REPEATS, Repeats
from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.patch import RADIUS
from uncrop.engine.prepare.presets import Plan
from uncrop.engine.prepare.prior import Strictness, make_prior
from uncrop.engine.prepare.pyramid import Atlas, usable_place
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_field import COLOUR_SLACK, Field, make_field, target_mask
from uncrop.engine.search.refine import improve

CHUNK = 4096  # pixels grown between two looks at the clock
SHARE = 128  # pixels of one phase that one thread grows


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

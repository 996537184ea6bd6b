"""A candidate for the coarsest level: grown outward from the photo, then refined at its own level."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.grow.growth import Growth, VisitingOrder, context_weights, grow, make_scratch
from uncrop.engine.grow.periods import NO_PERIODS, Periods
from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.patch import RADIUS
from uncrop.engine.prepare.presets import Preset
from uncrop.engine.prepare.prior import Strictness, make_prior
from uncrop.engine.prepare.pyramid import Exemplar, usable_place
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import MAX_SHIFT, PatchField, make_field, target_mask
from uncrop.engine.search.refine import improve

CHUNK = 4096  # pixels that are made between two checks of the deadline
BATCH = 128  # pixels of one phase that one thread makes


@dataclass(frozen=True, kw_only=True, slots=True)
class CoarsestLevel:
    """What all candidates of one picture share: the geometry, the photo, and the order of growth."""

    canvas: CanvasGeometry
    exemplar: Exemplar
    visits: VisitingOrder


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """A complete solution of the coarsest level.

    Attributes
    ----------
    field
        Its patch field.
    strictness
        Of the prior that holds from here on.
    disagreement
        (H, W) float64: how much the candidates differed from which it was chosen; None where there was only one.
    """

    field: PatchField
    strictness: Strictness
    disagreement: NDArray[np.float64] | None = None


def make_candidate(
    level: CoarsestLevel,
    strictness: Strictness,
    preset: Preset,
    seed: int,
    pool: ThreadPool,
    periods: Periods = NO_PERIODS,
) -> Candidate:
    """Grow one candidate and refine it."""
    canvas, exemplar = level.canvas, level.exemplar
    field, prior = make_field(canvas, exemplar.pixels), make_prior(canvas, strictness)
    field.sources[:] = usable_place(exemplar)
    growth = Growth(
        phase=level.visits.phase,
        order=level.visits.order,
        picture=field.picture,
        sources=field.sources,
        exemplar=exemplar,
        prior=prior,
        weights=context_weights(),
        max_shift=MAX_SHIFT,
        strides=preset.strides(canvas),
        periods=periods,
        seed=seed,
    )
    for parts in batches(level.visits, pool):
        pool.each(lambda part: grow(growth, make_scratch(), *part), parts)
    targets = target_mask(canvas)
    field.sources[~targets] = -1
    set_border_sources(field, exemplar, targets)
    improve(field, exemplar, prior, preset.candidate_effort, seed, pool, targets)
    return Candidate(field=field, strictness=strictness)


def batches(visits: VisitingOrder, pool: ThreadPool) -> list[list[tuple[int, int]]]:
    """Cut the visiting order into lists of parts; the parts of one list may be made at the same time.

    Pixels of one phase do not read one another. A single thread takes all pixels in their order.
    """
    phase, order = visits
    if pool.single:
        return [[part] for part in bands(0, order.size, CHUNK)]
    starts = np.flatnonzero(np.diff(phase.reshape(-1)[order], prepend=-1))
    ends = np.append(starts[1:], order.size)
    return [bands(int(first), int(last), BATCH) for first, last in zip(starts, ends, strict=True)]


def set_border_sources(field: PatchField, exemplar: Exemplar, targets: NDArray[np.bool_]) -> None:
    """Give the target patches centred on the photo, for which no pixel was grown, a source.

    That is their own place, else the nearest whole patch, else, where pixels are transparent, a usable place.
    """
    top, bottom, left, right = field.box
    fallback = usable_place(exemplar)
    rows, cols = np.nonzero(targets[top:bottom, left:right])
    height, width = exemplar.usable.shape
    own = exemplar.usable[rows, cols] != 0
    near_rows = np.where(own, rows, np.clip(rows, RADIUS, height - RADIUS - 1))
    near_cols = np.where(own, cols, np.clip(cols, RADIUS, width - RADIUS - 1))
    good = exemplar.usable[near_rows, near_cols] != 0
    field.sources[top + rows, left + cols, 0] = np.where(good, near_rows, fallback[0])
    field.sources[top + rows, left + cols, 1] = np.where(good, near_cols, fallback[1])

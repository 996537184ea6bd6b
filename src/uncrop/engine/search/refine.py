"""One level of the search: sweeps for better sources and votes for a new picture, in alternation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.presets import Effort
from uncrop.engine.prepare.prior import Prior, Strictness, make_prior
from uncrop.engine.prepare.pyramid import Exemplar
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import PatchField, make_field, target_mask
from uncrop.engine.search.patch_match import improve_sources
from uncrop.engine.search.upsample import double
from uncrop.engine.search.vote import vote


def refine(
    coarse: PatchField,
    exemplar: Exemplar,
    canvas: CanvasGeometry,
    strictness: Strictness,
    effort: Effort,
    seed: int,
    pool: ThreadPool,
) -> PatchField:
    """Take the sources of the next coarser level, ``coarse``, and improve them at this one.

    ``canvas`` may be a window of the level's canvas.
    """
    field, prior, targets = make_field(canvas, exemplar.pixels), make_prior(canvas, strictness), target_mask(canvas)
    double(coarse, field, exemplar, canvas.corner, pool)
    vote(field, exemplar, pool, targets)
    improve(field, exemplar, prior, effort, seed, pool, targets)
    return field


def improve(
    field: PatchField,
    exemplar: Exemplar,
    prior: Prior,
    effort: Effort,
    seed: int,
    pool: ThreadPool,
    targets: NDArray[np.bool_],
) -> None:
    """Alternate sweeps over the ``targets`` (H, W) and votes, as often as ``effort`` says."""
    for iteration in range(effort.rounds * effort.sweeps):
        improve_sources(field, exemplar, prior, effort, pool, seed=seed, iteration=iteration)
        if effort.votes_after(iteration):
            vote(field, exemplar, pool, targets)

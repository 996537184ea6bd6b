"""Sources are improved and the picture is voted anew in turn, level by level."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.presets import Effort
from uncrop.engine.prepare.prior import Prior, Strictness, make_prior
from uncrop.engine.prepare.pyramid import Atlas
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_field import Field, make_field, target_mask
from uncrop.engine.search.patch_match import sweep
from uncrop.engine.search.upsample import double
from uncrop.engine.search.vote import vote


def refine(
    coarse: Field, atlas: Atlas, frame: Frame, corner: tuple[int, int], strictness: Strictness, effort: Effort,
    seed: int, crew: Crew,
) -> Field:  # fmt: skip
    """Take one level from the one below it, then alternate between better sources and a new picture.

    ``frame`` may be a part of the level's canvas, from the row and column ``corner`` on.
    """
    field, prior, targets = make_field(frame, atlas.pixels), make_prior(frame, strictness), target_mask(frame)
    double(coarse, field, atlas, corner, crew)
    vote(field, atlas, crew, targets)
    improve(field, atlas, prior, effort, seed, crew, targets)
    return field


def improve(
    field: Field, atlas: Atlas, prior: Prior, effort: Effort, seed: int, crew: Crew, targets: NDArray[np.bool_]
) -> None:
    """Alternate between better sources and a new picture of the ``targets`` (H, W) at one level."""
    for turn in range(effort.rounds * effort.sweeps):
        sweep(field, atlas, prior, crew, tries=effort.tries, radius=effort.radius, seed=seed, turn=turn)
        if effort.votes_after(turn):
            vote(field, atlas, crew, targets)

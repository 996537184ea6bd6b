"""The original's pixels back in place, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from uncrop.finish.work import bands, runs

if TYPE_CHECKING:
    from uncrop.finish.work import Work


def paste_original(work: Work) -> Work:
    """Put every pixel that stays where it was; half transparent ones are laid over what was made."""
    place = work.pixels[work.inside]
    if work.opacity is None:
        place[...] = work.original
        return work
    stays = work.opacity == 255
    for rows in bands(stays.shape[0]):
        whole = stays[rows].all(axis=0)
        for run in runs(whole):
            place[rows, run] = work.original[rows, run]
        for run in runs(stays[rows].any(axis=0) & ~whole):
            np.copyto(place[rows, run], work.original[rows, run], where=stays[rows, run, None])
    partly = (work.opacity > 0) & ~stays
    if partly.any():
        share = work.opacity[partly][:, None].astype(np.float32) / 255
        mixed = work.original[partly] * share + place[partly] * (1 - share)
        place[partly] = np.rint(mixed).astype(np.uint8)
    return work

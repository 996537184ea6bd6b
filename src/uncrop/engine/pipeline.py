"""The steps of the engine in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numpy as np
from numba import config
from numpy.typing import NDArray

from uncrop.engine.align import Frame, align
from uncrop.engine.channels import channels
from uncrop.engine.choose import choose_layout, target_mask
from uncrop.engine.copy import choose_origins
from uncrop.engine.correct import correct, write_colour
from uncrop.engine.crew import Crew
from uncrop.engine.field import Field, make_field
from uncrop.engine.match import sweep
from uncrop.engine.plan import PLANS, Effort
from uncrop.engine.prior import make_prior
from uncrop.engine.pyramid import Atlas, make_pyramid
from uncrop.engine.upsample import double
from uncrop.engine.vote import vote
from uncrop.engine.watch import Watch
from uncrop.model import Quality, Sides

if TYPE_CHECKING:
    from uncrop.model import Pixels


class Result(TypedDict):
    """What ``uncrop.engine.Extension`` is made of."""

    pixels: Pixels
    confidence: float
    confidence_map: NDArray[np.uint8]


def run(image: Pixels, sides: Sides, *, seed: int, quality: Quality, watch: Watch, threads: int | None) -> Result:
    """Extend a checked photo; see ``uncrop.engine.extend``."""
    photo = cropped(image, sides)
    up, down, left, right = (max(0, side) for side in (sides.up, sides.down, sides.left, sides.right))
    if up == down == left == right == 0:
        return Result(pixels=photo, confidence=1.0, confidence_map=np.full(photo.shape[:2], 255, np.uint8))
    watch.step(0.0, "prepare")
    with Crew(threads or config.NUMBA_NUM_THREADS) as crew:
        rows, cols = photo.shape[:2]
        frame, levels = align(rows, cols, up=up, down=down, left=left, right=right)
        made, map_ = make(photo, frame, levels, seed, quality, crew, watch)
    top, start = frame.top - up, frame.left - left
    window = np.s_[top : top + rows + up + down, start : start + cols + left + right]
    pixels, confidence = np.ascontiguousarray(made[window]), np.ascontiguousarray(map_[window])
    pixels[up : up + rows, left : left + cols] = photo
    confidence[up : up + rows, left : left + cols] = 255
    hole = confidence.size - rows * cols
    mean = (int(confidence.sum(dtype=np.int64)) - 255 * rows * cols) / (255 * hole)
    watch.step(1.0, "done")
    return Result(pixels=pixels, confidence=mean, confidence_map=confidence)


def cropped(image: Pixels, sides: Sides) -> Pixels:
    """Return the part of the photo that negative sides leave, as an array of its own."""
    rows, cols = image.shape[:2]
    part = image[max(0, -sides.up) : rows + min(0, sides.down), max(0, -sides.left) : cols + min(0, sides.right)]
    return np.array(part, order="C", copy=True)


def make(
    photo: Pixels, frame: Frame, levels: int, seed: int, quality: Quality, crew: Crew, watch: Watch
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return the aligned canvas with all made pixels, and their confidence."""
    scale = 1.0 if photo.dtype == np.uint8 else 257.0
    plan = PLANS[quality]
    colour = np.ascontiguousarray(photo[:, :, : 1 if photo.shape[2] < 3 else 3])
    eight = colour if photo.dtype == np.uint8 else ((colour.astype(np.uint32) + 128) // 257).astype(np.uint8)
    rgb = np.ascontiguousarray(np.broadcast_to(eight, (*eight.shape[:2], 3)))
    solid = np.ones(photo.shape[:2], np.bool_)
    pyramid = make_pyramid(channels(rgb, 1 << (levels - 1), crew), solid, levels, crew)
    watch.step(0.05, "layout")
    level = levels - 1
    layout = choose_layout(frame.at_level(level), pyramid[level], plan, level, seed, crew, watch)
    field, done = layout.field, 0.5
    while level > 0:
        level -= 1
        done += (0.8 - done) / 2
        watch.step(done, f"level {level}")
        at = frame.at_level(level)
        finer = make_field(at, pyramid[level].pixels)
        double(field, finer, pyramid[level], crew)
        targets = target_mask(at)
        vote(finer, pyramid[level], crew, targets)
        field = finer
        refine(field, pyramid[level], at, make_prior(at, layout.strictness), plan.effort(level), seed, crew, watch)
    watch.step(0.85, "copy")
    origin = choose_origins(field, pyramid[0], crew)
    watch.step(0.9, "seams")
    usable = np.ones(photo.shape[:2], np.uint8)
    corrections = correct(colour, scale, usable, origin, field.box, crew, watch)
    watch.step(0.97, "write")
    made = write_colour(colour, scale, origin, corrections, crew)
    if photo.shape[2] in (2, 4):
        made = np.concatenate([made, np.full((*made.shape[:2], 1), np.iinfo(made.dtype).max, made.dtype)], axis=2)
    confidence = np.clip(255 - field.costs // 49, 0, 255).astype(np.uint8)
    return made, confidence


def refine(
    field: Field, atlas: Atlas, frame: Frame, prior: Any, effort: Effort, seed: int, crew: Crew, watch: Watch
) -> None:
    """Alternate between better sources and a new picture (steps 5a and 5b); the last sources are not voted for."""
    targets = target_mask(frame)
    for turn in range(effort.rounds * effort.sweeps):
        watch.check()
        sweep(
            field, atlas, prior, crew, tries=effort.tries, radius=effort.radius, seed=seed,
            turn=turn + 64 * (1 + frame.height),
        )  # fmt: skip
        if turn % effort.sweeps == effort.sweeps - 1:
            vote(field, atlas, crew, targets)

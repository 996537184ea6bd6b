"""The steps of the engine in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numba
import numpy as np
from numpy.typing import NDArray

from uncrop.engine.choose import choose_layout
from uncrop.engine.compose.origins import choose_origins
from uncrop.engine.compose.reflect import mirror_on
from uncrop.engine.compose.seams import make_copies
from uncrop.engine.compose.write import write_colour
from uncrop.engine.confidence import advise, coarse_confidence, confidence_map, continue_map
from uncrop.engine.prepare.alpha import continue_flat, paint_under, solid_part, split_alpha
from uncrop.engine.prepare.bars import find_bars, lay_around, scene_sides, without
from uncrop.engine.prepare.canvas import Frame, align
from uncrop.engine.prepare.features import channels
from uncrop.engine.prepare.presets import PLANS, Effort, Plan
from uncrop.engine.prepare.prior import Strictness
from uncrop.engine.prepare.pyramid import Atlas, make_pyramid, with_rim
from uncrop.engine.prepare.search_range import within_reach
from uncrop.engine.runtime.partition import tiles
from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_field import Field, without_picture
from uncrop.engine.search.refine import refine
from uncrop.model import Quality, Rect, Sides

if TYPE_CHECKING:
    from uncrop.model import Pixels

TILE = 1152  # pixels of a side, at most, of what is refined at a time at the finest level
HALO = 16  # pixels, an even number


class Result(TypedDict):
    """What ``uncrop.engine.Extension`` is made of."""

    pixels: Pixels
    confidence: float
    confidence_map: NDArray[np.uint8]
    advice: Sides | None


def run(
    image: Pixels, sides: Sides, *, seed: int, quality: Quality, watch: ProgressMonitor, threads: int | None
) -> Result:
    """Extend a checked photo; see ``uncrop.engine.extend``."""
    photo = cropped(image, sides)
    if max(sides.up, sides.down, sides.left, sides.right) <= 0:
        sure = np.full(photo.shape[:2], 255, np.uint8)
        return Result(pixels=photo.copy(), confidence=1.0, confidence_map=sure, advice=None)
    watch.step(0.0, "prepare")
    bars = find_bars(photo)
    scene, wanted = writeable(without(photo, bars)), scene_sides(sides, bars)
    if wanted == Sides():
        pixels, trust = scene, np.full(scene.shape[:2], 255, np.uint8)
    else:
        near = within_reach(scene.shape[0], scene.shape[1], wanted)
        with Crew(threads or allowed_threads(), watch.check) as crew:
            made, confidence = make(scene, near, seed, quality, crew, watch)
        pixels, trust = mirror_on(made, near, wanted), continue_map(confidence, near, wanted)
    pixels, trust = lay_around(pixels, trust, bars, sides)
    return finish(photo, pixels, trust, max(0, sides.up), max(0, sides.left), watch)


def allowed_threads() -> int:
    """Return how many threads Numba allows: the processors of this process, or ``NUMBA_NUM_THREADS``."""
    settings: Any = numba.config
    return int(settings.NUMBA_NUM_THREADS)


def finish(
    photo: Pixels, pixels: NDArray[Any], trust: NDArray[np.uint8], top: int, left: int, watch: ProgressMonitor
) -> Result:
    """Paste the photo's own pixels back, and average the confidence of all others."""
    rows, cols = photo.shape[:2]
    pixels[top : top + rows, left : left + cols] = photo
    trust[top : top + rows, left : left + cols] = 0
    mean = int(trust.sum(dtype=np.int64)) / (255 * (trust.size - rows * cols))
    trust[top : top + rows, left : left + cols] = 255
    watch.step(1.0, "done")
    advice = advise(trust, Rect(x=left, y=top, width=cols, height=rows))
    return Result(pixels=pixels, confidence=mean, confidence_map=trust, advice=advice)


def cropped(image: Pixels, sides: Sides) -> Pixels:
    """Return the view of the part of the photo that negative sides leave."""
    rows, cols = image.shape[:2]
    part: Pixels = image[
        max(0, -sides.up) : rows + min(0, sides.down), max(0, -sides.left) : cols + min(0, sides.right)
    ]
    return part


def writeable(part: Pixels) -> Pixels:
    """Return a part of the photo as kernels take it: the array itself where that is all of a writeable one.

    A read-only array is copied, because to Numba it is of another type, for which no kernel is compiled.
    """
    whole: Any = part if part.flags.c_contiguous and part.flags.writeable else np.array(part, order="C", copy=True)
    return whole  # type: ignore[no-any-return]


def make(
    photo: Pixels, sides: Sides, seed: int, quality: Quality, crew: Crew, watch: ProgressMonitor
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return the canvas (H, W, channels) with all pixels made, and their confidence (H, W)."""
    colour, alpha = split_alpha(photo)
    solid = solid_part(photo.shape, alpha)
    plan = PLANS[quality]
    frame, levels = align(solid.shape[0], solid.shape[1], sides)
    found = make_colour(colour, solid, frame, levels, seed, plan, crew, watch)
    if found is not None:
        made, confidence = found
        top, left = frame.top - sides.up, frame.left - sides.left
        window = np.s_[top : top + solid.shape[0] + sides.up + sides.down,
                       left : left + solid.shape[1] + sides.left + sides.right]  # fmt: skip
        made, confidence = made[window], confidence[window]
    else:
        # Nothing is large enough to be copied: the border is continued flat, and nobody should trust that.
        made = continue_flat(colour, sides.up, sides.down, sides.left, sides.right)
        confidence = np.zeros(made.shape[:2], np.uint8)
    if alpha is not None:
        alpha = continue_flat(alpha, sides.up, sides.down, sides.left, sides.right)
        made = np.concatenate([made, alpha[:, :, None]], axis=2)
    return made, confidence


def make_colour(
    colour: NDArray[Any], solid: NDArray[np.bool_], frame: Frame, levels: int, seed: int, plan: Plan, crew: Crew,
    watch: ProgressMonitor,
) -> tuple[NDArray[Any], NDArray[np.uint8]] | None:  # fmt: skip
    """Return the colour of the aligned canvas (H, W, 1 or 3) with all pixels made, and their confidence (H, W).

    None where no patch of the photo can be copied.
    """
    compared = channels(paint_under(to_eight_bits(colour), solid), 1 << (levels - 1), crew)
    pyramid = make_pyramid(compared, solid, levels, crew)
    del compared
    if not pyramid[0].usable.any():
        return None
    while not pyramid[-1].usable.any():
        pyramid.pop()
    level = len(pyramid) - 1
    watch.step(0.05, "layout")
    # At full size every pixel must copy one of the photo's: there, patches lie inside it.
    atlas = with_rim(pyramid[level]) if level > 0 else pyramid[0]
    layout = choose_layout(frame.at_level(level), atlas, plan, seed, crew, watch)
    field, strictness = layout.field, layout.strictness
    trust = coarse_confidence(field, layout.disagreement)
    del layout
    for finer in range(level - 1, 0, -1):
        watch.step(0.5 - 0.2 * (finer + 1) / level, f"level {finer}")
        pyramid.pop()
        here, effort = frame.at_level(finer), plan.effort(finer)
        field = without_picture(refine(field, pyramid[finer], here, (0, 0), strictness, effort, seed, crew))
    if level > 0:
        origin = finest(field, pyramid[0], frame, strictness, plan.finest, seed, crew, watch)
    else:
        origin = choose_origins(field, pyramid[0], crew)
    del pyramid, field
    watch.step(0.85, "seams")
    made = write_colour(make_copies(colour, solid, origin, frame.box), colour.dtype, crew, watch)
    return made, confidence_map(trust, frame)


def finest(
    coarse: Field, atlas: Atlas, frame: Frame, strictness: Strictness, effort: Effort, seed: int, crew: Crew,
    watch: ProgressMonitor,
) -> NDArray[np.int32]:  # fmt: skip
    """Refine the finest level tile by tile, so that only one tile's state is kept; return the origins (H, W).

    Tiles overlap by ``HALO`` pixels on all sides, of which nothing is kept.
    """
    origin = np.full((frame.height, frame.width), -1, np.int32)
    parts = tiles(frame.height, frame.width, frame.box, TILE, TILE)
    for n, (top, bottom, left, right) in enumerate(parts):
        watch.step(0.5 + 0.35 * n / len(parts), "level 0")
        above, start = max(0, top - HALO), max(0, left - HALO)
        window = frame.window(above, min(frame.height, bottom + HALO), start, min(frame.width, right + HALO))
        field = refine(coarse, atlas, window, (above, start), strictness, effort, seed + n, crew)
        found = choose_origins(field, atlas, crew)
        origin[top:bottom, left:right] = found[top - above : bottom - above, left - start : right - start]
    return origin


def to_eight_bits(colour: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a photo (h, w, 1 or 3) of 8 or 16 bits as (h, w, 3) of 8 bits, which is what patches are compared by."""
    eight = colour if colour.dtype == np.uint8 else ((colour.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return eight if eight.shape[2] == 3 else eight.repeat(3, axis=2)

"""The steps of the engine in their order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

import numba
import numpy as np
from numpy.typing import NDArray

from uncrop.engine.choose import choose_candidate
from uncrop.engine.compose.origins import choose_origins
from uncrop.engine.compose.reflect import reflect_beyond
from uncrop.engine.compose.seams import make_copies
from uncrop.engine.compose.write import write_colour
from uncrop.engine.confidence import advise, coarse_confidence, confidence_map, continue_map
from uncrop.engine.prepare.alpha import fill_transparent, opaque_mask, replicate_border, split_alpha
from uncrop.engine.prepare.bars import add_bars, find_bars, scene_sides, without_bars
from uncrop.engine.prepare.canvas import CanvasGeometry, align_canvas
from uncrop.engine.prepare.features import feature_channels
from uncrop.engine.prepare.presets import PRESETS, Effort, Preset
from uncrop.engine.prepare.prior import Strictness
from uncrop.engine.prepare.pyramid import Exemplar, make_pyramid, with_border_patches
from uncrop.engine.prepare.search_range import MOST_PIXELS, within_search_range
from uncrop.engine.runtime.partition import tiles
from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.engine.runtime.run import Run
from uncrop.engine.runtime.shared import SharedCandidates
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import PatchField, without_picture
from uncrop.engine.search.refine import refine
from uncrop.model import Quality, Rect, Sides

if TYPE_CHECKING:
    from uncrop.model import Pixels

TILE = 1152  # pixels of a side, at most, of what is refined at a time at the finest level
HALO = 16  # pixels, an even number


class Result(TypedDict):
    """The fields of ``uncrop.engine.Extension``."""

    pixels: Pixels
    confidence: float
    confidence_map: NDArray[np.uint8]
    advice: Sides | None


def run(
    image: Pixels,
    sides: Sides,
    *,
    seed: int,
    quality: Quality,
    monitor: ProgressMonitor,
    threads: int | None,
    shared: SharedCandidates | None = None,
) -> Result:
    """Extend a checked photo; see ``uncrop.engine.extend``."""
    photo = cropped(image, sides)
    if max(sides.up, sides.down, sides.left, sides.right) <= 0:
        full = np.full(photo.shape[:2], 255, np.uint8)
        return Result(pixels=photo.copy(), confidence=1.0, confidence_map=full, advice=None)
    monitor.step(0.0, "prepare")
    bars = find_bars(photo)
    scene, wanted = writeable(without_bars(photo, bars)), scene_sides(sides, bars)
    if wanted == Sides():
        pixels, confidence = scene, np.full(scene.shape[:2], 255, np.uint8)
    else:
        near = within_search_range(scene.shape[0], scene.shape[1], wanted)
        kept = None if shared is None else shared.of(scene, near, quality)
        with ThreadPool(threads or allowed_threads(), monitor.check) as pool:
            made = make(scene, near, PRESETS[quality], Run(pool=pool, monitor=monitor, seed=seed, kept=kept))
        pixels, confidence = reflect_beyond(made[0], near, wanted), continue_map(made[1], near, wanted)
        del made  # its arrays are large
    pixels, confidence = add_bars(pixels, confidence, bars, sides)
    return finish(photo, pixels, confidence, sides, monitor)


def allowed_threads() -> int:
    """Return how many threads Numba allows: the processors of this process, or ``NUMBA_NUM_THREADS``."""
    settings: Any = numba.config
    return int(settings.NUMBA_NUM_THREADS)


def finish(
    photo: Pixels, pixels: NDArray[Any], confidence: NDArray[np.uint8], sides: Sides, monitor: ProgressMonitor
) -> Result:
    """Put the photo's own pixels back, and average the confidence of all others."""
    rows, cols = photo.shape[:2]
    top, left = max(0, sides.up), max(0, sides.left)
    inside = np.s_[top : top + rows, left : left + cols]
    pixels[inside] = photo
    confidence[inside] = 0
    mean = int(confidence.sum(dtype=np.int64)) / (255 * (confidence.size - rows * cols))
    confidence[inside] = 255
    monitor.step(1.0, "done")
    advice = advise(confidence, Rect(x=left, y=top, width=cols, height=rows))
    return Result(pixels=pixels, confidence=mean, confidence_map=confidence, advice=advice)


def cropped(image: Pixels, sides: Sides) -> Pixels:
    """Return the view of the part of the photo that negative sides leave."""
    rows, cols = image.shape[:2]
    part: Pixels = image[
        max(0, -sides.up) : rows + min(0, sides.down), max(0, -sides.left) : cols + min(0, sides.right)
    ]
    return part


def writeable(part: Pixels) -> Pixels:
    """Return a part of the photo as kernels take it: the array itself if it is contiguous and writeable, else a copy.

    To Numba a read-only array is of another type, for which no kernel is compiled.
    """
    whole: Any = part if part.flags.c_contiguous and part.flags.writeable else np.array(part, order="C", copy=True)
    return whole  # type: ignore[no-any-return]


def make(photo: Pixels, sides: Sides, preset: Preset, run: Run) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Return the canvas (H, W, channels) with all pixels made, and their confidence (H, W)."""
    colour, alpha = split_alpha(photo)
    opaque = opaque_mask(photo.shape, alpha)
    canvas, levels = align_canvas(opaque.shape[0], opaque.shape[1], sides)
    found = make_colour(colour, opaque, canvas, levels, preset, run)
    if found is not None:
        made, confidence = found
        top, left = canvas.top - sides.up, canvas.left - sides.left
        window = np.s_[top : top + opaque.shape[0] + sides.up + sides.down,
                       left : left + opaque.shape[1] + sides.left + sides.right]  # fmt: skip
        made, confidence = made[window], confidence[window]
    else:
        # No patch may be copied: the photo's border is replicated, and nobody should trust that.
        made = replicate_border(colour, sides.up, sides.down, sides.left, sides.right)
        confidence = np.zeros(made.shape[:2], np.uint8)
    if alpha is not None:
        alpha = replicate_border(alpha, sides.up, sides.down, sides.left, sides.right)
        made = np.concatenate([made, alpha[:, :, None]], axis=2)
    return made, confidence


def make_colour(
    colour: NDArray[Any], opaque: NDArray[np.bool_], canvas: CanvasGeometry, levels: int, preset: Preset, run: Run
) -> tuple[NDArray[Any], NDArray[np.uint8]] | None:
    """Return the colour of the aligned canvas (H, W, 1 or 3) with all pixels made, and their confidence (H, W).

    Returns None where no patch of the photo can be copied, or so few that they are none on any small canvas.
    """
    compared = feature_channels(fill_transparent(to_eight_bits(colour), opaque), 1 << (levels - 1), run.pool)
    pyramid = make_pyramid(compared, opaque, levels, run.pool)
    del compared
    if not pyramid[0].usable.any():
        return None
    while not pyramid[-1].usable.any():
        pyramid.pop()
    level = len(pyramid) - 1
    coarsest = canvas.at_level(level)
    if level < levels - 1 and coarsest.height * coarsest.width > MOST_PIXELS:
        return None  # next to nothing is opaque, and most of what would be made is transparent
    run.monitor.step(0.05, "candidates")
    # At full size every pixel must copy one of the photo's: there, patches lie inside it.
    exemplar = with_border_patches(pyramid[level]) if level > 0 else pyramid[0]
    candidate = choose_candidate(coarsest, exemplar, preset, run)
    field, strictness = candidate.field, candidate.strictness
    confidence = coarse_confidence(field, candidate.disagreement)
    del candidate
    for finer in range(level - 1, 0, -1):
        run.monitor.step(0.5 - 0.2 * (finer + 1) / level, "details")
        pyramid.pop()
        here, effort = canvas.at_level(finer), preset.effort(finer)
        field = without_picture(refine(field, pyramid[finer], here, strictness, effort, run.seed, run.pool))
    if level > 0:
        origin = finest(field, pyramid[0], canvas, strictness, preset.finest, run)
    else:
        origin = choose_origins(field, pyramid[0], run.pool)
    del pyramid, field
    run.monitor.step(0.85, "seams")
    made = write_colour(make_copies(colour, opaque, origin, canvas.box), colour.dtype, run)
    return made, confidence_map(confidence, canvas)


def finest(
    coarse: PatchField, exemplar: Exemplar, canvas: CanvasGeometry, strictness: Strictness, effort: Effort, run: Run
) -> NDArray[np.int32]:
    """Refine the finest level tile by tile, so that only one tile's state exists; return the origins (H, W).

    Tiles overlap by ``HALO`` pixels on all sides, and what is found in the overlap is dropped.
    """
    origin = np.full((canvas.height, canvas.width), -1, np.int32)
    parts = tiles(canvas.height, canvas.width, canvas.box, TILE, TILE)
    for n, (top, bottom, left, right) in enumerate(parts):
        run.monitor.step(0.5 + 0.35 * n / len(parts), "fine details")
        above, start = max(0, top - HALO), max(0, left - HALO)
        window = canvas.window(above, min(canvas.height, bottom + HALO), start, min(canvas.width, right + HALO))
        field = refine(coarse, exemplar, window, strictness, effort, run.seed + n, run.pool)
        found = choose_origins(field, exemplar, run.pool)
        origin[top:bottom, left:right] = found[top - above : bottom - above, left - start : right - start]
    return origin


def to_eight_bits(colour: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a photo (h, w, 1 or 3) of 8 or 16 bits as (h, w, 3) of 8 bits, by which patches are compared."""
    eight = colour if colour.dtype == np.uint8 else ((colour.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return eight if eight.shape[2] == 3 else eight.repeat(3, axis=2)

"""Detail for what was made small and enlarged, drawn from the photo itself.

A provider's picture has a megapixel or two. Enlarged to a photo's scale it is soft, and the border shows where the
photo ends. But the photo shows what things of its kind look like at full scale, and the same photo, made small and
enlarged in the same way, shows what is lost by it: the *residual*. For each cell of what was made, the residual comes
from two sources: filters that were learned from the photo, which know edges, and a place of the photo that looks alike,
which knows textures and grain.

Nothing is drawn that leaves the range of what was made around it, and nothing where the photo has nothing to tell.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numba
import numpy as np

from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.finish.detail import energy, filters, matching, painting
from uncrop.finish.detail.planes import LEAST, MOST, PARTS, Cells, Pair, as_sharp, fine_deviation, sort_by_direction
from uncrop.finish.detail.progress import Late
from uncrop.finish.detail.repaint import by_repaint
from uncrop.imaging import codec

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from uncrop.finish.detail.area import Area
    from uncrop.finish.detail.progress import Pace

    Plane = NDArray[np.float32]
    Flags = NDArray[np.bool_]

FEWEST = 400  # usable cells, below which there is nothing to learn from
SOFT = 1.0  # grey levels; a photo whose residual deviates by less is as soft as what was made
NEAR = 0.15  # of the area's diagonal: like things lie near one another
REACH = 3  # cells, of filters; patches reach less far


def redraw_area(area: Area, factor: float, seed: int, pace: Pace) -> str:
    """Draw detail into an area's pixels that were made, enlarged by ``factor``; return why not, or nothing."""
    side = min(max(round(factor), LEAST), MOST)
    whole = area.whole_cells(side)
    if int(whole.sum()) < FEWEST:
        return "too little of the photo to learn from"
    try:
        with ThreadPool(pace.threads or _allowed_threads(), pace.check) as pool:
            cells = Cells(side=side, rows=whole.shape[0], columns=whole.shape[1], pool=pool)
            return _draw(area, _look(area, cells, whole, factor), cells, seed)
    except Late:
        return "no time was left"


def _allowed_threads() -> int:
    """Return how many threads Numba allows: the processors of this process, or ``NUMBA_NUM_THREADS``."""
    settings: Any = numba.config
    return int(settings.NUMBA_NUM_THREADS)


def _look(area: Area, cells: Cells, whole: Flags, factor: float) -> Pair:
    from uncrop.finish.detail.plane_kernels import inside_means, learn_from

    rect, side = area.rect, cells.side
    corner = (rect.y, rect.x)
    residual = np.zeros((cells.rows * side, cells.columns * side), np.int16)
    soft = _softened(area, cells, factor)
    cells.pool.each(lambda rows: learn_from(area.original, soft, corner, rows, residual), cells.whole_rows(rect.height))
    colours = cells.colours(area.pixels)
    offered = colours.copy()
    cells.pool.each(lambda rows: inside_means(soft, corner, side, rows, offered[0]), cells.bands)
    usable = _eroded(whole, REACH)
    return Pair(colours=colours, light=colours[0], offered=offered, residual=residual, whole=whole, usable=usable)


def _softened(area: Area, cells: Cells, factor: float) -> NDArray[np.uint8]:
    """Return the photo's lightness, made as small as the provider's picture and enlarged again, (height, width)."""
    from uncrop.finish.detail.plane_kernels import lightness

    height, width = area.rect.height, area.rect.width
    light = np.empty((height, width), np.uint8)
    cells.pool.each(lambda rows: lightness(area.original, *rows, light), cells.whole_rows(height))
    small = codec.resize(light[..., None], max(round(width / factor), 1), max(round(height / factor), 1))
    return codec.resize(small, width, height)[..., 0]


def _eroded(flags: Flags, reach: int) -> Flags:
    """Return which cells have only such cells within ``reach``; beyond the ends there are none."""
    padded = np.pad(flags, reach)
    side = 2 * reach + 1
    rows = np.asarray(np.lib.stride_tricks.sliding_window_view(padded, side, axis=0).all(axis=-1))
    return np.asarray(np.lib.stride_tricks.sliding_window_view(rows, side, axis=1).all(axis=-1))


def _draw(area: Area, pair: Pair, cells: Cells, seed: int) -> str:
    from uncrop.finish.detail.paint_kernels import Drawing, Painting

    inside = pair.residual[area.rect.y : area.rect.y + area.rect.height, area.rect.x : area.rect.x + area.rect.width]
    if float(inside[::3, ::3].std()) < SOFT * PARTS:
        return "the photo is as soft as what was made"
    if not pair.usable.any():
        return "too little of the photo to learn from"
    pair = by_repaint(area, cells, pair) or _as_sharp(cells, pair)
    _filter(pair, cells)
    smooth, of_photo = cells.blur(pair.light, 1.5), cells.blur(pair.offered[0], 1.5)
    labels = _match(cells, pair, smooth, of_photo, seed)
    wanted, offered = fine_deviation(cells, pair.light, smooth), fine_deviation(cells, pair.offered[0], of_photo)
    del smooth, of_photo  # what is painted takes their place
    shown = Painting(
        labels=labels, wanted=wanted, offered=offered, residual=pair.residual, shares=painting.shares(cells.side)
    )
    mixed, gain = painting.paint(cells, shown, energy.expected(cells, pair))
    drawing = Drawing(
        response=pair.residual,
        mixed=mixed,
        gain=gain * painting.calm_shares(cells, pair.light),
        sharper=pair.light - pair.colours[0],
        lowest=painting.box(pair.colours[0], 3, np.minimum),
        highest=painting.box(pair.colours[0], 3, np.maximum),
        labels=labels,
    )
    painting.draw(cells, drawing, area.pixels, area.made)
    return ""


def _match(cells: Cells, pair: Pair, smooth: Plane, of_photo: Plane, seed: int) -> NDArray[np.int32]:
    """Return for each cell that was made the place of the photo that looks like it."""
    from uncrop.finish.detail.match_kernels import Scene

    deviation = cells.deviation(pair.light, 1.5, smooth)
    rows, columns = np.flatnonzero(pair.whole.any(axis=1)), np.flatnonzero(pair.whole.any(axis=0))
    scene = Scene(
        wanted=matching.features(cells, pair.light, smooth, pair.colours),
        offered=matching.features(cells, pair.offered[0], of_photo, pair.offered),
        usable=pair.usable.astype(np.uint8),
        made=(~pair.whole).astype(np.uint8),
        spread=deviation * deviation,
        photo=np.array([rows[0], rows[-1] + 1, columns[0], columns[-1] + 1]),
        places=np.flatnonzero(pair.usable).astype(np.int32),
        near=NEAR * float(np.hypot(*cells.shape)),
    )
    return matching.match(cells, scene, seed)


def _as_sharp(cells: Cells, pair: Pair) -> Pair:
    made = pair.colours[0]
    return replace(pair, light=made + as_sharp(cells, made, pair.offered[0], pair.usable))


def _filter(pair: Pair, cells: Cells) -> None:
    """Take away from the residual what filters tell of it, and write what they tell of what was made."""
    of_photo = sort_by_direction(cells, pair.offered[0])
    learned = filters.learn(cells, pair.offered[0], pair.residual, of_photo, pair.usable)
    filters.apply(cells, pair.offered[0], of_photo, pair.whole.astype(np.uint8), learned, pair.residual)
    made = 2 * (~pair.whole).astype(np.uint8)
    filters.apply(cells, pair.light, sort_by_direction(cells, pair.light), made, learned, pair.residual)

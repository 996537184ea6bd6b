"""A candidate grows exactly as plain Python says."""

from __future__ import annotations

import numpy as np
import pytest
from engine_plain import (
    STRICT,
    copyable,
    exemplar_with_holes,
    off_col,
    off_row,
    patch,
    plain_random_below,
    plain_random_bits,
)
from engine_scenes import PLAIN, random_pixels

from uncrop.engine.grow.candidate import batches
from uncrop.engine.grow.growth import Growth, context_weights, grow, make_scratch, visiting_order
from uncrop.engine.grow.periods import NO_PERIODS, Periods
from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.prior import Prior, make_prior
from uncrop.engine.prepare.pyramid import Exemplar, usable_place
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import MAX_SHIFT, make_field


def plain_candidate(
    canvas: CanvasGeometry, exemplar: Exemplar, prior: Prior, strides: tuple[int, int], seed: int, periods: Periods
) -> tuple[np.ndarray, np.ndarray]:
    """Grow a candidate pixel by pixel; returns the picture (H, W, 4) and the sources (H, W, 2)."""
    source, weights = exemplar.pixels, context_weights()
    made = make_field(canvas, source).picture
    sources = np.tile(usable_place(exemplar), (canvas.height, canvas.width, 1))
    phase, order = visiting_order(canvas)
    for index in order.tolist():
        y, x = divmod(index, canvas.width)
        mask, context = np.zeros((7, 7), int), np.zeros((7, 7, 4), int)
        followed = []
        for dy, dx in np.ndindex(7, 7):
            at = y + dy - 3, x + dx - 3
            if 0 <= at[0] < canvas.height and 0 <= at[1] < canvas.width and phase[at] < phase[y, x]:
                mask[dy, dx], context[dy, dx] = weights[dy, dx], made[at]
                if phase[at] >= 0:
                    followed.append((int(sources[at][0]) - dy + 3, int(sources[at][1]) - dx + 3))
        bits = plain_random_bits(seed, index, 0)
        grid = [
            (sy, sx)
            for sy in range(plain_random_below(bits, 0, strides[0]), source.shape[0], strides[0])
            for sx in range(plain_random_below(bits, 16, strides[1]), source.shape[1], strides[1])
        ]
        best, chosen = 1 << 62, tuple(sources[y, x])
        distance = [
            (y - periods.top + times * down, x - periods.left + times * along)
            for times in range(1, 9)
            for down, along in periods.shifts.tolist()
        ]
        for sy, sx in [place for place in distance if copyable(exemplar, *place)][:8]:
            cost = int((mask[:, :, None] * np.square(context - patch(exemplar, sy, sx))).sum()) >> periods.halvings
            if cost < best:
                best, chosen = cost, (sy, sx)
        for n, (sy, sx) in enumerate([*followed, *grid]):
            if not copyable(exemplar, sy, sx):
                continue
            off = off_row(prior, y, sy), off_col(prior, x, sx)
            parts = (
                (sum(off),) if n < len(followed) else off
            )  # a grid's rows and columns are rounded down by themselves
            cost = sum(int(part) * int(mask.sum()) // 49 for part in parts)
            cost += int((mask[:, :, None] * np.square(context - patch(exemplar, sy, sx))).sum())
            if cost < best:
                best, chosen = cost, (sy, sx)
        sources[y, x] = chosen
        lack = (mask[:, :, None] * (context - patch(exemplar, *chosen))).sum(axis=(0, 1))
        shift = np.clip(np.floor(lack / max(1, mask.sum()) + 0.5), -MAX_SHIFT, MAX_SHIFT)
        made[y, x] = np.clip(source[chosen] + shift, 0, 255)
    return made, sources


@pytest.mark.parametrize("strictness", [PLAIN, STRICT])
@pytest.mark.parametrize("strides", [(1, 1), (3, 2)])
@pytest.mark.parametrize("halvings", [None, 1, pytest.param(4, marks=pytest.mark.slow)])
def test_a_candidate_grows_as_in_plain_python(strictness, strides, halvings):
    shifts = np.array([(0, 4), (0, -4), (5, -1), (-5, 1), (7, 3), (-7, -3)], np.int32)
    periods = NO_PERIODS if halvings is None else Periods(shifts=shifts, top=3, left=4, halvings=halvings)
    canvas = CanvasGeometry(height=17, width=19, top=3, left=4, rows=11, cols=12)
    pixels = random_pixels(11, 12)
    exemplar, prior = exemplar_with_holes(pixels), make_prior(canvas, strictness)
    expected, sources = plain_candidate(canvas, exemplar, prior, strides, 5, periods)
    visits = visiting_order(canvas)
    phase, order = visits
    with ThreadPool(2, lambda: None) as two:
        cut = batches(visits, two)
    assert len(cut) == len(np.unique(phase)) - 1
    for parts in ([(0, order.size)], [part for same in cut for part in reversed(same)]):
        field = make_field(canvas, pixels)
        field.sources[:] = usable_place(exemplar)
        growth = Growth(
            phase=phase,
            order=order,
            picture=field.picture,
            sources=field.sources,
            exemplar=exemplar,
            prior=prior,
            weights=context_weights(),
            max_shift=MAX_SHIFT,
            strides=strides,
            periods=periods,
            seed=5,
        )
        for first, last in parts:
            grow(growth, make_scratch(), first, last)
        assert np.array_equal(field.sources, sources)
        assert np.array_equal(field.picture, expected)

"""A candidate grows exactly as plain Python says."""

from __future__ import annotations

import numpy as np
import pytest
from engine_plain import STRICT, atlas_with_holes, copyable, off_col, off_row, patch, plain_below, plain_chance
from engine_scenes import PLAIN, picture

from uncrop.engine.grow.candidate import shares
from uncrop.engine.grow.growth import context_weights, grow, make_room, visiting_order
from uncrop.engine.grow.periods import NO_REPEATS, Repeats
from uncrop.engine.prepare.canvas import Frame
from uncrop.engine.prepare.prior import Prior, make_prior
from uncrop.engine.prepare.pyramid import Atlas, usable_place
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_field import COLOUR_SLACK, make_field


def plain_layout(
    frame: Frame, atlas: Atlas, prior: Prior, strides: tuple[int, int], seed: int, repeats: Repeats
) -> tuple[np.ndarray, np.ndarray]:
    """Grow a layout pixel by pixel; returns the picture (H, W, 4) and the sources (H, W, 2)."""
    source, weights = atlas.pixels, context_weights()
    canvas = make_field(frame, source).picture
    labels = np.tile(usable_place(atlas), (frame.height, frame.width, 1))
    phase, order = visiting_order(frame)
    for index in order.tolist():
        y, x = divmod(index, frame.width)
        mask, context = np.zeros((7, 7), int), np.zeros((7, 7, 4), int)
        followed = []
        for dy, dx in np.ndindex(7, 7):
            at = y + dy - 3, x + dx - 3
            if 0 <= at[0] < frame.height and 0 <= at[1] < frame.width and phase[at] < phase[y, x]:
                mask[dy, dx], context[dy, dx] = weights[dy, dx], canvas[at]
                if phase[at] >= 0:
                    followed.append((int(labels[at][0]) - dy + 3, int(labels[at][1]) - dx + 3))
        bits = plain_chance(seed, index, 0)
        grid = [
            (sy, sx)
            for sy in range(plain_below(bits, 0, strides[0]), source.shape[0], strides[0])
            for sx in range(plain_below(bits, 16, strides[1]), source.shape[1], strides[1])
        ]
        best, chosen = 1 << 62, tuple(labels[y, x])
        away = [
            (y - repeats.top + times * down, x - repeats.left + times * along)
            for times in range(1, 9)
            for down, along in repeats.shifts.tolist()
        ]
        for sy, sx in [place for place in away if copyable(atlas, *place)][:8]:
            cost = int((mask[:, :, None] * np.square(context - patch(atlas, sy, sx))).sum()) >> repeats.halvings
            if cost < best:
                best, chosen = cost, (sy, sx)
        for n, (sy, sx) in enumerate([*followed, *grid]):
            if not copyable(atlas, sy, sx):
                continue
            off = off_row(prior, y, sy), off_col(prior, x, sx)
            parts = (
                (sum(off),) if n < len(followed) else off
            )  # a grid's rows and columns are rounded down by themselves
            cost = sum(int(part) * int(mask.sum()) // 49 for part in parts)
            cost += int((mask[:, :, None] * np.square(context - patch(atlas, sy, sx))).sum())
            if cost < best:
                best, chosen = cost, (sy, sx)
        labels[y, x] = chosen
        lack = (mask[:, :, None] * (context - patch(atlas, *chosen))).sum(axis=(0, 1))
        shift = np.clip(np.floor(lack / max(1, mask.sum()) + 0.5), -COLOUR_SLACK, COLOUR_SLACK)
        canvas[y, x] = np.clip(source[chosen] + shift, 0, 255)
    return canvas, labels


@pytest.mark.parametrize("strictness", [PLAIN, STRICT])
@pytest.mark.parametrize("strides", [(1, 1), (3, 2)])
@pytest.mark.parametrize("halvings", [None, 1, 4])
def test_a_layout_grows_as_in_plain_python(strictness, strides, halvings):
    shifts = np.array([(0, 4), (0, -4), (5, -1), (-5, 1), (7, 3), (-7, -3)], np.int32)
    repeats = NO_REPEATS if halvings is None else Repeats(shifts=shifts, top=3, left=4, halvings=halvings)
    frame = Frame(height=17, width=19, top=3, left=4, rows=11, cols=12)
    pixels = picture(11, 12)
    atlas, prior = atlas_with_holes(pixels), make_prior(frame, strictness)
    expected, sources = plain_layout(frame, atlas, prior, strides, 5, repeats)
    visits = visiting_order(frame)
    phase, order = visits
    with Crew(2, lambda: None) as two:
        cut = shares(visits, two)
    assert len(cut) == len(np.unique(phase)) - 1
    for parts in ([(0, order.size)], [part for same in cut for part in reversed(same)]):
        field = make_field(frame, pixels)
        field.labels[:] = usable_place(atlas)
        canvas = field.picture
        for first, last in parts:
            grow(
                order, first, last, phase, canvas, field.labels, atlas, prior, context_weights(), COLOUR_SLACK, strides,
                5, repeats, make_room(),
            )  # fmt: skip
        assert np.array_equal(field.labels, sources)
        assert np.array_equal(canvas, expected)

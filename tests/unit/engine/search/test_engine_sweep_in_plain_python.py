"""A sweep does exactly what plain Python does."""

from __future__ import annotations

import numpy as np
import pytest
from engine_plain import STRICT, around, atlas_with_holes, copyable, off_col, off_row, patch, plain_below, plain_chance
from engine_scenes import ALONE, PLAIN, scene

from uncrop.engine.prepare.prior import Prior
from uncrop.engine.prepare.pyramid import Atlas
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import Crew
from uncrop.engine.search.patch_field import COLOUR_SLACK, Field
from uncrop.engine.search.patch_match import BAND, BAND_STEP, sweep


def plain_sweep(field: Field, atlas: Atlas, prior: Prior, tries: int, radius: int, seed: int, turn: int) -> Field:
    """Return the field after one sweep, found without any kernel."""
    height, width = field.costs.shape
    canvas = field.picture
    before, labels, costs, shifts = (a.copy() for a in (field.labels, field.labels, field.costs, field.shifts))
    targets = before[..., 0] >= 0

    def cost_of(y: int, x: int, sy: int, sx: int) -> int:
        d = around(canvas, y, x) - patch(atlas, sy, sx)
        total = np.abs(d.sum(axis=(0, 1)))
        free = (total**2 - np.maximum(0, total - 49 * COLOUR_SLACK) ** 2) // 49
        return int(np.square(d).sum() - free.sum()) + off_row(prior, y, sy) + off_col(prior, x, sx)

    for first, last in bands(0, height, BAND, turn * BAND_STEP):
        places = [(y, x) for y in range(first, last) for x in range(width) if targets[y, x]]
        for y, x in places if turn % 2 == 0 else places[::-1]:
            best = (cost_of(y, x, *labels[y, x]), *labels[y, x].tolist())
            agree = True
            for dy, dx in ((0, -1), (-1, 0), (1, 0), (0, 1)):
                sy, sx = (labels if first <= y + dy < last else before)[y + dy, x + dx].tolist()
                if sy < 0 or (sy - dy, sx - dx) == best[1:]:
                    continue
                agree = False
                if copyable(atlas, sy - dy, sx - dx):
                    best = min(best, (cost_of(y, x, sy - dy, sx - dx), sy - dy, sx - dx), key=lambda found: found[0])
            bits, reach = plain_chance(seed, y * width + x, turn), radius
            for n in range(0 if agree else tries):
                bits = plain_chance(bits, y * width + x, n)
                top, bottom = max(0, best[1] - reach), min(atlas.usable.shape[0], best[1] + reach + 1)
                left, right = max(0, best[2] - reach), min(atlas.usable.shape[1], best[2] + reach + 1)
                sy, sx = top + plain_below(bits, 0, bottom - top), left + plain_below(bits, 16, right - left)
                if copyable(atlas, sy, sx):
                    best = min(best, (cost_of(y, x, sy, sx), sy, sx), key=lambda found: found[0])
                reach = max(1, reach // 2)
            costs[y, x], labels[y, x] = best[0], best[1:]
            lack = (around(canvas, y, x) - patch(atlas, *best[1:])).sum(axis=(0, 1))[:3]
            shifts[y, x] = np.clip(lack * 8 // 49, -8 * COLOUR_SLACK[:3], 8 * COLOUR_SLACK[:3])
    return field._replace(labels=labels, costs=costs, shifts=shifts)


class Backwards(Crew):
    """Takes the last band first, as threads may."""

    def each(self, work, items):
        return super().each(work, list(items)[::-1])[::-1]


@pytest.mark.parametrize("strictness", [PLAIN, STRICT])
@pytest.mark.parametrize(("turn", "tries", "radius"), [(0, 3, 1 << 15), (1, 4, 4), (2, 0, 1)])
def test_a_sweep_is_that_of_plain_python(strictness, turn, tries, radius):
    _, whole, field, prior = scene(strictness)
    atlas = atlas_with_holes(whole.pixels)
    canvas = field.picture
    y, x = np.mgrid[0:26, 0:30]
    canvas[:, 24:] = whole.pixels[y % 16, x % 18][:, 24:]  # something to be found, next to noise
    field.labels[(field.labels[..., 0] >= 0) & (x > 24)] = 8, 9
    expected = plain_sweep(field, atlas, prior, tries, radius, 9, turn)
    before = field.labels.copy()
    for crew in (ALONE, Backwards(1, lambda: None)):
        swept = Field(*(part.copy() for part in field))
        sweep(swept, atlas, prior, crew, tries=tries, radius=radius, seed=9, turn=turn)
        assert not np.array_equal(swept.labels, before)
        for found, wanted in zip(swept, expected, strict=True):
            assert np.array_equal(found, wanted)

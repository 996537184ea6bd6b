"""A sweep does exactly what plain Python does."""

from __future__ import annotations

import numpy as np
import pytest
from engine_plain import (
    STRICT,
    around,
    copyable,
    exemplar_with_holes,
    off_col,
    off_row,
    patch,
    plain_random_below,
    plain_random_bits,
)
from engine_scenes import ONE_THREAD, PLAIN, scene

from uncrop.engine.prepare.presets import Effort
from uncrop.engine.prepare.prior import Prior
from uncrop.engine.prepare.pyramid import Exemplar
from uncrop.engine.runtime.partition import bands
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import MAX_SHIFT, PatchField
from uncrop.engine.search.patch_match import BAND, BAND_STEP, improve_sources


def plain_sweep(
    field: PatchField, exemplar: Exemplar, prior: Prior, tries: int, radius: int, seed: int, iteration: int
) -> PatchField:
    """Return the field after one sweep, found without any kernel."""
    height, width = field.costs.shape
    made = field.picture
    before, sources, costs, shifts = (a.copy() for a in (field.sources, field.sources, field.costs, field.shifts))
    targets = before[..., 0] >= 0

    def cost_of(y: int, x: int, sy: int, sx: int) -> int:
        d = around(made, y, x) - patch(exemplar, sy, sx)
        total = np.abs(d.sum(axis=(0, 1)))
        free = (total**2 - np.maximum(0, total - 49 * MAX_SHIFT) ** 2) // 49
        return int(np.square(d).sum() - free.sum()) + off_row(prior, y, sy) + off_col(prior, x, sx)

    for first, last in bands(0, height, BAND, iteration * BAND_STEP):
        places = [(y, x) for y in range(first, last) for x in range(width) if targets[y, x]]
        for y, x in places if iteration % 2 == 0 else places[::-1]:
            best = (cost_of(y, x, *sources[y, x]), *sources[y, x].tolist())
            agree = True
            for dy, dx in ((0, -1), (-1, 0), (1, 0), (0, 1)):
                sy, sx = (sources if first <= y + dy < last else before)[y + dy, x + dx].tolist()
                if sy < 0 or (sy - dy, sx - dx) == best[1:]:
                    continue
                agree = False
                if copyable(exemplar, sy - dy, sx - dx):
                    best = min(best, (cost_of(y, x, sy - dy, sx - dx), sy - dy, sx - dx), key=lambda found: found[0])
            bits, reach = plain_random_bits(seed, y * width + x, iteration), radius
            for n in range(0 if agree else tries):
                bits = plain_random_bits(bits, y * width + x, n)
                top, bottom = max(0, best[1] - reach), min(exemplar.usable.shape[0], best[1] + reach + 1)
                left, right = max(0, best[2] - reach), min(exemplar.usable.shape[1], best[2] + reach + 1)
                sy = top + plain_random_below(bits, 0, bottom - top)
                sx = left + plain_random_below(bits, 16, right - left)
                if copyable(exemplar, sy, sx):
                    best = min(best, (cost_of(y, x, sy, sx), sy, sx), key=lambda found: found[0])
                reach = max(1, reach // 2)
            costs[y, x], sources[y, x] = best[0], best[1:]
            lack = (around(made, y, x) - patch(exemplar, *best[1:])).sum(axis=(0, 1))[:3]
            shifts[y, x] = np.clip(lack * 8 // 49, -8 * MAX_SHIFT[:3], 8 * MAX_SHIFT[:3])
    return field._replace(sources=sources, costs=costs, shifts=shifts)


class Backwards(ThreadPool):
    """Takes the last band first, as threads may."""

    def each(self, work, items):
        return super().each(work, list(items)[::-1])[::-1]


@pytest.mark.parametrize("strictness", [PLAIN, STRICT])
@pytest.mark.parametrize(("iteration", "tries", "radius"), [(0, 3, 1 << 15), (1, 4, 4), (2, 0, 1)])
def test_a_sweep_is_that_of_plain_python(strictness, iteration, tries, radius):
    _, whole, field, prior = scene(strictness)
    exemplar = exemplar_with_holes(whole.pixels)
    made = field.picture
    y, x = np.mgrid[0:26, 0:30]
    made[:, 24:] = whole.pixels[y % 16, x % 18][:, 24:]  # something to be found, next to noise
    field.sources[(field.sources[..., 0] >= 0) & (x > 24)] = 8, 9
    expected = plain_sweep(field, exemplar, prior, tries, radius, 9, iteration)
    before, effort = field.sources.copy(), Effort(rounds=1, sweeps=1, tries=tries, radius=radius)
    for pool in (ONE_THREAD, Backwards(1, lambda: None)):
        swept = PatchField(*(part.copy() for part in field))
        improve_sources(swept, exemplar, prior, effort, pool, seed=9, iteration=iteration)
        assert not np.array_equal(swept.sources, before)
        for found, wanted in zip(swept, expected, strict=True):
            assert np.array_equal(found, wanted)

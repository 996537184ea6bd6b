"""The searches do exactly what plain Python does: a layout's growth, a sweep, coherence, the doubling of a level."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from engine_scenes import ALONE, PLAIN, RNG, picture, scene
from hypothesis import given, settings
from hypothesis import strategies as st

from uncrop.engine.align import Frame
from uncrop.engine.choose import shares
from uncrop.engine.coherence import coherent
from uncrop.engine.crew import Crew, bands
from uncrop.engine.field import Field, make_field, target_mask
from uncrop.engine.layout import COLOUR_SLACK, context_weights, grow, make_room, visiting_order
from uncrop.engine.match import BAND, BAND_STEP, sweep
from uncrop.engine.periods import NO_REPEATS, Repeats
from uncrop.engine.prior import FRACTION_BITS, Prior, Strictness, make_prior
from uncrop.engine.pyramid import Atlas, make_atlas, with_rim
from uncrop.engine.upsample import double, nearest_target, usable_place

STRICT = Strictness(vertical=4000, horizontal=1000, dead_rows=0.05, dead_cols=0.1)


def plain_chance(seed: int, place: int, turn: int) -> int:
    mask = 2**64 - 1
    x = (seed * 0x9E3779B97F4A7C15 + place * 0xBF58476D1CE4E5B9 + turn * 0x94D049BB133111EB) & mask
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & mask
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & mask
    return x ^ (x >> 31)


def plain_below(bits: int, shift: int, span: int) -> int:
    return ((bits >> shift) & 0xFFFF) * span >> 16


def off_anchor(place: int, anchor: int, slack: int, weight: int) -> int:
    over = max(0, abs(int(place) - int(anchor)) - int(slack))
    return over * over * weight >> FRACTION_BITS


def off_row(prior: Prior, y: int, sy: int) -> int:
    return off_anchor(sy, prior.anchor_row[y], prior.slack_row[y], prior.row_weight)


def off_col(prior: Prior, x: int, sx: int) -> int:
    return off_anchor(sx, prior.anchor_col[x], prior.slack_col[x], prior.col_weight)


def around(pixels: np.ndarray, y: int, x: int) -> np.ndarray:
    return pixels[y - 3 : y + 4, x - 3 : x + 4].astype(int)


def copyable(atlas: Atlas, sy: int, sx: int) -> bool:
    rows, cols = atlas.usable.shape
    return 0 <= sy < rows and 0 <= sx < cols and atlas.usable[sy, sx] == 1


def atlas_with_holes(pixels: np.ndarray) -> Atlas:
    solid = np.ones(pixels.shape[:2], bool)
    solid[0, 1] = solid[-1, -4] = False
    return with_rim(make_atlas(pixels, solid, ALONE))


def patch(atlas: Atlas, sy: int, sx: int) -> np.ndarray:
    """Return the patch (7, 7, 4) centred at (sy, sx), in which the photo's outermost pixels are repeated."""
    return around(np.pad(atlas.pixels, ((3, 3), (3, 3), (0, 0)), "edge"), sy + 3, sx + 3)


# --- layout -------------------------------------------------------------------------------------------------------


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


# --- sweeps -------------------------------------------------------------------------------------------------------


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


# --- coherence ----------------------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(7, 22),
    width=st.integers(7, 26),
    photo=st.tuples(*[st.integers(-8, 30)] * 4),
    breaks=st.lists(st.tuples(st.integers(0, 21), st.integers(0, 25), st.integers(1, 9)), max_size=3),
    cut=st.integers(1, 21),
)
def test_coherence_is_the_agreement_of_all_patches_over_a_pixel(height, width, photo, breaks, cut):
    top, left = min(photo[:2]), min(photo[2:])
    frame = Frame(
        height=height, width=width, top=top, left=left, rows=max(photo[:2]) - top + 1, cols=max(photo[2:]) - left + 1
    )
    field, targets = make_field(frame, np.zeros((frame.rows, frame.cols, 4), np.uint8)), target_mask(frame)
    labels = np.moveaxis(np.mgrid[0:height, 0:width], 0, -1).astype(np.int32) + 50
    for row, col, by in breaks:  # below and right of each break the sources lie elsewhere
        labels[row:, col:, (row + col) % 2] += by
    field.labels[targets] = labels[targets]
    expected = np.zeros((height, width), bool)
    for y, x in np.ndindex(height, width):
        covering = [
            (qy, qx)
            for qy in range(max(3, y - 3), min(height - 3, y + 4))
            for qx in range(max(3, x - 3), min(width - 3, x + 4))
        ]
        if covering and all(targets[place] for place in covering):
            expected[y, x] = len({tuple(labels[qy, qx] + (y - qy, x - qx)) for qy, qx in covering}) == 1
    cuts = [0, min(cut, height), height]
    found = np.concatenate([coherent(field, first, last) for first, last in pairwise(cuts)])
    assert np.array_equal(found, expected)


# --- doubling -----------------------------------------------------------------------------------------------------


def test_what_cannot_be_copied_gives_way_to_the_middle_of_what_can():
    _, _, coarse, _ = scene()
    pixels = picture(33, 37)
    solid = np.ones((33, 37), bool)
    solid[:, 20] = False
    fine = make_field(Frame(height=52, width=60, top=8, left=10, rows=33, cols=37), pixels)
    atlas = make_atlas(pixels, solid, ALONE)
    double(coarse, fine, atlas, (0, 0), ALONE)
    fallback = usable_place(atlas)
    replaced = 0
    for y, x in np.argwhere(fine.labels[..., 0] >= 0):
        cy, cx = min(22, max(3, y // 2)), min(26, max(3, x // 2))
        if coarse.labels[cy, cx, 0] < 0:
            cy, cx = nearest_target(coarse, cy, cx)
        sy, sx = np.clip(2 * coarse.labels[cy, cx] + (y - 2 * cy, x - 2 * cx), 3, (29, 33))
        usable = atlas.usable[sy, sx] == 1
        replaced += not usable
        assert np.array_equal(fine.labels[y, x], (sy, sx) if usable else fallback)
        assert np.array_equal(fine.shifts[y, x], coarse.shifts[cy, cx])
    assert 100 < replaced < 1500


@pytest.mark.parametrize("photo", [(4, 5, 16, 18), (0, 5, 26, 25), (-4, 3, 26, 40)])
def test_the_nearest_target_lies_along_the_row_or_the_column(photo):
    frame = Frame(height=26, width=30, top=photo[0], left=photo[1], rows=photo[2], cols=photo[3])
    field, targets = make_field(frame, RNG.integers(0, 9, (*photo[2:], 4), dtype=np.uint8)), target_mask(frame)
    for y, x in np.argwhere(~targets[3:-3, 3:-3]) + 3:
        found = nearest_target(field, y, x)
        assert targets[found]
        assert y == found[0] or x == found[1]
        straight = [abs(row - y) for row in np.flatnonzero(targets[:, x])]
        straight += [abs(col - x) for col in np.flatnonzero(targets[y])]
        assert abs(found[0] - y) + abs(found[1] - x) == min(straight)

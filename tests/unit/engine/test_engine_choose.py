"""Every region takes the layout that fits best there."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from engine_scenes import ALONE
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from uncrop.engine import choose, extend
from uncrop.engine.align import Frame, align
from uncrop.engine.channels import channels
from uncrop.engine.choose import WINDOW, Layout, fits_best, window_sums
from uncrop.engine.field import target_mask
from uncrop.engine.plan import STANDARD
from uncrop.engine.pyramid import Atlas, make_pyramid
from uncrop.engine.watch import Watch
from uncrop.model import Quality, Sides


@settings(deadline=None, max_examples=40)
@given(
    values=arrays.arrays(
        np.int64, arrays.array_shapes(min_dims=2, max_dims=2, max_side=12), elements=st.integers(0, 9)
    ),
    half=st.integers(0, 14),
)
def test_window_sums_are_those_of_plain_loops(values: NDArray[np.int64], half: int) -> None:
    sums = window_sums(values, half)
    for y, x in np.ndindex(values.shape):
        window = values[max(0, y - half) : y + half + 1, max(0, x - half) : x + half + 1]
        assert sums[y, x] == window.sum()


def test_each_side_takes_the_layout_that_fits_there() -> None:
    targets = np.ones((64, 256), bool)
    first, second = np.full((2, 64, 256), 49 * 100, np.int32)
    first[:, 128:] = 49 * 400
    second[:, :128] = 49 * 400
    choice = fits_best([first, second], targets)
    assert (choice[:, :112] == 0).all()
    assert (choice[:, 144:] == 1).all()


def test_the_first_of_equal_layouts_is_taken() -> None:
    costs = np.full((32, 32), 7, np.int32)
    assert not fits_best([costs, costs.copy(), costs.copy()], np.ones((32, 32), bool)).any()


def test_one_bad_patch_does_not_decide_for_its_surroundings() -> None:
    targets = np.ones((256, 256), bool)
    steady, spotted = np.full((2, 256, 256), 49 * 25, np.int32)
    spotted[...] = 49 * 16
    spotted[128, 128] = 49 * 2500
    assert (fits_best([steady, spotted], targets) == 1).all()


def test_costs_where_nothing_is_made_play_no_part() -> None:
    targets = np.zeros((40, 40), bool)
    targets[:, :20] = True
    good, bad = np.full((2, 40, 40), 10, np.int32)
    bad[:, :20] = 20
    good[:, 20:] = 1 << 20  # left over from nothing
    assert not fits_best([good, bad], targets).any()


def test_disagreement_is_the_variance_of_the_texture_around(draw) -> None:
    frame, atlas = start(draw(96, 128))
    layouts = [choose.make_layout(frame, atlas, strictness, STANDARD, 0, ALONE) for strictness in STANDARD.layouts[:3]]
    textures = np.stack([layout.field.picture[..., 3] for layout in layouts]).astype(float)
    apart = choose.disagreement(layouts)
    variance = textures.var(axis=0)
    for y, x in ((3, 3), (10, 50), (40, frame.width - 4), (frame.height // 2, frame.width // 2)):
        assert apart[y, x] == pytest.approx(variance[y - 3 : y + 4, x - 3 : x + 4].mean())
    assert apart.max() > 0
    assert apart[frame.height // 2, frame.width // 2] == 0  # in the photo


@pytest.mark.parametrize(("periods", "asked"), [(False, 12), (True, 2)])
def test_those_among_which_was_chosen_are_asked_how_far_apart_they_are(
    draw, monkeypatch: pytest.MonkeyPatch, periods: bool, asked: int
) -> None:
    photo = np.tile(draw(12, 16), (8, 8, 1)) if periods else draw(96, 128)
    frame, atlas = start(photo)
    counts: list[int] = []
    disagreement = choose.disagreement
    monkeypatch.setattr(choose, "disagreement", lambda among: counts.append(len(among)) or disagreement(among))
    watch = Watch(progress=None, deadline=None, clock=time.monotonic)
    chosen = choose.choose_layout(frame, atlas, STANDARD, 1, ALONE, watch)
    assert counts == [asked]
    assert chosen.disagreement is not None
    assert chosen.disagreement.shape == chosen.field.costs.shape


def start(photo: np.ndarray) -> tuple[Frame, Atlas]:
    """Return the coarsest level of a photo of 96 x 128 that is extended on all sides: frame and atlas."""
    frame, levels = align(96, 128, Sides(left=32, right=32, up=16, down=16), STANDARD.coarsest)
    level = levels - 1
    solid = np.ones(photo.shape[:2], bool)
    return frame.at_level(level), make_pyramid(channels(photo, 1 << level, ALONE), solid, levels, ALONE)[level]


def spoilt(layout: Layout, where: slice) -> Layout:
    """Return a copy of a layout whose columns ``where`` all copy from one place, and fit badly."""
    field = layout.field
    copy = field._replace(flat=field.flat.copy(), labels=field.labels.copy(), costs=field.costs.copy())
    part = np.zeros(field.costs.shape, bool)
    part[:, where] = field.labels[:, where, 0] >= 0
    copy.labels[part] = 20
    copy.costs[part] = 49 * 10_000
    return Layout(field=copy, strictness=layout.strictness)


def test_what_is_wrong_in_one_layout_is_taken_from_the_other(draw) -> None:
    frame, atlas = start(draw(96, 128))
    middle = frame.width // 2
    right = choose.make_layout(frame, atlas, STANDARD.joined, STANDARD, 0, ALONE)
    halves = [spoilt(right, np.s_[:middle]), spoilt(right, np.s_[middle:])]
    as_they_are = replace(STANDARD, join=replace(STANDARD.join, rounds=0))
    joined = choose.fuse(halves, frame, atlas, as_they_are, 0, ALONE)
    sure = abs(np.arange(frame.width) - middle) > WINDOW * frame.width
    assert sure.sum() > frame.width // 2
    assert np.array_equal(joined.field.labels[:, sure], right.field.labels[:, sure])


def test_a_chosen_layout_has_a_source_for_every_patch_and_keeps_the_photo(draw) -> None:
    photo = draw(96, 128)
    frame, atlas = start(photo)
    watch = Watch(progress=None, deadline=None, clock=time.monotonic)
    chosen = choose.choose_layout(frame, atlas, STANDARD, 1, ALONE, watch)
    assert chosen.strictness == STANDARD.joined
    assert ((chosen.field.labels[..., 0] >= 0) == target_mask(frame)).all()
    top, bottom, left, right = chosen.field.box
    assert (chosen.field.picture[top:bottom, left:right] == atlas.pixels).all()


@pytest.mark.parametrize("quality", ["fast", "standard", "best"])
def test_layouts_are_joined_at_every_quality(draw, monkeypatch: pytest.MonkeyPatch, quality: Quality) -> None:
    joined: list[int] = []
    fuse = choose.fuse
    monkeypatch.setattr(choose, "fuse", lambda layouts, *rest: joined.append(len(layouts)) or fuse(layouts, *rest))
    extend(draw(64, 80), Sides(right=24), seed=0, quality=quality)
    assert len(joined) == 1
    assert joined[0] > 1

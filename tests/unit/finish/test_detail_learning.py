"""What is learned from the provider's own version of the photo, and what energy is expected beyond it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from test_detail import SIDES, finished, outside, smaller, textured
from test_finish import cut, task_of

from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.finish.detail import energy, repaint
from uncrop.finish.detail.painting import FAINT, paint, shares
from uncrop.finish.detail.planes import PARTS, Cells, Pair

ROWS, COLUMNS, SIDE = 60, 80, 2


@pytest.fixture
def cells() -> Any:
    with ThreadPool(1, lambda: None) as pool:
        yield Cells(side=SIDE, rows=ROWS, columns=COLUMNS, pool=pool)


def scene(cells: Cells) -> np.ndarray:
    """Lightness that nothing repeats, smooth enough to be told between cells."""
    draw = np.random.default_rng(3)
    return 100 + 60 * cells.blur(draw.normal(0, 6, cells.shape).astype(np.float32), 2.0)


def pair_of(made: np.ndarray, offered: np.ndarray, residual: np.ndarray | None = None) -> Pair:
    """The left three quarters are the photo."""
    whole = np.zeros(made.shape, bool)
    whole[:, : COLUMNS * 3 // 4] = True
    usable = whole.copy()
    usable[:, COLUMNS * 3 // 4 - 3 :] = usable[:, :3] = usable[:3] = usable[-3:] = False
    colours = np.stack((made, made * 0, made * 0)).astype(np.float32)
    known = np.stack((np.where(whole, offered, made), made * 0, made * 0)).astype(np.float32)
    empty = np.zeros((ROWS * SIDE, COLUMNS * SIDE), np.int16)
    return Pair(
        colours=colours,
        light=colours[0],
        offered=known,
        residual=empty if residual is None else residual,
        whole=whole,
        usable=usable,
    )


# --- the provider's own version --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("down", "across"), [(0.0, 0.0), (0.6, -0.8), (-1.4, 0.3)])
def test_shifts_between_cells_are_told(cells: Cells, down: float, across: float) -> None:
    from uncrop.finish.detail.align_kernels import BLOCK, shifted

    photo = scene(cells)
    back = np.empty((2, -(-ROWS // BLOCK), -(-COLUMNS // BLOCK)), np.float32)
    back[0], back[1] = -down, -across
    made = np.empty_like(photo)
    shifted(photo, back, (0, ROWS), made)
    found = repaint.find_shifts(cells, pair_of(made + 7, photo))
    inside = found[:, 3:-3, 3 : COLUMNS * 3 // 4 // BLOCK - 3]
    assert np.abs(inside[0] - down).max() < 0.2
    assert np.abs(inside[1] - across).max() < 0.2


def test_of_a_flat_photo_no_shift_is_told(cells: Cells) -> None:
    flat = np.full(cells.shape, 90, np.float32)
    assert not repaint.find_shifts(cells, pair_of(flat, flat)).any()


def test_alike_is_one_for_the_same_and_none_for_another_picture(cells: Cells) -> None:
    photo = scene(cells)
    pair = pair_of(photo, photo)
    assert repaint.alike(cells, pair, photo) == pytest.approx(1, abs=1e-6)
    assert repaint.alike(cells, pair, 200 - photo) == pytest.approx(-1, abs=1e-6)
    other = scene(cells)[::-1, ::-1]
    assert abs(repaint.alike(cells, pair, other)) < 0.2
    assert repaint.alike(cells, pair, photo * 0) == 0


def flawed(whole: np.ndarray) -> np.ndarray:
    """A small picture that was sharpened, and wobbles by a pixel of it."""
    small = smaller(whole, 3).astype(float)
    around = [np.roll(small, shift, axis) for shift in (-1, 1) for axis in (0, 1)]
    sharp = small + 0.8 * (small - np.mean(around, axis=0))
    rows, columns = np.mgrid[: small.shape[0], : small.shape[1]]
    moved = np.rint(columns + 0.9 * np.sin(rows / 9)).astype(int).clip(0, small.shape[1] - 1)
    return np.clip(np.rint(sharp[rows, moved]), 0, 255).astype(np.uint8)


def test_filters_from_the_providers_own_version_undo_what_it_does(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = textured(240, 330)
    photo, canvas = cut(whole, SIDES)
    hole = outside(canvas)
    monkeypatch.setattr("uncrop.finish.detail.painting.FAR", 0)  # no copies: filters alone
    monkeypatch.setattr("uncrop.finish.detail.painting.NEAR", 0)

    def error() -> float:
        picture = finished(task_of(photo, canvas), flawed(whole))
        assert picture.detail is not None
        assert picture.detail.state == "redrawn"
        return float(np.square(picture.pixels.astype(float) - whole)[hole].mean())

    by_repaint = error()
    monkeypatch.setattr(repaint, "ALIKE", 2.0)  # never alike: by the photo's small copy
    assert by_repaint < 0.97 * error()


def test_a_repaint_of_something_else_teaches_nothing_and_the_photos_copy_does() -> None:
    whole = textured(180, 240)
    photo, canvas = cut(whole, SIDES)
    other = textured(180, 240, seed=9)[::-1, ::-1]
    used: list[bool] = []
    real = repaint.by_repaint

    def watched(*given: Any) -> Pair | None:
        found = real(*given)
        used.append(found is not None)
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("uncrop.finish.detail.redraw.by_repaint", watched)
        strange = finished(task_of(photo, canvas), np.random.default_rng(2).permutation(smaller(other, 3)))
        finished(task_of(photo, canvas), smaller(whole, 3))
    assert used == [False, True]
    assert strange.detail is not None
    assert strange.detail.state == "redrawn"
    assert np.array_equal(strange.pixels[~outside(canvas)], whole[~outside(canvas)])


# --- the energy that is expected -------------------------------------------------------------------------------------


def grainy(cells: Cells, deviations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A small picture whose grain deviates as is said, and a residual that deviates three times as much."""
    draw = np.random.default_rng(5)
    light = 100 + draw.normal(0, 1, cells.shape) * deviations
    large = deviations.repeat(SIDE, axis=0).repeat(SIDE, axis=1)
    residual = draw.normal(0, 3 * PARTS, large.shape) * large
    return light.astype(np.float32), np.rint(residual).astype(np.int16)


def test_energy_follows_what_the_small_picture_looks_like(cells: Cells) -> None:
    deviations = np.ones(cells.shape)
    deviations[: ROWS // 2] = 3.0
    light, residual = grainy(cells, deviations)
    pair = pair_of(light, light, residual)
    told = energy.expected(cells, pair)
    beyond = slice(COLUMNS * 3 // 4 + 4, COLUMNS - 4)
    assert np.median(told[6 : ROWS // 2 - 6, beyond]) == pytest.approx(81, rel=0.35)
    assert np.median(told[ROWS // 2 + 6 : -6, beyond]) == pytest.approx(9, rel=0.35)


def test_what_the_photo_has_more_than_the_rule_near_the_border_goes_on_beyond_it(cells: Cells) -> None:
    flat = np.full(cells.shape, 100, np.float32)  # nothing in the small picture tells where the grain is
    deviations = np.ones(cells.shape)
    deviations[: ROWS // 2] = 3.0
    told = energy.expected(cells, pair_of(flat, flat, grainy(cells, deviations)[1]))
    beside, usual = slice(COLUMNS * 3 // 4, COLUMNS * 3 // 4 + 4), 27  # the geometric mean of 9 and 81
    assert np.median(told[6 : ROWS // 2 - 6, beside]) > 1.3 * usual
    assert np.median(told[ROWS // 2 + 6 : -6, beside]) < usual / 1.3


def test_a_rule_tells_no_more_than_it_has_seen() -> None:
    draw = np.random.default_rng(1)
    terms = draw.normal(0, 1, (500, 3))
    wanted = (terms @ np.array([1.0, -2.0, 0.5])).astype(np.float32)
    rule = energy.learn(terms, wanted)
    assert np.abs(rule(terms) - wanted).mean() < 0.1
    far = rule(np.array([[1e6, -1e6, 0.0], [-1e6, 1e6, 0.0]]))
    assert far[0] <= wanted.max()
    assert far[1] >= wanted.min() - 0.5


def test_grain_that_nobody_sees_is_left_out_and_less_is_painted_far_from_the_photo(cells: Cells) -> None:
    from uncrop.finish.detail.paint_kernels import Painting

    draw = np.random.default_rng(2)
    residual = np.rint(draw.normal(0, 4 * PARTS, (ROWS * SIDE, COLUMNS * SIDE))).astype(np.int16)
    labels = np.full(cells.shape, -1, np.int32)
    labels[:, 20:] = 12 * COLUMNS + 9
    level = np.ones(cells.shape, np.float32)
    painting = Painting(labels=labels, wanted=level, offered=level, residual=residual, shares=shares(SIDE))

    def deviation(wanted: float, columns: slice) -> float:
        mixed, gain = paint(cells, painting, np.full(cells.shape, wanted, np.float32))
        painted = mixed.astype(float) / PARTS * gain.repeat(SIDE, axis=0).repeat(SIDE, axis=1)
        return float(np.sqrt(np.square(painted[:, columns.start * SIDE : columns.stop * SIDE]).mean()))

    near, far = slice(20, 24), slice(60, 80)
    assert deviation(9, near) == pytest.approx(9 / (9 + FAINT) * 3, rel=0.15)
    assert deviation(9, far) == pytest.approx(0.65 * 9 / (9 + FAINT) * 3, rel=0.1)
    assert deviation(0.2, near) < 0.25 * np.sqrt(0.2)


def test_a_plane_of_a_pair_is_not_written_to(cells: Cells) -> None:
    light, residual = grainy(cells, np.ones(cells.shape))
    pair = pair_of(light, light, residual)
    copy = replace(pair, residual=residual.copy(), offered=pair.offered.copy())
    energy.expected(cells, pair)
    assert np.array_equal(copy.residual, pair.residual)
    assert np.array_equal(copy.offered, pair.offered)

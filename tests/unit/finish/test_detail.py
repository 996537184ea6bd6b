"""Detail that is drawn into what was enlarged: never a changed photo, never a new edge, and said where it is not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_finish import cut, fill_of, task_of

from uncrop.finish.detail import align_kernels, filter_kernels, match_kernels, paint_kernels, plane_kernels
from uncrop.finish.detail.painting import depths
from uncrop.finish.detail.planes import Cells, as_sharp, slopes
from uncrop.finish.detail.progress import STEP, Late, Pace
from uncrop.finish.pipeline import STEPS, finish
from uncrop.finish.work import begin
from uncrop.geometry.sides import placement_of_sides
from uncrop.geometry.sizes import placement_of_size
from uncrop.imaging import codec
from uncrop.model import Detail, Picture, Placement, Sides, Task
from uncrop.providers.openai.facts import FACTS as OPENAI

SIDES = Sides(left=30, right=48, up=24, down=21)


def textured(height: int, width: int, seed: int = 0) -> np.ndarray:
    """A scene as sharp as a photo: stripes, an edge, and grain of single pixels."""
    y, x = np.mgrid[:height, :width]
    light = 110 + 30 * np.sin(x / 9 + y / 23) + np.where(x + 2 * y > width, 40, 0) + 12 * ((x + y) % 4 < 2)
    grain = np.random.default_rng(seed).normal(0, 8, (height, width))
    return np.clip(np.rint(np.stack((light, light - 10, light + 8), axis=-1) + grain[..., None]), 0, 255).astype(
        np.uint8
    )


def smaller(whole: np.ndarray, factor: float) -> np.ndarray:
    height, width = (max(round(side / factor), 1) for side in whole.shape[:2])
    return codec.resize(whole, width, height)


def wanting(task: Task, detail: str) -> Task:
    return replace(task, job=replace(task.job, request=replace(task.job.request, detail=detail)))


def finished(task: Task, made: np.ndarray, detail: str = "on", pace: Pace | None = None) -> Picture:
    return finish(wanting(task, detail), fill_of(made.copy()), pace or Pace(threads=1))


def steep(pixels: np.ndarray) -> np.ndarray:
    down, across = np.gradient(pixels.astype(float).mean(axis=-1))
    return down * down + across * across


def outside(canvas: Placement) -> np.ndarray:
    made = np.ones((canvas.height, canvas.width), bool)
    made[canvas.kept.y :, canvas.kept.x :][: canvas.kept.height, : canvas.kept.width] = False
    return made


@pytest.mark.parametrize("factor", [1.6, 2.2, 3.0, 4.1, 7.5])
def test_what_was_enlarged_gets_the_photos_detail(factor: float) -> None:
    whole = textured(180, 240)
    photo, canvas = cut(whole, SIDES)
    made = smaller(whole, factor)
    soft, sharp = (finished(task_of(photo, canvas), made, detail) for detail in ("off", "on"))
    hole = outside(canvas)
    truth = steep(whole)[hole].mean()
    assert steep(soft.pixels)[hole].mean() < 0.85 * truth
    assert steep(soft.pixels)[hole].mean() < 0.8 * steep(sharp.pixels)[hole].mean()
    assert steep(sharp.pixels)[hole].mean() < 1.3 * truth
    assert np.array_equal(sharp.pixels[~hole], whole[~hole])
    assert [each.detail and each.detail.state for each in (soft, sharp)] == ["off", "redrawn"]
    assert sharp.detail is not None
    assert sharp.detail.factor == pytest.approx(factor, rel=0.05)
    assert sharp.warnings == soft.warnings


def test_a_masks_hole_is_redrawn_from_around_it() -> None:
    whole = textured(150, 150)
    mask = np.zeros((150, 150), bool)
    mask[60:120, 40:130] = True
    task = task_of(whole, placement_of_size(150, 150, None), mask, OPENAI)
    soft, sharp = (finished(task, smaller(whole, 3), detail).pixels for detail in ("off", "on"))
    assert np.array_equal(sharp[~mask], whole[~mask])
    assert steep(soft)[mask].mean() < 0.8 * steep(sharp)[mask].mean()


def test_no_number_of_threads_changes_a_byte() -> None:
    whole = textured(300, 500)
    photo, canvas = cut(whole, SIDES)
    pictures = [
        finished(task_of(photo, canvas), smaller(whole, 2), pace=Pace(threads=threads)).pixels for threads in (1, 2, 5)
    ]
    assert np.array_equal(pictures[0], pictures[1])
    assert np.array_equal(pictures[0], pictures[2])
    assert np.array_equal(pictures[0], finished(task_of(photo, canvas), smaller(whole, 2), pace=Pace()).pixels)


def test_another_seed_draws_otherwise() -> None:
    whole = textured(120, 160)
    photo, canvas = cut(whole, SIDES)
    task = task_of(photo, canvas)
    other = replace(task, job=replace(task.job, seed=5))
    assert not np.array_equal(finished(task, smaller(whole, 3)).pixels, finished(other, smaller(whole, 3)).pixels)


@pytest.mark.parametrize("factor", [0.5, 1.0, 1.4])
def test_nothing_is_drawn_nor_said_where_nothing_was_enlarged(factor: float) -> None:
    whole = textured(120, 160)
    photo, canvas = cut(whole, SIDES)
    on, off = (finished(task_of(photo, canvas), smaller(whole, factor), detail) for detail in ("on", "off"))
    assert np.array_equal(on.pixels, off.pixels)
    assert on.detail is None
    assert off.detail is None


def skipped(photo: np.ndarray, canvas: Placement, made: np.ndarray, **how: Any) -> str | None:
    """Return why a picture was left as it is, having seen that it was."""
    picture = finished(task_of(photo, canvas), made, **how)
    assert np.array_equal(picture.pixels, finished(task_of(photo, canvas), made, "off").pixels)
    assert picture.detail is not None
    assert picture.detail.state == "skipped"
    return picture.detail.reason


def test_a_photo_as_soft_as_what_was_made_teaches_nothing() -> None:
    whole = codec.resize(smaller(textured(180, 240), 4), 240, 180)
    photo, canvas = cut(whole, SIDES)
    assert skipped(photo, canvas, smaller(whole, 3)) == "the photo is as soft as what was made"


def test_a_flat_photo_teaches_nothing() -> None:
    whole = np.full((180, 240, 3), 90, np.uint8)
    photo, canvas = cut(whole, SIDES)
    assert skipped(photo, canvas, smaller(whole, 3)) == "the photo is as soft as what was made"


@pytest.mark.parametrize("size", [(1, 1), (9, 60), (30, 30), (4, 400)])
def test_too_little_of_a_photo_teaches_nothing(size: tuple[int, int]) -> None:
    height, width = size
    photo = textured(height, width)
    canvas = with_room(width, height)
    made = np.full((canvas.height // 3, canvas.width // 3, 3), 99, np.uint8)
    assert skipped(photo, canvas, made) == "too little of the photo to learn from"


def with_room(width: int, height: int) -> Placement:
    return placement_of_sides(width, height, Sides(left=60, right=60, up=60, down=60))


def test_a_photo_in_threads_has_no_patch_to_copy() -> None:
    photo = textured(160, 160)
    mask = np.ones((160, 160), bool)
    mask[:, ::14] = False
    for shift in range(1, 10):
        mask[:, shift::14] = False
    task = task_of(photo, placement_of_size(160, 160, None), mask, OPENAI)
    picture = finished(task, smaller(photo, 3))
    assert picture.detail == Detail(
        state="skipped", factor=pytest.approx(3.0, rel=0.05), reason="too little of the photo to learn from"
    )


def test_without_anything_made_there_is_nothing_to_draw() -> None:
    photo = textured(90, 90)
    task = task_of(photo, placement_of_size(90, 90, None), np.zeros((90, 90), bool), OPENAI)
    picture = finished(task, smaller(photo, 3))
    assert np.array_equal(picture.pixels, photo)
    assert picture.detail is not None
    assert picture.detail.reason == "nothing to learn from"


def test_without_any_photo_near_there_is_nothing_to_learn_from() -> None:
    photo = textured(90, 90)
    task = task_of(photo, placement_of_size(90, 90, None), np.ones((90, 90), bool), OPENAI)
    picture = finished(task, smaller(photo, 3))
    assert picture.detail is not None
    assert picture.detail.reason == "too little of the photo to learn from"


# --- time, and who waits ---------------------------------------------------------------------------------------------


def scene() -> tuple[np.ndarray, np.ndarray, Placement]:
    whole = textured(150, 200)
    photo, canvas = cut(whole, SIDES)
    return smaller(whole, 3), photo, canvas


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("bands", [0, 3, 12])
def test_when_the_time_is_over_the_picture_stays_as_it_is(bands: int, threads: int) -> None:
    made, photo, canvas = scene()
    ticks = iter(range(10_000))
    pace = Pace(threads=threads, deadline=bands, clock=lambda: next(ticks))
    assert skipped(photo, canvas, made, pace=pace) == "no time was left"


def test_when_nobody_waits_any_more_it_ends() -> None:
    made, photo, canvas = scene()
    asked = iter([False, False, True])
    assert skipped(photo, canvas, made, pace=Pace(threads=1, left=lambda: next(asked))) == "no time was left"


def test_whoever_watches_can_end_it() -> None:
    made, photo, canvas = scene()
    told: list[tuple[float, str]] = []

    def watch(fraction: float, step: str) -> None:
        told.append((fraction, step))
        if len(told) == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finished(task_of(photo, canvas), made, pace=Pace(threads=1, progress=watch))
    assert told == [(1.0, STEP)] * 4


def test_a_pace_without_limits_never_ends_anything() -> None:
    Pace().check()
    with pytest.raises(Late):
        Pace(deadline=-1, clock=lambda: 0.0).check()


# --- bad input -------------------------------------------------------------------------------------------------------


def test_a_photo_of_noise_gets_no_more_than_noise() -> None:
    whole = np.random.default_rng(4).integers(0, 256, (150, 200, 3), dtype=np.uint8)
    photo, canvas = cut(whole, SIDES)
    picture = finished(task_of(photo, canvas), smaller(whole, 3))
    hole = outside(canvas)
    assert picture.detail is not None
    assert picture.detail.state == "redrawn"
    assert np.array_equal(picture.pixels[~hole], whole[~hole])
    assert steep(picture.pixels)[hole].mean() < 1.2 * steep(whole)[hole].mean()


@pytest.mark.parametrize("channels", [1, 2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_grey_alpha_and_16_bit(channels: int, dtype: type) -> None:
    whole = textured(150, 200)
    photo, canvas = cut(whole, SIDES)
    scale = np.iinfo(dtype).max // 255
    planes = [photo[..., i] for i in range(1 if channels < 3 else 3)]
    if channels in {2, 4}:
        planes.append(np.full(photo.shape[:2], 255, np.uint8))
        planes[-1][:6] = 0
        planes[-1][6:9] = 100
    given_photo = np.stack(planes, axis=-1).astype(dtype) * scale
    picture = finished(task_of(given_photo, canvas), smaller(whole, 3))
    assert picture.detail is not None
    assert picture.detail.state == "redrawn"
    opaque = 9 if channels in {2, 4} else 0
    expected = np.broadcast_to(np.stack(planes[: 1 if channels < 3 else 3], axis=-1), (*photo.shape[:2], 3))
    inside = picture.pixels[canvas.kept.y :, canvas.kept.x :][: photo.shape[0], : photo.shape[1]]
    assert np.array_equal(inside[opaque:], expected[opaque:])


@pytest.mark.parametrize("shift", [(3, 0), (-5, 4)])
@pytest.mark.parametrize("scale", [1.0, 1.03])
def test_a_repaint_that_was_shifted_or_scaled(shift: tuple[int, int], scale: float) -> None:
    whole = textured(180, 240)
    photo, canvas = cut(whole, SIDES)
    moved = codec.resize(whole, 240, 180, box=(6, 6, 6 + 228 / scale, 6 + 168 / scale))
    made = smaller(np.roll(moved, shift, axis=(0, 1)), 3)
    picture = finished(task_of(photo, canvas), made)
    hole = outside(canvas)
    assert picture.detail is not None
    assert picture.detail.state == "redrawn"
    assert np.array_equal(picture.pixels[~hole], whole[~hole])
    assert steep(picture.pixels)[hole].mean() < 1.3 * steep(whole)[hole].mean()


@pytest.mark.parametrize("size", [(12, 2000), (2000, 13), (700, 40)])
def test_extreme_shapes(size: tuple[int, int]) -> None:
    whole = textured(*size)
    sides = Sides(right=size[1] // 3) if size[1] > size[0] else Sides(down=size[0] // 3)
    photo, canvas = cut(whole, sides)
    picture = finished(task_of(photo, canvas), smaller(whole, 2))
    assert picture.detail is not None
    hole = outside(canvas)
    assert np.array_equal(picture.pixels[~hole], whole[~hole])


def clamp(pixels: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """The range that no lightness may leave: of the cells around, a quarter of it and four levels more."""
    light = pixels.astype(float) @ np.array([77, 150, 29]) / 256
    rows, columns = (-(-extent // side) for extent in light.shape)
    low, high = np.empty((rows, columns)), np.empty((rows, columns))
    starts = [np.arange(0, extent, side) for extent in light.shape]
    counts = np.add.reduceat(np.add.reduceat(np.ones(light.shape), starts[0], axis=0), starts[1], axis=1)
    means = np.add.reduceat(np.add.reduceat(light, starts[0], axis=0), starts[1], axis=1) / counts
    for y in range(rows):
        for x in range(columns):
            around = means[max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
            spare = 4 + (around.max() - around.min()) / 4
            low[y, x], high[y, x] = around.min() - spare, around.max() + spare
    spread = [plane.repeat(side, 0).repeat(side, 1)[: light.shape[0], : light.shape[1]] for plane in (low, high)]
    return np.minimum(spread[0], light), np.maximum(spread[1], light)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    factor=st.sampled_from([1.5, 2.0, 2.7, 3.0, 4.4, 6.0]),
    sides=st.builds(Sides, left=st.integers(0, 60), right=st.integers(1, 60), up=st.integers(0, 60)),
    kind=st.sampled_from(["textured", "noise", "steps"]),
)
def test_nothing_leaves_the_range_around_it_and_no_pixel_of_the_photo_changes(
    seed: int, factor: float, sides: Sides, kind: str
) -> None:
    draw = np.random.default_rng(seed)
    whole = textured(150, 190, seed)
    if kind == "noise":
        whole = draw.integers(0, 256, whole.shape, dtype=np.uint8)
    elif kind == "steps":
        whole = (
            np.where(draw.random((15, 19, 1)) < 0.5, 20, 230).repeat(10, 0).repeat(10, 1).repeat(3, 2).astype(np.uint8)
        )
    photo, canvas = cut(whole, sides)
    made = smaller(np.roll(whole, 7, axis=1), factor)
    soft, sharp = (finished(task_of(photo, canvas), made, detail).pixels for detail in ("off", "on"))
    hole = outside(canvas)
    assert np.array_equal(sharp[~hole], whole[~hole])
    # The range is told before the photo is put back: the provider's own version of it counts at the border.
    bound = whole_before(task_of(photo, canvas), made)
    low, high = clamp(bound, min(max(round(max(190 / made.shape[1], 150 / made.shape[0])), 2), 6))
    light = sharp.astype(float) @ np.array([77, 150, 29]) / 256
    assert (light[hole] >= low[hole] - 1).all()
    assert (light[hole] <= high[hole] + 1).all()
    assert np.array_equal(soft[~hole], whole[~hole])


def whole_before(task: Task, made: np.ndarray) -> np.ndarray:
    """What was made, as it is when detail is drawn: matched, but the photo not yet put back."""
    work = begin(wanting(task, "off"), fill_of(made.copy()))
    for step in STEPS[:-1]:
        work = step(work)
    return work.pixels


# --- the parts -------------------------------------------------------------------------------------------------------


@pytest.fixture
def cells() -> Any:
    from uncrop.engine.runtime.thread_pool import ThreadPool

    with ThreadPool(1, lambda: None) as pool:
        yield Cells(side=3, rows=20, columns=30, pool=pool)


def test_of_a_single_line_no_slope_is_told() -> None:
    across, down = slopes(np.arange(5, dtype=np.float32)[None])
    assert not across.any()
    assert not down.any()


def test_of_a_few_cells_no_sharpness_is_told(cells: Cells) -> None:
    light = np.random.default_rng(1).normal(100, 9, cells.shape).astype(np.float32)
    inside = np.zeros(cells.shape, bool)
    inside[5:9, 5:9] = True
    assert not as_sharp(cells, light, light * 2, inside).any()


def test_what_was_made_softer_than_the_photos_copy_is_sharpened_and_the_other_way_round(cells: Cells) -> None:
    light = np.random.default_rng(1).normal(100, 9, cells.shape).astype(np.float32)
    inside = np.ones(cells.shape, bool)
    finest = light - cells.blur(light, 1.0)
    for factor in (0.8, 1.25):
        change = as_sharp(cells, light, light + (factor - 1) * finest, inside)
        assert np.median(change / finest) == pytest.approx(factor - 1, abs=0.12)


def test_depth_is_counted_from_the_pixels_that_stay() -> None:
    made = np.ones((1, 8), bool)
    made[0, 3] = False
    assert depths(made, 3).tolist() == [[3, 2, 1, 0, 1, 2, 3, 3]]


# --- the kernels -----------------------------------------------------------------------------------------------------

KERNELS: dict[Any, tuple[str, ...]] = {
    plane_kernels: (
        *("cell_colours", "lightness", "learn_from", "inside_means", "blur", "directions", "surroundings"),
    ),
    align_kernels: ("shifted", "rest"),
    filter_kernels: ("add_up", "solve", "respond"),
    match_kernels: ("begin", "sweep"),
    paint_kernels: ("paint", "draw"),
}
INLINED: dict[Any, tuple[str, ...]] = {
    filter_kernels: ("_window",),
    match_kernels: ("_cost", "_agreeing", "_continued", "_random_place", "random_bits", "random_below"),
    align_kernels: ("_cubic", "between"),
    paint_kernels: ("_gain", "_shift", "_copy", "_vote", "between"),
}


def all_kernels() -> list[Any]:
    return [getattr(module, name) for module, names in KERNELS.items() for name in names]


def drawn() -> np.ndarray:
    """A small picture, drawn in two bands, in a corner of which nothing is known."""
    whole = textured(73, 59, 3)
    photo, canvas = cut(whole, Sides(left=5, right=8, up=6, down=5))
    alpha = np.full((*photo.shape[:2], 1), 255, np.uint8)
    alpha[30:33, 20:22] = 0
    return finished(task_of(np.dstack((photo, alpha)), canvas), smaller(whole, 2)).pixels


@pytest.mark.slow
def test_the_kernels_say_the_same_without_being_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("uncrop.finish.detail.planes.BAND", 18)
    monkeypatch.setattr("uncrop.finish.detail.filters.SAMPLES", 500)
    compiled = drawn()
    for module, names in (*KERNELS.items(), *INLINED.items()):
        for name in names:
            monkeypatch.setattr(module, name, getattr(module, name).py_func)
    with np.errstate(over="ignore"):
        plain = drawn()
    assert np.abs(plain.astype(int) - compiled).max() <= 1


WARMED_UP = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from uncrop import engine
engine.use_cache(Path({kernels!r}))
from test_detail import all_kernels, drawn
from uncrop.finish.pipeline import warm_up
from uncrop.imaging import codec
codec.warm_up()
warm_up()
before = [list(compiled.signatures) for compiled in all_kernels()]
assert all(before)
drawn()
assert [compiled.signatures for compiled in all_kernels()] == before
"""


def test_warming_up_compiles_all_that_is_needed(kernels: Path) -> None:
    # In a process of its own: in this one, other tests have compiled what warming up might forget.
    code = WARMED_UP.format(path=sys.path, kernels=str(kernels))
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr

"""Every region takes the candidate that fits best there."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from engine_scenes import ONE_THREAD, RUN
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from uncrop.engine import choose, extend
from uncrop.engine.choose import WINDOW, BestFit, window_sums
from uncrop.engine.grow.candidate import Candidate, CoarsestLevel
from uncrop.engine.grow.growth import visiting_order
from uncrop.engine.prepare.canvas import CanvasGeometry, align_canvas
from uncrop.engine.prepare.features import feature_channels
from uncrop.engine.prepare.presets import STANDARD, Preset
from uncrop.engine.prepare.pyramid import Exemplar, make_pyramid
from uncrop.engine.search.patch_field import target_mask
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


def better(targets: NDArray[np.bool_], *candidates: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Return where the last of the candidates with these costs fits better than all before it."""
    fit = BestFit(targets)
    return [fit.update(costs) for costs in candidates][-1]


def test_each_side_takes_the_candidate_that_fits_there() -> None:
    first, second = np.full((2, 64, 256), 49 * 100, np.int32)
    first[:, 128:] = 49 * 400
    second[:, :128] = 49 * 400
    second_wins = better(np.ones((64, 256), bool), first, second)
    assert not second_wins[:, :112].any()
    assert second_wins[:, 144:].all()


def test_the_first_of_equal_candidates_is_taken() -> None:
    costs = np.full((32, 32), 7, np.int32)
    assert better(np.ones((32, 32), bool), costs).all()
    assert not better(np.ones((32, 32), bool), costs, costs.copy()).any()


def test_a_candidate_is_compared_with_the_best_of_all_before() -> None:
    good, bad, between = (np.full((32, 32), 49 * level * level, np.int32) for level in (3, 9, 5))
    assert not better(np.ones((32, 32), bool), good, bad, between).any()


def test_one_bad_patch_does_not_decide_for_its_surroundings() -> None:
    steady, spotted = np.full((2, 256, 256), 49 * 25, np.int32)
    spotted[...] = 49 * 16
    spotted[128, 128] = 49 * 2500
    assert better(np.ones((256, 256), bool), steady, spotted).all()


def test_costs_where_nothing_is_made_play_no_part() -> None:
    targets = np.zeros((40, 40), bool)
    targets[:, :20] = True
    good, bad = np.full((2, 40, 40), 10, np.int32)
    bad[:, :20] = 20
    good[:, 20:] = 1 << 20  # left over from nothing
    assert not better(targets, good, bad).any()


def test_disagreement_is_the_variance_of_the_texture_around(draw) -> None:
    canvas, exemplar = start(draw(96, 128))
    candidates = [
        choose.make_candidate(level_of(canvas, exemplar), strictness, STANDARD, 0, ONE_THREAD)
        for strictness in STANDARD.candidate_priors[:3]
    ]
    textures = np.stack([candidate.field.picture[..., 3] for candidate in candidates]).astype(float)
    apart = choose.disagreement(candidates)
    variance = textures.var(axis=0)
    for y, x in ((3, 3), (10, 50), (40, canvas.width - 4), (canvas.height // 2, canvas.width // 2)):
        assert apart[y, x] == pytest.approx(variance[y - 3 : y + 4, x - 3 : x + 4].mean())
    assert apart.max() > 0
    assert apart[canvas.height // 2, canvas.width // 2] == 0  # in the photo
    assert np.array_equal(choose.join(candidates, target_mask(canvas)).spread.variance(), apart)


@pytest.mark.parametrize("periods", [False, True])
def test_those_among_which_was_chosen_are_asked_how_far_apart_they_are(
    draw, monkeypatch: pytest.MonkeyPatch, periods: bool
) -> None:
    photo = np.tile(draw(12, 16), (8, 8, 1)) if periods else draw(96, 128)
    canvas, exemplar = start(photo)
    made: list[Candidate] = []

    def keep(*arguments: object) -> Candidate:
        candidate = make_candidate(*arguments)
        made.append(replace(candidate, field=candidate.field._replace(flat=candidate.field.flat.copy())))
        return candidate

    make_candidate = choose.make_candidate
    monkeypatch.setattr(choose, "make_candidate", keep)
    chosen = choose_alone(canvas, exemplar, STANDARD)
    assert chosen.disagreement is not None
    assert (len(made) == 14) if periods else (len(made) == 12)
    assert np.array_equal(chosen.disagreement, choose.disagreement(made[12:] or made))


def start(photo: np.ndarray) -> tuple[CanvasGeometry, Exemplar]:
    """Return the coarsest level of a photo of 96 x 128 that is extended on all sides: canvas and exemplar."""
    canvas, levels = align_canvas(96, 128, Sides(left=32, right=32, up=16, down=16))
    level = levels - 1
    opaque = np.ones(photo.shape[:2], bool)
    return canvas.at_level(level), make_pyramid(
        feature_channels(photo, 1 << level, ONE_THREAD), opaque, levels, ONE_THREAD
    )[level]


def level_of(canvas: CanvasGeometry, exemplar: Exemplar) -> CoarsestLevel:
    return CoarsestLevel(canvas=canvas, exemplar=exemplar, visits=visiting_order(canvas))


def choose_alone(canvas: CanvasGeometry, exemplar: Exemplar, preset: Preset) -> Candidate:
    """Choose with seed 1, in one thread and without a deadline."""
    return choose.choose_candidate(canvas, exemplar, preset, RUN)


def spoilt(candidate: Candidate, where: slice) -> Candidate:
    """Return a copy of a candidate whose columns ``where`` all copy from one place, and fit badly."""
    field = candidate.field
    copy = field._replace(flat=field.flat.copy(), sources=field.sources.copy(), costs=field.costs.copy())
    part = np.zeros(field.costs.shape, bool)
    part[:, where] = field.sources[:, where, 0] >= 0
    copy.sources[part] = 20
    copy.picture[part] = 0
    copy.costs[part] = 49 * 10_000
    return Candidate(field=copy, strictness=candidate.strictness)


def test_what_is_wrong_in_one_candidate_is_taken_from_the_other(draw) -> None:
    canvas, exemplar = start(draw(96, 128))
    middle = canvas.width // 2
    right = choose.make_candidate(level_of(canvas, exemplar), STANDARD.later_prior, STANDARD, 0, ONE_THREAD)
    halves = [spoilt(right, np.s_[:middle]), spoilt(right, np.s_[middle:])]
    joined = choose.join(halves, target_mask(canvas))
    sure = abs(np.arange(canvas.width) - middle) > WINDOW * canvas.width
    assert sure.sum() > canvas.width // 2
    assert np.array_equal(joined.field.sources[:, sure], right.field.sources[:, sure])
    assert np.array_equal(joined.field.picture[:, sure], right.field.picture[:, sure])


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_the_least_of_the_mean_costs_is_told(draw, order: tuple[int, int]) -> None:
    canvas, exemplar = start(draw(96, 128))
    targets = target_mask(canvas)
    good = choose.make_candidate(level_of(canvas, exemplar), STANDARD.later_prior, STANDARD, 0, ONE_THREAD)
    candidates = good, spoilt(good, np.s_[:])
    cost = choose.mean_cost(good.field, targets)
    assert 0 < cost < choose.mean_cost(candidates[1].field, targets)
    assert choose.join([candidates[n] for n in order], targets).least == cost


def test_a_chosen_candidate_has_a_source_for_every_patch_and_keeps_the_photo(draw) -> None:
    photo = draw(96, 128)
    canvas, exemplar = start(photo)
    chosen = choose_alone(canvas, exemplar, STANDARD)
    assert chosen.strictness == STANDARD.later_prior
    assert ((chosen.field.sources[..., 0] >= 0) == target_mask(canvas)).all()
    top, bottom, left, right = chosen.field.box
    assert (chosen.field.picture[top:bottom, left:right] == exemplar.pixels).all()


@pytest.mark.parametrize(("quality", "candidates"), [("fast", 6), ("standard", 12), ("best", 48)])
def test_candidates_are_joined_at_every_quality(
    draw, monkeypatch: pytest.MonkeyPatch, quality: Quality, candidates: int
) -> None:
    joined: list[int] = []
    join = choose.join

    def count(made: Iterable[Candidate], targets: NDArray[np.bool_]) -> choose.Joined:
        these = list(made)
        joined.append(len(these))
        return join(these, targets)

    monkeypatch.setattr(choose, "join", count)
    extend(draw(64, 80), Sides(right=24), seed=0, quality=quality)
    assert joined == [candidates]


def test_a_prior_that_is_used_again_gets_other_random_numbers(draw, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas, exemplar = start(draw(96, 128))
    made: list[NDArray[np.int32]] = []

    def keep(candidates: Iterable[Candidate], targets: NDArray[np.bool_]) -> choose.Joined:
        these = list(candidates)
        made.extend(candidate.field.sources.copy() for candidate in these)
        return join(these, targets)

    join = choose.join
    monkeypatch.setattr(choose, "join", keep)
    twice = replace(STANDARD, candidate_priors=STANDARD.candidate_priors[:2], repetitions=2)
    choose_alone(canvas, exemplar, twice)
    assert len(made) == 4
    choose_alone(canvas, exemplar, replace(twice, repetitions=1))
    assert np.array_equal(made[0], made[4])
    assert np.array_equal(made[1], made[5])
    assert not np.array_equal(made[0], made[2])
    assert not np.array_equal(made[1], made[3])


@pytest.mark.parametrize(("height", "width", "border"), [(96, 128, False), (300, 400, True)])
def test_candidates_copy_the_photos_border_where_finer_levels_follow(
    draw, monkeypatch: pytest.MonkeyPatch, height: int, width: int, border: bool
) -> None:
    sources: list[NDArray[np.int32]] = []
    exemplars: list[Exemplar] = []

    def keep(level: CoarsestLevel, *rest: object) -> Candidate:
        candidate = make_candidate(level, *rest)
        exemplars.append(level.exemplar)
        sources.append(candidate.field.sources[target_mask(level.canvas)])
        return candidate

    make_candidate = choose.make_candidate
    monkeypatch.setattr(choose, "make_candidate", keep)
    photo = draw(height, width)
    result = extend(photo, Sides(right=width // 3), seed=0, quality="fast")
    assert all((exemplar.usable[0, 0] != 0) == border for exemplar in exemplars)
    columns, last = np.concatenate(sources)[:, 1], exemplars[0].usable.shape[1] - 1
    assert (columns > last - 3).any() == border
    assert np.array_equal(result.pixels[:, :width], photo)


def test_candidates_are_let_go_of_when_they_have_been_looked_at(draw) -> None:
    canvas, exemplar = start(draw(96, 128))
    level = level_of(canvas, exemplar)
    held: list[weakref.ref[NDArray[np.int32]]] = []

    def one_by_one() -> Iterator[Candidate]:
        for seed in range(5):
            candidate = choose.make_candidate(level, STANDARD.later_prior, STANDARD, seed, ONE_THREAD)
            assert not any(ref() is not None for ref in held[1:-1])  # the first becomes the joined one
            held.append(weakref.ref(candidate.field.costs))
            yield candidate
            del candidate

    choose.join(one_by_one(), target_mask(canvas))


def test_a_choice_among_many_holds_few_candidates_at_once(draw, monkeypatch: pytest.MonkeyPatch) -> None:
    canvas, exemplar = start(draw(96, 128))
    alive: list[weakref.ref[NDArray[np.int32]]] = []
    most = 0

    def keep(*arguments: object) -> Candidate:
        candidate = make_candidate(*arguments)
        alive.append(weakref.ref(candidate.field.costs))
        return candidate

    def count(candidates: Iterable[Candidate], targets: NDArray[np.bool_]) -> choose.Joined:
        def counted() -> Iterator[Candidate]:
            nonlocal most
            for candidate in candidates:
                most = max(most, sum(ref() is not None for ref in alive))
                yield candidate
                del candidate

        return join(counted(), targets)

    make_candidate, join = choose.make_candidate, choose.join
    monkeypatch.setattr(choose, "make_candidate", keep)
    monkeypatch.setattr(choose, "join", count)
    choose_alone(canvas, exemplar, replace(STANDARD, repetitions=2))
    assert len(alive) == 24
    assert most <= 3  # the joined one, the last that was looked at, and the next

"""The finish of the method: copies, seams, corrections, transparency, each against plain NumPy."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from engine_scenes import ALONE, RNG, copies_of, patchwork, scene

from uncrop.engine.alpha import continue_flat, paint_under, solid_part, split_alpha
from uncrop.engine.copy import COST_FLOOR, choose_origins
from uncrop.engine.correct import correct_tile, limit, limits, solve_cells
from uncrop.engine.poisson import SCREEN, interpolate, prolong, restrict, smooth, solve
from uncrop.engine.reach import mirror_on, within_reach
from uncrop.engine.seams import Copies, cell_gaps, find_gap, sum_cell_gaps, sum_gaps
from uncrop.engine.watch import Watch
from uncrop.engine.write import write_colour, write_tile
from uncrop.model import Sides

WATCH = Watch(progress=None, deadline=None, clock=lambda: 0.0)


def test_copies_come_from_the_patch_of_least_rank():
    _, atlas, field, _ = scene()
    origin = choose_origins(field, atlas, ALONE)
    assert (origin[4:20, 5:23] == -1).all()
    for y, x in np.argwhere(origin >= 0):
        ranks = {}
        for qy in range(max(3, y - 3), min(23, y + 4)):
            for qx in range(max(3, x - 3), min(27, x + 4)):
                sy, sx = field.labels[qy, qx] + (y - qy, x - qx)
                ranks[int(sy * 18 + sx)] = min(
                    ranks.get(int(sy * 18 + sx), 1 << 62),
                    (int(field.costs[qy, qx]) + COST_FLOOR) * (10 + (y - qy) ** 2 + (x - qx) ** 2),
                )
        assert ranks[int(origin[y, x])] == min(ranks.values())


# --- seams --------------------------------------------------------------------------------------------------------


def gap_sums(copies: Copies) -> np.ndarray:
    out = np.zeros((copies.channels, *copies.origin.shape), np.float32)
    sum_gaps(copies, 0, 0, np.empty(copies.channels, np.float32), out)
    return out


def test_coherent_copies_lack_nothing():
    plane = RNG.integers(0, 256, (20, 20, 1), dtype=np.uint8)
    origin = np.full((20, 26), -1, np.int32)
    origin[:, 20:] = np.arange(20)[:, None] * 20 + np.arange(10, 16)[None, :]
    found = gap_sums(copies_of(plane, origin, (0, 20, 0, 20)))[0]
    assert (found[:, 21:] == 0).all()
    expected = plane[:, 19, 0].astype(int) - plane[:, 9, 0]
    assert np.array_equal(found[:, 20], expected)


def test_a_seam_is_shared_by_both_sides():
    plane = RNG.integers(0, 80, (20, 20, 1), dtype=np.uint8)
    origin = np.full((20, 28), -1, np.int32)
    origin[:5, 20:24] = np.arange(5)[:, None] * 20 + np.arange(4, 8)
    origin[:5, 24:] = (np.arange(5)[:, None] + 10) * 20 + np.arange(4, 8)
    found = gap_sums(copies_of(plane, origin, (0, 20, 0, 20)))[0]
    assert np.allclose(found[:4, 23], -found[:4, 24])
    values = plane[..., 0].astype(float)
    expected = 0.5 * ((values[10:14, 4] - values[:4, 8]) + (values[10:14, 3] - values[:4, 7]))
    assert np.allclose(found[:4, 23], expected)


def test_a_gradient_that_leaves_the_usable_part_does_not_count():
    plane = RNG.integers(0, 80, (20, 20, 1), dtype=np.uint8)
    solid = np.ones((20, 20), bool)
    solid[:, 8] = False
    origin = np.full((20, 28), -1, np.int32)
    origin[:, 20:24] = np.arange(20)[:, None] * 20 + np.arange(4, 8)
    origin[:, 24:] = np.arange(20)[:, None] * 20 + np.arange(11, 15)
    found = gap_sums(copies_of(plane, origin, (0, 20, 0, 20), solid))[0]
    assert np.array_equal(found[:, 23], plane[:, 10, 0].astype(float) - plane[:, 7, 0])


def plain_gap(copies: Copies, place: tuple[int, int], other: tuple[int, int]) -> np.ndarray | None:
    """Return what the copies at two neighbouring places lack to the mean of their sources' gradients, or None.

    Between two copies it is bounded: lightness to 80 levels, colour to 30.
    """
    rows, cols = copies.usable.shape
    kind = np.uint8 if copies.depth == 1 else np.dtype("<u2")
    photo = copies.data.view(kind).reshape(rows, cols, -1) / (1 if copies.depth == 1 else 257)

    def source(at: tuple[int, int]) -> np.ndarray:
        index = copies.origin[at]
        return np.array(divmod(index, cols) if index >= 0 else (at[0] - copies.box[0], at[1] - copies.box[2]))

    here, there = source(place), source(other)
    if not (copies.usable[tuple(here)] and copies.usable[tuple(there)]):
        return None
    step = np.subtract(other, place)
    found = []
    for at, to, sign in ((here, here + step, 1), (there, there - step, -1)):
        if ((to >= 0) & (to < (rows, cols))).all() and copies.usable[tuple(to)]:
            found.append(sign * (photo[tuple(at)] - photo[tuple(to)]))
    if not found:
        return None
    gap = photo[tuple(there)] - photo[tuple(here)] + np.mean(found, axis=0)
    if copies.origin[place] < 0 or copies.origin[other] < 0:
        return gap
    light = gap @ (0.299, 0.587, 0.114) if gap.size == 3 else gap[0]
    colour = gap - light
    return np.clip(light, -80, 80) + colour * min(1, 30 / max(1, np.abs(colour).max()))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_gaps_are_those_of_plain_numpy(channels, dtype):
    copies = patchwork(29, 35, channels, dtype)
    usable = copies.usable.copy()
    usable[RNG.random(usable.shape) < 0.2] = 0
    usable[4:9, 3:9] = 0
    copies = copies._replace(usable=usable)
    copies.origin[1] = np.arange(30, 65)  # goes on in memory, but not in the photo, from one row's end to the next
    expected, gap, none = np.zeros((channels, 29, 35)), np.zeros(channels, np.float32), 0
    for y, x in np.ndindex(29, 35):
        for dy, dx in ((0, 1), (1, 0)):
            if y + dy < 29 and x + dx < 35:
                wanted = plain_gap(copies, (y, x), (y + dy, x + dx))
                assert find_gap(copies, y, x, dy, dx, gap) == (wanted is not None)
                none += wanted is None
                if wanted is not None:
                    assert np.allclose(gap, wanted, atol=1e-3)
                    expected[:, y, x] += wanted
                    expected[:, y + dy, x + dx] -= wanted
    assert 100 < none < 1500
    assert np.allclose(gap_sums(copies), expected, atol=3e-3)
    for top, bottom, left, right in ((0, 10, 0, 35), (5, 25, 5, 30), (25, 29, 30, 35)):
        part = np.zeros((channels, bottom - top, right - left), np.float32)
        sum_gaps(copies, top, left, gap, part)
        assert np.allclose(part, expected[:, top:bottom, left:right], atol=3e-3)


def test_colours_do_not_bleed_over_an_edge_between_copies():
    """Two copies as unlike as two things keep their colours; a step to the photo is closed however high it is."""
    photo = np.full((40, 40, 3), 120, np.uint8)
    photo[:, 20:] = (60, 200, 40)
    origin = np.full((40, 60), -1, np.int32)
    rows = np.arange(40)[:, None] * 40
    origin[:, 40:50] = rows + np.arange(22, 32)  # goes on green
    origin[:, 50:] = rows + np.arange(2, 12)
    copies = copies_of(photo, origin, (0, 40, 0, 40))
    made = write_colour(copies, np.dtype(np.uint8), ALONE, WATCH).astype(int)
    assert np.abs(made[:, 40:48] - (60, 200, 40)).max() < 15
    step = made[:, 50] - made[:, 49]  # of 60, -80 and 80 levels
    assert (np.abs(step) > 35).all()
    origin[:, 40:] = rows + np.full(20, 5)  # grey beside green
    made = write_colour(copies, np.dtype(np.uint8), ALONE, WATCH).astype(int)
    assert np.abs(made[:, 40] - (60, 200, 40)).max() < 10


@pytest.mark.parametrize("cuts", [(0, 1, 15), (0, 7, 8, 15)])
def test_the_gaps_of_cells_do_not_depend_on_the_bands(cuts):
    copies = patchwork(29, 35)
    found = np.zeros((3, 15, 18), np.float32)
    for first, last in pairwise(cuts):
        sum_cell_gaps(copies, first, last, np.empty(3, np.float32), found)
    assert np.array_equal(found, cell_gaps(copies, ALONE))


@pytest.mark.parametrize(("height", "width"), [(30, 36), (31, 35)])
def test_the_gap_of_two_cells_is_that_of_their_means(height, width):
    copies = patchwork(height, width, channels=1)
    gap = np.zeros(1, np.float32)
    expected = np.zeros(((height + 1) // 2, (width + 1) // 2))

    def found(y: int, x: int, dy: int, dx: int) -> float:
        within = y >= 0 and y + dy < height and x >= 0 and x + dx < width
        return float(gap[0]) if within and find_gap(copies, y, x, dy, dx, gap) else 0.0

    for row, col in np.ndindex(expected.shape):
        for dy, dx in ((0, 1), (1, 0)):
            if row + dy < expected.shape[0] and col + dx < expected.shape[1]:
                link = 0.0
                for n in range(2):
                    y, x = 2 * row + n * dx, 2 * col + n * dy
                    steps = [found(y + m * dy, x + m * dx, dy, dx) for m in range(3)]
                    link += (steps[0] / 2 + steps[1] + steps[2] / 2) / 2
                expected[row, col] += link
                expected[row + dy, col + dx] -= link
    assert np.allclose(cell_gaps(copies, ALONE)[0], expected, atol=1e-3)


def exact(wanted: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Solve the screened Poisson equation densely."""
    height, width = wanted.shape
    matrix, index = np.eye(height * width), np.arange(height * width).reshape(height, width)
    for y, x in np.argwhere(~known):
        row = index[y, x]
        matrix[row, row] = SCREEN
        for dy, dx in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            if 0 <= y + dy < height and 0 <= x + dx < width:
                matrix[row, row] += 1
                matrix[row, index[y + dy, x + dx]] -= 1
    return np.linalg.solve(matrix, np.where(known, 0, wanted).reshape(-1)).reshape(height, width)


@pytest.mark.parametrize(
    ("box", "rough"), [((3, 11, 4, 12), 0.1), ((0, 11, 4, 17), 0.1), ((5, 6, 0, 1), 0.4), ((0, 14, 0, 16), 0.1)]
)
def test_solve_agrees_with_a_dense_solver(box, rough):
    height, width = 14, 17
    wanted = np.random.default_rng(4).normal(size=(height, width)).astype(np.float32)
    known = np.zeros((height, width), bool)
    known[box[0] : box[1], box[2] : box[3]] = True
    # As everywhere in use, what is wanted sums to nothing: what one pixel lacks its neighbour has too much of.
    wanted[~known] -= wanted[~known].mean()
    wanted[known] = 0
    right = exact(wanted, known)
    found = solve(wanted, np.array(box), cycles=20)
    assert np.abs(found - right).max() < 1e-2 * max(1, np.abs(right).max())
    few = solve(wanted, np.array(box), cycles=3)
    assert np.abs(few - right).max() < rough * max(1, np.abs(right).max())


def test_cells_then_pixels_come_near_the_exact_solution():
    copies = patchwork()
    known = copies.origin < 0
    cells = solve_cells(copies, ALONE, WATCH)
    found = correct_tile(copies, cells, (0, 30, 0, 36))
    for wanted, plane in zip(gap_sums(copies), found, strict=True):
        right = exact(wanted, known)
        assert np.abs(right).max() > 20
        assert np.abs(plane - right).mean() < 0.05 * np.abs(right).max()
        assert (plane[known] == 0).all()


def test_corrections_do_not_depend_on_the_tiles():
    copies = patchwork(64, 70)
    cells = solve_cells(copies, ALONE, WATCH)
    whole = correct_tile(copies, cells, (0, 64, 0, 70))
    for tile in ((0, 16, 0, 20), (20, 40, 30, 70), (40, 64, 12, 14), (8, 10, 0, 70)):
        part = correct_tile(copies, cells, tile)
        assert np.array_equal(part, whole[:, tile[0] : tile[1], tile[2] : tile[3]])


def test_interpolation_takes_nothing_from_the_photo():
    cells = np.full((6, 7), 3, np.float32)
    cells[2:4, 2:5] = 0  # the photo's rows 4 to 7 and columns 4 to 9
    out = np.empty((12, 14), np.float32)
    interpolate(cells, np.array([4, 8, 4, 10]), 0, 0, out)
    expected = np.full((12, 14), 3, np.float32)
    expected[4:8, 4:10] = 0
    assert np.array_equal(out, expected)
    slope = np.tile(np.arange(7, dtype=np.float32), (6, 1))
    part = np.empty((4, 6), np.float32)
    interpolate(slope, np.array([4, 8, 4, 10]), 8, 4, part)
    assert np.allclose(part[1:], np.arange(4, 10) / 2 - 0.25)


def test_restriction_sums_residuals():
    unknown, wanted = np.zeros((5, 6), np.float32), RNG.random((5, 6)).astype(np.float32)
    coarse = np.ones((3, 3), np.float32)
    restrict(unknown, wanted, np.array([0, 2, 0, 2]), 0.0, coarse)
    expected = np.pad(wanted, ((0, 1), (0, 0)))
    expected[:2, :2] = 0
    assert np.allclose(coarse, expected.reshape(3, 2, 3, 2).sum(axis=(1, 3)))


@pytest.mark.parametrize("box", [(2, 5, 3, 8), (0, 7, 0, 4), (5, 5, 5, 5)])
def test_relaxation_visits_red_then_black(box):
    unknown, wanted = (RNG.normal(size=(7, 10)).astype(np.float32) for _ in range(2))
    known = np.zeros((7, 10), bool)
    known[box[0] : box[1], box[2] : box[3]] = True
    expected = unknown.astype(float)
    for turn in range(6):
        around, count = np.zeros((7, 10)), np.full((7, 10), 0.5)
        for here, there in (
            (np.s_[1:], np.s_[:-1]),
            (np.s_[:-1], np.s_[1:]),
            (np.s_[:, 1:], np.s_[:, :-1]),
            (np.s_[:, :-1], np.s_[:, 1:]),
        ):
            around[here] += expected[there]
            count[here] += 1
        turned = (np.indices((7, 10)).sum(axis=0) % 2 == turn % 2) & ~known
        expected[turned] = ((wanted + around) / count)[turned]
    smooth(unknown, wanted, np.array(box), 0.5, 3)
    assert np.allclose(unknown, expected, atol=1e-5)


def doubled(cells: np.ndarray) -> np.ndarray:
    """Interpolate between the centres of cells, the outermost ones repeated."""
    for axis in (0, 1):
        edge = np.concatenate([cells.take([0], axis), cells, cells.take([-1], axis)], axis)
        before, after = (edge.take(range(n, n + cells.shape[axis]), axis) for n in (0, 2))
        cells = np.stack([0.75 * cells + 0.25 * before, 0.75 * cells + 0.25 * after], axis + 1)
        cells = cells.reshape([-1 if n == axis else cells.shape[n + (n > axis)] for n in (0, 1)])
    return cells


@pytest.mark.parametrize(("height", "width"), [(10, 12), (9, 11)])
def test_prolongation_is_bilinear_and_leaves_the_photo(height, width):
    cells = RNG.normal(size=(5, 6)).astype(np.float32)
    fine = np.ones((height, width), np.float32)
    prolong(cells, fine, np.array([3, 6, 0, 5]))
    expected = 1 + doubled(cells)[:height, :width]
    expected[3:6, :5] = 1
    assert np.allclose(fine, expected, atol=1e-5)


@pytest.mark.parametrize("box", [(3, 8, 2, 9), (0, 10, 4, 7)])
def test_interpolation_puts_the_nearest_cell_in_the_place_of_the_photos(box):
    top, bottom, left, right = box
    cells, out = RNG.normal(size=(5, 6)).astype(np.float32), np.empty((10, 12), np.float32)
    interpolate(cells, np.array(box), 0, 0, out)
    for y, x in np.ndindex(10, 12):
        near = y // 2, x // 2
        far = [min(size - 1, max(0, at // 2 + (1 if at % 2 else -1))) for at, size in ((y, 5), (x, 6))]
        expected = 0.0
        for cell, share in (((near[0], near[1]), 9), ((near[0], far[1]), 3), ((far[0], near[1]), 3), (tuple(far), 1)):
            inside = (
                top <= 2 * cell[0] and 2 * cell[0] + 2 <= bottom and left <= 2 * cell[1] and 2 * cell[1] + 2 <= right
            )
            expected += share / 16 * cells[near if inside else cell]
        photo = top <= y < bottom and left <= x < right
        assert out[y, x] == (0 if photo else pytest.approx(expected, abs=1e-5))
    part = np.empty((4, 5), np.float32)
    interpolate(cells, np.array(box), 6, 3, part)
    assert np.array_equal(part, out[6:, 3:8])


def test_prolongation_keeps_constants_and_the_photo():
    fine = np.zeros((6, 7), np.float32)
    prolong(np.full((3, 4), 2, np.float32), fine, np.array([2, 4, 2, 5]))
    expected = np.full((6, 7), 2, np.float32)
    expected[2:4, 2:5] = 0
    assert np.array_equal(fine, expected)


def test_limits_are_wide_near_the_photo():
    found = np.full((1, 1, 200), 1000, np.float32)
    found[:, :, 100:] = -1000
    limit(found, np.array([0, 1, 0, 1]), limits(12.0), limits(5.0))
    assert np.isclose(found[0, 0, 1], 12 + 255 * math.exp(-1 / 8))
    assert np.isclose(found[0, 0, 99], 12 + 255 * math.exp(-63 / 8))
    assert found[0, 0, 199] == -found[0, 0, 99]


def test_lightness_and_colour_have_their_own_limits():
    colours = np.array([[10, 20, 30], [90, 100, 110], [-90, -100, -95], [70, 0, -70]], np.float32)
    found = np.ascontiguousarray(np.pad(colours, ((100, 0), (0, 0))).T[:, None, :])
    limit(found, np.array([0, 1, 0, 1]), limits(50.0), limits(20.0))
    light = 0.299 * colours[:, 0] + 0.587 * colours[:, 1] + 0.114 * colours[:, 2]
    red, blue = np.clip(colours[:, 0] - light, -20, 20), np.clip(colours[:, 2] - light, -20, 20)
    light = np.clip(light, -50, 50)
    expected = np.stack([light + red, light - (0.299 * red + 0.114 * blue) / 0.587, light + blue])
    assert np.abs(found[:, 0, 100:] - expected).max() < 0.3  # the near limit still adds 0.1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_written_is_the_copy_with_its_correction(dtype, scale, channels):
    colour = RNG.integers(0, np.iinfo(dtype).max + 1, (17, 20, channels)).astype(dtype)
    origin = RNG.integers(0, 17 * 20, (4, 6)).astype(np.int32)
    origin[2, 3] = -1
    corrections = RNG.normal(0, 40, (channels, 4, 6)).astype(np.float32)
    made = np.zeros((4, 6, channels), np.uint16)
    write_tile(copies_of(colour, origin, (0, 17, 0, 20)), corrections, 0, 0, np.iinfo(dtype).max, made)
    copied = colour.reshape(-1, channels)[origin].astype(float)
    expected = np.clip(copied + corrections.transpose(1, 2, 0) * scale, 0, np.iinfo(dtype).max)
    expected[2, 3] = 0
    assert np.abs(made - expected).max() <= 0.51 + scale / 1000


def test_a_tile_is_written_from_its_own_corner():
    copies = patchwork()
    corrections = RNG.normal(0, 40, (3, 30, 36)).astype(np.float32)
    whole = np.zeros((30, 36, 3), np.uint16)
    write_tile(copies, corrections, 0, 0, 255, whole)
    part = np.zeros((9, 14, 3), np.uint16)
    write_tile(copies, np.ascontiguousarray(corrections[:, 17:26, 20:34]), 17, 20, 255, part)
    assert np.array_equal(part, whole[17:26, 20:34])
    assert whole.any()


@pytest.mark.parametrize(("dtype", "scale"), [(np.uint8, 1), (np.uint16, 257)])
def test_a_step_at_the_border_is_corrected_at_once(dtype, scale):
    colour = np.full((20, 30, 1), 150, np.uint8)
    colour[:, 20:] = 180  # what is copied is brighter than the border that it meets
    colour[:, 29] = 150
    origin = np.full((20, 42), -1, np.int32)
    origin[:, 30:] = np.arange(20)[:, None] * 30 + 24
    copies = copies_of(colour.astype(dtype) * dtype(scale), origin, (0, 20, 0, 30))
    made = write_colour(copies, np.dtype(dtype), ALONE, WATCH)
    assert made.dtype == dtype
    assert np.abs(made[:, 30:].astype(int) - 150 * scale).max() <= 2 * scale


# --- transparency and reach ---------------------------------------------------------------------------------------


def test_alpha_is_split_off():
    photo = RNG.integers(0, 256, (5, 6, 4), dtype=np.uint8)
    colour, alpha = split_alpha(photo)
    assert np.array_equal(colour, photo[..., :3])
    assert alpha is not None
    assert np.array_equal(alpha, photo[..., 3])
    assert np.array_equal(solid_part(photo.shape, alpha), photo[..., 3] >= 128)
    grey, none = split_alpha(photo[..., :1])
    assert (grey.shape, none) == ((5, 6, 1), None)
    assert solid_part(photo.shape, None).all()


def test_colour_under_transparency_comes_from_around():
    rgb = np.full((9, 9, 3), 200, np.uint8)
    solid = np.ones((9, 9), bool)
    rgb[2:5, 3:8] = 0
    solid[2:5, 3:8] = False
    assert (paint_under(rgb, solid) == 200).all()
    assert paint_under(rgb, np.zeros((9, 9), bool)) is rgb


def test_flat_continuation():
    plane = np.array([[1, 2], [3, 4]], np.uint8)
    assert continue_flat(plane, 1, 0, 0, 2).tolist() == [[1, 2, 2, 2], [1, 2, 2, 2], [3, 4, 4, 4]]


def test_reach_and_what_is_beyond():
    asked = Sides(left=2000, up=-3, right=100)
    near = within_reach(20, 30, asked)
    assert near == Sides(left=256, right=100)
    assert within_reach(500, 700, asked) == Sides(left=1500, right=100)
    assert within_reach(700, 500, asked) == Sides(left=1500, right=100)
    made = RNG.integers(0, 256, (2, 286, 1), dtype=np.uint8)
    assert np.array_equal(mirror_on(made, near, asked)[:, 2000 - 256 - 1 : 2000 - 256, 0], made[:, :1, 0])


def test_the_photo_is_never_crossed_by_what_is_reflected():
    rows, cols = np.mgrid[0:7, 0:9]
    made = np.stack([rows, cols], axis=2).astype(np.uint8)  # a photo of 2 x 2 in rows 3 and 4, columns 2 and 3
    found = mirror_on(made, Sides(up=3, down=2, left=2, right=5), Sides(up=10, down=7, left=2, right=6))
    assert found[:, 0, 0].tolist() == [0, 0, 1, 2, 2, 1, 0, *range(7), 6, 5, 5, 6, 6]
    assert found[0, :, 1].tolist() == [*range(9), 8]
    assert mirror_on(made, Sides(up=3, down=2, left=2, right=5), Sides(up=3, down=2, left=2, right=5)) is made

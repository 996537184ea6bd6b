"""The gaps between copies are those of plain NumPy."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from engine_scenes import ONE_THREAD, RNG, RUN, copies_of, patchwork

from uncrop.engine.compose.seams import Copies, cell_gaps, find_gap, sum_cell_gaps, sum_gaps
from uncrop.engine.compose.write import write_colour


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
    opaque = np.ones((20, 20), bool)
    opaque[:, 8] = False
    origin = np.full((20, 28), -1, np.int32)
    origin[:, 20:24] = np.arange(20)[:, None] * 20 + np.arange(4, 8)
    origin[:, 24:] = np.arange(20)[:, None] * 20 + np.arange(11, 15)
    found = gap_sums(copies_of(plane, origin, (0, 20, 0, 20), opaque))[0]
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
    made = write_colour(copies, np.dtype(np.uint8), RUN).astype(int)
    assert np.abs(made[:, 40:48] - (60, 200, 40)).max() < 15
    step = made[:, 50] - made[:, 49]  # of 60, -80 and 80 levels
    assert (np.abs(step) > 35).all()
    origin[:, 40:] = rows + np.full(20, 5)  # grey beside green
    made = write_colour(copies, np.dtype(np.uint8), RUN).astype(int)
    assert np.abs(made[:, 40] - (60, 200, 40)).max() < 10


@pytest.mark.parametrize("cuts", [(0, 1, 15), (0, 7, 8, 15)])
def test_the_gaps_of_cells_do_not_depend_on_the_bands(cuts):
    copies = patchwork(29, 35)
    found = np.zeros((3, 15, 18), np.float32)
    for first, last in pairwise(cuts):
        sum_cell_gaps(copies, first, last, np.empty(3, np.float32), found)
    assert np.array_equal(found, cell_gaps(copies, ONE_THREAD))


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
    assert np.allclose(cell_gaps(copies, ONE_THREAD)[0], expected, atol=1e-3)

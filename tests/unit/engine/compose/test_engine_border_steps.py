"""The step at the photo's border: closed at the border, faded outward, the same for every cut into tiles."""

from __future__ import annotations

import numpy as np
import pytest
from engine_scenes import ONE_THREAD, RNG, RUN, copies_of, patchwork

from uncrop.engine.compose.border_steps import FADE, STEP_LIMIT, add_border_steps, border_steps, photo_sides
from uncrop.engine.compose.corrections import correct_tile, solve_cells
from uncrop.engine.compose.seams import find_gap

WHOLE = (0, 30, 0, 36)


def lines_of(copies):
    """Return for each side (y, x, inward) of every made pixel next to the photo, on the side's line."""
    found = []
    for side in photo_sides(copies):
        inward = (0, -side.outward) if side.sideways else (-side.outward, 0)
        along = range(side.start, side.start + side.length)
        found.append([((n, side.line) if side.sideways else (side.line, n), inward) for n in along])
    return found


def gap_of(copies, place, inward):
    gap = np.zeros(copies.channels, np.float32)
    return gap if find_gap(copies, *place, *inward, gap) else None


@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_left_of_the_gaps_is_known_and_limited(channels):
    copies = patchwork(channels=channels)
    cells = solve_cells(copies, RUN)
    corrections = correct_tile(copies, cells, WHOLE)
    steps = border_steps(copies, cells, ONE_THREAD)
    limited = 0
    for line, step in zip(lines_of(copies), steps, strict=True):
        for n, (place, inward) in enumerate(line):
            gap = gap_of(copies, place, inward)
            left = np.zeros(channels) if gap is None else gap - corrections[:, place[0], place[1]]
            assert np.allclose(step[:, n], np.clip(left, -STEP_LIMIT, STEP_LIMIT), atol=1e-4)
            limited += int((np.abs(left) > STEP_LIMIT).any())
    assert 0 < limited < sum(len(line) for line in lines_of(copies))


def test_a_border_with_fading_steps_has_no_step():
    copies = patchwork()
    copies = copies._replace(data=copies.data // 8)
    cells = solve_cells(copies, RUN)
    before = correct_tile(copies, cells, WHOLE)
    corrections = before.copy()
    add_border_steps(copies, border_steps(copies, cells, ONE_THREAD), WHOLE, corrections)
    closed = 0
    for line in lines_of(copies):
        for place, inward in line:
            gap = gap_of(copies, place, inward)
            if gap is not None and (np.abs(gap - before[:, place[0], place[1]]) < STEP_LIMIT).all():
                assert np.allclose(corrections[:, place[0], place[1]], gap, atol=1e-3)
                closed += 1
    assert closed > 10


def test_a_step_fades_straight_outward():
    plane = np.full((20, 20, 1), 100, np.uint8)
    origin = np.full((44, 20), -1, np.int32)
    origin[20:] = np.arange(24)[:, None] % 20 * 20 + np.arange(20)
    copies = copies_of(plane, origin, (0, 20, 0, 20))
    above, below, left, right = [np.zeros((1, 20), np.float32) for _ in range(4)]
    below[0, 7] = 5
    found = np.zeros((1, 44, 20), np.float32)
    add_border_steps(copies, [above, below, left, right], (0, 44, 0, 20), found)
    assert np.allclose(found[0, 20:36, 7], 5 * FADE)
    found[0, 20:36, 7] = 0
    assert not found.any()


def test_the_steps_of_all_sides_are_added():
    copies = patchwork()
    steps = [RNG.normal(size=(3, n)).astype(np.float32) for n in (20, 20, 17, 17)]
    expected = np.zeros((3, 30, 36))
    for distance, fade in enumerate(FADE):
        for row, step in ((5 - distance, steps[0]), (23 + distance, steps[1])):
            if 0 <= row < 30:
                expected[:, row, 8:28] += step * fade
        for col, step in ((7 - distance, steps[2]), (28 + distance, steps[3])):
            if 0 <= col < 36:
                expected[:, 6:23, col] += step * fade
    found = np.zeros((3, 30, 36), np.float32)
    add_border_steps(copies, steps, WHOLE, found)
    assert np.allclose(found, expected, atol=1e-5)


def test_the_fading_steps_do_not_depend_on_the_tiles():
    copies = patchwork(64, 70)
    cells = solve_cells(copies, RUN)
    steps = border_steps(copies, cells, ONE_THREAD)
    whole = np.zeros((3, 64, 70), np.float32)
    add_border_steps(copies, steps, (0, 64, 0, 70), whole)
    assert np.abs(whole).max() > 1
    assert not whole[:, 6:23, 8:28].any()
    for tile in ((0, 16, 0, 20), (20, 40, 30, 70), (40, 64, 12, 14), (4, 6, 0, 70)):
        part = np.zeros((3, tile[1] - tile[0], tile[3] - tile[2]), np.float32)
        add_border_steps(copies, steps, tile, part)
        assert np.array_equal(part, whole[:, tile[0] : tile[1], tile[2] : tile[3]])


def test_a_side_that_is_not_extended_has_no_steps():
    plane = RNG.integers(0, 256, (20, 20, 1), dtype=np.uint8)
    origin = np.full((20, 30), -1, np.int32)
    origin[:, 20:] = np.arange(20)[:, None] * 20 + np.arange(4, 14)
    copies = copies_of(plane, origin, (0, 20, 0, 20))
    above, below, left, right = border_steps(copies, solve_cells(copies, RUN), ONE_THREAD)
    assert not above.any()
    assert not below.any()
    assert not left.any()
    assert right.any()

"""How far outward patches are searched: for small photos farther, for long and thin ones less far."""

from __future__ import annotations

import pytest

from uncrop.engine.prepare.canvas import align_canvas
from uncrop.engine.prepare.search_range import MOST_TARGETS, within_search_range
from uncrop.model import Sides

ALL = Sides(up=300, down=300, left=300, right=300)


def made_at_first(rows: int, cols: int, sides: Sides) -> int:
    """Return how many pixels of the coarsest canvas are made."""
    canvas, levels = align_canvas(rows, cols, within_search_range(rows, cols, sides))
    coarsest = canvas.at_level(levels - 1)
    return coarsest.height * coarsest.width - coarsest.rows * coarsest.cols


@pytest.mark.parametrize(
    ("rows", "cols", "most"),
    [(16, 16, 256), (64, 64, 256), (16, 1500, 256), (480, 640, 1440), (4000, 6000, 12_000), (6000, 6000, 18_000)],
)
def test_around_ordinary_photos_it_is_as_far_as_ever(rows: int, cols: int, most: int) -> None:
    far = Sides(up=20_000, down=20_000, left=20_000, right=20_000)
    # Of all four sides a small photo's would be searched in less than a large canvas; one side is what counts here.
    for side in ("up", "down", "left", "right"):
        asked = Sides(**{side: getattr(far, side)})
        assert within_search_range(rows, cols, asked) == Sides(**{side: most})
    assert within_search_range(rows, cols, Sides(up=-5, left=100)) == Sides(left=100)


@pytest.mark.parametrize("lines", [16, 20, 23])
@pytest.mark.parametrize("length", [20_000, 100_000, 500_000, 1_000_000])
@pytest.mark.parametrize("sides", [Sides(up=300), Sides(right=300), ALL, Sides(up=300, left=-9000)])
def test_around_long_thin_photos_what_is_made_at_first_has_a_bound(lines: int, length: int, sides: Sides) -> None:
    turned = Sides(left=sides.up, right=sides.down, up=sides.left, down=sides.right)
    # A line on either side, and what the levels add to it, is the least.
    most = max(MOST_TARGETS, 3 * length)
    assert 0 < made_at_first(lines, length, sides) <= most
    assert 0 < made_at_first(length, lines, turned) <= most
    near = within_search_range(lines, length, sides)
    assert length < 100_000 or max(near.up, near.down, near.left, near.right) <= 3 * lines

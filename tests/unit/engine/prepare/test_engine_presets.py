"""How widely the search's grid is spaced."""

from __future__ import annotations

from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.presets import BEST, STANDARD


def test_the_search_of_a_larger_canvas_has_a_wider_grid() -> None:
    def sized(height: int, width: int, rows: int, cols: int) -> CanvasGeometry:
        return CanvasGeometry(height=height, width=width, top=0, left=0, rows=rows, cols=cols)

    sizes = ((192, 256), (256, 256), (300, 300), (362, 362))
    assert [STANDARD.strides(sized(*size, 150, 150)) for size in sizes] == [(4, 4), (4, 4), (5, 5), (6, 6)]
    # Of a thin photo four lines are compared even so, and so many columns fewer that the time stays.
    assert STANDARD.strides(sized(100, 2000, 16, 2000)) == (4, 12)
    assert STANDARD.strides(sized(2000, 100, 2000, 16)) == (12, 4)
    assert BEST.strides(sized(500, 500, 16, 16)) == (4, 4)


def test_around_a_longer_thin_photo_comparing_takes_no_more_time() -> None:
    def comparisons(cols: int) -> float:
        rows, apart = STANDARD.strides(CanvasGeometry(height=64, width=cols, top=0, left=0, rows=16, cols=cols))
        return 48 * cols * (16 / rows) * (cols / apart)

    most = comparisons(3200)
    assert all(comparisons(cols) < 1.3 * most for cols in (4000, 10_000, 100_000, 200_000))
    # Four by four are compared even so.
    assert comparisons(1_000_000) == 48 * 1_000_000 * 16

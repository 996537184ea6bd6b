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
    assert STANDARD.strides(sized(416, 6000, 16, 6000)) == (4, 156)
    assert STANDARD.strides(sized(6000, 416, 6000, 16)) == (156, 4)
    assert BEST.strides(sized(500, 500, 16, 16)) == (4, 4)

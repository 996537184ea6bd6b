"""Coordinates double exactly from level to level."""

from __future__ import annotations

from uncrop.engine.prepare.canvas import CanvasGeometry, align_canvas
from uncrop.model import Sides


def test_alignment_makes_coordinates_double():
    canvas, levels = align_canvas(300, 401, Sides(up=33, down=1, left=350, right=700))
    assert levels == 4
    assert (canvas.height % 8, canvas.width % 8, canvas.top % 8, canvas.left % 8) == (0, 0, 0, 0)
    assert canvas.top >= 33 and canvas.left >= 350  # noqa: PT018
    assert canvas.height - canvas.bottom >= 1 and canvas.width - canvas.right >= 700  # noqa: PT018
    assert canvas.at_level(2) == CanvasGeometry(
        height=canvas.height // 4,
        width=canvas.width // 4,
        top=canvas.top // 4,
        left=canvas.left // 4,
        rows=75,
        cols=100,
    )
    part = canvas.window(16, 48, 8, 100)
    assert (part.height, part.width, part.corner) == (32, 92, (16, 8))
    assert part.window(2, 4, 6, 8).corner == (18, 14)
    assert part.box.tolist() == [canvas.top - 16, canvas.bottom - 16, canvas.left - 8, canvas.right - 8]

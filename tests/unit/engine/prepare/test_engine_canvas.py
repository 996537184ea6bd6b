"""Coordinates double exactly from level to level."""

from __future__ import annotations

from uncrop.engine.prepare.canvas import Frame, align
from uncrop.model import Sides


def test_alignment_makes_coordinates_double():
    frame, levels = align(300, 401, Sides(up=33, down=1, left=350, right=700))
    assert levels == 4
    assert (frame.height % 8, frame.width % 8, frame.top % 8, frame.left % 8) == (0, 0, 0, 0)
    assert frame.top >= 33 and frame.left >= 350  # noqa: PT018
    assert frame.height - frame.bottom >= 1 and frame.width - frame.right >= 700  # noqa: PT018
    assert frame.at_level(2) == Frame(
        height=frame.height // 4, width=frame.width // 4, top=frame.top // 4, left=frame.left // 4, rows=75, cols=100
    )
    part = frame.window(16, 48, 8, 100)
    assert (part.height, part.width) == (32, 92)
    assert part.box.tolist() == [frame.top - 16, frame.bottom - 16, frame.left - 8, frame.right - 8]

"""The size of the finished picture, where another than the canvas's own is asked for."""

from __future__ import annotations

import re
from fractions import Fraction

from uncrop.errors import InvalidFieldValue
from uncrop.geometry.notations import nearest

_SIZE = re.compile(r"([1-9][0-9]{0,5})x([1-9][0-9]{0,5})")


def output_size(text: str, canvas_width: int, canvas_height: int) -> tuple[int, int]:
    """Parse ``1920x1080`` and check that it has the canvas's shape, so that nothing is distorted.

    Returns
    -------
    tuple
        Width and height. One of them may be any number; the other must be the nearest to the canvas's shape.

    Raises
    ------
    InvalidFieldValue
        It is no size, or of another shape; then ``details.would_fit`` names the two sizes that would do.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise InvalidFieldValue(
            "output_size must be like 1920x1080", details={"field": "output_size", "value": text[:32]}
        )
    width, height = int(match[1]), int(match[2])
    by_width = (width, max(1, nearest(Fraction(width * canvas_height, canvas_width))))
    by_height = (max(1, nearest(Fraction(height * canvas_width, canvas_height))), height)
    if (width, height) in (by_width, by_height):
        return width, height
    raise InvalidFieldValue(
        "output_size has another shape than the canvas",
        details={
            "field": "output_size",
            "value": text,
            "canvas": f"{canvas_width}x{canvas_height}",
            "would_fit": [f"{fit[0]}x{fit[1]}" for fit in (by_width, by_height)],
        },
    )

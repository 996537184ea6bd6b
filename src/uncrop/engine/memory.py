"""How much memory an extension takes, told before it begins.

What grows with the canvas is the map of origins (4 bytes), the next coarser level or the corrections' cells, and the
picture itself, which is held twice while it is handed over; what grows with the photo is its copy, its channels, and
where patches may be copied from. Everything else is held tile by tile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncrop.model import Sides

PROCESS = 220_000_000  # bytes: interpreter, compiler, kernels and one tile
CANVAS, PHOTO = 7, 9  # bytes a pixel, besides its values


def picture_bytes(height: int, width: int, bytes_a_pixel: int, sides: Sides) -> int:
    """Return what ``peak_bytes`` tells without the part that a process takes for any picture."""
    canvas = (height + sides.up + sides.down) * (width + sides.left + sides.right)
    return (CANVAS + 2 * bytes_a_pixel) * canvas + (PHOTO + bytes_a_pixel) * height * width


def peak_bytes(height: int, width: int, bytes_a_pixel: int, sides: Sides) -> int:
    """Return the most memory that a process takes in which ``extend`` runs, with compiled kernels and two threads.

    Parameters
    ----------
    height, width
        The photo's, in pixels.
    bytes_a_pixel
        Channels times bytes a channel: 3 for 8-bit RGB.
    sides
        What is added or cropped, in pixels.

    Returns
    -------
    int
        220 MB + (7 + 2 b) bytes a pixel of the canvas + (9 + b) bytes a pixel of the photo, b being its bytes a pixel;
        the caller's array counts as part of it.
    """
    return PROCESS + picture_bytes(height, width, bytes_a_pixel, sides)

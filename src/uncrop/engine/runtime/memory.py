"""How much memory an extension takes, told before it begins.

What grows with the canvas is the map of origins (4 bytes), the next coarser level or the corrections' cells, and the
picture itself, which is held twice while it is handed over; what grows with the photo is its copy, its channels, and
where patches may be copied from. Everything else is held tile by tile, or for the coarsest canvas. That has ``COMMON``
pixels at most around ordinary photos, which a process takes for any picture, and more around thin ones, which cannot be
halved as often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncrop.model import Sides

PROCESS = 220_000_000  # bytes: interpreter, compiler, kernels and one tile
CANVAS, PHOTO = 7, 9  # bytes a pixel, besides its values
COARSEST = 52  # bytes a pixel of the coarsest canvas, on top of those
COMMON = 362 * 362  # pixels of a coarsest canvas, around photos of ordinary shapes at most


def picture_bytes(height: int, width: int, bytes_a_pixel: int, sides: Sides) -> int:
    """Return what ``peak_bytes`` tells without the part that a process takes for any picture."""
    canvas = (height + sides.up + sides.down) * (width + sides.left + sides.right)
    thin = max(0, coarsest_pixels(height, width, sides) - COMMON)
    return (CANVAS + 2 * bytes_a_pixel) * canvas + (PHOTO + bytes_a_pixel) * height * width + COARSEST * thin


def coarsest_pixels(height: int, width: int, sides: Sides) -> int:
    """Return the pixels of the canvas on which layouts are made."""
    # Imported here because they load NumPy, which importing this package is not to do.
    from uncrop.engine.prepare.canvas import align
    from uncrop.engine.prepare.search_range import within_reach

    cols, rows = (max(1, size) for size in sides.left_over(width, height))
    frame, levels = align(rows, cols, within_reach(rows, cols, sides))
    coarsest = frame.at_level(levels - 1)
    return coarsest.height * coarsest.width


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
        220 MB + (7 + 2 b) bytes a pixel of the canvas + (9 + b) bytes a pixel of the photo, b being its bytes a pixel,
        + 52 bytes for every pixel over 362 x 362 of the coarsest canvas; the caller's array counts as part of it.
    """
    return PROCESS + picture_bytes(height, width, bytes_a_pixel, sides)

"""How much memory an extension takes, predicted before it begins.

These grow with the canvas: the map of origins (4 bytes a pixel), the next coarser level or the corrections' cells, and
the picture itself, which exists twice while it is handed over. These grow with the photo: its copy, its feature
channels, and where patches may be copied from. Everything else exists for one tile, or for the coarsest canvas. The
coarsest canvas has at most ``COMMON`` pixels around photos of ordinary shapes, which count as part of the process, and
more around thin photos, which cannot be halved as often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncrop.model import Sides

PROCESS_BYTES = 220_000_000  # bytes: interpreter, compiler, kernels and one tile
CANVAS, PHOTO = 7, 9  # bytes a pixel, besides its values
COARSEST = 52  # bytes a pixel of the coarsest canvas, on top of those
COMMON = 362 * 362  # pixels of a coarsest canvas at most, around photos of ordinary shapes


def picture_bytes(height: int, width: int, bytes_a_pixel: int, sides: Sides) -> int:
    """Return what ``peak_bytes`` predicts, without the part that a process takes for any picture."""
    canvas = (height + sides.up + sides.down) * (width + sides.left + sides.right)
    thin = max(0, coarsest_pixels(height, width, sides) - COMMON)
    return (CANVAS + 2 * bytes_a_pixel) * canvas + (PHOTO + bytes_a_pixel) * height * width + COARSEST * thin


def coarsest_pixels(height: int, width: int, sides: Sides) -> int:
    """Return how many pixels the canvas has on which candidates are made."""
    # Imported here because they load NumPy, which importing this package is not to do.
    from uncrop.engine.prepare.canvas import align_canvas
    from uncrop.engine.prepare.search_range import within_search_range

    cols, rows = (max(1, size) for size in sides.left_over(width, height))
    canvas, levels = align_canvas(rows, cols, within_search_range(rows, cols, sides))
    coarsest = canvas.at_level(levels - 1)
    return coarsest.height * coarsest.width


def peak_bytes(height: int, width: int, bytes_a_pixel: int, sides: Sides) -> int:
    """Return the most memory in bytes of a process that runs ``extend`` with compiled kernels and two threads.

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
    return PROCESS_BYTES + picture_bytes(height, width, bytes_a_pixel, sides)

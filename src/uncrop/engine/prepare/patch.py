"""The size of a patch, and how its pixels lie in memory."""

from __future__ import annotations

RADIUS = 3  # pixels on each side of the centre
SIZE = 2 * RADIUS + 1  # pixels of a side
PATCH = SIZE * SIZE  # pixels
CHANNELS = 4  # bytes of a pixel: the feature channels
PADDING = 4  # bytes that every array of patches has behind its last row, because eight pixels of a row are read

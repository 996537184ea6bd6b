"""The loops that paint the photo's residual where something was made, compiled. None allocates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from uncrop.finish.detail.plane_kernels import between
from uncrop.kernels import inlined, kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Plane = NDArray[np.float32]
    Labels = NDArray[np.int32]

NONE = 1 << 40
REACH = 2  # cells; a label votes for 5 x 5 cells
COPY, VOTE = np.float32(0.3), np.float32(0.7)
LEAST_GAIN, MOST_GAIN, CALM = np.float32(0.2), np.float32(1.2), np.float32(0.15)
RED, GREEN, BLUE = 77, 150, 29
PARTS = 16  # of a grey level, in planes of residuals
MARGIN = np.float32(4)  # levels by which what is drawn may leave the range of the cells around it, and a share of that
SHARE = np.float32(0.25)


class Painting(NamedTuple):
    """What painting reads.

    Attributes
    ----------
    labels
        (rows, columns) int32: the place of the photo that each cell takes its detail from; -1 for none.
    wanted, offered
        (rows, columns) float32: local deviation of what was made and of the photo, in levels.
    residual
        (rows * cell, columns * cell) int16, in parts of a grey level.
    shares
        (9, cell * cell) float32: how much each of the 3 x 3 cells around counts at each pixel; bilinear.
    """

    labels: Labels
    wanted: Plane
    offered: Plane
    residual: NDArray[np.int16]
    shares: Plane


class Room(NamedTuple):
    """Scratch space: (cell * cell,) each, and (9,) for what is counted once."""

    copy: Plane
    vote: Plane
    squares: Plane
    weights: Plane


@inlined
def _gain(painting: Painting, y: int, x: int, source: int) -> np.float32:
    width = painting.labels.shape[1]
    gain = (painting.wanted[y, x] + CALM) / (painting.offered[source // width, source % width] + CALM)
    return min(max(gain, LEAST_GAIN), MOST_GAIN)


@inlined
def _shift(labels: Labels, y: int, x: int) -> Any:
    """Return how far a cell's source is from it, in flat indices; ``NONE`` where it has none."""
    height, width = labels.shape
    if y < 0 or y >= height or x < 0 or x >= width or labels[y, x] < 0:
        return NONE
    return int(labels[y, x]) - (y * width + x)


@inlined
def _copy(painting: Painting, y: int, x: int, cell: int, room: Room) -> None:
    """Blend what the labels of the 3 x 3 cells around say, so that no blend loses contrast."""
    width = painting.labels.shape[1]
    place = y * width + x
    for i in range(cell * cell):
        room.copy[i] = 0
        room.squares[i] = 0
    for one in range(9):
        shift = _shift(painting.labels, y + one // 3 - 1, x + one % 3 - 1)
        is_first = shift != NONE
        for other in range(one):  # the same offset counts once, with the shares of all that have it
            is_first = is_first and _shift(painting.labels, y + other // 3 - 1, x + other % 3 - 1) != shift
        if not is_first:
            continue
        for i in range(cell * cell):
            room.weights[i] = 0
        for other in range(one, 9):
            if _shift(painting.labels, y + other // 3 - 1, x + other % 3 - 1) == shift:
                for i in range(cell * cell):
                    room.weights[i] += painting.shares[other, i]
        source = place + shift
        gain = _gain(painting, y, x, source)
        top, left = source // width * cell, source % width * cell
        i = 0
        for down in range(cell):
            for across in range(cell):
                weight = room.weights[i]
                room.copy[i] += weight * gain * np.float32(painting.residual[top + down, left + across])
                room.squares[i] += weight * weight
                i += 1
    for i in range(cell * cell):
        room.copy[i] /= np.sqrt(max(room.squares[i], np.float32(0.05)))


@inlined
def _vote(painting: Painting, y: int, x: int, cell: int, room: Room) -> None:
    """Take the mean of what the labels of every second of the 5 x 5 cells around say."""
    width = painting.labels.shape[1]
    place = y * width + x
    count = 0
    for i in range(cell * cell):
        room.vote[i] = 0
    for dy in range(-REACH, REACH + 1):
        for dx in range(-REACH, REACH + 1):
            shift = NONE if (dy + dx) & 1 else _shift(painting.labels, y + dy, x + dx)
            if shift == NONE:
                continue
            source = place + shift
            gain = _gain(painting, y, x, source)
            top, left = source // width * cell, source % width * cell
            i = 0
            for down in range(cell):
                for across in range(cell):
                    room.vote[i] += gain * np.float32(painting.residual[top + down, left + across])
                    i += 1
            count += 1
    for i in range(cell * cell):
        room.vote[i] /= np.float32(max(count, 1))


@kernel
def paint(painting: Painting, rows: tuple[int, int], room: Room, energy: Plane, mixed: NDArray[np.int16]) -> None:
    """Mix copies and votes for each cell that has a label, and tell the energy of the mixture.

    Parameters
    ----------
    rows
        First, and behind the last.
    room
        Scratch space.
    energy
        (rows, columns), in levels squared; written to, 0 where there is no label.
    mixed
        (rows * cell, columns * cell), in parts of a grey level; written to.
    """
    width = painting.labels.shape[1]
    cell = mixed.shape[1] // width
    for y in range(rows[0], rows[1]):
        for x in range(width):
            energy[y, x] = 0
            if painting.labels[y, x] < 0:
                continue
            _copy(painting, y, x, cell, room)
            _vote(painting, y, x, cell, room)
            total = np.float32(0)
            i = 0
            for down in range(cell):
                for across in range(cell):
                    value = COPY * room.copy[i] + VOTE * room.vote[i]
                    total += value * value
                    mixed[y * cell + down, x * cell + across] = np.int16(np.rint(value))
                    i += 1
            energy[y, x] = total / np.float32(cell * cell * PARTS * PARTS)


class Drawing(NamedTuple):
    """What is added to what was made.

    Attributes
    ----------
    response, mixed
        (rows * cell, columns * cell) int16, in parts of a grey level: the filters', and the photo's detail.
    gain
        (rows, columns) float32, by which ``mixed`` is multiplied.
    sharper
        (rows, columns) float32, levels that are added as they are, between cells bilinearly.
    lowest, highest
        (rows, columns) float32: the range of what was made around each cell.
    labels
        (rows, columns) int32, -1 for cells that stay as they are.
    """

    response: NDArray[np.int16]
    mixed: NDArray[np.int16]
    gain: Plane
    sharper: Plane
    lowest: Plane
    highest: Plane
    labels: Labels


@kernel
def draw(
    drawing: Drawing, pixels: NDArray[np.uint8], depth: NDArray[np.uint8], fade: Plane, rows: tuple[int, int]
) -> None:
    """Add the detail to made pixels, within the range of what was made around them.

    Parameters
    ----------
    pixels
        (height, width, 3), written to.
    depth
        (height, width): 0 for pixels that stay, else how far they are from those, at most as ``fade`` has entries.
    fade
        How much of the detail is drawn at each depth.
    rows
        Of cells: first, and behind the last.
    """
    height, width = depth.shape
    columns = drawing.labels.shape[1]
    cell = drawing.mixed.shape[1] // columns
    for row in range(rows[0], rows[1]):
        for column in range(columns):
            if drawing.labels[row, column] < 0:
                continue
            low, high = drawing.lowest[row, column], drawing.highest[row, column]
            room = MARGIN + SHARE * (high - low)
            low, high = low - room, high + room
            for y in range(row * cell, min(row * cell + cell, height)):
                for x in range(column * cell, min(column * cell + cell, width)):
                    far = depth[y, x]
                    if far == 0:
                        continue
                    down = (np.float32(y) + np.float32(0.5)) / np.float32(cell) - np.float32(0.5)
                    across = (np.float32(x) + np.float32(0.5)) / np.float32(cell) - np.float32(0.5)
                    change = drawing.gain[row, column] * np.float32(drawing.mixed[y, x])
                    change = fade[far] * (change + np.float32(drawing.response[y, x])) / np.float32(PARTS)
                    change += between(drawing.sharper, down, across)
                    red, green, blue = int(pixels[y, x, 0]), int(pixels[y, x, 1]), int(pixels[y, x, 2])
                    light = np.float32(RED * red + GREEN * green + BLUE * blue) / np.float32(256)
                    wished = min(max(light + change, min(low, light)), max(high, light)) - light
                    levels = int(np.rint(wished))
                    pixels[y, x, 0] = min(max(red + levels, 0), 255)
                    pixels[y, x, 1] = min(max(green + levels, 0), 255)
                    pixels[y, x, 2] = min(max(blue + levels, 0), 255)

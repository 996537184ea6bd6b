"""Bars and frames: a uniform border is continued flat, and the scene inside it is extended by itself.

A letterbox, a pillarbox or a frame is no part of the scene, nor is the scene a part of it. A bar is uniform to the eye
and ends in a straight, sharp line; it is taken off, and laid around the extended scene at the end. A picture whose
whole rim is one colour, such as a product on white, needs no such line: all around it is flat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from uncrop.model import Sides

if TYPE_CHECKING:
    from uncrop.model import Pixels

CALM = 4  # levels of 255 by which a pixel may be off its bar's colour: the noise of a JPEG
DRIFT = 1.0  # levels by which the mean over a part of the outermost line may be off: more shows as a step
PARTS = 8  # of a line
EDGE = 24  # levels by which the scene differs from its bar; most of what rings in a JPEG stays below
RAGGED = 2  # lines next to the scene that may be mixed with it
RINGING = 16  # lines next to the scene that ring: a block of a JPEG whose colour is halved
NOISE = 12.0  # levels by which the pixels of lines that ring may be off in the mean: more would be a gradient
THIN_DRIFT, THIN_NOISE = 2.0, 3.0  # what DRIFT and NOISE are for a bar of RINGING lines or fewer
SHADE = 3.0  # levels by which they may be lighter or darker in the mean: more would be a ramp
SHORTEST = 16  # pixels of a line that can be told to be uniform
LAYERS = 2  # bars one behind the other on one side; more would be a pattern of stripes
RIM = 20  # a closed rim is at least one RIM-th of the photo's shorter side deep, ...
LEAST_RIM = 4  # ... and so many pixels
BAND = 64  # lines looked at in one go

Side: TypeAlias = Literal["up", "down", "left", "right"]
SIDES: tuple[Side, ...] = ("up", "down", "left", "right")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A uniform bar on one side of a photo, or of what other bars leave of it.

    Attributes
    ----------
    side
        Where it lies.
    depth
        Its lines, at least 1.
    colour
        (channels), of the photo's dtype, alpha included.
    """

    side: Side
    depth: int
    colour: NDArray[Any]


def find_bars(photo: Pixels) -> list[Bar]:
    """Return the bars of a photo (h, w, channels) from the outside inward; those of a closed rim are all one colour.

    A photo with transparent pixels has none: the colours that lie hidden under them play no part in anything.
    """
    if min(photo.shape[:2]) < SHORTEST or (photo.shape[2] in (2, 4) and photo[:, :, -1].min() < _white(photo.dtype)):
        return []
    colour, depth = _median(photo[0]), max(LEAST_RIM, -(-min(photo.shape[:2]) // RIM))
    if all(_is_calm(_from_side(photo, side)[:depth], colour) for side in SIDES):
        return [Bar(side=side, depth=depth, colour=colour) for side in SIDES]
    bars: list[Bar] = []
    for layer in range(LAYERS):
        for side in SIDES:
            lines = _from_side(photo, side)
            colour = _median(lines[0])
            if depth := bar_depth(lines, colour) or (layer == 0 and stained_depth(lines, colour)):
                bars.append(Bar(side=side, depth=depth, colour=colour))
                photo = without(photo, bars[-1:])
        if {bar.side for bar in bars} == set(SIDES):
            break  # nothing of the scene is left to be extended
    return bars


def without(photo: Pixels, bars: list[Bar]) -> Pixels:
    """Return the view of a photo (h, w, channels) that its bars leave."""
    rows, cols = photo.shape[:2]
    cut = {side: sum(bar.depth for bar in bars if bar.side == side) for side in SIDES}
    scene: Pixels = photo[cut["up"] : rows - cut["down"], cut["left"] : cols - cut["right"]]
    return scene


def scene_sides(sides: Sides, bars: list[Bar]) -> Sides:
    """Return how far the scene inside the bars is to be extended: ``sides``, but 0 behind a bar and where cropped."""
    flat = {bar.side for bar in bars}
    up, down, left, right = (0 if side in flat else max(0, getattr(sides, side)) for side in SIDES)
    return Sides(up=up, down=down, left=left, right=right)


def lay_around(
    made: NDArray[Any], trust: NDArray[np.uint8], bars: list[Bar], sides: Sides
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Lay the bars around the extended scene (H, W, channels) and its confidence (H, W), out to ``sides``.

    The outermost bar of a side takes all that is added there; what is flat can be trusted. The picture is made at once
    at its full size, not bar by bar, so that there are never three of it.
    """
    if not bars:
        return made, trust
    depths = [bar.depth for bar in bars]
    for side in {bar.side for bar in bars}:
        outermost = next(n for n, bar in enumerate(bars) if bar.side == side)
        depths[outermost] += max(0, getattr(sides, side))
    room = {side: sum(deep for bar, deep in zip(bars, depths, strict=True) if bar.side == side) for side in SIDES}
    top, left, bottom, right = room["up"], room["left"], room["up"] + made.shape[0], room["left"] + made.shape[1]
    whole = np.empty((bottom + room["down"], right + room["right"], made.shape[2]), made.dtype)
    sure = np.full(whole.shape[:2], 255, np.uint8)
    whole[top:bottom, left:right] = made
    sure[top:bottom, left:right] = trust
    for bar, deep in reversed(list(zip(bars, depths, strict=True))):
        match bar.side:
            case "up":
                whole[top - deep : top, left:right] = bar.colour
                top -= deep
            case "down":
                whole[bottom : bottom + deep, left:right] = bar.colour
                bottom += deep
            case "left":
                whole[top:bottom, left - deep : left] = bar.colour
                left -= deep
            case "right":
                whole[top:bottom, right : right + deep] = bar.colour
                right += deep
    return whole, sure


def bar_depth(lines: NDArray[Any], colour: NDArray[Any]) -> int:
    """Return how many of ``lines`` (n, length, channels), the outermost first, are a bar; 0 where there is none."""
    if lines.shape[1] < SHORTEST or _off(lines[:1], colour).max() > EDGE or _drift(lines[0], colour) > THIN_DRIFT:
        return 0
    depth = _sharp_end(lines, colour)
    if depth > RINGING and not _is_calm(lines[: depth - RINGING], colour):
        return 0
    last = lines[max(0, depth - RINGING) : max(1, depth - RAGGED)]
    if _off(last, colour).mean(axis=1).max() > (NOISE if depth > RINGING else THIN_NOISE):
        return 0
    shade = _lightness(last).mean(axis=1) - _lightness(colour)
    return depth if np.abs(shade).max() <= SHADE * _levels(lines.dtype) else 0


def stained_depth(lines: NDArray[Any], colour: NDArray[Any]) -> int:
    """Return what ``bar_depth`` does for a bar of ``RINGING`` lines or fewer that a JPEG has stained.

    It may lie in the same blocks as the scene, whose colours then reach all over it. Lightness is kept at twice their
    resolution and tells where the bar ends.
    """
    rim = lines[: RINGING + RAGGED + 1]
    depth = bar_depth(_lightness(rim), _lightness(colour))
    stains = _off(rim[: max(1, depth - RAGGED)], colour).mean()
    return depth if depth <= RINGING and stains <= NOISE else 0


def _sharp_end(lines: NDArray[Any], colour: NDArray[Any]) -> int:
    """Return the first of ``lines`` half of which is another colour, 0 where none is or it comes about by and by."""
    for start in range(0, lines.shape[0], BAND):
        other = _off(lines[start : start + BAND + RAGGED], colour) > EDGE
        found = np.flatnonzero(other[:BAND].any(axis=1))
        if found.size:
            first = int(found[0])
            sharp = np.flatnonzero(other[first : first + RAGGED + 1].mean(axis=1) >= 0.5)
            return start + first + int(sharp[0]) if sharp.size else 0
    return 0


def _from_side(photo: NDArray[Any], side: Side) -> NDArray[Any]:
    """Return the view of a photo (h, w, channels) whose lines begin at ``side`` and go inward."""
    if side in ("left", "right"):
        photo = photo.swapaxes(0, 1)
    return photo[::-1] if side in ("down", "right") else photo


def _median(line: NDArray[Any]) -> NDArray[Any]:
    """Return the colour (channels) that half of a line's pixels (length, channels) lie below; one that occurs."""
    middle = line.shape[0] // 2
    colour: NDArray[Any] = np.partition(line, middle, axis=0)[middle]
    return colour


def _lightness(colours: NDArray[Any]) -> NDArray[Any]:
    """Return the lightness (..., 1) of colours (..., channels), of their dtype, as a JPEG weighs them."""
    if colours.shape[-1] < 3:
        return colours[..., :1]
    red, green, blue = (colours[..., n].astype(np.uint32) for n in range(3))
    light: NDArray[Any] = (77 * red + 150 * green + 29 * blue) >> 8
    return light.astype(colours.dtype)[..., None]


def _levels(dtype: np.dtype[Any]) -> int:
    """Return how many values of a photo are one level of 255."""
    return 257 if dtype == np.uint16 else 1


def _white(dtype: np.dtype[Any]) -> int:
    """Return a photo's largest value."""
    return 255 * _levels(dtype)


def _off(lines: NDArray[Any], colour: NDArray[Any]) -> NDArray[np.int32]:
    """Return (n, length): by how many levels each pixel is off ``colour`` in its worst channel, rounded up."""
    off: NDArray[np.int32] = np.abs(lines.astype(np.int32) - colour.astype(np.int32)).max(axis=2)
    return -(-off // _levels(lines.dtype))


def _drift(line: NDArray[Any], colour: NDArray[Any]) -> float:
    """Return by how many levels the mean over a part of a line (length, channels) is off ``colour`` at most."""
    means = [part.mean(axis=0) for part in np.array_split(line, PARTS)]
    return float(np.abs(np.asarray(means) - colour).max()) / _levels(line.dtype)


def _is_calm(lines: NDArray[Any], colour: NDArray[Any]) -> bool:
    """Tell whether ``lines`` (n, length, channels) are all ``colour``, but for what a JPEG adds."""
    if _off(lines[:1], colour).max() > CALM:
        return False
    return _drift(lines[0], colour) <= DRIFT and all(
        _off(lines[start : start + BAND], colour).max() <= CALM for start in range(0, lines.shape[0], BAND)
    )

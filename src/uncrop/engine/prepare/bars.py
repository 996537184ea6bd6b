"""Bars: uniform strips along a photo's sides, such as a letterbox, a pillarbox or a picture frame.

A bar is no part of the scene. It looks uniform and ends in a straight, sharp line. Bars are cut off, the scene inside
is extended by itself, and at the end the bars are put back around it, continued flat. A photo with a uniform margin of
one colour all round, such as a product on white, needs no sharp line: there all four sides are bars.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from uncrop.model import Sides

if TYPE_CHECKING:
    from uncrop.model import Pixels

TOLERANCE = 4  # levels of 255 by which a pixel may differ from its bar's colour: the noise of a JPEG
MEAN_TOLERANCE = 1.0  # levels by which the mean over a part of the outermost line may differ: more is visible
PARTS = 8  # of a line
EDGE = 24  # levels by which the scene differs from its bar; the ringing of a JPEG mostly stays below
RAGGED = 2  # lines of a bar next to the scene that may be mixed with it
RINGING = 16  # lines next to the scene that may ring: a JPEG's block at half the colour resolution
NOISE = 12.0  # levels by which pixels of ringing lines may differ in the mean: more would be a gradient
THIN_MEAN_TOLERANCE, THIN_NOISE = 2.0, 3.0  # the same, for a bar of RINGING lines or fewer
SHADE = 3.0  # levels by which ringing lines may be lighter or darker in the mean: more would be a ramp
SHORTEST = 16  # pixels of a line at least, to judge that it is uniform
LAYERS = 2  # bars behind each other on one side; more would be a pattern of stripes
MARGIN = 20  # a uniform margin is at least one MARGIN-th of the photo's shorter side deep, ...
LEAST_MARGIN = 4  # ... and at least this many pixels
BAND = 64  # lines that are looked at together

Side: TypeAlias = Literal["up", "down", "left", "right"]
SIDES: tuple[Side, ...] = ("up", "down", "left", "right")


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """A uniform bar on one side of a photo, or of the part that other bars leave.

    Attributes
    ----------
    side
        Where it lies.
    depth
        How many lines it has, at least 1.
    colour
        (channels), of the photo's dtype, alpha included.
    """

    side: Side
    depth: int
    colour: NDArray[Any]


def find_bars(photo: Pixels) -> list[Bar]:
    """Return the bars of a photo (h, w, channels) from the outside inward; those of a margin have all one colour.

    A photo with transparent pixels has none, because the colours under them mean nothing.
    """
    if min(photo.shape[:2]) < SHORTEST or (photo.shape[2] in (2, 4) and photo[:, :, -1].min() < _white(photo.dtype)):
        return []
    colour, depth = _median(photo[0]), max(LEAST_MARGIN, -(-min(photo.shape[:2]) // MARGIN))
    if all(_is_uniform(_from_side(photo, side)[:depth], colour) for side in SIDES):
        return [Bar(side=side, depth=depth, colour=colour) for side in SIDES]
    bars: list[Bar] = []
    for layer in range(LAYERS):
        for side in SIDES:
            lines = _from_side(photo, side)
            colour = _median(lines[0])
            if depth := bar_depth(lines, colour) or (layer == 0 and bleeding_bar_depth(lines, colour)):
                bars.append(Bar(side=side, depth=depth, colour=colour))
                photo = without_bars(photo, bars[-1:])
        if {bar.side for bar in bars} == set(SIDES):
            break  # nothing of the scene is left to be extended
    return bars


def without_bars(photo: Pixels, bars: list[Bar]) -> Pixels:
    """Return the view of a photo (h, w, channels) without its bars: the scene."""
    rows, cols = photo.shape[:2]
    cut = {side: sum(bar.depth for bar in bars if bar.side == side) for side in SIDES}
    scene: Pixels = photo[cut["up"] : rows - cut["down"], cut["left"] : cols - cut["right"]]
    return scene


def scene_sides(sides: Sides, bars: list[Bar]) -> Sides:
    """Return by how much the scene is extended: ``sides``, but 0 on a side with a bar and where it is cropped."""
    flat = {bar.side for bar in bars}
    up, down, left, right = (0 if side in flat else max(0, getattr(sides, side)) for side in SIDES)
    return Sides(up=up, down=down, left=left, right=right)


def add_bars(
    made: NDArray[Any], confidence: NDArray[np.uint8], bars: list[Bar], sides: Sides
) -> tuple[NDArray[Any], NDArray[np.uint8]]:
    """Put the bars around the extended scene (H, W, channels) and its confidence (H, W), out to ``sides``.

    The outermost bar of a side fills all that is added there; flat areas get full confidence. The result is allocated
    once at its full size, not bar by bar, so that there are never three copies of the picture.
    """
    if not bars:
        return made, confidence
    depths = [bar.depth for bar in bars]
    for side in {bar.side for bar in bars}:
        outermost = next(n for n, bar in enumerate(bars) if bar.side == side)
        depths[outermost] += max(0, getattr(sides, side))
    depth_of = {side: sum(deep for bar, deep in zip(bars, depths, strict=True) if bar.side == side) for side in SIDES}
    top, left = depth_of["up"], depth_of["left"]
    bottom, right = top + made.shape[0], left + made.shape[1]
    whole = np.empty((bottom + depth_of["down"], right + depth_of["right"], made.shape[2]), made.dtype)
    whole_confidence = np.full(whole.shape[:2], 255, np.uint8)
    whole[top:bottom, left:right] = made
    whole_confidence[top:bottom, left:right] = confidence
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
    return whole, whole_confidence


def bar_depth(lines: NDArray[Any], colour: NDArray[Any]) -> int:
    """Return how many of ``lines`` (n, length, channels), outermost first, are a bar of ``colour``; 0 for none."""
    if lines.shape[1] < SHORTEST or _offsets(lines[:1], colour).max() > EDGE:
        return 0
    if _mean_offset(lines[0], colour) > THIN_MEAN_TOLERANCE:
        return 0
    depth = _sharp_end(lines, colour)
    if depth > RINGING and not _is_uniform(lines[: depth - RINGING], colour):
        return 0
    last = lines[max(0, depth - RINGING) : max(1, depth - RAGGED)]
    if _offsets(last, colour).mean(axis=1).max() > (NOISE if depth > RINGING else THIN_NOISE):
        return 0
    shade = _lightness(last).mean(axis=1) - _lightness(colour)
    return depth if np.abs(shade).max() <= SHADE * _levels(lines.dtype) else 0


def bleeding_bar_depth(lines: NDArray[Any], colour: NDArray[Any]) -> int:
    """Return the depth of a bar of ``RINGING`` lines or fewer into which the scene's colours bleed; 0 for none.

    In a JPEG such a bar may lie in the same blocks as the scene, whose colours then reach all over it. Lightness has
    twice the colours' resolution and shows where the bar ends.
    """
    outer = lines[: RINGING + RAGGED + 1]
    depth = bar_depth(_lightness(outer), _lightness(colour))
    bleeding = _offsets(outer[: max(1, depth - RAGGED)], colour).mean()
    return depth if depth <= RINGING and bleeding <= NOISE else 0


def _sharp_end(lines: NDArray[Any], colour: NDArray[Any]) -> int:
    """Return the index of the first line of which half is another colour; 0 for none, or for a gradual change."""
    for start in range(0, lines.shape[0], BAND):
        other = _offsets(lines[start : start + BAND + RAGGED], colour) > EDGE
        found = np.flatnonzero(other[:BAND].any(axis=1))
        if found.size:
            first = int(found[0])
            sharp = np.flatnonzero(other[first : first + RAGGED + 1].mean(axis=1) >= 0.5)
            return start + first + int(sharp[0]) if sharp.size else 0
    return 0


def _from_side(photo: NDArray[Any], side: Side) -> NDArray[Any]:
    """Return the view of a photo (h, w, channels) whose first line is the outermost one at ``side``."""
    if side in ("left", "right"):
        photo = photo.swapaxes(0, 1)
    return photo[::-1] if side in ("down", "right") else photo


def _median(line: NDArray[Any]) -> NDArray[Any]:
    """Return the upper median (channels), channel by channel, of a line's pixels (length, channels)."""
    middle = line.shape[0] // 2
    colour: NDArray[Any] = np.partition(line, middle, axis=0)[middle]
    return colour


def _lightness(colours: NDArray[Any]) -> NDArray[Any]:
    """Return the luma (..., 1) of colours (..., channels), as JPEG defines it, in their dtype."""
    if colours.shape[-1] < 3:
        return colours[..., :1]
    red, green, blue = (colours[..., n].astype(np.uint32) for n in range(3))
    light: NDArray[Any] = (77 * red + 150 * green + 29 * blue) >> 8
    return light.astype(colours.dtype)[..., None]


def _levels(dtype: np.dtype[Any]) -> int:
    """Return how many values of a photo's dtype are one level of 255."""
    return 257 if dtype == np.uint16 else 1


def _white(dtype: np.dtype[Any]) -> int:
    """Return the largest value of a photo's dtype."""
    return 255 * _levels(dtype)


def _offsets(lines: NDArray[Any], colour: NDArray[Any]) -> NDArray[np.int32]:
    """Return (n, length): by how many levels each pixel differs from ``colour`` in its worst channel, rounded up."""
    off: NDArray[np.int32] = np.abs(lines.astype(np.int32) - colour.astype(np.int32)).max(axis=2)
    return -(-off // _levels(lines.dtype))


def _mean_offset(line: NDArray[Any], colour: NDArray[Any]) -> float:
    """Return by how many levels the mean over a part of a line (length, channels) differs from ``colour`` at most."""
    means = [part.mean(axis=0) for part in np.array_split(line, PARTS)]
    return float(np.abs(np.asarray(means) - colour).max()) / _levels(line.dtype)


def _is_uniform(lines: NDArray[Any], colour: NDArray[Any]) -> bool:
    """Tell whether ``lines`` (n, length, channels) are all ``colour``, apart from a JPEG's noise."""
    if _offsets(lines[:1], colour).max() > TOLERANCE:
        return False
    return _mean_offset(lines[0], colour) <= MEAN_TOLERANCE and all(
        _offsets(lines[start : start + BAND], colour).max() <= TOLERANCE for start in range(0, lines.shape[0], BAND)
    )

"""From a placement to what one call asks a provider for, by the provider's limits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.geometry.sizes import fit_inside
from uncrop.model.shapes import Frame, Rect

if TYPE_CHECKING:
    from uncrop.model.provider_facts import GeometryFacts
    from uncrop.model.shapes import Placement

# Costs of a frame of free size, against each other: padding means that the photo is encoded again, a larger area costs
# tokens.
PADDING_COST = 0.01
AREA_COST = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Obstacle:
    """What stands in the way of one call: a quantity, its value, and the provider's limit of it.

    ``calls_needed`` is how many calls it would take; ``None`` where no number of calls does.
    """

    quantity: str
    value: float
    limit: float
    calls_needed: int | None = None

    def __str__(self) -> str:
        """Say it in words."""
        return f"{self.quantity} would be {self.value:g}; the limit is {self.limit:g}"


def plan_call(placement: Placement, geometry: GeometryFacts) -> Frame | Obstacle:
    """Plan the one call that makes a canvas.

    Parameters
    ----------
    placement
        The canvas, and where the photo lies on it.
    geometry
        What the provider speaks, and its limits.

    Returns
    -------
    Frame
        The picture to ask for; or, where one call cannot make the canvas, what is in the way.
    """
    if geometry.speaks == "mask":
        return choose_frame(placement, geometry)
    frame = on_grid(placement, geometry.grid)
    return obstacle_to(frame, geometry) or frame


def on_grid(placement: Placement, grid: int) -> Frame:
    """Enlarge a canvas so that its edges, and the photo's place on it, are multiples of ``grid``.

    What was added is cut off again. With a grid of 1 the frame is the canvas.
    """
    kept = placement.kept
    x, y = _up(kept.x, grid), _up(kept.y, grid)
    canvas = Rect(x=x - kept.x, y=y - kept.y, width=placement.width, height=placement.height)
    return Frame(
        width=_up(canvas.x + canvas.width, grid),
        height=_up(canvas.y + canvas.height, grid),
        canvas=canvas,
        photo=Rect(x=x, y=y, width=kept.width, height=kept.height),
    )


def choose_frame(placement: Placement, geometry: GeometryFacts) -> Frame:
    """Choose the frame of a canvas: at the canvas's own scale, on the grid, where the limits allow that.

    Then nothing is resampled, so that what is made has the grain of the photo beside it, and the photo's border lies on
    the grid, as far as it can. Otherwise the canvas is scaled, as ``nearest_frame`` says.

    Raises
    ------
    ValueError
        The provider's limits leave no frame at all.
    """
    unscaled = on_grid(placement, geometry.grid)
    if not geometry.sizes and obstacle_to(unscaled, geometry) is None:
        return unscaled
    return nearest_frame(placement, geometry)


def nearest_frame(placement: Placement, geometry: GeometryFacts) -> Frame:
    """Choose the frame nearest in shape to the canvas, at any scale, among those that the provider makes.

    The canvas is scaled to fit inside and centred, never distorted; what is left over is padding. So there is one for
    every canvas.

    Raises
    ------
    ValueError
        The provider's limits leave no frame at all.
    """
    width, height = placement.width, placement.height
    if geometry.sizes:
        shape = math.log(width / height)
        # Of several sizes of one shape the largest is meant.
        best = min(geometry.sizes, key=lambda size: (abs(math.log(size[0] / size[1]) - shape), -size[0]))
        return frame_of_size(placement, *best)
    area = _clamped(width * height, geometry)
    frames = [frame_of_size(placement, *size) for size in _free_sizes(width, height, geometry)]
    if frames:
        return min(frames, key=lambda frame: _cost(frame, area))
    # The canvas is too small or too narrow for the limits. What is nearest in shape has the least padding.
    shape = math.log(width / height)
    nearest = min(possible_sizes(width, height, geometry), key=lambda size: abs(math.log(size[0] / size[1]) - shape))
    return frame_of_size(placement, *nearest)


def frame_of_size(placement: Placement, width: int, height: int) -> Frame:
    """Return a frame of this size, with the canvas fitted into it and the photo on that."""
    canvas = fit_inside(placement.width, placement.height, width, height)
    kept = placement.kept
    left, right = _inside(kept.x, kept.width, placement.width, canvas.x, canvas.width)
    top, bottom = _inside(kept.y, kept.height, placement.height, canvas.y, canvas.height)
    return Frame(
        width=width, height=height, canvas=canvas, photo=Rect(x=left, y=top, width=right - left, height=bottom - top)
    )


def _inside(start: int, extent: int, whole: int, origin: int, scaled: int) -> tuple[int, int]:
    """Return the whole pixels inside the exact place of ``start..start + extent``, at least one."""
    first = origin + -(-start * scaled // whole)
    last = origin + (start + extent) * scaled // whole
    if last > first:
        return first, last
    first = min(origin + start * scaled // whole, origin + scaled - 1)
    return first, first + 1


def obstacle_to(frame: Frame, geometry: GeometryFacts) -> Obstacle | None:
    """Return the first limit that a frame breaks, if any."""
    return too_large(frame, geometry) or too_small(frame, geometry) or _of_sizes(frame, geometry)


def too_large(frame: Frame, geometry: GeometryFacts) -> Obstacle | None:
    """Return the first limit that a frame exceeds, if any."""
    longest, shortest, photo = max(frame.width, frame.height), min(frame.width, frame.height), frame.photo
    added = max(photo.x, photo.y, frame.width - photo.x - photo.width, frame.height - photo.y - photo.height)
    limits = (
        ("side", added, geometry.max_side),
        ("canvas_edge", longest, geometry.max_edge),
        ("canvas_pixels", frame.width * frame.height, geometry.max_pixels),
        ("canvas_ratio", longest / shortest, geometry.max_ratio),
        ("photo_pixels", photo.width * photo.height, geometry.max_photo_pixels),
        (
            "photo_ratio",
            max(photo.width, photo.height) / min(photo.width, photo.height),
            geometry.max_photo_ratio,
        ),
    )
    for quantity, value, limit in limits:
        if limit is not None and value > limit:
            return Obstacle(quantity=quantity, value=value, limit=limit)
    return None


def too_small(frame: Frame, geometry: GeometryFacts) -> Obstacle | None:
    """Return the first limit that a frame falls short of, if any."""
    shown = min(frame.photo.width, frame.photo.height)
    for quantity, value, least in (
        ("canvas_edge", min(frame.width, frame.height), geometry.min_edge),
        ("canvas_pixels", frame.width * frame.height, geometry.min_pixels),
        # Who crops by itself is sent the whole photo, which was measured before.
        ("photo_edge", geometry.min_photo_edge if geometry.crops else shown, geometry.min_photo_edge),
    ):
        if value < least:
            return Obstacle(quantity=quantity, value=value, limit=least)
    return None


def _of_sizes(frame: Frame, geometry: GeometryFacts) -> Obstacle | None:
    """Return what is in the way of a frame that is none of the only sizes that the provider makes."""
    if not geometry.sizes or (frame.width, frame.height) in geometry.sizes:
        return None
    longest, most = max(frame.width, frame.height), max(max(size) for size in geometry.sizes)
    if longest > most:
        return Obstacle(quantity="canvas_edge", value=longest, limit=most)
    area = max(width * height for width, height in geometry.sizes)
    return Obstacle(quantity="canvas_pixels", value=frame.width * frame.height, limit=area)


def _free_sizes(width: int, height: int, geometry: GeometryFacts) -> Iterator[tuple[int, int]]:
    grid, most = geometry.grid, geometry.max_ratio or math.inf
    ratio = min(max(width / height, 1 / most), most)
    edge = math.inf if geometry.max_edge is None else geometry.max_edge
    ideal = min(math.sqrt(_clamped(width * height, geometry) / ratio), edge / max(ratio, 1))
    for steps in range(math.floor(0.8 * ideal / grid), math.ceil(1.25 * ideal / grid) + 1):
        rows = steps * grid
        columns = round(rows * ratio / grid) * grid
        if _is_possible(columns, rows, geometry):
            yield columns, rows


def possible_sizes(width: int, height: int, geometry: GeometryFacts) -> Iterator[tuple[int, int]]:
    """Yield, for every number of rows within the limits, the width nearest to the shape ``width`` : ``height``."""
    grid, most = geometry.grid, geometry.max_ratio or math.inf
    least = max(geometry.min_edge, math.isqrt(geometry.min_pixels - 1) + 1, width, height)
    edge = _up(2 * least, grid) if geometry.max_edge is None else geometry.max_edge
    for rows in range(_up(geometry.min_edge, grid), edge + 1, grid):
        low = max(geometry.min_edge, -(-geometry.min_pixels // rows), math.ceil(rows / most))
        high = min(edge, rows * most)
        high = high if geometry.max_pixels is None else min(high, geometry.max_pixels // rows)
        columns = min(max(round(rows * width / height / grid), -(-low // grid)), high // grid) * grid
        if columns >= low:
            yield int(columns), rows


def _is_possible(width: int, height: int, geometry: GeometryFacts) -> bool:
    shortest, longest, pixels = min(width, height), max(width, height), width * height
    if shortest < geometry.min_edge or pixels < geometry.min_pixels:
        return False
    return (
        (geometry.max_edge is None or longest <= geometry.max_edge)
        and (geometry.max_ratio is None or longest <= geometry.max_ratio * shortest)
        and (geometry.max_pixels is None or pixels <= geometry.max_pixels)
    )


def _clamped(area: float, geometry: GeometryFacts) -> float:
    area = max(area, geometry.min_pixels)
    return area if geometry.max_pixels is None else min(area, geometry.max_pixels)


def _cost(frame: Frame, area: float) -> float:
    extent = frame.width * frame.height
    padding = 1 - frame.canvas.width * frame.canvas.height / extent
    return padding + (PADDING_COST if padding else 0) + AREA_COST * abs(math.log2(extent / area))


def _up(value: int, grid: int) -> int:
    return -(-value // grid) * grid

"""One call of a plan: what it is sent, and at which scale, so that it keeps the limits of a provider's row.

A call is sent the whole picture so far, as it is, where the limits allow that; else a part of it next to what is to be
made; else a part that is scaled, where the row's ``scales`` allows it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from uncrop.geometry.planner import choose_frame, frame_of_size, obstacle_to, on_grid, too_large, too_small
from uncrop.model.plans import CallPlan
from uncrop.model.shapes import Frame, Rect

if TYPE_CHECKING:
    from uncrop.model.provider_facts import GeometryFacts

# A photo is never enlarged for a call to more than so many times its size.
MOST_ENLARGED = 16
# Pixels of the picture next to what is to be made, of which less tells too little of the scene.
LEAST_SHOWN = 256
# How many pixels rounding may be away from an exact scale.
ROUNDINGS = 48


@dataclass(frozen=True, kw_only=True, slots=True)
class CallFitter:
    """Makes calls that keep one row's limits.

    Attributes
    ----------
    geometry
        What the provider speaks, and its limits.
    cuts
        Whether a call may be sent a part of the picture.
    sizes_alone
        The limits without those of a side and of shapes, which no scale changes.
    """

    geometry: GeometryFacts
    cuts: bool
    sizes_alone: GeometryFacts

    @classmethod
    def of(cls, geometry: GeometryFacts, *, cuts: bool) -> CallFitter:
        """Return the one for a row."""
        alone = replace(geometry, max_side=None, max_ratio=None, max_photo_ratio=None)
        return cls(geometry=geometry, cuts=cuts, sizes_alone=alone)

    def make(self, known: Rect, target: Rect) -> CallPlan | None:
        """Return the call that makes ``target`` around ``known``: whole, else cut, else scaled."""
        whole = CallPlan(part=known, window=target, frame=_as_it_is(known, target))
        if self.is_legal(whole):
            return whole
        extents = self.cut(whole) if self.cuts else None
        rest = whole
        if extents is not None:
            across, low, high = extents
            cut = _cut_to(whole, high, across=across)
            if self.is_legal(cut):
                return cut
            rest = cut if low == high else _cut_to(whole, low, across=across)
        if self.geometry.sizes:
            return self.of_a_size(whole) or self.of_a_size(rest)
        return self.scaled(rest) if self.geometry.scales and self.has_legal_shape(rest) else None

    def is_legal(self, call: CallPlan) -> bool:
        """Tell whether a call keeps every limit."""
        return obstacle_to(self.on_grid(call), self.geometry) is None

    def on_grid(self, call: CallPlan) -> Frame:
        """Return the frame that the provider will be asked for."""
        return call.frame if self.geometry.grid == 1 else on_grid(call.asked, self.geometry.grid)

    def has_legal_shape(self, call: CallPlan) -> bool:
        """Tell whether the ratios, which no scale changes, are about within their limits."""
        return all(
            ratio is None or max(rect.width, rect.height) <= ratio * (min(rect.width, rect.height) + 1)
            for rect, ratio in ((call.part, self.geometry.max_photo_ratio), (call.window, self.geometry.max_ratio))
        )

    def cut(self, call: CallPlan) -> tuple[bool, int, int] | None:
        """Tell how what lies far from the one side that grows can be cut off; ``None`` where several do.

        Returns
        -------
        tuple
            Whether it is columns that are cut, not rows; the fewest that should be shown of them; and as many as the
            limits allow.
        """
        part, window = call.part, call.window
        across = part.height == window.height and (part.x == window.x) != (_right(part) == _right(window))
        down = part.width == window.width and (part.y == window.y) != (_bottom(part) == _bottom(window))
        if not across and not down:
            return None
        along, wide = (part.width, part.height) if across else (part.height, part.width)
        added = (window.width - part.width) if across else (window.height - part.height)
        low, high = self.extents(along, wide, added)
        return across, low, max(low, high)

    def extents(self, along: int, wide: int, added: int) -> tuple[int, int]:
        """Return the least that a call should be shown along the side that grows, and the most that the limits allow.

        The least is as much as is to be made and, where scaling can make room for it, half as much as the picture is
        wide there; less only where the ratios allow no more.
        """
        facts, slack = self.geometry, 2 * (self.geometry.grid - 1)
        low, high = min(along, max(LEAST_SHOWN, added, wide // 2 if facts.scales else 0)), along
        for ratio, beside in ((facts.max_photo_ratio, 0), (facts.max_ratio, added)):
            if ratio is not None:
                low = max(low, math.ceil(wide / ratio) - beside)
                high = min(high, math.floor(wide * ratio) - beside)
        low, high = max(1, min(low, high)), max(1, high)
        for most, beside in (
            (facts.max_edge, added + slack),
            (None if facts.max_pixels is None else facts.max_pixels // (wide + slack), added + slack),
            (None if facts.max_photo_pixels is None else facts.max_photo_pixels // wide, 0),
        ):
            high = high if most is None else min(high, most - beside)
        return low, high

    def scaled(self, call: CallPlan) -> CallPlan | None:
        """Scale a call down as little as brings it within the limits, or up where it is too small."""
        longest = max(call.window.width, call.window.height)
        if too_large(self.on_grid(call), self.sizes_alone) is None:
            edges, breaks = range(_raised(call, self.geometry), MOST_ENLARGED * longest + 1), too_small
        else:
            edges, breaks = range(_lowered(call, self.geometry), 0, -1), too_large
        # Of the exact scale, rounding to whole pixels may leave a few too many, or too few.
        for edge in edges[:ROUNDINGS]:
            found = _scaled_to(call, edge)
            if breaks(self.on_grid(found), self.sizes_alone) is None:
                return found if self.is_legal(found) else None
        return None

    def of_a_size(self, call: CallPlan) -> CallPlan | None:
        """Put a call on the smallest of the provider's sizes that holds it, else scale it to the nearest in shape."""
        geometry, window, shown = self.geometry, call.window, call.shown
        photo = on_grid(shown, geometry.grid).photo
        canvas = Rect(x=photo.x - shown.kept.x, y=photo.y - shown.kept.y, width=window.width, height=window.height)
        for width, height in sorted(geometry.sizes, key=lambda size: size[0] * size[1]):
            if _right(canvas) <= width and _bottom(canvas) <= height:
                held = replace(call, frame=Frame(width=width, height=height, canvas=canvas, photo=photo))
                if self.is_legal(held):
                    return held
        scaled = replace(call, frame=choose_frame(shown, geometry))
        return scaled if geometry.scales and self.is_legal(scaled) else None


def _lowered(call: CallPlan, facts: GeometryFacts) -> int:
    """Return the longer edge at which a call's window is within the upper limits, but for rounding."""
    width, height, part = call.window.width, call.window.height, call.part
    longest, slack = max(width, height), 2 * (facts.grid - 1)
    edges = [longest]
    if facts.max_edge is not None:
        edges.append(facts.max_edge - slack)
    if facts.max_photo_pixels is not None:
        edges.append(math.floor(longest * math.sqrt(facts.max_photo_pixels / (part.width * part.height))))
    if facts.max_pixels is not None:
        # (width s + slack) (height s + slack) = max_pixels, solved for s.
        half = slack * (width + height) / 2
        root = math.sqrt(half * half + width * height * max(0, facts.max_pixels - slack * slack))
        edges.append(math.floor(longest * (root - half) / (width * height)))
    return min(edges)


def _raised(call: CallPlan, facts: GeometryFacts) -> int:
    """Return the longer edge at which a call's window is within the lower limits, but for rounding."""
    width, height, part = call.window.width, call.window.height, call.part
    scale = max(
        1.0,
        facts.min_edge / min(width, height),
        math.sqrt(facts.min_pixels / (width * height)),
        facts.min_photo_edge / min(part.width, part.height),
    )
    return math.ceil(max(width, height) * scale)


def _as_it_is(part: Rect, window: Rect) -> Frame:
    """Return the frame that is the window itself."""
    whole = Rect(x=0, y=0, width=window.width, height=window.height)
    photo = Rect(x=part.x - window.x, y=part.y - window.y, width=part.width, height=part.height)
    return Frame(width=window.width, height=window.height, canvas=whole, photo=photo)


def _scaled_to(call: CallPlan, edge: int) -> CallPlan:
    """Scale a call so that its window's longer edge has so many pixels."""
    width, height = call.window.width, call.window.height
    longest = max(width, height)
    size = [max(1, (2 * extent * edge + longest) // (2 * longest)) for extent in (width, height)]
    return replace(call, frame=frame_of_size(call.shown, size[0], size[1]))


def _cut_to(call: CallPlan, extent: int, *, across: bool) -> CallPlan:
    """Keep so many columns, or rows, of a call's part, those next to the side that grows."""
    part, window = call.part, call.window
    if across:
        x = part.x if part.x != window.x else _right(part) - extent
        left = window.x if part.x != window.x else x
        width = window.width - part.width + extent
        part = Rect(x=x, y=part.y, width=extent, height=part.height)
        window = Rect(x=left, y=window.y, width=width, height=window.height)
    else:
        y = part.y if part.y != window.y else _bottom(part) - extent
        top = window.y if part.y != window.y else y
        height = window.height - part.height + extent
        part = Rect(x=part.x, y=y, width=part.width, height=extent)
        window = Rect(x=window.x, y=top, width=window.width, height=height)
    return CallPlan(part=part, window=window, frame=_as_it_is(part, window))


def _right(rect: Rect) -> int:
    return rect.x + rect.width


def _bottom(rect: Rect) -> int:
    return rect.y + rect.height

"""Shapes: sides, rectangles, and where a photo lies on the picture that will be made. Integers, in pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Sides:
    """Pixels to add on each side; a negative number crops that side."""

    left: int = 0
    right: int = 0
    up: int = 0
    down: int = 0

    def left_over(self, width: int, height: int) -> tuple[int, int]:
        """Return what cropping leaves of a width and a height; under 1 where it leaves nothing."""
        return width + min(0, self.left) + min(0, self.right), height + min(0, self.up) + min(0, self.down)


@dataclass(frozen=True, kw_only=True, slots=True)
class Rect:
    """An axis-parallel rectangle: its top left pixel and its extent, in pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Placement:
    """Where the photo lies on the picture that will be made.

    ``source`` is the part of the upright photo that is used, in the photo's coordinates; ``kept`` is where that part
    lies on the canvas, in the canvas's coordinates. The two have the same extent unless the photo is scaled to an
    output size that was asked for.
    """

    width: int
    height: int
    source: Rect
    kept: Rect

    @property
    def is_full(self) -> bool:
        """Whether the photo covers the whole canvas, as with a mask alone."""
        return (self.kept.width, self.kept.height) == (self.width, self.height)

    @property
    def added(self) -> Sides:
        """How many pixels are to be made on each side of the photo; none is negative."""
        kept = self.kept
        right, down = self.width - kept.x - kept.width, self.height - kept.y - kept.height
        return Sides(left=kept.x, right=right, up=kept.y, down=down)

    def to_text(self) -> str:
        """Return the canvas, and where the photo lies on it, as every front tells it: ``WxH+X+Y``."""
        return f"{self.width}x{self.height}+{self.kept.x}+{self.kept.y}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Frame:
    """The picture that one call asks a provider for.

    ``canvas`` is where the canvas lies on it: what lies outside is cut off again. ``photo`` is where the visible part
    of the photo is drawn, whole pixels inside its exact place. Where the canvas is smaller here than on the
    ``Placement``, the photo is scaled down for the call, and what was made is enlarged afterwards.
    """

    width: int
    height: int
    canvas: Rect
    photo: Rect

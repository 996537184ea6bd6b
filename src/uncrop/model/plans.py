"""Plans: which calls make a canvas. Integers, in pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from uncrop.model.shapes import Placement, Rect

if TYPE_CHECKING:
    from uncrop.model.shapes import Frame


@dataclass(frozen=True, kw_only=True, slots=True)
class CallPlan:
    """One call: what it is sent, what it is asked for, and where that lands.

    Attributes
    ----------
    part
        What is sent of the picture so far: a rectangle of the canvas on which every pixel is known.
    window
        The rectangle of the canvas that the call makes; ``part`` lies in it.
    frame
        The picture that is asked for: ``frame.canvas`` is where the window lies on it, ``frame.photo`` where the part
        does. Where ``frame.canvas`` is smaller than the window, the part is scaled down for the call, and what was made
        is enlarged afterwards; a part that is too small for the provider is scaled up.
    """

    part: Rect
    window: Rect
    frame: Frame

    @property
    def asked(self) -> Placement:
        """The frame as a placement of the part, as it is sent."""
        photo = self.frame.photo
        sent = Rect(x=0, y=0, width=photo.width, height=photo.height)
        return Placement(width=self.frame.width, height=self.frame.height, source=sent, kept=photo)

    @property
    def shown(self) -> Placement:
        """The window as a placement of the part, at the canvas's scale."""
        part, window = self.part, self.window
        known = Rect(x=0, y=0, width=part.width, height=part.height)
        kept = Rect(x=part.x - window.x, y=part.y - window.y, width=part.width, height=part.height)
        return Placement(width=window.width, height=window.height, source=known, kept=kept)

    @property
    def factor(self) -> float:
        """By how much what the call makes is enlarged; under 1 where it is scaled down."""
        canvas, window = self.frame.canvas, self.window
        return max(window.width / canvas.width, window.height / canvas.height)

    @property
    def is_scaled(self) -> bool:
        """Whether the call works at another scale than the canvas's."""
        canvas, window = self.frame.canvas, self.window
        return (canvas.width, canvas.height) != (window.width, window.height)


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """The calls that make a canvas, one after the other; each is fed with what the ones before it made.

    Attributes
    ----------
    calls
        At least one. The last one's window need not be the whole canvas: what no window covers is the photo.
    direct
        The one call is made of the photo's own file and placement, without scaling or cutting.
    """

    calls: tuple[CallPlan, ...]
    direct: bool = False

    @property
    def is_scaled(self) -> bool:
        """Whether any call works at another scale than the canvas's."""
        return any(call.is_scaled for call in self.calls)

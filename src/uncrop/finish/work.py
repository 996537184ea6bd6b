"""What the finishing steps hand to one another."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from uncrop.finish.detail.progress import Pace
from uncrop.imaging import arrays, codec
from uncrop.imaging.answer import rgb_space
from uncrop.placement.frames import kept_opacity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from uncrop.model import Detail, Fill, Pixels, Placement, Rect, Task

BAND = 64  # rows


@dataclass(frozen=True, kw_only=True, slots=True)
class Work:
    """The picture between two steps.

    Attributes
    ----------
    canvas
        Where the original lies.
    original
        The part of the photo that is used, at the canvas's scale: (kept.height, kept.width, 3) uint8.
    opacity
        How much of the original stays, 0..255, (kept.height, kept.width) uint8: 0 where the mask asks for new pixels
        and where the photo is transparent. ``None`` where all of it stays.
    pixels
        What the provider made: (height, width, 3) uint8, (canvas.height, canvas.width) after the step ``fit``, from
        which on the pipeline owns them and may write to them.
    icc
        The profile of the original's numbers; ``None`` is sRGB.
    repaint_difference
        Mean absolute difference to the original inside it, 0..255.
    factor
        By how much what was made was enlarged, after the step ``fit``; 1 or less where it was not.
    wants_detail
        Whether detail may be drawn where it was.
    seed
        Of the random places that are tried for it.
    detail
        What came of it.
    pace
        By when it must be drawn, and with how many threads.
    """

    canvas: Placement
    original: NDArray[np.uint8] = field(repr=False)
    opacity: NDArray[np.uint8] | None = field(repr=False)
    pixels: NDArray[np.uint8] = field(repr=False)
    exact_size: bool
    icc: bytes | None = field(default=None, repr=False)
    repaint_difference: float | None = None
    warnings: tuple[str, ...] = ()
    factor: float = 1.0
    wants_detail: bool = True
    seed: int = 0
    detail: Detail | None = None
    pace: Pace = field(default_factory=Pace)

    @property
    def inside(self) -> tuple[slice, slice]:
        """Index of the original's place on the canvas."""
        return _index(self.canvas.kept)


def bands(height: int) -> Iterator[slice]:
    """Cut so many rows into bands that stay within the processor's cache."""
    return (slice(top, min(top + BAND, height)) for top in range(0, height, BAND))


def writeable(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return pixels that may be written to, and lie in one piece; Numba would compile once more for others."""
    return np.require(pixels, requirements=("C", "W"))


def runs(flags: NDArray[np.bool_]) -> Iterator[slice]:
    """Yield each unbroken run of ``True`` in a line."""
    edges = np.flatnonzero(np.diff(flags, prepend=False, append=False)).tolist()
    return (slice(*ends) for ends in zip(edges[::2], edges[1::2], strict=True))


def scale_photo(photo: Pixels, canvas: Placement) -> NDArray[np.uint8] | None:
    """Make the part of the photo that is used, in RGB at the canvas's scale; ``None`` where the scale is the photo's.

    Providers that draw the photo into a frame of the canvas's extent need the same pixels, so that it is done once.
    """
    source, kept = canvas.source, canvas.kept
    if (source.width, source.height) == (kept.width, kept.height):
        return None
    return codec.resize(arrays.to_rgb8(photo[_index(source)]), kept.width, kept.height)


def begin(task: Task, fill: Fill, pace: Pace | None = None) -> Work:
    """Bring photo, mask and fill to one form: RGB, 8 bit, the canvas's scale."""
    canvas, plan = task.job.placement, task.job.plan
    photo = task.photo[_index(canvas.source)]
    opacity = kept_opacity(task)
    scaled = scale_photo(task.photo, canvas) if task.scaled is None else task.scaled
    if scaled is not None and opacity is not None:
        opacity = codec.resize(opacity[..., None], canvas.kept.width, canvas.kept.height)[..., 0]
    return Work(
        canvas=canvas,
        original=arrays.to_rgb8(photo) if scaled is None else scaled,
        opacity=opacity,
        pixels=arrays.to_rgb8(fill.pixels),
        exact_size=task.job.provider.geometry.speaks != "mask" and (plan is None or not plan.is_scaled),
        icc=rgb_space(task.job.header),
        wants_detail=task.job.request.detail != "off",
        seed=task.job.seed or 0,
        pace=pace or Pace(),
    )


def _index(rect: Rect) -> tuple[slice, slice]:
    return slice(rect.y, rect.y + rect.height), slice(rect.x, rect.x + rect.width)

"""The original's pixels back in place, exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uncrop.finish.work import writeable

if TYPE_CHECKING:
    from uncrop.finish.work import Work


def paste_original(work: Work) -> Work:
    """Put every pixel that stays where it was; half transparent ones are laid over what was made."""
    from uncrop.finish.kernels import lay_over

    if work.opacity is None:
        work.pixels[work.inside] = work.original
        return work
    kept, channels = work.canvas.kept, work.pixels.shape[2]
    whole, original = (pixels.reshape(pixels.shape[0], -1) for pixels in (work.pixels, writeable(work.original)))
    lay_over(whole, kept.y, kept.x * channels, original, writeable(work.opacity))
    return work

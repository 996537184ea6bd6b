"""The embedded engine: extends a photo from its own pixels, without weights and without a network.

The method is multi-scale patch matching with expectation-maximisation (Wexler et al. 2007, Newson et al. 2014), from
coarse candidates that grow outward from the photo. ``docs/engine.md`` explains it, and ``docs/words.md`` its terms.
``pipeline.py`` shows the steps in their order; each step is a file. Importing this package loads neither NumPy nor
Numba.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from uncrop.engine.runtime.cache import is_compiled, mark_compiled, use_cache, why_not_kept
from uncrop.engine.runtime.memory import PROCESS_BYTES, peak_bytes, picture_bytes
from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.engine.runtime.shared import FAMILY, SharedCandidates, family_seed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from uncrop.model import Pixels, Quality, Sides

__all__ = [
    "FAMILY",
    "PROCESS_BYTES",
    "Extension",
    "SharedCandidates",
    "extend",
    "family_seed",
    "is_compiled",
    "peak_bytes",
    "picture_bytes",
    "use_cache",
    "warm_up",
    "why_not_kept",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Extension:
    """An extended photo and how far it can be trusted.

    Attributes
    ----------
    pixels
        (height, width, channels), the dtype and the channels of the photo, the photo's own pixels in place.
    confidence
        0 to 1 for the whole made area; 1 when nothing had to be made.
    confidence_map
        (height, width) uint8, 0 to 255 for every pixel, 255 on the photo itself. ``extend`` always sets it; a caller
        that passes the rest on without it sets None.
    advice
        How far each side can be extended before the confidence of a line falls under 0.4, at most as far as it was
        extended; None when nothing had to be made.
    """

    pixels: Pixels = field(repr=False)
    confidence: float
    confidence_map: NDArray[np.uint8] | None = field(repr=False)
    advice: Sides | None = None


def extend(
    image: Pixels,
    sides: Sides,
    *,
    seed: int,
    quality: Quality = "standard",
    progress: Callable[[float, str], None] | None = None,
    deadline: float | None = None,
    clock: Callable[[], float] = time.monotonic,
    threads: int | None = None,
    shared: SharedCandidates | None = None,
) -> Extension:
    """Extend a photo beyond its borders.

    Parameters
    ----------
    image
        (height, width, channels) uint8 or uint16, at least 16 x 16; 1 channel is grey, 2 grey + alpha, 3 RGB, 4 RGBA.
    sides
        Pixels to add on each side, up to 65500; negative numbers crop.
    seed
        0 to 4294967295. The same photo, sides, quality and seed give the same bytes, whatever the number of threads.
    quality
        "fast" for previews, "standard", or "best", which makes four times as many candidates.
    progress
        Called as ``progress(fraction, step)`` between the steps; an exception that it raises cancels the work.
    deadline
        A time on ``clock`` after which no further step begins.
    clock
        Returns seconds from any origin.
    threads
        How many threads compute; by default as many as Numba allows.
    shared
        Keeps what pictures of the same photo with seeds of one family (4 n to 4 n + 3) have in common; the pictures
        are the same with and without it.

    Returns
    -------
    Extension
        The picture in exactly the size that was asked for, with its confidence.

    Raises
    ------
    InvalidImage
        The array has another shape or type, or is under 16 pixels.
    InvalidExtendParameters
        The sides exceed their limits, are all zero, or leave nothing.
    InvalidFieldValue
        The seed or the quality does not exist.
    ProviderTimeout
        The deadline passed between two steps.
    """
    from uncrop.engine.prepare.checks import check_request

    check_request(image, sides, seed, quality)
    monitor = ProgressMonitor(progress=progress, deadline=deadline, clock=clock)
    monitor.check()  # loading the kernels takes a while
    from uncrop.engine.pipeline import run

    return Extension(**run(image, sides, seed=seed, quality=quality, monitor=monitor, threads=threads, shared=shared))


def warm_up() -> str | None:
    """Compile every kernel into the folder given to ``use_cache``, so that no later call has to.

    Returns
    -------
    str or None
        Why they could not be kept there; they are ready in this process all the same.
    """
    from uncrop.engine.runtime.warm_up import compile_all_kernels

    compile_all_kernels()
    return mark_compiled()

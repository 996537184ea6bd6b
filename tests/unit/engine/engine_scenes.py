"""A small level of the engine's pyramid, for the tests of its steps."""

from __future__ import annotations

import numpy as np

from uncrop.engine.compose.seams import Copies, make_copies
from uncrop.engine.prepare.canvas import CanvasGeometry
from uncrop.engine.prepare.prior import Strictness, make_prior
from uncrop.engine.prepare.pyramid import make_exemplar
from uncrop.engine.runtime.progress import ProgressMonitor
from uncrop.engine.runtime.run import Run
from uncrop.engine.runtime.thread_pool import ThreadPool
from uncrop.engine.search.patch_field import is_target, make_field

RNG = np.random.default_rng(4)
START = RNG.bit_generator.state
ONE_THREAD = ThreadPool(1, lambda: None)
NO_DEADLINE = ProgressMonitor(progress=None, deadline=None, clock=lambda: 0.0)
RUN = Run(pool=ONE_THREAD, monitor=NO_DEADLINE, seed=1)
PLAIN = Strictness(vertical=0, horizontal=0)


def random_pixels(rows: int, cols: int) -> np.ndarray:
    return RNG.integers(0, 256, (rows, cols, 4), dtype=np.uint8)


def exemplar_of(pixels: np.ndarray):
    return make_exemplar(pixels, np.ones(pixels.shape[:2], bool), ONE_THREAD)


def scene(strictness: Strictness = PLAIN):
    """Return a small level: canvas, exemplar, field with random sources, prior."""
    canvas = CanvasGeometry(height=26, width=30, top=4, left=5, rows=16, cols=18)
    pixels = random_pixels(16, 18)
    field, exemplar = make_field(canvas, pixels), exemplar_of(pixels)
    made = field.picture
    outside = np.ones((26, 30), bool)
    outside[4:20, 5:23] = False
    made[outside] = RNG.integers(0, 256, (outside.sum(), 4))
    for y in range(26):
        for x in range(30):
            if is_target(y, x, 26, 30, field.box):
                field.sources[y, x] = RNG.integers(3, 13), RNG.integers(3, 15)
                field.costs[y, x] = RNG.integers(0, 200_000)
                field.shifts[y, x] = RNG.integers(-20, 20, 3)
    return canvas, exemplar, field, make_prior(canvas, strictness)


def copies_of(colour: np.ndarray, origin: np.ndarray, box: tuple[int, ...], opaque: np.ndarray | None = None) -> Copies:
    whole = np.ones(colour.shape[:2], bool)
    return make_copies(colour, whole if opaque is None else opaque, origin, np.array(box))


def patchwork(height: int = 30, width: int = 36, channels: int = 3, dtype: type = np.uint8) -> Copies:
    """Return a canvas around a photo of 17 x 20 at (6, 8), made of squares of 5 that copy from random places."""
    y, x = np.mgrid[0:17, 0:20]
    waves = [120 + 90 * np.sin(0.2 * x + 0.31 * y * (k + 1)) for k in range(channels)]
    colour = (np.stack(waves, -1) * (np.iinfo(dtype).max // 255)).astype(dtype)
    corner = RNG.integers(0, (13, 16), (height // 5 + 1, width // 5 + 1, 2))
    rows, cols = np.mgrid[0:height, 0:width]
    start = corner[rows // 5, cols // 5]
    origin = ((start[..., 0] + rows % 5) * 20 + start[..., 1] + cols % 5).astype(np.int32)
    origin[6:23, 8:28] = -1
    return copies_of(colour, origin, (6, 23, 8, 28))

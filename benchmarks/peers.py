"""Everyone who extends pictures in the benchmarks: uncrop in every quality, reflection, and the peers from PyPI."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from uncrop.engine import extend
from uncrop.model import Quality, Sides

Picture = NDArray[np.uint8]
Maker = Callable[[Picture, Sides], Picture]
QUALITIES: tuple[Quality, ...] = ("fast", "standard", "best")


def uncrop(photo: Picture, sides: Sides, *, quality: Quality, seed: int = 0) -> Picture:
    return extend(photo, sides, seed=seed, quality=quality).pixels.astype(np.uint8, copy=False)


def reflect(photo: Picture, sides: Sides) -> Picture:
    return np.pad(photo, ((sides.up, sides.down), (sides.left, sides.right), (0, 0)), mode="reflect")


def on_canvas(photo: Picture, sides: Sides) -> tuple[Picture, Picture]:
    """Return the photo on a black canvas, and a mask (height, width, 1), 255 where pixels are to be made."""
    pad = ((sides.up, sides.down), (sides.left, sides.right))
    mask = np.pad(np.zeros((*photo.shape[:2], 1), np.uint8), (*pad, (0, 0)), constant_values=255)
    return np.pad(photo, (*pad, (0, 0))), mask


def telea(cv2: Any, photo: Picture, sides: Sides) -> Picture:
    made: Picture = cv2.inpaint(*on_canvas(photo, sides), 3, cv2.INPAINT_TELEA)
    return made


def patchmatch(module: Any, photo: Picture, sides: Sides) -> Picture:
    made: Picture = module.inpaint(*on_canvas(photo, sides), patch_size=3)  # a radius: patches of 7 x 7, as here
    return made


def peers() -> dict[str, Maker]:
    """Return reflection and the peers that work here; those that are missing are named."""
    found: dict[str, Maker] = {"reflection": reflect}
    for name, module, make in (("OpenCV Telea", "cv2", telea), ("PyPatchMatch", "patchmatch", patchmatch)):
        try:
            peer = importlib.import_module(module)
        except ImportError as missing:
            print(f"without {name}: {missing}")
            continue
        if not getattr(peer, "patchmatch_available", True):
            print(f"without {name}: its package holds no library for this system")
            continue
        print(f"{name} {peer.__version__}")
        found[name] = partial(make, peer)
    return found

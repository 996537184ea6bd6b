"""What the engine's tests share: generated photos, and the switch that accepts new golden hashes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _same_scenes() -> None:
    """Let every test draw the same scenes, whichever tests ran before it in this process."""
    from engine_scenes import RNG, START  # not above: it loads kernels

    RNG.bit_generator.state = START


def landscape(height: int, width: int, channels: int = 3, dtype: type = np.uint8) -> np.ndarray:
    """Draw a sky with a gradient over a textured ground; every pixel is an integer formula, the same everywhere."""
    y, x = np.mgrid[0:height, 0:width].astype(np.int64)
    noise = ((x * 7919 + y * 104729 + x * y * 31) * 2654435761 >> 13) % 48
    sky = np.stack([90 + 60 * y // height, 130 + 50 * y // height, 220 - 30 * y // height], axis=-1)
    ground = np.stack([70 + noise, 110 + noise, 40 + noise // 2], axis=-1)
    horizon = height // 2 + (x * x // (4 * width)) % max(1, height // 8)
    colour = np.where((y < horizon)[:, :, None], sky, ground)
    alpha = np.full((height, width, 1), 255)
    parts = {1: colour[:, :, 1:2], 2: np.concatenate([colour[:, :, 1:2], alpha], 2), 3: colour}
    picture = parts.get(channels, np.concatenate([colour, alpha], 2)).astype(np.uint16)
    return np.ascontiguousarray(picture.astype(np.uint8) if dtype is np.uint8 else picture * 257)


@pytest.fixture(scope="session")
def draw() -> Callable[..., np.ndarray]:
    """Return the function that draws generated photos."""
    return landscape

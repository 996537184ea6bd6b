"""A trial of the engine: a picture is made and looked at, as far as a program can."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uncrop.model import Pixels

HEIGHT, WIDTH, ADDED, SEED = 96, 128, 48, 1
# Of the trial photo: what is made must have the photo's own grain and brightness, within these bounds.
GRAIN = (0.4, 2.5)  # deviation of what was made, to the photo's own
BRIGHTNESS = 40.0  # levels of the mean


def make_trial_picture() -> str:
    """Extend the trial photo here and return what is wrong with the picture; empty when nothing is."""
    from uncrop import engine
    from uncrop.model import Sides

    photo = trial_photo()
    return fault_of(engine.extend(photo, Sides(right=ADDED), seed=SEED).pixels, photo)


def trial_photo() -> Pixels:
    """Return a photo of grain on a slope of light.

    A uniform picture would prove nothing: the engine continues it flat, without its method.
    """
    import numpy as np

    noise = np.random.default_rng(7).normal(0, 18, (HEIGHT, WIDTH, 3))
    slope = np.linspace(90, 160, HEIGHT)[:, None, None]
    return np.clip(slope + noise, 0, 255).astype(np.uint8)


def fault_of(made: Pixels, photo: Pixels) -> str:
    """Return what is wrong with the trial photo extended by ``ADDED`` to the right; empty when nothing is."""
    import numpy as np

    if made.shape != (HEIGHT, WIDTH + ADDED, 3):
        return "made a picture of the wrong size"
    if not np.array_equal(made[:, :WIDTH], photo):
        return "changed the photo's own pixels"
    new = made[:, WIDTH:].astype(np.float64)
    grain = (new - new.mean(axis=1, keepdims=True)).std() / (photo - photo.mean(axis=1, keepdims=True)).std()
    if not GRAIN[0] <= grain <= GRAIN[1]:
        return f"made a picture without the photo's grain ({grain:.2f} of it)"
    distance = float(np.abs(new.mean(axis=(1, 2)) - photo.mean(axis=(1, 2))).max())
    if distance > BRIGHTNESS:
        return f"made a picture of another brightness (up to {distance:.0f} levels)"
    return ""
